"""A worker that sleeps past its lease finds its crawl in other hands when it wakes up: it writes nothing."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg
import pytest

from indexer.simulator import World
from indexer.simulator.positions import SOURCES
from tests.faults import processes
from tests.faults.stand import Stand, built
from tests.faults.test_crash_points import find_passing

#: A short lease, so that taking over is quick.
SETTINGS: Final = {"INDEXER_LOG__LEVEL": "WARNING", "INDEXER_DAEMON__LEASE": "2s"}

#: Outside of transactions: there a sleeper holds nothing but its lease.
OUTSIDE: Final = ("asking", "answered", "parsed", "assets_learned", "page_durable")
#: Inside, with rows locked: the sleeper's connection must be ended first (by hand here, by the server's
#: idle-in-transaction time-out otherwise).
INSIDE: Final = ("commit_begun", "page_written")
PUBLISHING: Final = ("history_changed", "snapshot_written", "crawl_completed")

_TABLES: Final = (
    *("crawl", "crawl_watch", "raw_page", "raw_body", "snapshot", "holding_version", "carried_span"),
    *("price", "missing_holding", "fact"),
)


@pytest.fixture
def stand(database_url: str, tmp_path: Path) -> Iterator[Stand]:
    """One account at each source."""
    with built(database_url, tmp_path, World.build(3, dict.fromkeys(SOURCES, (12,))), SETTINGS) as made:
        yield made


def fingerprint(stand: Stand) -> list[tuple[object, ...]]:
    """Every row of every table a crawl writes, in short."""
    digest = "SELECT '{0}', count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM ledger.{0} AS t"
    return [stand.rows(digest.format(table))[0] for table in _TABLES]


def end_transactions_of_sleepers(stand: Stand) -> None:
    """What idle_in_transaction_session_timeout does a minute later."""
    statement = """
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND state = 'idle in transaction' AND pid <> pg_backend_pid()
    """
    with psycopg.connect(stand.url, autocommit=True) as connection:
        connection.execute(statement)


def check_zombie(stand: Stand, source: str, point: str, page: str = "middle") -> None:
    """Stop a worker there, let another one finish, wake the first up, compare everything."""
    passing = 1 if point in PUBLISHING else find_passing(source, point, page)
    sleeper = processes.start(
        stand, "crawl", "--json", "--source", source, crash_at=f"{point}:{passing}:stop"
    )
    try:
        processes.wait_until(lambda: processes.is_stopped(sleeper.pid), f"a stop at {point}")
        if point not in OUTSIDE:
            end_transactions_of_sleepers(stand)
        other = processes.crawl(stand, "--source", source)
        assert other.code == 0, other.stderr[-2000:]
        before = fingerprint(stand)

        sleeper.send_signal(signal.SIGCONT)
        woken = processes.end(sleeper)
    finally:
        sleeper.kill()

    assert woken.code == 0, woken.stderr[-2000:]
    assert [row["outcome"] for row in woken.outcomes()] == ["published"]
    assert fingerprint(stand) == before
    (watch,) = (watch for watch in stand.truth() if watch[0] == source)
    assert stand.known()[watch].certain == stand.truth()[watch]
    assert stand.violations() == []


@pytest.mark.parametrize(("source", "point"), [("algorand", "answered"), ("hedera", "page_written")])
def test_a_worker_that_lost_its_lease_writes_nothing(stand: Stand, source: str, point: str) -> None:
    """Not a page, not a version, not even the state of the crawl; and it ends as if nothing had been."""
    check_zombie(stand, source, point)


#: 120: every point a page passes on the first, a middle and the last page; those of the publish once.
EVERYWHERE: Final = [
    *((point, page) for point in (*OUTSIDE, *INSIDE) for page in ("first", "middle", "last")),
    *((point, "last") for point in PUBLISHING),
]


@pytest.mark.faults_full
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("point", "page"), EVERYWHERE)
def test_every_point_where_a_worker_may_fall_asleep(stand: Stand, source: str, point: str, page: str) -> None:
    """Every point that a page and a publish pass, every source."""
    check_zombie(stand, source, point, page)
