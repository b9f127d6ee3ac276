"""What a role, a database, a URL or the environment prefer changes nothing we write or read."""

import asyncio
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from indexer import bootstrap
from indexer.errors import DatabaseUnavailable
from indexer.jobs import Engine
from indexer.store import migrations, reading
from indexer.store.database import opened
from tests.conftest import _drop, _with_database
from tests.integration.keeping import SIZES, Stage, crawl_rounds, hold_still, open_stage, replay_stage

#: Each broke something before it was overruled.
_PREFERENCES = {
    "datestyle": "German",
    "intervalstyle": "sql_standard",
    "array_nulls": "off",
    "default_transaction_isolation": "serializable",
    "timezone": "Asia/Kathmandu",
}

_NAMES = "SELECT name FROM ledger.asset_detail WHERE name ~ '[^ -~]' ORDER BY name"


def _prefer(url: str) -> None:
    name = sql.Identifier(str(conninfo_to_dict(url)["dbname"]))
    with psycopg.connect(url, autocommit=True) as connection:
        for setting, value in _PREFERENCES.items():
            statement = sql.SQL("ALTER DATABASE {} SET {} = {}")
            connection.execute(statement.format(name, sql.Identifier(setting), sql.Literal(value)))


def test_a_database_may_prefer_other_settings(database_url: str, tmp_path: Path) -> None:
    """Lists are published, repeated and read as in any other."""
    _prefer(database_url)

    async def look(engine: Engine) -> int:
        async with engine.database.connection() as connection:
            return len(await reading.list_coverage(connection, await reading.read_clock(connection)))

    with open_stage(database_url, tmp_path, SIZES) as stage:
        crawl_rounds(stage, 2)
        hold_still(stage, 2)

        watches = stage.value("SELECT count(*) FROM ledger.watch")
        assert stage.value("SELECT count(*) FROM report.coverage WHERE status = 'fresh'") == watches
        assert stage.run(look) == watches
        assert replay_stage(stage).differences == []


def test_text_is_utf8_whoever_asks_for_something_else(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names are stored as they are, and not as their bytes look in another encoding."""
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    url = database_url + ("&" if "?" in database_url else "?") + "client_encoding=latin1"
    with open_stage(database_url, tmp_path, SIZES) as stage:
        Stage(stage.sim, url, tmp_path, stage.settings).crawl()
        monkeypatch.delenv("PGCLIENTENCODING")

        assert "🌊" in "".join(row["name"] for row in stage.rows(_NAMES))


def test_a_url_may_set_more_options(database_url: str) -> None:
    """A role or a routing parameter in `options` counts for every connection, and so do our settings."""
    url = make_conninfo(database_url, options="-c work_mem=77MB -c timezone=Asia/Tokyo")

    async def ask() -> list[object]:
        async with opened(url) as database, database.connection() as connection:
            names = ("work_mem", "timezone")
            rows = [await (await connection.execute(f"SHOW {name}".encode())).fetchone() for name in names]
            return [row[0] for row in rows if row is not None]

    assert asyncio.run(ask()) == ["77MB", "UTC"]


def test_variables_of_libpq_change_no_session(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would win over what our sessions ask for."""
    for name, value in {"PGTZ": "Asia/Tokyo", "PGDATESTYLE": "German", "PGGEQO": "off"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("INDEXER_DATABASE__URL", database_url)
    (tmp_path / "indexer.toml").write_text('watchlists = ["*.yaml"]\n')
    names = ("timezone", "datestyle", "geqo")

    async def ask() -> list[object]:
        config = bootstrap.read_config(tmp_path / "indexer.toml")
        async with bootstrap.database(config) as database, database.connection() as connection:
            rows = [await (await connection.execute(f"SHOW {name}".encode())).fetchone() for name in names]
            return [row[0].split(",")[0] for row in rows if row is not None]

    assert asyncio.run(ask()) == ["UTC", "ISO", "on"]


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_of_another_encoding_is_refused(server_url: str, encoding: str, worker_id: str) -> None:
    """In one sentence, before anything is made in it."""
    name = f"indexer_encoded_{worker_id}_{encoding.lower()}"
    _drop(server_url, name)
    with psycopg.connect(server_url, autocommit=True) as connection:
        statement = sql.SQL("CREATE DATABASE {} ENCODING {} LOCALE 'C' TEMPLATE template0")
        connection.execute(statement.format(sql.Identifier(name), sql.Literal(encoding)))
    try:
        with pytest.raises(DatabaseUnavailable, match=f"keeps text as {encoding}: create one with ENCODING"):
            migrations.upgrade(_with_database(server_url, name))
    finally:
        _drop(server_url, name)
