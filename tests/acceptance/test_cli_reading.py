"""The read commands over a real database: what a person sees, what a program gets, what stays unknown."""

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
import zstandard

from indexer.__main__ import main

BODY: Final = b'{"nfts":[{"account_id":"0.0.1001"}]}\n\xff\x00'
LARGEST: Final = 2**256 - 1

#: One source with a treasury that changed, an empty wallet and one never crawled; one source paused.
_BOOK: Final = """
SELECT ledger.ensure_raw_partitions(current_date, 1);
INSERT INTO ledger.source (source_id, network, state, paused_reason, paused_until) VALUES
    ('hedera', 'hedera', 'active', NULL, NULL),
    ('algorand', 'algorand', 'paused', 'quota used up', now() + interval '1 hour');
INSERT INTO ledger.address (network, address) VALUES
    ('hedera', '0.0.1001'), ('hedera', '0.0.1002'), ('hedera', '0.0.1003');
INSERT INTO ledger.watch (source_id, address_id, label, tags)
SELECT 'hedera', address_id, CASE address WHEN '0.0.1001' THEN 'Treasury' END, ARRAY['ops']
FROM ledger.address ORDER BY address_id;
INSERT INTO ledger.watch_period (watch_id, watched_from)
SELECT watch_id, now() - interval '3 days' FROM ledger.watch;
INSERT INTO ledger.crawl (source_id, state, created_at, first_page_at, last_page_at, finished_at, pages,
    listed)
VALUES ('hedera', 'complete', now() - interval '2 days', now() - interval '2 days', now() - interval '2 days',
        now() - interval '2 days', 1, 2);
INSERT INTO ledger.crawl (source_id, state, lease_owner, lease_until, pages, listed, reported_total)
VALUES ('hedera', 'running', 1, now() + interval '1 minute', 3, 300, 1000);
INSERT INTO ledger.crawl (source_id, state, finished_at, error_class, error)
VALUES ('hedera', 'failed', now(), 'BadPage', 'the answer is not JSON');
INSERT INTO ledger.crawl_watch (crawl_id, watch_id, place, open, verdict)
SELECT crawl_id, watch_id, 0, CASE WHEN state = 'running' THEN true END,
    CASE state WHEN 'failed' THEN 'failed' WHEN 'complete' THEN 'published' END
FROM ledger.crawl
JOIN ledger.watch ON watch_id = (SELECT min(watch_id) FROM ledger.watch)
    + CASE state WHEN 'failed' THEN 2 WHEN 'running' THEN 1 ELSE 0 END;
INSERT INTO ledger.snapshot (watch_id, crawl_id, state, judged_at, snapshot_at, fresh_until, first_page_at,
    last_page_at, pages, holdings, unreadable, missing, proves_absence, consistency, digest)
SELECT w.watch_id, 1, 'published', t, t, t + interval '25 hours', t, t, 1,
    CASE a.address WHEN '0.0.1001' THEN 2 ELSE 0 END, 0, 0, true, 'point', sha256('')
FROM ledger.watch w JOIN ledger.address a USING (address_id),
    LATERAL (VALUES (now() - interval '2 days'), (now() - interval '1 day')) AS x (t)
WHERE a.address <> '0.0.1003';
INSERT INTO ledger.snapshot (watch_id, crawl_id, state, judged_at, first_page_at, last_page_at, pages,
    holdings, unreadable, missing, proves_absence, consistency, digest, reason)
SELECT min(watch_id), 1, 'quarantined', now(), now(), now(), 1, 0, 0, 2, true, 'point', sha256(''), 'empty'
FROM ledger.watch;
INSERT INTO ledger.asset (network, asset_ref) VALUES ('hedera', '0.0.5005'), ('hedera', '0.0.6006');
INSERT INTO ledger.asset_detail (asset_id, kind, symbol, name, metadata, digest)
SELECT asset_id, 'fungible', E'EV\\x1b[2JIL', '[red]x', '{}', sha256('') FROM ledger.asset;
"""

