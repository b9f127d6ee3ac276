"""What holdings reports say when there is nothing, little or too much to show."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from indexer.cli.options import Format
from indexer.cli.reports import MOST_ROWS, print_holdings
from indexer.cli.watches import describe_unknown, unknown_name
from indexer.store.reading import CoverageRow, HoldingRow

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
WATCH = CoverageRow(
    source="hedera",
    network="hedera",
    address="0.0.1001",
    scope="",
    label="Treasury",
    tags=["ops"],
    source_state="active",
    status="fresh",
    snapshot_at=NOW,
    age=timedelta(0),
    holdings=1,
    unreadable=0,
    consistency="point",
    pending_review=False,
)
HOLDING = HoldingRow(
    source="hedera",
    network="hedera",
    address="0.0.1001",
    scope="",
    label="Treasury",
    tags=["ops"],
    asset_ref="0.0.5005",
    sub_key="7",
    kind="nft",
    symbol="EVIL",
    name=None,
    amount=Decimal(15),
    decimals=None,
    quantity=None,
    locked=None,
    frozen=None,
    delegate=None,
    details="{}",
    status="carried",
    snapshot_at=NOW,
    observed_at=NOW - timedelta(hours=5),
    valid_from=NOW - timedelta(days=1),
    pending_review=True,
)


def test_without_decimals_base_units_are_named_not_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    """15 base units are not 15 tokens; the age is that of the last look at this holding."""
    print_holdings(NOW, [WATCH], [HOLDING], Format.TABLE)

    out = capsys.readouterr().out
    assert "15 base units" in out
    assert "carried, review pending" in out
    assert "5h" in out
    assert "0.0.5005 / 7" in out


def test_nothing_watched_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty table never reads as zero."""
    print_holdings(NOW, [], [], Format.TABLE)

    assert "Nothing is watched yet" in capsys.readouterr().err


def test_the_future_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Not once per watch."""
    future = replace(WATCH, status="future", snapshot_at=None, age=None, holdings=None)

    print_holdings(NOW, [future] * 5, [], Format.TABLE)

    err = capsys.readouterr().err
    assert err.count("still to come") == 1
    assert err.count("\n") == 1


def test_too_many_rows_are_cut_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever wants all of them is told how."""
    print_holdings(NOW, [WATCH], [HOLDING] * (MOST_ROWS + 1), Format.TABLE)

    out, err = capsys.readouterr()
    assert out.count("0.0.5005") == MOST_ROWS
    assert "--format csv" in err


def test_many_unknown_watches_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """Ten thousand notes are none."""
    unknown = replace(WATCH, status="never_observed", snapshot_at=None, age=None, holdings=None)

    print_holdings(NOW, [unknown] * 25, [], Format.TABLE)

    err = capsys.readouterr().err
    assert err.count("no crawl of it") == 10
    assert "15 more watches" in err


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (replace(WATCH, status="stale", age=timedelta(hours=7)), "7h old"),
        (replace(WATCH, status="not_watched", snapshot_at=None), "not watched then"),
        (replace(WATCH, pending_review=True), "not believed yet"),
        (replace(WATCH, unreadable=2), "2 listed item(s) could not be read"),
    ],
)
def test_each_reason_has_its_words(row: CoverageRow, said: str) -> None:
    """Stale, unwatched, disputed and unreadable are different facts."""
    described = describe_unknown(row)

    assert described is not None
    assert said in described
    assert "Treasury" in described


def test_a_fresh_watch_needs_no_note() -> None:
    """Notes are for what is not known."""
    assert describe_unknown(WATCH) is None


def test_a_name_nobody_knows_gets_a_hint() -> None:
    """A near miss is suggested; without any watch the first step is."""
    assert "did you mean 'Treasury'" in unknown_name("Tresury", ["0.0.1001", "Treasury"])
    assert "indexer init" in unknown_name("Treasury", [])
    assert "not a watched" in unknown_name("zzz", ["Treasury"])
