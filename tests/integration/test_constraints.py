"""The database defends itself (promise 9): raw SQL as the owner of every table tries to break each rule.

Nothing of the engine runs here. What is refused is refused whoever writes.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow

from tests.conftest import _create as create_database
from tests.conftest import _drop as drop_database
from tests.conftest import _with_database as with_database

START = datetime(2026, 1, 1, tzinfo=UTC)
LARGEST = 2**256 - 1

#: Every way in which PostgreSQL says that a rule forbids it.
REFUSED = (psycopg.errors.IntegrityError, psycopg.errors.DataError)

many_examples = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def at(hours: float) -> datetime:
    """The instant this many hours after the story begins."""
    return START + timedelta(hours=hours)


@dataclass
class Ledger:
    """A migrated database, written to by hand."""

    connection: psycopg.Connection[TupleRow]
    asset: int = 0
    _made: int = field(default=0)

    def insert(self, table: str, **columns: object) -> TupleRow:
        """One row; returns it whole."""
        statement = sql.SQL("INSERT INTO ledger.{} ({}) VALUES ({}) RETURNING *").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join(map(sql.Placeholder, columns)),
        )
        with self.connection.transaction():
            row = self.connection.execute(statement, columns).fetchone()
        assert row is not None
        return row

    def run(self, statement: str, **values: object) -> int:
        """Any statement; returns how many rows."""
        with self.connection.transaction():
            return self.connection.execute(statement.encode(), values).rowcount

    def value(self, query: str, **values: object) -> Any:
        """The one value a query answers."""
        row = self.connection.execute(query.encode(), values).fetchone()
        assert row is not None
        return row[0]

    def watch(self) -> int:
        """A watch of an address of its own."""
        self._made += 1
        address = self.insert("address", network="hedera", address=f"0.0.{self._made}")[0]
        return int(self.insert("watch", source_id="hedera", address_id=address)[0])

    def version(self, watch: int, start: object, end: object = None, **more: object) -> None:
        """A version of the only asset, closed when it has an end."""
        closing = {} if end is None else {"valid_to": end, "close_reason": "absent", "closed_by": 1}
        given = {
            "watch_id": watch,
            "asset_id": self.asset,
            "sub_key": "",
            "version_no": 1,
            "valid_from": start,
            "amount": 1,
            "observed_at": START,
            "open_reason": "baseline",
            "opened_by": 1,
            "opened_page": 1,
        }
        self.insert("holding_version", **given | closing | more)

    def carried(self, watch: int, start: object, end: object = None, **more: object) -> None:
        """A span in which the only asset could not be read."""
        given = {"watch_id": watch, "asset_id": self.asset, "sub_key": "", "valid_from": start, "valid_to": end}
        self.insert("carried_span", **given | {"reason": "unreadable", "opened_by": 1} | more)

    def period(self, watch: int, start: object, end: object = None, **more: object) -> None:
        """A span in which the watch was followed."""
        self.insert("watch_period", **{"watch_id": watch, "watched_from": start, "watched_to": end} | more)

    def snapshot(self, watch: int, instant: object, **more: object) -> int:
        """A published snapshot."""
        given = {
            "watch_id": watch,
            "crawl_id": 1,
            "state": "published",
            "judged_at": instant,
            "snapshot_at": instant,
            "fresh_until": at(9_000),
            "first_page_at": START,
            "last_page_at": START,
            "pages": 1,
            "holdings": 0,
            "unreadable": 0,
            "missing": 0,
            "proves_absence": True,
            "consistency": "point",
            "digest": b"d" * 32,
        }
        return int(self.insert("snapshot", **given | more)[0])

    def quarantine(self, watch: int) -> int:
        """A list that was not believed."""
        doubted = {"state": "quarantined", "snapshot_at": None, "fresh_until": None, "reason": "strange"}
        return self.snapshot(watch, at(1), **doubted | {"judged_at": at(1)})

    def page(self, number: int, **more: object) -> None:
        """A raw page of crawl 1 this month."""
        given = {"part_on": self.value("SELECT current_date"), "crawl_id": 1, "kind": "page", "page_no": number}
        told = {"lease_epoch": 1, "http_status": 200, "request": "/x", "items": 0, "sha256": b"s" * 32}
        self.insert("raw_page", **given | told | more)


@pytest.fixture(scope="module")
def connection(server_url: str, template_url: str) -> Iterator[psycopg.Connection[TupleRow]]:
    """A connection to a migrated database of this module's own."""
    name = f"indexer_constraints_{os.getpid()}"
    create_database(server_url, name, str(conninfo_to_dict(template_url)["dbname"]))
    with psycopg.connect(with_database(server_url, name)) as connection:
        yield connection
    drop_database(server_url, name)


