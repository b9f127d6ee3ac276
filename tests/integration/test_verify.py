"""`indexer verify`: silent over a sound history, loud over every hand in the tables."""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from indexer import bootstrap, jobs
from indexer.jobs import Engine, Selection
from indexer.verify import Findings, verify
from tests.acceptance.cli_program import run_program
from tests.integration.keeping import (
    Fault,
    Stage,
    age_crawls,
    cloned,
    crawl_rounds,
    open_stage,
    prune_stage,
    refs,
    rules,
    tamper,
    verify_stage,
)

_NUMBERS = itertools.count(1)

_ONE_BODY = "sha256 = (SELECT b.sha256 FROM ledger.raw_body AS b WHERE b.codec = 'zstd' ORDER BY 1 LIMIT 1)"


@pytest.fixture(scope="module")
def crawled(server_url: str, template_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Five sources, crawled twice: what the tests of this file tamper with copies of."""
    with (
        cloned(server_url, template_url, 0) as url,
        open_stage(url, tmp_path_factory.mktemp("crawled")) as opened,
    ):
        crawl_rounds(opened, 2)
        yield opened


@pytest.fixture
def stage(server_url: str, crawled: Stage, tmp_path: Path) -> Iterator[Stage]:
    """Two rounds of history that nobody else touches."""
    with cloned(server_url, crawled.url, next(_NUMBERS)) as url:
        yield Stage(crawled.sim, url, tmp_path, crawled.settings)


def test_a_sound_history_has_nothing_to_tell(stage: Stage) -> None:
    """Every list, page and body is looked at, disbelieved and unreadable ones included; nothing is wrong."""
    stage.sim.faults.add(Fault("hedera", "item_error"))
    stage.sim.faults.add(Fault("algorand", "half_gone", times=None))
    stage.crawl()

    findings = verify_stage(stage)

    assert rules(findings) == set()
    assert findings.checked["lists"] == stage.value("SELECT count(*) FROM ledger.snapshot")
    assert findings.checked["bodies"] == stage.value("SELECT count(*) FROM ledger.raw_body")
    assert findings.checked["bytes"] == stage.value("SELECT sum(length) FROM ledger.raw_body")
    assert findings.checked["pages"] == stage.value("SELECT count(*) FROM ledger.raw_page") > 30


def test_a_body_with_other_bytes_is_found(stage: Stage) -> None:
    """Bytes that unpack well but are not those that were answered."""
    other = zstandard.ZstdCompressor().compress(b"x" * 100)
    tamper(
        stage,
        "raw_body",
        f"UPDATE ledger.raw_body SET codec = 'zstd', body = %(other)s WHERE {_ONE_BODY}",
        other=other,
    )

    findings = verify_stage(stage)

    (ref,) = refs(findings, "body_differs_from_its_hash")
    assert ref.endswith(stage.value(f"SELECT encode(sha256, 'hex') FROM ledger.raw_body WHERE {_ONE_BODY}"))


def test_a_torn_body_is_found_twice(stage: Stage) -> None:
    """Half a body cannot be unpacked, and the list of its page cannot be folded."""
    tamper(
        stage,
        "raw_body",
        "UPDATE ledger.raw_body AS b SET body = substr(b.body, 1, octet_length(b.body) / 2)"
        " WHERE codec = 'zstd' AND sha256 IN (SELECT sha256 FROM ledger.raw_page WHERE kind = 'page')",
    )

    assert rules(verify_stage(stage)) == {"body_unreadable", "page_unreadable"}


def test_a_wrong_length_is_found(stage: Stage) -> None:
    """The length that is stored is that of the exact bytes."""
    tamper(stage, "raw_body", f"UPDATE ledger.raw_body SET length = length + 1 WHERE {_ONE_BODY}")

    assert rules(verify_stage(stage)) == {"body_differs_from_its_length"}


def test_a_digest_that_is_not_the_lists_is_found(stage: Stage) -> None:
    """The finding names the snapshot."""
    snapshot = stage.value("SELECT max(snapshot_id) FROM ledger.snapshot WHERE holdings > 0")
    tamper(
        stage,
        "snapshot",
        "UPDATE ledger.snapshot SET digest = sha256('another list') WHERE snapshot_id = %(snapshot)s",
        snapshot=snapshot,
    )

    findings = verify_stage(stage)

    assert rules(findings) == {"digest_differs"}
    (ref,) = refs(findings, "digest_differs")
    assert ref.startswith(f"{snapshot}: ")


@pytest.mark.parametrize(
    ("table", "statement", "rule"),
    [
        ("raw_page", "DELETE FROM ledger.raw_page WHERE page_no = 2", "page_missing"),
        ("raw_page", "DELETE FROM ledger.raw_page WHERE kind = 'lookup'", "lookup_missing"),
        (
            "raw_page",
            "UPDATE ledger.raw_page SET cursor_out = 'elsewhere' WHERE page_no = 1",
            "cursor_chain_broken",
        ),
        (
            "raw_page",
            "UPDATE ledger.raw_page SET cursor_in = 'x' WHERE page_no = 1",
            "first_page_with_cursor",
        ),
        ("raw_page", "UPDATE ledger.raw_page SET crawl_id = crawl_id + 1000000", "page_without_crawl"),
        (
            "holding_version",
            "DELETE FROM ledger.holding_version WHERE valid_to IS NULL",
            "snapshot_count_differs",
        ),
        ("snapshot", "UPDATE ledger.snapshot SET holdings = holdings + 1", "snapshot_count_differs"),
        ("snapshot", "UPDATE ledger.snapshot SET crawl_id = crawl_id + 1", "version_opened_without_snapshot"),
    ],
)
def test_a_hand_in_the_tables_is_found(stage: Stage, table: str, statement: str, rule: str) -> None:
    """Whoever changes what is write-once leaves a trace."""
    tamper(stage, table, statement)

    assert rule in rules(verify_stage(stage))


@pytest.mark.parametrize(
    "closed",
    [
        "close_reason = 'unwatched'",
        "close_reason = 'absent', closed_by = opened_by",
    ],
)
def test_a_version_closed_in_the_past_is_found(stage: Stage, closed: str) -> None:
    """A hand may close what is open, and no constraint knows when that was: the snapshots do."""
    stage.execute(
        "UPDATE ledger.holding_version SET valid_to = valid_from + interval '1 microsecond', " + closed + " "
        "WHERE ctid = (SELECT min(ctid) FROM ledger.holding_version WHERE valid_to IS NULL)"
    )

    assert "snapshot_count_differs" in rules(verify_stage(stage, quick=True))


def test_quick_reads_no_page(stage: Stage) -> None:
    """The rules of history are checked, the bytes are not."""
    tamper(stage, "raw_body", "UPDATE ledger.raw_body SET body = 'torn'")

    findings = verify_stage(stage, quick=True)

    assert rules(findings) == set()
    assert findings.checked["versions"] > 0
    assert "bodies" not in findings.checked


def test_a_working_daemon_gives_no_false_alarm(stage: Stage) -> None:
    """While passes publish, every check sees one moment."""

    async def crawl_and_verify(engine: Engine) -> list[Findings]:
        sources = bootstrap.build_sources(stage.config())

        async def crawl() -> None:
            for step in range(3):
                await jobs.run_pass(engine, Selection(None, None), lambda _progress: None)
                await asyncio.to_thread(stage.world.change, step + 7)

        crawling = asyncio.create_task(crawl())
        found = []
        while not crawling.done():
            found.append(await verify(engine.database, sources, quick=False))
        await crawling
        return found

    found = stage.run(crawl_and_verify)

    assert found
    assert [rules(findings) for findings in found] == [set()] * len(found)


def test_pruned_months_are_no_violation(stage: Stage) -> None:
    """What retention took away is not missed."""
    age_crawls(stage)
    stage.crawl()
    prune_stage(stage)

    findings = verify_stage(stage)

    assert rules(findings) == set()
    assert 0 < findings.checked["lists"] < findings.checked["snapshots"]


def test_the_command_says_so_in_its_exit_code(stage: Stage) -> None:
    """0 when all is well; 3 and the violations as JSON when something is found."""
    environment = {"INDEXER_DATABASE__URL": stage.url}
    sound = run_program(stage.folder, "verify", environment=environment)
    tamper(stage, "raw_body", f"UPDATE ledger.raw_body SET length = length + 1 WHERE {_ONE_BODY}")
    unsound = run_program(stage.folder, "verify", "--json", environment=environment)

    assert sound.returncode == 0, sound.stderr
    assert "nothing is wrong" in sound.stdout
    assert unsound.returncode == 3, unsound.stderr
    assert '"rule": "body_differs_from_its_length"' in unsound.stdout
