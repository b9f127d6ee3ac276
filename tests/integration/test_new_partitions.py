"""A month that has just begun has no statistics; every pass asks it by index all the same."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import psycopg
import pytest

from indexer.store import statements

#: Watches with one page each, of which every round repeats the body.
_WATCHES = 200

_BODIES = """
INSERT INTO ledger.raw_body (part_on, sha256, codec, length, body)
SELECT %(month)s, sha256(n::text::bytea), 'none', 3, 'abc' FROM generate_series(1, %(watches)s) AS n
"""

_PAGES = """
INSERT INTO ledger.raw_page
    (part_on, crawl_id, kind, page_no, lease_epoch, http_status, request, items, sha256, steady_sha256)
SELECT %(month)s, %(watches)s * round + n, 'page', 1, 1, 200, '/v2/accounts/{address}/assets', 1000,
       sha256(n::text::bytea), sha256(n::text::bytea)
FROM generate_series(1, %(rounds)s) AS round, generate_series(1, %(watches)s) AS n
"""


@pytest.mark.parametrize("rounds", [1, 5, 10, 20, 50])
def test_known_pages_are_looked_up_however_little_is_known_of_their_month(
    database_url: str, rounds: int
) -> None:
    """Five crawls of one page touch some blocks of indexes; a join of the whole month touches thousands."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        (month,) = _one(connection, b"SELECT date_trunc('month', now() AT TIME ZONE 'UTC')::date")
        _leave_unanalyzed(connection, month)
        values = {"month": month, "watches": _WATCHES, "rounds": rounds}
        connection.execute(_BODIES, values)
        connection.execute(_PAGES, values)

        crawls = [_WATCHES * rounds + n for n in range(1, 6)]
        statement = b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statements.load("pages").read_known_pages
        (plan,) = _one(connection, statement, {"part_ons": [month] * 5, "crawls": crawls, "most": 100})

    found = plan[0]["Plan"]
    assert found["Actual Rows"] == 5
    assert found["Shared Hit Blocks"] + found["Shared Read Blocks"] <= 100


def _leave_unanalyzed(connection: psycopg.Connection, month: date) -> None:
    connection.execute("SELECT ledger.ensure_raw_partitions(%s, 2)", [month])
    for table in ("raw_page", "raw_body"):
        connection.execute(
            f"ALTER TABLE ledger.{table}_{month:%Y%m} SET (autovacuum_enabled = false)".encode()
        )


def _one(connection: psycopg.Connection, query: bytes, values: Mapping[str, Any] | None = None) -> Any:
    (row,) = connection.execute(query, values).fetchall()
    return row
