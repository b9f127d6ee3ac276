"""The harness notices broken promises: each test breaks one on purpose and wants the others to fail."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest

from indexer import judging
from indexer.page_reader import Fetched, PageRead, PageReader, Walk
from indexer.simulator import World
from indexer.simulator.positions import SOURCES
from indexer.verdict import Evidence, Verdict
from tests.faults.kinds import KINDS
from tests.faults.stand import Stand, built
from tests.faults.test_crash_points import check_crash
from tests.faults.test_matrix import check_fault, check_recovery
from tests.faults.test_zombies import check_zombie

SETTINGS: Final = {"INDEXER_LOG__LEVEL": "ERROR", "INDEXER_DAEMON__LEASE": "2s"}


@pytest.fixture
def stand(database_url: str, tmp_path: Path) -> Iterator[Stand]:
    """One account at each source."""
    with built(database_url, tmp_path, World.build(3, dict.fromkeys(SOURCES, (12,))), SETTINGS) as made:
        yield made


def test_a_cursor_that_is_durable_before_its_page_is_noticed(stand: Stand) -> None:
    """Killed between the two, the page is lost: the crash test must fail."""
    stand.mutant = "cursor_first"
    with pytest.raises(AssertionError, match=r"raw pages|Position"):
        # The mutant passes the point twice a page: this is between the cursor and the bytes of page 2.
        check_crash(stand, "algorand", "page_durable", "last")


def test_a_missing_fence_is_noticed(stand: Stand) -> None:
    """A worker that lost its lease and writes all the same: the zombie test must fail."""
    stand.mutant = "no_fence"
    with pytest.raises(AssertionError, match=r"Internal error|'crawl', 1"):
        check_zombie(stand, "algorand", "answered")


def test_a_partial_list_in_history_is_noticed(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Publishing after the first page: the comparison with the truth must fail."""
    honest = PageReader.read

    async def read(reader: PageReader, walk: Walk, fetched: Fetched) -> PageRead:
        found = await honest(reader, walk, fetched)
        return msgspec.structs.replace(found, page=msgspec.structs.replace(found.page, next_cursor=None))

    monkeypatch.setattr(PageReader, "read", read)
    with pytest.raises(AssertionError, match="Position"):
        check_recovery(stand)


def test_a_guard_that_is_off_is_noticed(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Believing whatever comes: the fault matrix must fail."""

    def believe(evidence: Evidence, _guard: object) -> Verdict:
        return Verdict("publish", witness_becomes="superseded" if evidence.witness else None)

    stand.crawl()
    monkeypatch.setattr(judging, "judge", believe)
    with pytest.raises(AssertionError, match="QUARANTINED: published"):
        check_fault(stand, next(kind for kind in KINDS if kind.name == "empty_200"))