@pytest.fixture
def ledger(connection: psycopg.Connection[TupleRow]) -> Iterator[Ledger]:
    """An empty ledger with one source, one asset and one raw body; nothing of a test is committed."""
    connection.execute("SELECT 1")  # the transaction begins here, so every write below is only a savepoint
    ledger = Ledger(connection)
    ledger.insert("source", source_id="hedera", network="hedera")
    ledger.asset = ledger.insert("asset", network="hedera", asset_ref="0.0.9")[0]
    today = ledger.value("SELECT current_date")
    ledger.insert("raw_body", part_on=today, sha256=b"s" * 32, codec="none", length=1, body=b"x")
    yield ledger
    connection.rollback()


def is_accepted(write: Callable[[], object]) -> bool:
    """Whether the database took it."""
    try:
        write()
    except REFUSED:
        return False
    return True


# Spans: versions, carried spans, watch periods.


def test_a_version_after_another_is_accepted(ledger: Ledger) -> None:
    """Touching it or after a gap: the rules refuse nothing that is true."""
    watch = ledger.watch()

    ledger.version(watch, at(1), at(2))
    ledger.version(watch, at(2), at(3), version_no=2, previous_no=1, previous_to=at(2))
    ledger.version(watch, at(5), None, version_no=3, previous_no=2, previous_to=at(3))

    assert ledger.value("SELECT count(*) FROM ledger.holding_version") == 3


@pytest.mark.parametrize(
    "span",
    [(2, 4), (2, 3), (3, 4), (2.5, 3.5), (1, 3), (3, 5), (1, 6), (1, 2), (1, None), (3, None), (4, 4), (6, 5)],
    ids=lambda span: f"{span[0]}-{span[1]}",
)
def test_an_overlap_is_refused_in_every_form(ledger: Ledger, span: tuple[float, float | None]) -> None:
    """Same start, inside, spanning, before, empty, backwards: whatever it claims to follow, [2, 4) stays alone."""
    watch = ledger.watch()
    ledger.version(watch, at(2), at(4))
    start, end = at(span[0]), None if span[1] is None else at(span[1])
    previous = [(None, None), (1, at(4)), (1, at(2)), (2, at(4)), (1, None), (None, at(4))]
    claims = [
        {"version_no": number, "previous_no": before, "previous_to": moment}
        for number in (1, 2, 3)
        for before, moment in previous
    ]

    taken = [claim for claim in claims if is_accepted(lambda claim=claim: ledger.version(watch, start, end, **claim))]

    assert taken == []


def test_one_version_is_open(ledger: Ledger) -> None:
    """While a version is open no other exists after it, open or closed, whatever it claims."""
    watch = ledger.watch()
    ledger.version(watch, at(1))
    claims = [
        {},
        {"version_no": 2},
        {"version_no": 2, "previous_no": 1},
        {"version_no": 2, "previous_no": 1, "previous_to": at(1)},
        {"version_no": 2, "previous_no": 1, "previous_to": at(2)},
        {"version_no": 2, "previous_no": 2, "previous_to": at(2)},
    ]

    for claim in claims:
        for end in (None, at(5)):
            assert not is_accepted(lambda claim=claim, end=end: ledger.version(watch, at(3), end, **claim))


def test_an_end_has_one_successor(ledger: Ledger) -> None:
    """The version that ended at 2 was followed already."""
    watch = ledger.watch()
    ledger.version(watch, at(1), at(2))
    ledger.version(watch, at(3), at(4), version_no=2, previous_no=1, previous_to=at(2))

    for number in (1, 2, 3):
        claim = {"version_no": number, "previous_no": 1, "previous_to": at(2)}
        assert not is_accepted(lambda claim=claim: ledger.version(watch, at(6), None, **claim))