_VERSION: Final = """
INSERT INTO ledger.holding_version (watch_id, asset_id, sub_key, version_no, valid_from, valid_to,
    previous_to, amount, decimals, observed_at, open_reason, close_reason, opened_by, opened_page, closed_by)
SELECT w.watch_id, s.asset_id, '', 1, t.day_2, CASE WHEN %(old)s THEN t.day_1 END, NULL, %(amount)s,
    %(decimals)s, t.day_2, 'baseline', CASE WHEN %(old)s THEN 'changed' END, 1, 1,
    CASE WHEN %(old)s THEN 1 END
FROM (SELECT min(watch_id) AS watch_id FROM ledger.watch) w, ledger.asset s,
    (SELECT min(snapshot_at) AS day_2, max(snapshot_at) AS day_1 FROM ledger.snapshot) t
WHERE s.asset_ref = %(asset)s
"""

_SUCCESSOR: Final = """
INSERT INTO ledger.holding_version (watch_id, asset_id, sub_key, version_no, valid_from, previous_no,
    previous_to, amount, decimals, observed_at, open_reason, opened_by, opened_page)
SELECT watch_id, asset_id, sub_key, 2, valid_to, 1, valid_to, %(amount)s, decimals, valid_to, 'changed', 1, 1
FROM ledger.holding_version WHERE valid_to IS NOT NULL
"""


