"""The door to PostgreSQL: a pool, transactions in plain sight, and what to do when it goes away.

Store functions take a connection and never commit; only `crawl` and `jobs` call `transaction`.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Final, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from indexer.cancelling import times_told
from indexer.errors import DatabaseUnavailable
from indexer.store.arrays import adapting

Connection = AsyncConnection[TupleRow]
Configure = Callable[[Connection], Awaitable[None]]
Result = TypeVar("Result")

#: Compiling a publish's statements takes longer than running them. A statement over two minutes is stuck.
#: The second line is what our statements and the driver take for granted, whatever a role or a database sets.
_SETTINGS: Final = (
    "-c timezone=UTC -c jit=off -c lock_timeout=10s -c statement_timeout=120s"
    " -c datestyle=ISO -c intervalstyle=postgres -c array_nulls=on"
    r" -c default_transaction_isolation=read\ committed -c idle_in_transaction_session_timeout=60s"
)

#: Seconds; the last in milliseconds. Some half a minute of silence is the end of a connection.
_VIGILANCE: Final = MappingProxyType(
    {
        "connect_timeout": 10,
        "keepalives_idle": 15,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }
)

#: The pool waits longer with every attempt to connect, and begins anew after so long: a database that was
#: away for an hour is used soon after it is back.
_RECONNECT_SECONDS: Final = 10.0

#: Which life of which database a session belongs to. A standby that took over, a restored copy, one that
#: recovered from a crash and one into which a dump was read may have lost what was committed last: they are
#: others.
_WHICH_LIFE: Final = """
SELECT pg_postmaster_start_time(), (SELECT stats_reset FROM pg_stat_wal),
       (SELECT oid FROM pg_database WHERE datname = current_database()), to_regclass('ledger.asset')::oid
"""

#: Transactions of one process that publish at once; others wait until one of them ends.
PUBLISHERS: Final = 2

#: How long a lost database is waited for before a command gives up.
PATIENCE_SECONDS: Final = 60.0


def is_passing(error: BaseException) -> bool:
    """Whether trying the whole transaction again can help: lost connection, restart, deadlock, new tables."""
    if isinstance(error, PoolTimeout) or _is_outdated(error):
        return True
    if not isinstance(error, psycopg.OperationalError):
        return False
    # A full disk or a cancelled statement is operational too, but trying again at once is no cure.
    return not isinstance(error, (psycopg.errors.DiskFull, psycopg.errors.QueryCanceled))


def _is_outdated(error: BaseException) -> bool:
    """Whether a session prepared its statements for other tables.

    So it is where a dump was restored, or the schema upgraded, under a process that runs.
    Of all that PostgreSQL does not support, only this goes away. Its text is in the server's language.
    https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/utils/cache/plancache.c
    """
    if not isinstance(error, psycopg.errors.FeatureNotSupported):
        return False
    return error.diag.source_function == "RevalidateCachedQuery"


@asynccontextmanager
async def _lent(pool: AsyncConnectionPool[Connection]) -> AsyncIterator[Connection]:
    """A connection of a pool. Whoever is cancelled while waiting for it ends, and not only the waiting."""
    told = times_told()
    async with pool.connection() as connection:
        # Before Python 3.12 the pool's waiting may swallow a cancellation that comes with the connection.
        if times_told() > told:
            raise asyncio.CancelledError
        try:
            yield connection
        except psycopg.errors.FeatureNotSupported as error:
            if _is_outdated(error):
                # It would fail for good. The pool opens another one, which looks whose life this is.
                await connection.close()
            raise


class Lives:
    """The lives of a database, as its new sessions tell: in another one what is remembered may be wrong."""

    def __init__(self) -> None:
        self.count = 0
        self._last: TupleRow | None = None

    async def look(self, connection: Connection) -> None:
        """Notice a session of another life than the last one's."""
        life = await (await connection.execute(_WHICH_LIFE)).fetchone()
        if self._last is not None and life != self._last:
            self.count += 1
        self._last = life