Steps = list[tuple[str, int, int | None]]
steps: st.SearchStrategy[Steps] = st.lists(
    st.tuples(
        st.sampled_from(["insert", "insert", "close"]), st.integers(0, 9), st.none() | st.integers(0, 9)
    ),
    max_size=8,
)


@dataclass
class Oracle:
    """What a history of one holding may do: grow at its end, and close what is open."""

    spans: list[tuple[int, int | None]] = field(default_factory=list)

    def insert(self, start: int, end: int | None) -> bool:
        """Accepted after the last end, with a length."""
        last = self.spans[-1] if self.spans else None
        fits = last is None or (last[1] is not None and start >= last[1])
        if fits and (end is None or end > start):
            self.spans.append((start, end))
            return True
        return False

    def close(self, end: int) -> bool:
        """Accepted where the last span is open and begins earlier."""
        if not self.spans or self.spans[-1][1] is not None or end <= self.spans[-1][0]:
            return False
        self.spans[-1] = (self.spans[-1][0], end)
        return True


@many_examples
@given(steps)
def test_versions_never_overlap(ledger: Ledger, told: Steps) -> None:
    """Any sequence of spans, each tried with every possible claim, is accepted exactly as far as it is a history."""
    watch, oracle = ledger.watch(), Oracle()
    for action, start, end in told:
        if action == "close":
            closed = is_accepted(
                lambda start=start: _require(
                    ledger.run(
                        "UPDATE ledger.holding_version SET valid_to = %(end)s, close_reason = 'absent', closed_by = 1"
                        " WHERE watch_id = %(watch)s AND valid_to IS NULL",
                        end=at(start),
                        watch=watch,
                    )
                )
            )
            assert closed is oracle.close(start)
            continue
        claims: list[dict[str, object]] = [{"version_no": number} for number in (1, 2, 3)]
        for number, (_, previous) in enumerate(oracle.spans, start=1):
            moment = at(start if previous is None else previous)
            claims += [
                {"version_no": n, "previous_no": number, "previous_to": moment} for n in (number, number + 1)
            ]
        took = sum(
            is_accepted(
                lambda claim=claim: ledger.version(watch, at(start), None if end is None else at(end), **claim)
            )
            for claim in claims
        )
        assert took == (1 if oracle.insert(start, end) else 0)
    assert _spans(ledger, "holding_version", "valid_from", "valid_to", watch) == oracle.spans


class _NothingToDo(psycopg.errors.IntegrityError):
    """An update that met no row changed nothing."""


def _require(rows: int) -> None:
    if rows == 0:
        raise _NothingToDo


def _spans(ledger: Ledger, table: str, start: str, end: str, watch: int) -> list[tuple[int, int | None]]:
    """The spans of a watch in order, in hours."""
    query = sql.SQL("SELECT {}, {} FROM ledger.{} WHERE watch_id = %s ORDER BY 1").format(
        *map(sql.Identifier, (start, end, table))
    )
    rows = ledger.connection.execute(query, (watch,)).fetchall()
    return [(_hours(a), None if b is None else _hours(b)) for a, b in rows]


def _hours(instant: datetime) -> int:
    return round((instant - START) / timedelta(hours=1))


@pytest.mark.parametrize(
    ("table", "start_name", "end_name"),
    [("carried_span", "valid_from", "valid_to"), ("watch_period", "watched_from", "watched_to")],
)
@many_examples
@given(told=steps)
def test_other_spans_never_overlap(
    ledger: Ledger, table: str, start_name: str, end_name: str, told: Steps
) -> None:
    """Carried spans and watch periods obey the same rules."""
    watch, oracle = ledger.watch(), Oracle()
    write = ledger.carried if table == "carried_span" else ledger.period
    update = f"UPDATE ledger.{table} SET {end_name} = %(end)s WHERE watch_id = %(watch)s AND {end_name} IS NULL"
    for action, start, end in told:
        if action == "close":
            closed = is_accepted(lambda start=start: _require(ledger.run(update, end=at(start), watch=watch)))
            assert closed is oracle.close(start)
            continue
        ends = [None, at(start), *(at(previous) for _, previous in oracle.spans if previous is not None)]
        took = sum(
            is_accepted(
                lambda claim=claim: write(
                    watch, at(start), None if end is None else at(end), previous_to=claim
                )
            )
            for claim in dict.fromkeys(ends)
        )
        assert took == (1 if oracle.insert(start, end) else 0)
    assert _spans(ledger, table, start_name, end_name, watch) == oracle.spans


