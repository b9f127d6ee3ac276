"""What `indexer crawl` selects and prints; the crawling itself is tested with the engine."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from indexer.cli.crawling import find_address, print_outcomes, progress_bar
from indexer.errors import UsageError


@dataclass(frozen=True, slots=True)
class Outcome:
    """The shape of jobs.Outcome."""

    source: str = "hedera"
    address: str = "0.0.1001"
    scope: str = ""
    outcome: str = "published"
    snapshot_at: datetime | None = datetime(2026, 11, 20, 12, 0, 0, 7, tzinfo=UTC)
    holdings: int | None = 3
    pages: int = 1
    requests: int = 2
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """The part of a watchlist entry that selecting reads."""

    source: str
    address: str


class Lowering:
    """A source whose canonical form is lower case and begins with 0x."""

    def canonical_address(self, text: str) -> str:
        """Lower case, or refused."""
        if not text.lower().startswith("0x"):
            raise ValueError("no 0x")
        return text.lower()


def test_json_has_exactly_the_promised_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts are written against these names; snapshot_at is ISO 8601 UTC with microseconds or null."""
    failed = replace(
        Outcome(), outcome="failed", snapshot_at=None, holdings=None, error="503 after 6 attempts"
    )

    print_outcomes([Outcome(), failed], as_json=True)  # type: ignore[list-item]  # same fields

    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "watches": [
            {
                "source": "hedera",
                "address": "0.0.1001",
                "scope": "",
                "outcome": "published",
                "snapshot_at": "2026-11-20T12:00:00.000007Z",
                "holdings": 3,
                "pages": 1,
                "requests": 2,
                "error": None,
            },
            {
                "source": "hedera",
                "address": "0.0.1001",
                "scope": "",
                "outcome": "failed",
                "snapshot_at": None,
                "holdings": None,
                "pages": 1,
                "requests": 2,
                "error": "503 after 6 attempts",
            },
        ]
    }
    assert "1 failed, 1 published" in err


def test_a_long_table_lists_what_needs_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    """Among a thousand published watches the failed one is seen."""
    outcomes = [Outcome(address=f"0.0.{number}") for number in range(1_000)]
    outcomes[500] = replace(outcomes[500], outcome="quarantined")

    print_outcomes(outcomes, as_json=False)  # type: ignore[arg-type]  # same fields

    out, err = capsys.readouterr()
    assert "0.0.500" in out
    assert "0.0.501" not in out
    assert "999 published, 1 quarantined" in err
    assert "indexer status" in err


def test_an_address_is_found_in_any_spelling_its_source_accepts() -> None:
    """Checksummed capitals select the watch that is stored in lower case."""
    entries = [Entry("loopring", "0xabc"), Entry("hedera", "0.0.1001")]

    assert find_address("0xABC", entries, {"loopring": Lowering()}) == "0xabc"  # type: ignore[arg-type,dict-item]
    assert find_address("0.0.1001", entries, {"loopring": Lowering()}) == "0.0.1001"  # type: ignore[arg-type,dict-item]


def test_an_address_nobody_watches_names_the_possible_sources() -> None:
    """A typo never crawls nothing with exit code 0."""
    entries = [Entry("loopring", "0xabc"), Entry("hedera", "0.0.1001")]

    with pytest.raises(UsageError, match="hedera, loopring"):
        find_address("0xdef", entries, {"loopring": Lowering()})  # type: ignore[arg-type,dict-item]


def test_no_bar_is_drawn_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    """cron mails only what matters."""
    with progress_bar() as on_progress:
        on_progress(None)  # type: ignore[arg-type]  # it is not looked at

    assert capsys.readouterr() == ("", "")
