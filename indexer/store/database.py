"""The door to PostgreSQL: a pool, transactions in plain sight, and what to do when it goes away.

Store functions take a connection and never commit; only `crawl` and `jobs` call `transaction`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from tenacity import AsyncRetrying, RetryError, retry_if_exception, stop_after_delay, wait_random_exponential

from indexer.errors import DatabaseUnavailable

Connection = AsyncConnection[TupleRow]
Result = TypeVar("Result")

#: Compiling a publish's statements takes longer than running them. A statement over two minutes is stuck.
_SETTINGS: Final = (
    "-c timezone=UTC -c jit=off -c lock_timeout=10s -c statement_timeout=120s"
    " -c idle_in_transaction_session_timeout=60s"
)

#: How long a lost database is waited for before a command gives up.
PATIENCE_SECONDS: Final = 60.0


def is_passing(error: BaseException) -> bool:
    """Whether trying the whole transaction again can help: lost connection, restart, deadlock."""
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, psycopg.OperationalError):
        return False
    # A full disk or a cancelled statement is operational too, but trying again at once is no cure.
    return not isinstance(error, (psycopg.errors.DiskFull, psycopg.errors.QueryCanceled))


class Database:
    """One pool of connections to one database."""

    def __init__(self, url: str, pool: AsyncConnectionPool[Connection]) -> None:
        self.url = url
        self._pool = pool

    def read_pool(self) -> dict[str, int]:
        """The pool's own counts, for the metrics."""
        return self._pool.get_stats()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection in autocommit, for reading."""
        async with self._pool.connection() as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside a transaction, committed when the block ends without an error."""
        async with self._pool.connection() as connection, connection.transaction():
            yield connection

    async def steadily(
        self, work: Callable[[], Awaitable[Result]], patience: float = PATIENCE_SECONDS
    ) -> Result:
        """Do ``work`` (a whole transaction) again while the database is away. Raises DatabaseUnavailable."""
        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception(is_passing),
                wait=wait_random_exponential(multiplier=0.05, max=2),
                stop=stop_after_delay(patience),
            ):
                with attempt:
                    return await work()
        except RetryError as error:
            raise DatabaseUnavailable(_sentence(error.last_attempt.exception())) from None
        raise AssertionError("tenacity ends by returning or raising")


def _sentence(error: BaseException | None) -> str:
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return f"The database cannot be reached: {first}"


@asynccontextmanager
async def opened(
    url: str, size: int = 8, configure: Callable[[Connection], Awaitable[None]] | None = None
) -> AsyncIterator[Database]:
    """A pool on this database; ``configure`` prepares each connection. Raises DatabaseUnavailable."""
    pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
        url,
        min_size=1,
        max_size=size,
        open=False,
        timeout=30,
        configure=configure,
        kwargs={"autocommit": True, "application_name": "indexer", "options": _SETTINGS},
    )
    try:
        # One plain connection first: the pool would retry and log where one clear error is wanted.
        await (await AsyncConnection.connect(url, connect_timeout=10)).close()
        await pool.open(wait=True, timeout=30)
    except (psycopg.Error, PoolTimeout) as error:
        await pool.close()
        raise DatabaseUnavailable(_sentence(error)) from None
    try:
        yield Database(url, pool)
    finally:
        await pool.close(timeout=5)