# History is write-once.

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
        assert not is_accepted(lambda watch=watch: ledger.run(change + where, value=value, watch=watch))
    closing = f"{change}, {end} = %(end)s{also}{where}"
    assert not is_accepted(lambda: ledger.run(closing, value=value, end=at(3), watch=still_open))


@pytest.mark.parametrize(("table", "end"), [("holding_version", "valid_to"), ("carried_span", "valid_to"), ("watch_period", "watched_to")])
@pytest.mark.parametrize("value", [None, at(9), at(1.5)])
def test_what_is_closed_stays_closed(ledger: Ledger, table: str, end: str, value: datetime | None) -> None:
    """An end is neither taken back nor moved."""
    watch = ledger.watch()
    ledger.version(watch, at(1), at(2))
    ledger.carried(watch, at(1), at(2))
    ledger.period(watch, at(1), at(2))
    reasons = ", close_reason = NULL, closed_by = NULL" if table == "holding_version" and value is None else ""

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
    rename = {"watch": "UPDATE ledger.watch SET scope = 'x'", "asset": "UPDATE ledger.asset SET asset_ref = 'x'"}

    for statement in (f"DELETE FROM ledger.{table}", f"TRUNCATE ledger.{table} CASCADE", rename[table]):
        with pytest.raises(REFUSED):
            ledger.run(statement)


@pytest.mark.parametrize("missing", ["watch_id", "asset_id"])
def test_a_version_is_of_something(ledger: Ledger, missing: str) -> None:
    """No version of a watch or an asset that does not exist."""
    with pytest.raises(REFUSED):
        ledger.version(ledger.watch(), at(1), **{missing: 999_999})


# Amounts and instants.


@given(st.integers(0, LARGEST))
@many_examples
def test_every_amount_a_chain_can_state_is_kept_exactly(ledger: Ledger, amount: int) -> None:
    """From 0 to 2^256-1, to the last digit."""
    watch = ledger.watch()

    ledger.version(watch, at(1), amount=amount, locked=amount)

    query = "SELECT amount FROM ledger.holding_version WHERE watch_id = %(watch)s"
    assert ledger.value(query, watch=watch) == Decimal(amount)
    assert ledger.value(query.replace("amount", "locked::text", 1), watch=watch) == str(amount)


@pytest.mark.parametrize("amount", [0, 1, 2**64, 2**128, LARGEST])
def test_the_limits_are_accepted(ledger: Ledger, amount: int) -> None:
    """The largest amount is the largest, not one less."""
    ledger.version(ledger.watch(), at(1), amount=amount)

    assert int(ledger.value("SELECT amount FROM ledger.holding_version")) == amount


@pytest.mark.parametrize("column", ["amount", "locked"])
@pytest.mark.parametrize(
    "amount", ["NaN", "1.5", "0.1", "1.0", "-1", str(2**256), "Infinity", "-Infinity", "1e78", "1e-1"]
)
def test_no_other_amount_is_accepted(ledger: Ledger, amount: str, column: str) -> None:
    """Not a number, a fraction of a base unit (even .0), negative, beyond 256 bits, infinite."""
    with pytest.raises(REFUSED):
        ledger.version(ledger.watch(), at(1), **{column: Decimal(amount)})


@given(st.decimals(allow_nan=True, allow_infinity=True, places=3))
@many_examples
def test_an_amount_with_fraction_digits_is_refused(ledger: Ledger, amount: Decimal) -> None:
    """Nothing is rounded on its way in, whatever its size."""
    assert not is_accepted(lambda: ledger.version(ledger.watch(), at(1), amount=amount))


