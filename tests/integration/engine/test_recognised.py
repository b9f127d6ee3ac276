"""A list that repeats the last published one is not parsed again, and is no less exact for that."""

import asyncio
import hashlib

import psycopg
import pytest

from indexer.sources import SOURCES as CLASSES
from indexer.store import pages
from indexer.store.bodies import MOST_DEPTH, apply_splice, stored_body
from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.stage import Stage, outcomes

#: Three pages of ten.
SIZES = (25,)

RECOGNISABLE = ["algorand", "hedera", "loopring", "solana_das"]


def kept_bodies(stage: Stage) -> list[tuple[str, bytes, bytes]]:
    """Codec, stated hash and exact bytes of every page in the log."""

    async def read() -> list[tuple[str, bytes, bytes]]:
        connection = await psycopg.AsyncConnection.connect(stage.url, autocommit=True)
        async with connection:
            cursor = await connection.execute(
                "SELECT coalesce(p.exact_sha256, p.sha256), p.splice, b.codecs, b.lengths, b.bodies"
                " FROM ledger.raw_page AS p"
                " CROSS JOIN LATERAL ledger.read_chain(p.part_on, p.sha256) AS b"
            )
            rows = await cursor.fetchall()
        return [_exact(*row) for row in rows]

    return asyncio.run(read())


def _exact(
    sha256: bytes, splice: bytes | None, codecs: list[str], lengths: list[int], bodies: list[bytes]
) -> tuple[str, bytes, bytes]:
    stored = stored_body(codecs, lengths, bodies)
    assert stored is not None
    return ("splice" if splice else codecs[0]), sha256, apply_splice(stored.unpack(), splice)


def parsed_by(monkeypatch: pytest.MonkeyPatch, source: str) -> list[int]:
    """Counts the pages the source parses from now on."""
    parsed: list[int] = []
    plain = CLASSES[source].parse

    def counting(self: object, question: object, body: bytes) -> object:
        parsed.append(len(body))
        return plain(self, question, body)  # type: ignore[arg-type]

    monkeypatch.setattr(CLASSES[source], "parse", counting)
    return parsed


@pytest.mark.parametrize("source", RECOGNISABLE)
def test_a_repeated_list_is_not_parsed(
    open_stage: OpenStage, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same bytes, apart from the round: unchanged, without reading one page again."""
    stage = open_stage({source: SIZES}, pages=10)
    stage.crawl()
    if source == "algorand":
        stage.world.advance(3)
    parsed = parsed_by(monkeypatch, source)

    found = stage.crawl()

    assert outcomes(found) == {"unchanged": 1}
    assert parsed == []
    assert stage.differences() == {}
    (first, second) = stage.rows("SELECT digest, holdings FROM ledger.snapshot ORDER BY snapshot_id")
    assert first == second


def test_the_bytes_stay_exact(open_stage: OpenStage) -> None:
    """Algorand's round differs in every answer: each page is kept as it came, most as a few bytes."""
    stage = open_stage({"algorand": SIZES}, pages=10)
    for _ in range(4):
        stage.crawl()
        stage.world.advance(1)

    bodies = kept_bodies(stage)

    assert len(bodies) == 12
    assert [codec for codec, _, _ in bodies].count("splice") == 9
    assert all(hashlib.sha256(exact).digest() == digest for _, digest, exact in bodies)


@pytest.mark.parametrize("source", sorted(CLASSES))
def test_what_is_new_in_a_page_is_kept_as_such(open_stage: OpenStage, source: str) -> None:
    """A page that changes round after round is kept as what changed, on chains that end, to the byte."""
    stage = open_stage({source: (200,)})
    rounds = MOST_DEPTH + 3
    for step in range(rounds):
        stage.crawl()
        stage.world.churn(0.01, step + 1)

    bodies = kept_bodies(stage)

    assert len(bodies) >= rounds
    assert all(hashlib.sha256(exact).digest() == digest for _, digest, exact in bodies)
    depths = [row["depth"] for row in stage.rows("SELECT depth FROM ledger.raw_body ORDER BY depth")]
    assert depths[-1] == MOST_DEPTH
    exact = sum(len(exact) for _, _, exact in bodies)
    stored = stage.value("SELECT sum(octet_length(body)) FROM ledger.raw_body WHERE depth > 0")
    assert stored * 20 < exact


@pytest.mark.parametrize("source", RECOGNISABLE)
@pytest.mark.parametrize("place", [0, 12, 24])
def test_a_change_on_any_page_is_found(open_stage: OpenStage, source: str, place: int) -> None:
    """Pages before the change were recognised and set aside; the list is folded whole all the same."""
    stage = open_stage({source: SIZES}, pages=10)
    stage.crawl()
    (watch,) = stage.truth()
    keys = sorted((item.asset_ref, item.sub_key) for item in stage.world.items(*watch))
    stage.world.remove(*watch[:2], keys[place])

    stage.crawl()
    found = stage.crawl()

    assert outcomes(found) in ({"published": 1}, {"unchanged": 1})
    assert stage.differences() == {}


@pytest.mark.parametrize("source", RECOGNISABLE)
def test_recognised_pages_that_are_too_many_to_keep_are_read_again(
    open_stage: OpenStage, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last page differs when those before it are not at hand any more: the log has them."""
    stage = open_stage({source: SIZES}, pages=10)
    stage.crawl()
    monkeypatch.setattr("indexer.walk.SKIPPED_BYTES", 1)
    (watch,) = stage.truth()
    stage.world.mint(*watch[:2], index=10_000)

    found = stage.crawl()

    assert outcomes(found) == {"published": 1}
    assert stage.differences() == {}


def test_other_code_parses_again(open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an upgrade of a source its pages are read by the new code once."""
    stage = open_stage({"algorand": SIZES}, pages=10)
    stage.crawl()
    monkeypatch.setattr(pages, "READER", "another")
    parsed = parsed_by(monkeypatch, "algorand")

    found = stage.crawl()

    assert outcomes(found) == {"unchanged": 1}
    assert len(parsed) == 3


@pytest.mark.parametrize("height", [2**63, 10**20])
def test_a_height_no_node_can_state_is_read_like_any_page(open_stage: OpenStage, height: int) -> None:
    """All else repeats the last list, but what is not parsed must be beyond doubt: this page is refused."""
    stage = open_stage({"algorand": SIZES}, pages=10)
    stage.crawl()
    before, stage.world.round = stage.world.round, height

    (found,) = stage.crawl()

    assert found.outcome == "failed"
    assert "is no round" in (found.error or "")
    stage.world.round = before
    assert outcomes(stage.crawl()) == {"unchanged": 1}
