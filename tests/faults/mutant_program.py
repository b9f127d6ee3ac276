"""`indexer …` with one promise broken on purpose: ``python -m tests.faults.mutant_program MUTANT crawl …``.

What a test cannot see broken, it does not protect. `test_mutants.py` runs the harness on these.
"""

import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final, cast

from psycopg import AsyncConnection, AsyncCursor

from indexer import commit
from indexer.__main__ import main
from indexer.client import Client
from indexer.crashpoints import reached
from indexer.records import Request
from indexer.store import crawls
from indexer.store import pages as log
from indexer.store.database import Connection
from indexer.store.pages import Advanced, RawPage
from indexer.store.statements import Statements

_FENCES: Final = re.compile(
    rb"\s+AND (?:c\.)?lease_epoch = (?:n\.epoch|done\.epoch|%\(epoch\)s)"
    rb"|\s+AND (?:c\.)?state = 'running'"
    rb"|\s+AND n\.page_no = [^\n]*"
)


def cursor_first() -> None:
    """The cursor is durable before its page."""
    honest = log.append

    async def append(
        connection: Connection, pages: Sequence[RawPage], lease: timedelta
    ) -> dict[int, Advanced]:
        dsn = connection.info.dsn
        async with await AsyncConnection.connect(dsn, autocommit=True) as other:
            for page in pages:
                await other.execute(
                    "UPDATE ledger.crawl SET cursor = %s, pages = pages + 1 WHERE crawl_id = %s",
                    [page.cursor_out, page.crawl_id],
                )
        reached("page_durable")
        await connection.execute(
            "UPDATE ledger.crawl SET pages = pages - 1 WHERE crawl_id = ANY(%s)",
            [[page.crawl_id for page in pages]],
        )
        return await honest(connection, pages, lease)

    log.append = append


def no_fence() -> None:
    """Nobody asks whose crawl it is, or which page comes next."""
    for module in (log, crawls):
        honest = cast("Any", module)._SQL
        texts = {name: _FENCES.sub(b"", getattr(honest, name)) for name in honest}
        cast("Any", module)._SQL = Statements(texts)


def die_at(transaction: int, number: int) -> None:
    """SIGKILL before the n-th statement of a page transaction: no point in the code has a name there."""
    honest, seen = AsyncCursor.execute, {"transactions": 0, "statements": 0}

    def pass_by(point: str) -> None:
        if point == "commit_begun":
            seen["transactions"] += 1
            seen["statements"] = 0

    async def execute(self: Any, *arguments: Any, **options: Any) -> Any:
        seen["statements"] += 1
        if (seen["transactions"], seen["statements"]) == (transaction, number):
            os.kill(os.getpid(), signal.SIGKILL)
        return await honest(self, *arguments, **options)

    cast("Any", commit).reached = pass_by
    cast("Any", AsyncCursor).execute = execute


def bug() -> None:
    """Something nobody expected, in the middle of a signed request."""
    honest = Client._signed_headers

    def sign(client: Client, request: Request) -> dict[str, str]:
        headers = honest(client, request)
        raise ZeroDivisionError(f"{len(headers)} headers")

    cast("Any", Client)._signed_headers = sign


MUTANTS: Final[dict[str, Callable[..., None]]] = {
    "cursor_first": cursor_first,
    "no_fence": no_fence,
    "die_at": die_at,
    "bug": bug,
}

if __name__ == "__main__":
    name, *numbers = sys.argv.pop(1).split(":")
    MUTANTS[name](*map(int, numbers))
    sys.exit(main())
