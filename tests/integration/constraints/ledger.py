"""A migrated database written to by hand: raw SQL as the owner of every table, nothing of the engine."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from hypothesis import HealthCheck, settings
from psycopg import sql
from psycopg.rows import TupleRow

START = datetime(2026, 1, 1, tzinfo=UTC)
LARGEST = 2**256 - 1

#: Every way in which PostgreSQL says that a rule forbids it.
REFUSED = (psycopg.errors.IntegrityError, psycopg.errors.DataError)


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

    def close(self, table: str, end: str, watch: int, instant: object) -> None:
        """Close the open span of a watch; where there is none that is refused, too."""
        reasons = ", close_reason = 'absent', closed_by = 1" if table == "holding_version" else ""
        statement = f"UPDATE ledger.{table} SET {end} = %(instant)s{reasons}"
        if not self.run(
            f"{statement} WHERE watch_id = %(watch)s AND {end} IS NULL", instant=instant, watch=watch
        ):
            raise psycopg.errors.IntegrityError("nothing is open")

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
        given = {
            "watch_id": watch,
            "asset_id": self.asset,
            "sub_key": "",
            "valid_from": start,
            "valid_to": end,
        }
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
        given = {
            "part_on": self.value("SELECT current_date"),
            "crawl_id": 1,
            "kind": "page",
            "page_no": number,
        }
        told = {"lease_epoch": 1, "http_status": 200, "request": "/x", "items": 0, "sha256": b"s" * 32}
        self.insert("raw_page", **given | told | more)


def is_accepted(write: Callable[..., object], *values: object, **named: object) -> bool:
    """Whether the database took it."""
    try:
        write(*values, **named)
    except REFUSED:
        return False
    return True


#: Every example is in the one transaction that the test rolls back.
many_examples = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
