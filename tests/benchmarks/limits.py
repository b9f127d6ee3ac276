"""What bounds us, each measured alone: fetching with our client, reading with our parser, COPY of those rows.

Run as a process of its own (`python -m tests.benchmarks.limits fetch …`), so that nothing is warm.
"""

import argparse
import asyncio
import json
import time
from datetime import timedelta
from types import MappingProxyType

import psycopg

from indexer.client import Client
from indexer.config import GuardConfig, SourceConfig
from indexer.pacing import LocalPacer
from indexer.records import Cursor, Page, Question
from indexer.sources import build
from indexer.sources.base import Source
from tests.benchmarks.books import Answers, Book

_TABLE = (
    "CREATE TABLE plain_holdings (address text NOT NULL, asset text NOT NULL, sub_key text NOT NULL,"
    " amount numeric, decimals smallint, frozen boolean, delegate text, details text NOT NULL)"
)
_COPY = (
    "COPY plain_holdings (address, asset, sub_key, amount, decimals, frozen, delegate, details) FROM STDIN"
)


def _config(book: Book, base_url: str, concurrency: int) -> SourceConfig:
    return SourceConfig(
        name=book.shape,
        enabled=True,
        base_url=base_url,
        requests_per_second=1e9,
        concurrency=concurrency,
        every=timedelta(hours=1),
        cron=None,
        fresh_for=timedelta(hours=3),
        max_window=timedelta(minutes=15),
        timeout=timedelta(seconds=60),
        guard=GuardConfig(5, 0.5, timedelta(minutes=10), 0.2),
        options=MappingProxyType({}),
        secrets=MappingProxyType({}),
    )


def _questions(book: Book) -> list[list[Question]]:
    """Everything that is asked, per account, without reading any answer."""
    cursors: list[list[str | None]] = [[] for _ in range(book.accounts)]
    for target, key in Answers(book, 0).index.items():
        query = target.partition("?")[2]
        cursor = query if book.shape == "hedera" else query.rpartition("=")[2]
        cursors[key.account].append(cursor if key.page else None)
    return [
        [Question((address,), cursor=None if cursor is None else Cursor(cursor)) for cursor in mine]
        for address, mine in zip(book.addresses(), cursors, strict=True)
    ]


async def _fetch(book: Book, base_url: str, concurrency: int) -> float:
    """Seconds to fetch every page and keep nothing."""
    source = build(book.shape, "", {})
    client = Client(source, _config(book, base_url, concurrency), LocalPacer(1e9))
    waiting = _questions(book)

    async def take() -> None:
        while waiting:
            for question in waiting.pop():
                await client.fetch(question, source.request(question))

    async with client:
        started = time.perf_counter()
        await asyncio.gather(*(take() for _ in range(concurrency)))
        return time.perf_counter() - started


def _parse(book: Book) -> float:
    """Seconds to read every page."""
    source = build(book.shape, "", {})
    seconds = 0.0
    for question, body in _asked(book):
        started = time.perf_counter()
        source.parse(question, body)
        seconds += time.perf_counter() - started
    return seconds


def _asked(book: Book) -> list[tuple[Question, bytes]]:
    bodies = iter(Answers(book, 0).everything().values())
    return [(question, next(bodies)) for mine in _questions(book) for question in mine]


def _copy(book: Book, database_url: str) -> float:
    """Seconds to COPY what the pages hold into one ordinary table, in one transaction."""
    source: Source = build(book.shape, "", {})
    pages: list[Page] = [source.parse(question, body) for question, body in _asked(book)]
    with psycopg.connect(database_url) as connection:
        connection.execute("DROP TABLE IF EXISTS plain_holdings")
        connection.execute(_TABLE)
        connection.commit()
        started = time.perf_counter()
        with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            for page in pages:
                for held in page.holdings:
                    copy.write_row(
                        (
                            held.address,
                            held.asset_ref,
                            held.sub_key,
                            held.amount,
                            held.decimals,
                            held.frozen,
                            held.delegate,
                            held.details,
                        )
                    )
        connection.commit()
        return time.perf_counter() - started


def main() -> None:
    """Print the seconds as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("limit", choices=("fetch", "parse", "copy"))
    parser.add_argument("shape")
    parser.add_argument("accounts", type=int)
    parser.add_argument("holdings", type=int)
    parser.add_argument("--base-url", default="")
    parser.add_argument("--database-url", default="")
    parser.add_argument("--concurrency", type=int, default=4)
    given = parser.parse_args()
    book = Book(given.shape, given.accounts, given.holdings)
    if given.limit == "fetch":
        seconds = asyncio.run(_fetch(book, given.base_url, given.concurrency))
    else:
        seconds = _parse(book) if given.limit == "parse" else _copy(book, given.database_url)
    print(json.dumps({"seconds": seconds}))  # noqa: T201  the harness reads it


if __name__ == "__main__":
    main()
