"""The schema's way up and down, and that the tables in code, their comments and the database are one."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.schema import Table

from indexer.errors import DatabaseUnavailable, SchemaNotCurrent
from indexer.store import migrations
from indexer.store.tables import metadata
from tests.conftest import _create as create_database
from tests.conftest import _drop as drop_database
from tests.conftest import _with_database as with_database

_made = 0


@pytest.fixture
def empty_url(server_url: str, worker_id: str) -> Iterator[str]:
    """A database with nothing in it."""
    global _made  # noqa: PLW0603  one counter per process names the databases
    _made += 1
    name = f"indexer_empty_{worker_id}_{id(metadata)}_{_made}"
    create_database(server_url, name, None)
    yield with_database(server_url, name)
    drop_database(server_url, name)


def _value(url: str, query: str) -> object:
    """The one value a query answers."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def _objects(url: str) -> list[tuple[object, ...]]:
    """Everything a migration can leave behind: relations, functions, types, schemas and roles' privileges."""
    query = """
        SELECT 'relation', n.nspname, c.relname, c.relkind::text, coalesce(c.relacl::text, '')
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('ledger', 'report')
        UNION ALL
        SELECT 'function', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid),
               coalesce(p.proacl::text, '')
        FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
        WHERE n.nspname IN ('ledger', 'report')
        UNION ALL
        SELECT 'trigger', n.nspname, c.relname, t.tgname, ''
        FROM pg_trigger AS t
        JOIN pg_class AS c ON c.oid = t.tgrelid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('ledger', 'report') AND NOT t.tgisinternal
        UNION ALL
        SELECT 'type', n.nspname, t.typname, t.typtype::text, ''
        FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
        WHERE n.nspname IN ('ledger', 'report') AND t.typtype = 'd'
        ORDER BY 1, 2, 3, 4, 5
    """
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


def test_code_and_database_agree(template_url: str) -> None:
    """What `alembic check` would find: nothing."""
    assert migrations.differences(template_url) == []


def test_up_down_up_ends_where_it_was(empty_url: str) -> None:
    """Down leaves nothing of ours but the version table; up again makes exactly what the first up made."""
    migrations.upgrade(empty_url)
    first = _objects(empty_url)

    migrations.downgrade(empty_url, "base")

    left = {name for _, _, name, *_ in _objects(empty_url)}
    assert left <= {"alembic_version", "alembic_version_pkc"}
    assert migrations.current(empty_url) is None
    migrations.upgrade(empty_url)
    assert _objects(empty_url) == first
    assert migrations.differences(empty_url) == []


def test_every_step_down_goes_up_again(empty_url: str) -> None:
    """Each revision alone is reversible, from the newest to the oldest."""
    migrations.upgrade(empty_url)
    everything = _objects(empty_url)
    steps = 0

    while (revision := migrations.current(empty_url)) is not None:
        migrations.downgrade(empty_url, "-1")
        assert migrations.current(empty_url) != revision
        steps += 1

    assert steps >= 2
    migrations.upgrade(empty_url)
    assert _objects(empty_url) == everything


def test_an_upgrade_of_what_is_current_changes_nothing(template_url: str) -> None:
    """Running it twice is running it once."""
    before = _objects(template_url)

    assert migrations.upgrade(template_url) == migrations.head()
    assert _objects(template_url) == before


