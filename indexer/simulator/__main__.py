"""``python -m indexer.simulator [--port N]``: the five APIs until Ctrl-C, for trying things by hand.

Prints the environment that points the program at it, ready for a shell.
"""

import argparse
import shlex
import signal
import sys
from pathlib import Path

from indexer.simulator import Simulator, World


def main() -> None:
    """Run a demo world until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m indexer.simulator", description="The five APIs on loopback."
    )
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    parser.add_argument("--seed", type=int, default=7, help="another seed gives another world")
    parser.add_argument("--watchlist", type=Path, help="also write the world's watchlist to this YAML file")
    options = parser.parse_args()
    world = World.demo(options.seed)
    if options.watchlist:
        options.watchlist.write_text(world.watchlist_yaml(), encoding="utf-8")
    with Simulator(world, port=options.port) as simulator:
        for name, value in simulator.environment().items():
            sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
        sys.stdout.flush()
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    main()
