"""Rows of schema `ledger` as the engine would leave them, written by hand so that reports are tested alone.

Times are fixed instants in the past: `at(3)` is three hours after the story begins.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row

#: Where every story begins; snapshots stay fresh for three hours.
START = datetime(2025, 3, 1, 0, 0, tzinfo=UTC)
FRESH_FOR = timedelta(hours=3)

NETWORKS = {"hedera": "hedera", "algorand": "algorand", "solana_das": "solana", "okx_runes": "bitcoin"}


def at(hours: float) -> datetime:
    """The instant this many hours after the story begins."""
    return START + timedelta(hours=hours)


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when something holds; ``None``: still."""

    start: datetime
    end: datetime | None = None


@dataclass
class World:
    """A database in which watches, snapshots and versions can be told one by one."""

    connection: psycopg.Connection[DictRow]
    _ends: dict[tuple[str, int, int, str], datetime] = field(default_factory=dict)
    _numbers: dict[tuple[str, int, int, str], int] = field(default_factory=dict)
    _period_ends: dict[int, datetime] = field(default_factory=dict)

    def rows(self, query: str, *values: object) -> list[DictRow]:
        """What a query answers."""
        return self.connection.execute(query.encode(), values).fetchall()

    def row(self, query: str, *values: object) -> DictRow:
        """The one row a query answers."""
        (row,) = self.rows(query, *values)
        return row

    def number(self, query: str, *values: object) -> int:
        """The one number a statement returns."""
        return int(next(iter(self.row(query, *values).values())))

    def watch(
        self, source: str = "hedera", address: str = "0.0.1001", scope: str = "", label: str | None = None
    ) -> int:
        """A watch, not yet in any period."""
        network = NETWORKS[source]
        self.connection.execute(
            "INSERT INTO ledger.source (source_id, network) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (source, network),
        )
        self.connection.execute(
            "INSERT INTO ledger.address (network, address) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (network, address),
        )
        return self.number(
            "INSERT INTO ledger.watch (source_id, address_id, scope, label, tags)"
            " SELECT %s, address_id, %s, %s, '{ops}' FROM ledger.address WHERE network = %s AND address = %s"
            " RETURNING watch_id",
            source,
            scope,
            label,
            network,
            address,
        )

    def period(self, watch: int, start: datetime = START, end: datetime | None = None) -> None:
        """A span in which the watch is on the watchlist."""
        self.connection.execute(
            "INSERT INTO ledger.watch_period (watch_id, watched_from, watched_to, previous_to)"
            " VALUES (%s, %s, %s, %s)",
            (watch, start, end, self._period_ends.get(watch)),
        )
        if end:
            self._period_ends[watch] = end

    def watched(self, source: str = "hedera", address: str = "0.0.1001", scope: str = "") -> int:
        """A watch followed from the beginning of the story on."""
        watch = self.watch(source, address, scope)
        self.period(watch)
        return watch

    def publish(self, watch: int, moment: datetime, **changed: Any) -> int:
        """A published snapshot whose pages were fetched from two minutes to one minute before."""
        values: dict[str, Any] = {
            "watch_id": watch,
            "crawl_id": 1,
            "state": "published",
            "judged_at": moment,
            "snapshot_at": moment,
            "fresh_until": moment + FRESH_FOR,
            "first_page_at": moment - timedelta(minutes=2),
            "last_page_at": moment - timedelta(minutes=1),
            "pages": 1,
            "holdings": 1,
            "unreadable": 0,
            "missing": 0,
            "proves_absence": True,
            "consistency": "point",
            "digest": b"\x07" * 32,
        } | changed
        return self.number(
            f"INSERT INTO ledger.snapshot ({', '.join(values)}) VALUES ({', '.join(['%s'] * len(values))})"
            " RETURNING snapshot_id",
            *values.values(),
        )

    def repeat(self, watch: int, head: int, *moments: datetime) -> None:
        """Snapshots that repeat the one with this number, folded into a run."""
        count = len(moments)
        lists = (list(moments), *([number] * count for number in (head, 1, 120_000_000, 60_000_000)))
        self.connection.execute(
            "INSERT INTO ledger.snapshot_run (watch_id, first_at, last_at, head_id, fresh_for, instants,"
            " snapshots, crawls, first_lags, last_lags) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (watch, moments[0], moments[-1], head, FRESH_FOR, *lists),
        )

    def quarantine(self, watch: int, moment: datetime, resolved: datetime | None = None) -> int:
        """A list that was not believed, resolved or not."""
        return self.publish(
            watch,
            moment,
            state="quarantined",
            snapshot_at=None,
            fresh_until=None,
            reason="empty after 3 holdings",
            missing=3,
            holdings=0,
            resolution="superseded" if resolved else None,
            resolved_at=resolved,
        )

    def asset(self, asset_ref: str, network: str = "hedera", **detail: Any) -> int:
        """An asset, described when any detail is given."""
        found = self.rows(
            "SELECT asset_id FROM ledger.asset WHERE network = %s AND asset_ref = %s", network, asset_ref
        )
        if found:
            return int(found[0]["asset_id"])
        asset = self.number(
            "INSERT INTO ledger.asset (network, asset_ref) VALUES (%s, %s) RETURNING asset_id",
            network,
            asset_ref,
        )
        if detail:
            values = {"asset_id": asset, "kind": "nft", "metadata": "{}", "digest": b"\x01"} | detail
            self.connection.execute(
                f"INSERT INTO ledger.asset_detail ({', '.join(values)})"
                f" VALUES ({', '.join(['%s'] * len(values))})".encode(),
                tuple(values.values()),
            )
        return asset

    def version(self, watch: int, asset: int, span: Span, amount: int | None = 1, **changed: Any) -> None:
        """A version; closed as absent and opened as baseline unless said otherwise."""
        values: dict[str, Any] = {
            "sub_key": "",
            "amount": amount,
            "decimals": 0,
            "observed_at": span.start - timedelta(minutes=1),
            "open_reason": "baseline",
            "close_reason": "absent" if span.end else None,
            "opened_by": 1,
            "opened_page": 1,
        } | changed
        closed_by = 2 if values["close_reason"] in ("absent", "changed") else None
        self._span("holding_version", (watch, asset), span, values | {"closed_by": closed_by})

    def carry(
        self, watch: int, asset: int, span: Span, reason: str = "unreadable", sub_key: str = ""
    ) -> None:
        """A span in which the holding could not be read or was missing without proof."""
        values = {"sub_key": sub_key, "reason": reason, "opened_by": 1, "closed_by": 2 if span.end else None}
        self._span("carried_span", (watch, asset), span, values)

    def _span(self, table: str, key: tuple[int, int], span: Span, values: dict[str, Any]) -> None:
        chain = (table, *key, str(values["sub_key"]))
        row = {
            "watch_id": key[0],
            "asset_id": key[1],
            "valid_from": span.start,
            "valid_to": span.end,
            "previous_to": self._ends.get(chain),
        } | values
        if table == "holding_version":
            before = self._numbers.get(chain)
            row |= {"version_no": (before or 0) + 1, "previous_no": before}
            self._numbers[chain] = (before or 0) + 1
        self.connection.execute(
            f"INSERT INTO ledger.{table} ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})".encode(),
            tuple(row.values()),
        )
        if span.end:
            self._ends[chain] = span.end


def open_world(database_url: str) -> World:
    """A world in this database, in UTC, each statement its own transaction."""
    return World(psycopg.connect(database_url, autocommit=True, row_factory=dict_row))