def test_two_threads_upgrading_at_once_are_one(empty_url: str) -> None:
    """Both end with a current schema, whoever came first."""
    together = threading.Barrier(2)
    ended: list[object] = []

    def upgrade() -> None:
        together.wait(30)
        try:
            ended.append(migrations.upgrade(empty_url))
        except Exception as error:  # noqa: BLE001  whatever it is, the test must see it
            ended.append(error)

    threads = [threading.Thread(target=upgrade) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert ended == [migrations.head()] * 2
    assert migrations.differences(empty_url) == []


def test_an_upgrade_waits_for_the_one_that_runs(empty_url: str) -> None:
    """However long another process takes: no error, and in the end nothing left to do."""
    program = "import sys; from indexer.store import migrations; migrations.upgrade(sys.argv[1])"
    with psycopg.connect(empty_url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(7201964001)")
        waiting = [subprocess.Popen([sys.executable, "-c", program, empty_url]) for _ in range(2)]
        # Longer than the lock time-out that is meant for busy tables.
        waited = b"""
            SELECT count(*) FROM pg_stat_activity
            WHERE wait_event = 'advisory' AND datname = current_database()
              AND clock_timestamp() - query_start > interval '5.5 seconds'
        """
        _wait_until(lambda: other.execute(waited).fetchone() == (2,))

    assert [process.wait(60) for process in waiting] == [0, 0]
    migrations.check(empty_url)
    assert migrations.differences(empty_url) == []


def _wait_until(happened: Callable[[], bool]) -> None:
    """Return when it happened; fail when it does not within half a minute."""
    give_up_at = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < give_up_at, "it did not happen"
        time.sleep(0.05)


def test_a_database_without_a_schema_says_what_to_type(empty_url: str) -> None:
    """Never a traceback about a missing table."""
    with pytest.raises(SchemaNotCurrent, match="`indexer db upgrade`"):
        migrations.check(empty_url)


def test_an_older_schema_says_what_to_type(empty_url: str) -> None:
    """One revision back: the same command, and both revisions by name."""
    migrations.upgrade(empty_url)
    migrations.downgrade(empty_url, "-1")

    with pytest.raises(SchemaNotCurrent, match=f"needs {migrations.head()}: run `indexer db upgrade`"):
        migrations.check(empty_url)


def test_a_newer_schema_says_to_upgrade_the_program(empty_url: str) -> None:
    """A revision this program does not know is from a later one: the database is not to be touched."""
    migrations.upgrade(empty_url)
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("UPDATE ledger.alembic_version SET version_num = '9999'")

    with pytest.raises(SchemaNotCurrent, match=r"newer than this program knows .* upgrade the program"):
        migrations.check(empty_url)


def test_a_role_without_rights_is_told_whose_they_are(template_url: str, server_url: str) -> None:
    """An analyst's own login at the command line: a sentence, never an internal error."""
    name = f"nobody_{conninfo_to_dict(template_url)['dbname']}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name}".encode())
    try:
        with pytest.raises(DatabaseUnavailable, match="may not do that to the schema"):
            migrations.check(
                template_url + ("&" if "?" in template_url else "?") + f"options=-crole%3D{name}"
            )
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f"DROP ROLE {name}".encode())


def test_a_database_that_takes_no_writes_is_no_internal_error(empty_url: str) -> None:
    """A standby: what helps is another URL, and that is what the command says of this error."""
    name = sql.Identifier(str(conninfo_to_dict(empty_url)["dbname"]))
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))

    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        migrations.upgrade(empty_url)


def test_a_list_of_servers_is_upgraded_too(template_url: str) -> None:
    """What libpq reads everything else reads: the first server of the list is down."""
    given = conninfo_to_dict(template_url)
    secret = f":{quote(str(given['password']), safe='')}" if "password" in given else ""
    url = (
        f"postgresql://{given['user']}{secret}@/{given['dbname']}"
        f"?host=127.0.0.1,{quote(str(given['host']), safe='')}&port=1,{given.get('port', 5432)}"
    )

    assert migrations.upgrade(url) == migrations.head()


def test_a_current_schema_is_fine(template_url: str) -> None:
    """No error, no answer."""
    migrations.check(template_url)


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:9/nowhere", "mysql://somewhere/else"])
def test_no_database_is_said_plainly(url: str) -> None:
    """Unreachable, or no PostgreSQL at all: one sentence."""
    with pytest.raises(DatabaseUnavailable) as raised:
        migrations.check(url)

    assert "\n" not in str(raised.value)


def test_a_new_schema_violates_no_invariant(template_url: str) -> None:
    """The view that finds bugs finds none where nothing has happened."""
    assert _value(template_url, "SELECT count(*) FROM ledger.invariant_violation") == 0


def _comment(url: str, table: Table, column: int = 0) -> object:
    """The comment of a table, or of its n-th column from 1."""
    name = f"'{table.schema}.{table.name}'::regclass"
    return _value(
        url, f"SELECT col_description({name}, {column})" if column else f"SELECT obj_description({name})"
    )


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: str(table.name))
def test_every_table_and_column_explains_itself(template_url: str, table: Table) -> None:
    """In the database as in the code: the same comment, and never none."""
    assert table.comment
    assert _comment(template_url, table) == table.comment
    for number, column in enumerate(table.columns, start=1):
        assert column.comment, column.name
        assert _comment(template_url, table, number) == column.comment, column.name


def test_nothing_in_the_ledger_is_unexplained(template_url: str) -> None:
    """Tables, views, their columns and functions that are in no model have their comment too."""
    query = """
        SELECT c.relname || coalesce('.' || a.attname, '')
        FROM pg_class AS c
        LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
          AND c.relname <> 'alembic_version'
          AND (obj_description(c.oid, 'pg_class') IS NULL OR col_description(c.oid, a.attnum) IS NULL)
        UNION ALL
        SELECT p.oid::regprocedure::text FROM pg_proc AS p
        WHERE p.pronamespace = 'ledger'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL
        UNION ALL
        SELECT t.typname FROM pg_type AS t
        WHERE t.typnamespace = 'ledger'::regnamespace AND t.typtype = 'd'
          AND obj_description(t.oid, 'pg_type') IS NULL
    """
    with psycopg.connect(template_url, autocommit=True) as connection:
        assert connection.execute(query.encode()).fetchall() == []
