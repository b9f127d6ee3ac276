"""Every kind of fault at every source: the declared reaction, no wrong number, and the truth afterwards."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from indexer import config
from indexer.simulator import World
from indexer.sources.reactions import Reaction
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


def check_fault(stand: Stand, kind: Kind) -> None:
    """Put the fault in force at every source that can have it, crawl, judge, lift it, crawl, judge again."""
    before = Before.of(stand)
    with other_host() as host:
        for source in kind.sources:
            address = next(row.address for row in stand.world.watchlist() if row.source == source)
            stand.simulator.faults.add(kind.strike(source, address, host.origin))
        done = Pass(stand, before, stand.crawl())

        assert find_lies(done) == []
        assert [text for name in kind.sources for text in find_deviations(done, name, kind)] == []
        assert host.visits == 0
    check_recovery(stand)


def check_recovery(stand: Stand) -> None:
    """Without faults history is the truth again; what needs two witnesses gets them."""
    stand.simulator.faults.clear()
    for source in (None, "solana_das", "loopring"):
        done = Pass(stand, Before.of(stand), stand.crawl(source))
        assert {outcome.outcome for outcome in done.outcomes.values()} <= PUBLISHED
        assert find_lies(done) == []
        if {watch: known.all for watch, known in stand.known().items()} == stand.truth():
            break
    assert {watch: known.all for watch, known in stand.known().items()} == stand.truth()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_fault_has_its_declared_reaction_and_leaves_no_wrong_number(stand: Stand, kind: Kind) -> None:
    """The outcome is the declared one, history is the last believed truth, and the next pass recovers."""
    check_fault(stand, kind)


#: Trouble that retrying cures, and pages at which it may last.
RETRIED = [kind for kind in KINDS if kind.reaction is Reaction.RETRIED and kind.page == 2]


def check_lasting_trouble(stand: Stand, kind: Kind) -> None:
    """Trouble that outlasts every retry on page 2: page 1 is kept, and asked for only once."""
    before = Before.of(stand)
    with other_host() as host:
        for source in SIZES:
            address = next(row.address for row in stand.world.watchlist() if row.source == source)
            fault = kind.strike(source, address, host.origin)
            stand.simulator.faults.add(replace(fault, times=None))
        done = Pass(stand, before, stand.crawl())

    assert find_lies(done) == []
    assert {done.outcomes[watch].outcome for watch in done.struck()} == {"failed"}
    stand.simulator.faults.clear()
    resumed = Pass(stand, before, stand.crawl())
    for watch in done.struck():
        assert resumed.outcomes[watch].outcome in PUBLISHED
        assert [entry.page for entry in resumed.log(watch)].count(1) == 1
    check_recovery(stand)


def test_trouble_that_lasts_keeps_the_pages_before_it(stand: Stand) -> None:
    """The crawl is handed back with its cursor; the next pass goes on at page 2."""
    check_lasting_trouble(stand, next(kind for kind in KINDS if kind.name == "status_503_empty"))


@pytest.mark.faults_full
@pytest.mark.parametrize("kind", RETRIED, ids=lambda kind: kind.name)
def test_every_trouble_that_lasts(stand: Stand, kind: Kind) -> None:
    """Every kind that is retried, for good."""
    check_lasting_trouble(stand, kind)


@pytest.mark.faults_full
@pytest.mark.parametrize("page", [1, 3])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.page == 2], ids=lambda kind: kind.name)
def test_a_fault_on_the_first_or_last_page_leaves_no_wrong_number(
    stand: Stand, kind: Kind, page: int
) -> None:
    """Reactions may differ where there is no cursor yet; what history may say does not."""
    before = Before.of(stand)
    with other_host() as host:
        for source in kind.sources:
            address = next(row.address for row in stand.world.watchlist() if row.source == source)
            stand.simulator.faults.add(kind.strike(source, address, host.origin, page))
        done = Pass(stand, before, stand.crawl())
        assert find_lies(done) == []
        assert host.visits == 0
    check_recovery(stand)


@pytest.mark.faults_full
@pytest.mark.parametrize(
    ("origin", "told"),
    [
        ("http://no-such-host.invalid", "DNS"),
        ("https://127.0.0.1:{port}", "no complete answer"),
        ("http://127.0.0.1:1", "the connection failed"),
    ],
    ids=["no_name", "no_tls", "nobody_there"],
)
def test_a_host_that_cannot_be_talked_to_changes_nothing(stand: Stand, origin: str, told: str) -> None:
    """The name, the handshake or the connection fails: the outcome says which, and history stays."""
    place = origin.format(port=stand.simulator.port)
    names = {f"INDEXER_SOURCES__{name.upper()}__BASE_URL": f"{place}/{name}" for name in SIZES}
    before, honest = Before.of(stand), stand.config
    stand.config = config.load(stand.folder / "indexer.toml", stand.environment | names)
    done = Pass(stand, before, stand.crawl())
    stand.config = honest

    assert find_lies(done) == []
    assert {outcome.outcome for outcome in done.outcomes.values()} == {"failed"}
    assert all(told in (outcome.error or "") for outcome in done.outcomes.values())
    check_recovery(stand)