@pytest.mark.parametrize("instant", ["infinity", "-infinity"])
def test_no_instant_is_infinite(ledger: Ledger, instant: str) -> None:
    """Infinity is a legal timestamptz and would make a closed span out of an open one."""
    watch = ledger.watch()
    attempts: list[Callable[[], object]] = [
        lambda: ledger.version(watch, instant),
        lambda: ledger.version(watch, at(1), instant),
        lambda: ledger.carried(watch, instant),
        lambda: ledger.carried(watch, at(1), instant),
        lambda: ledger.period(watch, instant),
        lambda: ledger.period(watch, at(1), instant),
        lambda: ledger.snapshot(watch, instant),
        lambda: ledger.snapshot(watch, at(1), fresh_until=instant),
    ]

    assert [is_accepted(attempt) for attempt in attempts] == [False] * len(attempts)


@pytest.mark.parametrize("decimals", [-1, 256])
def test_decimals_are_sane(ledger: Ledger, decimals: int) -> None:
    """No chain has more than 255, and none has fewer than 0."""
    with pytest.raises(REFUSED):
        ledger.version(ledger.watch(), at(1), decimals=decimals)


# Snapshots.


def test_one_snapshot_per_instant(ledger: Ledger) -> None:
    """A watch has one answer at an instant; another watch may have its own."""
    watch = ledger.watch()
    ledger.snapshot(watch, at(1))

    assert not is_accepted(lambda: ledger.snapshot(watch, at(1)))
    assert is_accepted(lambda: ledger.snapshot(ledger.watch(), at(1)))


@many_examples
@given(st.lists(st.integers(0, 20), max_size=8))
def test_instants_of_a_watch_only_move_forward(ledger: Ledger, hours: list[int]) -> None:
    """Accepted exactly when later than every snapshot before it: what was answered for the past stays answered."""
    watch, latest = ledger.watch(), -1
    for hour in hours:
        assert is_accepted(lambda hour=hour: ledger.snapshot(watch, at(hour))) is (hour > latest)
        latest = max(latest, hour)


def test_a_snapshot_is_not_older_than_its_pages(ledger: Ledger) -> None:
    """What the last page stated cannot have been known before it came."""
    with pytest.raises(REFUSED):
        ledger.snapshot(ledger.watch(), at(1), last_page_at=at(2))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("snapshot_at", at(5)),
        ("judged_at", at(5)),
        ("fresh_until", at(5)),
        ("holdings", 5),
        ("unreadable", 5),
        ("proves_absence", False),
        ("consistency", "drifted"),
        ("digest", b"e" * 32),
        ("watch_id", 2),
        ("crawl_id", 2),
        ("pages", 2),
    ],
)
def test_a_published_snapshot_is_not_changed(ledger: Ledger, column: str, value: object) -> None:
    """What was proved once stays what was proved."""
    watch = ledger.watch()
    ledger.watch()
    ledger.snapshot(watch, at(1))

    with pytest.raises(REFUSED):
        ledger.run(f"UPDATE ledger.snapshot SET {column} = %(value)s", value=value)


def test_a_quarantined_snapshot_is_resolved_once(ledger: Ledger) -> None:
    """Its resolution is the only thing that may be said, and it is said once; nothing else changes with it."""
    ledger.quarantine(ledger.watch())
    resolve = "UPDATE ledger.snapshot SET resolution = %(word)s, resolved_at = now()"

    assert not is_accepted(lambda: ledger.run(resolve + ", holdings = 5", word="rejected"))
    assert not is_accepted(lambda: ledger.run("UPDATE ledger.snapshot SET reason = 'other'"))
    assert not is_accepted(lambda: ledger.run(resolve, word="forgotten"))
    assert ledger.run(resolve, word="rejected") == 1
    assert not is_accepted(lambda: ledger.run(resolve, word="released"))
    assert not is_accepted(lambda: ledger.run(resolve, word=None))


