"""History is write-once, whoever writes: never rewritten, reopened, deleted or truncated."""

from datetime import datetime

import pytest

from tests.integration.constraints.ledger import REFUSED, Ledger, at, is_accepted


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("holding_version", "amount", 5),
        ("holding_version", "amount", None),
        ("holding_version", "decimals", 5),
        ("holding_version", "locked", 1),
        ("holding_version", "frozen", True),
        ("holding_version", "delegate", "eve"),
        ("holding_version", "details", '{"a":1}'),
        ("holding_version", "valid_from", at(0)),
        ("holding_version", "observed_at", at(9)),
        ("holding_version", "open_reason", "appeared"),
        ("holding_version", "opened_by", 2),
        ("holding_version", "opened_page", 2),
        ("holding_version", "sub_key", "x"),
        ("holding_version", "version_no", 2),
        ("carried_span", "reason", "missing"),
        ("carried_span", "detail", "x"),
        ("carried_span", "valid_from", at(0)),
        ("carried_span", "opened_by", 2),
        ("carried_span", "sub_key", "x"),
        ("watch_period", "watched_from", at(0)),
    ],
)
def test_no_column_of_history_is_rewritten(ledger: Ledger, table: str, column: str, value: object) -> None:
    """Not of a closed row, not of an open one, and not in the statement that closes it."""
    closed, still_open = ledger.watch(), ledger.watch()
    end = "watched_to" if table == "watch_period" else "valid_to"
    also = ", close_reason = 'absent', closed_by = 1" if table == "holding_version" else ""
    for watch, until in ((closed, at(2)), (still_open, None)):
        ledger.version(watch, at(1), until)
        ledger.carried(watch, at(1), until)
        ledger.period(watch, at(1), until)
    change = f"UPDATE ledger.{table} SET {column} = %(value)s"
    where = " WHERE watch_id = %(watch)s"

    for watch in (closed, still_open):
        assert not is_accepted(ledger.run, change + where, value=value, watch=watch)
    closing = f"{change}, {end} = %(end)s{also}{where}"
    assert not is_accepted(ledger.run, closing, value=value, end=at(3), watch=still_open)


@pytest.mark.parametrize(
    ("table", "end"),
    [("holding_version", "valid_to"), ("carried_span", "valid_to"), ("watch_period", "watched_to")],
)
@pytest.mark.parametrize("value", [None, at(9), at(1.5)])
def test_what_is_closed_stays_closed(ledger: Ledger, table: str, end: str, value: datetime | None) -> None:
    """An end is neither taken back nor moved."""
    watch = ledger.watch()
    ledger.version(watch, at(1), at(2))
    ledger.carried(watch, at(1), at(2))
    ledger.period(watch, at(1), at(2))
    reasons = (
        ", close_reason = NULL, closed_by = NULL" if table == "holding_version" and value is None else ""
    )

    with pytest.raises(REFUSED):
        ledger.run(f"UPDATE ledger.{table} SET {end} = %(value)s{reasons}", value=value)


@pytest.mark.parametrize("table", ["holding_version", "carried_span", "watch_period", "snapshot"])
def test_history_is_never_removed(ledger: Ledger, table: str) -> None:
    """No DELETE, no TRUNCATE, not even of all tables at once."""
    watch = ledger.watch()
    ledger.version(watch, at(1))
    ledger.carried(watch, at(1))
    ledger.period(watch, at(1))
    ledger.snapshot(watch, at(1))

    for statement in (f"DELETE FROM ledger.{table}", f"TRUNCATE ledger.{table} CASCADE"):
        with pytest.raises(REFUSED):
            ledger.run(statement)
    assert ledger.value(f"SELECT count(*) FROM ledger.{table}") == 1


@pytest.mark.parametrize("table", ["watch", "asset"])
def test_what_history_speaks_about_stays(ledger: Ledger, table: str) -> None:
    """A watch or an asset is not deleted, emptied or renamed under its versions."""
    ledger.version(ledger.watch(), at(1))
    rename = {
        "watch": "UPDATE ledger.watch SET scope = 'x'",
        "asset": "UPDATE ledger.asset SET asset_ref = 'x'",
    }

    for statement in (f"DELETE FROM ledger.{table}", f"TRUNCATE ledger.{table} CASCADE", rename[table]):
        with pytest.raises(REFUSED):
            ledger.run(statement)


@pytest.mark.parametrize("missing", ["watch_id", "asset_id"])
def test_a_version_is_of_something(ledger: Ledger, missing: str) -> None:
    """No version of a watch or an asset that does not exist."""
    with pytest.raises(REFUSED):
        ledger.version(ledger.watch(), at(1), **{missing: 999_999})


def test_a_description_is_of_something(ledger: Ledger) -> None:
    """No description of an asset that does not exist, neither written nor moved there."""
    described = {"kind": "nft", "metadata": "{}", "digest": b"\0"}
    ledger.insert("asset_detail", asset_id=ledger.asset, **described)

    with pytest.raises(REFUSED):
        ledger.insert("asset_detail", asset_id=999_999, **described)
    with pytest.raises(REFUSED):
        ledger.run("UPDATE ledger.asset_detail SET asset_id = 999999")
    assert ledger.value("SELECT count(*) FROM ledger.asset_detail") == 1
