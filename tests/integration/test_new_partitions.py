"""A month that has just begun has no statistics: what every pass asks of it must be an index look-up all the same."""

import json
from datetime import date

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
SELECT %(month)s, %(watches)s * round + n, 'page', 1, 1, 200, '/v2/accounts/{address}/assets?limit=1000', 1000,
       sha256(n::text::bytea), sha256(n::text::bytea)
FROM generate_series(1, %(rounds)s) AS round, generate_series(1, %(watches)s) AS n
"""


@pytest.mark.parametrize("rounds", [1, 5, 10, 20, 50])
def test_known_pages_are_looked_up_however_little_is_known_of_their_month(
    database_url: str, rounds: int
) -> None:
    """Five crawls of one page touch some blocks of the indexes: a join of the whole month touches thousands."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        (month,) = _one(connection, "SELECT date_trunc('month', now() AT TIME ZONE 'UTC')::date")
        _leave_unanalyzed(connection, month)
        values = {"month": month, "watches": _WATCHES, "rounds": rounds}
        connection.execute(_BODIES, values)
        connection.execute(_PAGES, values)

        crawls = [_WATCHES * rounds + n for n in range(1, 6)]
        statement = b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statements.load("pages").read_known_pages
        (plan,) = _one(connection, statement, {"part_ons": [month] * 5, "crawls": crawls, "most": 100})

    (told,) = plan if isinstance(plan, list) else json.loads(plan)
    assert told["Plan"]["Actual Rows"] == 5
    assert told["Plan"]["Shared Hit Blocks"] + told["Plan"]["Shared Read Blocks"] <= 100


def _leave_unanalyzed(connection: psycopg.Connection, month: date) -> None:
    connection.execute("SELECT ledger.ensure_raw_partitions(%s, 2)", [month])
    for table in ("raw_page", "raw_body"):
        connection.execute(
            f"ALTER TABLE ledger.{table}_{month:%Y%m} SET (autovacuum_enabled = false)".encode()
        )


def _one(connection: psycopg.Connection, query: str | bytes, values: object = None) -> tuple[object, ...]:
    text = query if isinstance(query, bytes) else query.encode()
    row = connection.execute(text, values).fetchone()  # type: ignore[arg-type]
    assert row is not None
    return row