def test_one_witness_at_a_time(ledger: Ledger) -> None:
    """A watch waits for the second witness of one list; once that is resolved another may be the first."""
    watch = ledger.watch()
    ledger.quarantine(watch)

    assert not is_accepted(lambda: ledger.quarantine(watch))
    ledger.run("UPDATE ledger.snapshot SET resolution = 'rejected', resolved_at = now()")
    assert is_accepted(lambda: ledger.quarantine(watch))


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "quarantined"},
        {"snapshot_at": None},
        {"fresh_until": at(0.5)},
        {"reason": "because"},
        {"resolution": "confirmed", "resolved_at": at(2)},
        {"digest": b"short"},
        {"holdings": -1},
        {"consistency": "whatever"},
    ],
    ids=lambda wrong: "-".join(wrong),
)
def test_a_snapshot_makes_sense(ledger: Ledger, wrong: dict[str, object]) -> None:
    """State, instant, reason and resolution go together."""
    with pytest.raises(REFUSED):
        ledger.snapshot(ledger.watch(), at(1), **wrong)


# Crawls and raw pages.


def _crawl(ledger: Ledger) -> int:
    return int(ledger.insert("crawl", source_id="hedera")[0])


def test_one_open_crawl_per_watch(ledger: Ledger) -> None:
    """Two crawls of the same watch cannot both be open; after a verdict the next may be."""
    watch, first, second = ledger.watch(), _crawl(ledger), _crawl(ledger)
    ledger.insert("crawl_watch", crawl_id=first, watch_id=watch, place=0, open=True)
    again = {"crawl_id": second, "watch_id": watch, "place": 0, "open": True}

    assert not is_accepted(lambda: ledger.insert("crawl_watch", **again))
    ledger.run("UPDATE ledger.crawl_watch SET open = NULL, verdict = 'failed'")
    assert is_accepted(lambda: ledger.insert("crawl_watch", **again))


@pytest.mark.parametrize(
    "wrong",
    [
        "state = 'running'",
        "state = 'running', lease_owner = 1",
        "state = 'failed'",
        "state = 'failed', finished_at = now()",
        "state = 'lost'",
        "finished_at = now()",
        "first_page_at = now()",
        "first_page_at = now(), last_page_at = now() - interval '1 second'",
        "pages = -1",
        "lease_epoch = -1",
    ],
)
def test_a_crawl_makes_sense(ledger: Ledger, wrong: str) -> None:
    """State, owner, lease, end and error go together."""
    _crawl(ledger)

    with pytest.raises(REFUSED):
        ledger.run(f"UPDATE ledger.crawl SET {wrong}")


def test_a_page_is_written_once(ledger: Ledger) -> None:
    """The same page number, a cursor asked before, a cursor that does not move on, a rewritten page or body."""
    ledger.page(1, cursor_out="a")
    ledger.page(2, cursor_in="a", cursor_out="b")

    assert not is_accepted(lambda: ledger.page(2, cursor_in="x", cursor_out="y"))
    assert not is_accepted(lambda: ledger.page(3, cursor_in="a", cursor_out="c"))
    assert not is_accepted(lambda: ledger.page(3))
    assert not is_accepted(lambda: ledger.page(3, cursor_in="b", cursor_out="b"))
    assert not is_accepted(lambda: ledger.page(0, cursor_in="z"))
    assert not is_accepted(lambda: ledger.run("UPDATE ledger.raw_page SET items = 5"))
    assert not is_accepted(lambda: ledger.run("UPDATE ledger.raw_body SET body = 'y'"))
    assert is_accepted(lambda: ledger.page(3, cursor_in="b"))


def test_a_page_has_its_body(ledger: Ledger) -> None:
    """No page without the bytes it stands for, and no bytes taken away from under a page."""
    ledger.page(1)

    assert not is_accepted(lambda: ledger.page(2, cursor_in="a", sha256=b"t" * 32))
    assert not is_accepted(lambda: ledger.run("DELETE FROM ledger.raw_body"))


@pytest.mark.parametrize("price", ["NaN", "Infinity", "-1"])
def test_a_price_is_a_number(ledger: Ledger, price: str) -> None:
    """Finite and not negative; and what was seen once is not rewritten."""
    given = {"watch_id": ledger.watch(), "asset_id": ledger.asset, "sub_key": "", "kind": "ask", "currency": "usd"}
    seen = given | {"observed_at": at(1), "crawl_id": 1}

    assert not is_accepted(lambda: ledger.insert("price", **seen, price=Decimal(price)))
    ledger.insert("price", **seen, price=Decimal("0.5"))
    assert not is_accepted(lambda: ledger.run("UPDATE ledger.price SET price = 2"))
