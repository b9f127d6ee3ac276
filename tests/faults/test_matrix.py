"""Every kind of fault at every source: the declared reaction, no wrong number, and the truth afterwards."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from indexer.simulator import World
from tests.faults.kinds import KINDS, Kind
from tests.faults.stand import PUBLISHED, Stand, built
from tests.faults.verdicts import Before, Pass, find_deviations, find_lies

#: The whole request, so that a hanging one costs a second and not half a minute.
SETTINGS = {"INDEXER_DEFAULTS__TIMEOUT": "1s", "INDEXER_LOG__LEVEL": "ERROR"}

SIZES = {
    "okx_runes": (12, 7),
    "solana_das": (12, 7),
    "algorand": (12, 7),
    "loopring": (12, 7),
    "hedera": (12, 7),
}


class OtherHost:
    """A host that nobody may ever talk to. It counts who does."""

    def __init__(self, listener: socket.socket) -> None:
        self.origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.visits = 0
        self._listener = listener

    def receive(self) -> None:
        """Count visitors until the listener is closed."""
        while True:
            try:
                self._listener.accept()[0].close()
            except OSError:
                return
            self.visits += 1


@contextmanager
def other_host() -> Iterator[OtherHost]:
    """A listener on a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = OtherHost(listener)
        thread = threading.Thread(target=host.receive, daemon=True)
        thread.start()
        try:
            yield host
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.fixture
def stand(database_url: str, tmp_path: Path) -> Iterator[Stand]:
    """Two accounts at each source, known as they are, and then moved on."""
    with built(database_url, tmp_path, World.build(3, SIZES), SETTINGS) as made:
        outcomes = made.crawl()
        assert {outcome.outcome for outcome in outcomes.values()} == {"published"}
        made.move()
        yield made


def check_fault(stand: Stand, kind: Kind, page: int | None = None) -> None:
    """Put the fault in force at every source that can have it, crawl, judge, lift it, crawl, judge again."""
    before = Before.of(stand)
    with other_host() as host:
        for source in kind.sources:
            address = next(row.address for row in stand.world.watchlist() if row.source == source)
            stand.simulator.faults.add(kind.strike(source, address, host.origin, page))
        done = Pass(stand, before, stand.crawl())

        assert find_lies(done) == []
        assert [text for name in kind.sources for text in find_deviations(done, name, kind)] == []
        assert host.visits == 0
    check_recovery(stand)


def check_recovery(stand: Stand) -> None:
    """Without faults history is the truth again; what needs two witnesses gets them."""
    stand.simulator.faults.clear()
    for _ in range(2):
        before = Before.of(stand)
        done = Pass(stand, before, stand.crawl())
        assert {outcome.outcome for outcome in done.outcomes.values()} <= PUBLISHED
        assert find_lies(done) == []
    assert {watch: known.all for watch, known in stand.known().items()} == stand.truth()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_fault_has_its_declared_reaction_and_leaves_no_wrong_number(stand: Stand, kind: Kind) -> None:
    """The outcome is the declared one, history is the last believed truth, and the next pass recovers."""
    check_fault(stand, kind)
