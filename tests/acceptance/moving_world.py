"""The five simulated APIs in a process of their own, at their documented rates; the world moves by itself.

    python -m tests.acceptance.moving_world FOLDER SEED

It writes `site.json` (how to reach it), appends what was true from when on to `moments`, and on SIGTERM
writes every request it got to `requests.json`. SIGUSR1 ends the movement: `still` appears when it has ended.
"""

import json
import pickle
import random
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from indexer import config
from indexer.simulator import Simulator, World
from indexer.simulator.positions import SOURCES
from tests.faults.chaos import Moment
from tests.faults.stand import Stand

#: Enough pages that the slow keys are busy all of the time.
SIZES: Final[Mapping[str, Sequence[int]]] = {
    "okx_runes": (14, 4, 3),
    "solana_das": (30, 12, 6),
    "algorand": (25, 12, 3),
    "loopring": (16, 5),
    "hedera": (60, 25, 12, 3),
}
#: At one request a second a list of many pages would be half replaced while it is read. Every true list after
#: that is less than half of it, on every watch of the source, and such a source waits for a person.
MAX_PAGE: Final = dict.fromkeys(SOURCES, 5) | {"okx_runes": 20}

_SIGNALS: Final = {signal.SIGTERM, signal.SIGUSR1}


def open_stand(folder: Path, seed: int, url: str = "") -> Stand:
    """The world of this seed, and the simulator around it, which is not started."""
    simulator = Simulator(World.build(seed, SIZES), max_page=MAX_PAGE)
    return Stand(simulator, url, config.load(None, {}), {}, folder)


def main() -> None:
    """Answer until SIGTERM."""
    folder, seed = Path(sys.argv[1]), int(sys.argv[2])
    stand = open_stand(folder, seed)
    still = threading.Event()
    with stand.simulator as simulator, (folder / "moments").open("ab") as stream:
        site = {"environment": simulator.environment(), "watchlist": simulator.world.watchlist_yaml()}
        _write(folder / "site.json", json.dumps(site))
        mover = threading.Thread(target=_move, args=(stand, still, random.Random(seed), stream))
        mover.start()
        while signal.sigwait(_SIGNALS) == signal.SIGUSR1:
            still.set()
            mover.join()
            _write(folder / "still", "")
        still.set()
        mover.join()
        log = [[entry.source, entry.at, entry.status] for entry in simulator.log]
        _write(folder / "requests.json", json.dumps(log))


def _move(stand: Stand, still: threading.Event, dice: random.Random, stream: BinaryIO) -> None:
    _note(stand, stream)
    while not still.wait(dice.uniform(0.5, 4.0)):
        # One lock around both: no answer is given between a change and its moment.
        with stand.world.lock:
            stand.move()
            _note(stand, stream)


def _note(stand: Stand, stream: BinaryIO) -> None:
    pickle.dump(Moment(datetime.now(UTC), stand.truth()), stream)
    stream.flush()


def _write(path: Path, text: str) -> None:
    """Whole, or not there."""
    draft = path.with_suffix(".draft")
    draft.write_text(text, encoding="utf-8")
    draft.rename(path)


if __name__ == "__main__":
    # Before any thread starts: the signals are waited for, never delivered.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    main()