@pytest.fixture
def book(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The little book above, as the database of every command this test runs."""
    with psycopg.connect(database_url) as connection:
        connection.execute(_BOOK)
        first = {"old": True, "amount": 150, "decimals": 2, "asset": "0.0.5005"}
        connection.execute(_VERSION, first)
        connection.execute(_SUCCESSOR, {"amount": LARGEST})
        connection.execute(
            _VERSION, first | {"old": False, "amount": None, "decimals": None, "asset": "0.0.6006"}
        )
        keep_pages(connection)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INDEXER_DATABASE__URL", database_url)
    return database_url


def keep_pages(connection: psycopg.Connection[Any]) -> None:
    """One compressed page of crawl 1, and one rejected answer that is not compressed."""
    bodies = [
        ("page", "zstd", BODY, zstandard.ZstdCompressor().compress(BODY)),
        ("rejected", "none", b"<", b"<"),
    ]
    for kind, codec, exact, stored in bodies:
        connection.execute(
            "INSERT INTO ledger.raw_body (part_on, sha256, codec, length, body)"
            " SELECT part_on, %s, %s, %s, %s FROM ledger.crawl WHERE crawl_id = 1",
            (hashlib.sha256(exact).digest(), codec, len(exact), stored),
        )
        connection.execute(
            "INSERT INTO ledger.raw_page (part_on, crawl_id, kind, page_no, lease_epoch, http_status,"
            " request, items, sha256)"
            " SELECT part_on, 1, %s, 1, 1, 200, 'GET /api/v1/accounts/{id}/nfts', 2, %s"
            " FROM ledger.crawl WHERE crawl_id = 1",
            (kind, hashlib.sha256(exact).digest()),
        )


def read_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """What a command prints for programs; it must succeed."""
    assert main(arguments) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_holdings_are_exact_and_name_what_is_unknown(book: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every digit of 2^256-1; an unstated amount is null; the watch nobody crawled is listed as unknown."""
    document = read_json(capsys, "holdings", "--format", "json")

    rows = {row["asset_ref"]: row for row in document["holdings"]}
    assert rows["0.0.5005"]["amount"] == str(LARGEST)
    assert rows["0.0.5005"]["quantity"] == f"{str(LARGEST)[:-2]}.{str(LARGEST)[-2:]}"
    assert rows["0.0.6006"]["amount"] is None
    assert {row["status"] for row in document["not_fresh"] if row["address"] == "0.0.1003"} == {
        "never_observed"
    }


def test_the_table_shows_no_terminal_code_and_ends_with_what_is_unknown(
    book: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A token called ESC[2J cannot clear the screen; an absent row is explained."""
    assert main(["holdings"]) == 0

    out, err = capsys.readouterr()
    assert "EV\\x1b[2JIL" in out
    assert "\x1b[2J" not in out
    assert "0.0.1003 — unknown: no crawl of it was ever published" in err
    assert "1 watch(es) hold nothing: proved by a complete crawl" in err
    assert "not believed yet" in err


def test_as_of_shows_what_was_known_then(book: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the change the old amount; before the first crawl nothing, and said so."""
    then = read_json(capsys, "holdings", "Treasury", "--as-of", "-36h", "--format", "json")
    before = read_json(capsys, "holdings", "0.0.1001", "--as-of", "60h ago", "--format", "json")

    assert [row["quantity"] for row in then["holdings"]] == ["1.5", None]
    assert before["holdings"] == []
    assert before["not_fresh"][0]["status"] == "never_observed"


def test_the_future_is_unknown(book: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody holds anything in the year 2999, and nobody holds nothing."""
    document = read_json(capsys, "holdings", "--as-of", "2999-01-01T00:00:00Z", "--format", "json")

    assert document["holdings"] == []
    assert {row["status"] for row in document["not_fresh"]} == {"future"}


def test_csv_goes_to_stdout_alone(book: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A spreadsheet gets rows and nothing else."""
    assert main(["holdings", "Treasury", "--format", "csv"]) == 0

    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["amount"] for row in rows] == [str(LARGEST), ""]


def test_an_unknown_name_exits_2_with_a_hint(book: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A typo is not an empty portfolio."""
    assert main(["holdings", "Tresury"]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert "did you mean 'Treasury'" in err


def test_history_lists_versions_and_todays_answer(book: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Two spans that meet; an asset never seen is absent because a crawl proved it."""
    document = read_json(capsys, "history", "0.0.1001", "0.0.5005", "--format", "json")
    other = read_json(capsys, "history", "0.0.1001", "0.0.7", "--format", "json")

    first, second = document["versions"]
    assert first["valid_to"] == second["valid_from"]
    assert (first["close_reason"], second["valid_to"]) == ("changed", None)
    assert document["today"][0]["answer"] == "held"
    assert other["versions"] == []
    assert other["today"][0]["answer"] == "absent"


def test_changes_carry_both_amounts(book: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Only what happened since; oldest first."""
    document = read_json(capsys, "changes", "--since", "-30h", "--format", "json")
    everything = read_json(capsys, "changes", "--since", "-100h", "--format", "json")

    (change,) = document["changes"]
    assert (change["change"], change["old_amount"], change["new_amount"]) == (
        "increased",
        "150",
        str(LARGEST),
    )
    assert [row["change"] for row in everything["changes"]][-1] == "increased"
    assert len(everything["changes"]) == 3


@pytest.mark.parametrize(
    "command", [["changes"], ["history", "Treasury", "0.0.5005"], ["status"], ["raw", "1"]]
)
def test_tables_are_printed(command: list[str], book: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every report has a form for people."""
    assert main(command) == 0
    assert "─" in capsys.readouterr().out


def test_raw_says_whose_answers_they_are(book: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A number that was mistyped, or is a snapshot's, shows another account: its heading names it."""
    main(["raw", "1"])
    assert "crawl 1: hedera 0.0.1001" in capsys.readouterr().out


def test_raw_gives_the_exact_bytes(book: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Evidence: not one byte more or less, whatever they are."""
    assert main(["raw", "1", "--page", "1"]) == 0
    assert capfdbinary.readouterr().out == BODY


def test_raw_gives_rejected_answers_too(book: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """What was not believed is what one wants to look at."""
    assert main(["raw", "1", "--page", "1", "--kind", "rejected"]) == 0
    assert capfdbinary.readouterr().out == b"<"


@pytest.mark.parametrize("command", [["raw", "99"], ["raw", "1", "--page", "7"]])
def test_a_page_that_is_not_kept_exits_2(
    command: list[str], book: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty file would look like an empty answer."""
    assert main(command) == 2
    assert capsys.readouterr().out == ""


def test_status_tells_what_needs_a_person(book: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Why a source is paused, what to type about a disbelieved list, what failed, how far a crawl is."""
    document = read_json(capsys, "status", "--json")

    sources = {row["source"]: row for row in document["sources"]}
    assert sources["algorand"]["paused_reason"] == "quota used up"
    assert (sources["hedera"]["fresh"], sources["hedera"]["never_observed"]) == (2, 1)
    assert document["quarantine"][0]["release_command"].startswith("indexer release ")
    assert [row["error"] for row in document["failures"]] == ["the answer is not JSON"]
    assert (document["crawls"][0]["listed"], document["crawls"][0]["reported_total"]) == (300, 1000)


def test_a_database_that_is_away_exits_4(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence, no password, nothing on stdout."""
    monkeypatch.setenv("INDEXER_DATABASE__URL", "postgresql://u:topsecretpw@127.0.0.1:9/x")

    assert main(["status"]) == 4

    out, err = capsys.readouterr()
    assert out == ""
    assert "topsecretpw" not in err
