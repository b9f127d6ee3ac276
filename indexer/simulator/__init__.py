"""The five APIs on loopback, with a moving world and faults: for the demo, tests and benchmarks.

    world.py       what exists, and the truth a correct reader must report
    server.py      ``Simulator``: the HTTP server around a world
    faults.py      what can go wrong, and the table of all kinds
    okx_runes.py solana_das.py algorand.py loopring.py hedera.py   one API each, strict and with its quirks

It is an independent witness: it imports nothing of ``indexer.sources``.
"""

from indexer.simulator.desk import LogEntry
from indexer.simulator.faults import Fault
from indexer.simulator.positions import Position, WatchRow
from indexer.simulator.server import Simulator
from indexer.simulator.world import World

__all__ = ["Fault", "LogEntry", "Position", "Simulator", "WatchRow", "World"]