class Database:
    """Connections to one database: a pool, and those that publish."""

    def __init__(
        self,
        url: str,
        pool: AsyncConnectionPool[Connection],
        publisher: AsyncConnectionPool[Connection],
        lives: Lives,
    ) -> None:
        self.url = url
        self._lives = lives
        self._pool = pool
        # Always the same: they alone have temporary tables, and plan each statement once for good.
        self._publisher = publisher

    @property
    def life(self) -> int:
        """Which life of the database this is, counted from 0. What was learned in another one, a crash or a
        failover may have undone; whoever has a connection in hand knows by then.
        """
        return self._lives.count

    def read_pool(self) -> dict[str, int]:
        """The pools' own counts together, for the metrics."""
        return dict(Counter(self._pool.get_stats()) + Counter(self._publisher.get_stats()))

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection in autocommit, for reading."""
        async with _lent(self._pool) as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside a transaction, committed when the block ends without an error."""
        async with _lent(self._pool) as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def publisher(self) -> AsyncIterator[Connection]:
        """A connection that publishes, in autocommit."""
        async with _lent(self._publisher) as connection:
            yield connection

    @asynccontextmanager
    async def publishing(self) -> AsyncIterator[Connection]:
        """A transaction on a connection that publishes."""
        async with _lent(self._publisher) as connection, connection.transaction():
            yield connection

    async def steadily(
        self, work: Callable[[], Awaitable[Result]], patience: float = PATIENCE_SECONDS
    ) -> Result:
        """Do ``work`` (a whole transaction) again while the database is away. Raises DatabaseUnavailable."""
        # Nearly always the first attempt is the last, and the machinery of the others costs more than it.
        try:
            return await work()
        except Exception as error:
            if not is_passing(error):
                raise
        return await self._try_again(work, patience)

    async def _try_again(self, work: Callable[[], Awaitable[Result]], patience: float) -> Result:
        # Not at the top: most processes never lose their database, and it takes 5 ms to load.
        from tenacity import (
            AsyncRetrying,
            RetryError,
            retry_if_exception,
            stop_after_delay,
            wait_random_exponential,
        )

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
    first = first_line(error)
    # It was reached, and somebody holds what is wanted.
    trouble = (
        "did not do its work" if isinstance(error, psycopg.errors.LockNotAvailable) else "cannot be reached"
    )
    return f"The database {trouble}: {first}"


def first_line(error: BaseException | None) -> str:
    """What an error says, in one line; its class where it says nothing."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def vigilant(url: str) -> str:
    """How to connect so that a server that fell silent is noticed, unless the URL says otherwise.

    The usual values of systems are hours: a network that swallows everything would hold every connection.
    https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-KEEPALIVES
    Text is UTF-8, whatever the URL, the environment or the database prefer: COPY lines are written so.
    """
    given = conninfo_to_dict(url)
    added = {name: value for name, value in _VIGILANCE.items() if given.get(name) is None}
    return make_conninfo(url, **added, client_encoding="UTF8")


def _options(url: str) -> str:
    """Settings of a session: what the URL says, and ours."""
    return f"{conninfo_to_dict(url).get('options') or ''} {_SETTINGS}".strip()


@asynccontextmanager
async def opened(
    url: str,
    size: int = 8,
    *,
    configure: Configure | None = None,
    prepare_publisher: Configure | None = None,
) -> AsyncIterator[Database]:
    """Connections to this database; ``configure`` prepares each. Raises DatabaseUnavailable."""

    lives = Lives()

    async def configure_any(connection: Connection) -> None:
        await lives.look(connection)
        if configure is not None:
            await configure(connection)

    async def configure_publisher(connection: Connection) -> None:
        await configure_any(connection)
        if prepare_publisher is not None:
            await prepare_publisher(connection)

    arguments = {"autocommit": True, "application_name": "indexer", "options": _options(url)}
    arguments |= {"context": adapting()}
    conninfo = vigilant(url)

    def make_pool(
        least: int, most: int, configure: Configure, **more: object
    ) -> AsyncConnectionPool[Connection]:
        return AsyncConnectionPool(
            conninfo,
            min_size=least,
            max_size=most,
            open=False,
            timeout=30,
            reconnect_timeout=_RECONNECT_SECONDS,
            configure=configure,
            kwargs=arguments | more,
        )

    pool = make_pool(1, size, configure_any)
    publisher = make_pool(0, PUBLISHERS, configure_publisher, prepare_threshold=0)
    try:
        # One plain connection first: the pool would retry and log where one clear error is wanted.
        await (await AsyncConnection.connect(conninfo)).close()
        await pool.open(wait=True, timeout=30)
        await publisher.open(wait=False)
    except (psycopg.Error, PoolTimeout) as error:
        await pool.close()
        raise DatabaseUnavailable(_sentence(error)) from None
    try:
        yield Database(url, pool, publisher, lives)
    finally:
        await publisher.close(timeout=5)
        await pool.close(timeout=5)
