"""Killed inside a migration: it never happened, and the next `indexer db upgrade` does it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg
import pytest
from psycopg import sql

from indexer.simulator import World
from indexer.store import migrations
from tests.conftest import _with_database
from tests.faults import processes
from tests.faults.stand import Stand, built

REVISIONS: Final = len(list((Path(__file__).parents[2] / "migrations" / "versions").glob("0*.py")))


@pytest.fixture
def stand(server_url: str, worker_id: str, tmp_path: Path) -> Iterator[Stand]:
    """A database with nothing in it, and one small account."""
    name = sql.Identifier(f"indexer_unmigrated_{worker_id}_{tmp_path.name[-40:]}")
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        url = _with_database(server_url, name.as_string().strip('"'))
        with built(url, tmp_path, World.build(3, {"hedera": (7,)})) as made:
            yield made
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.mark.parametrize("number", range(1, REVISIONS + 1))
def test_a_kill_inside_a_migration_is_repaired_by_the_next_upgrade(stand: Stand, number: int) -> None:
    """Every migration is one transaction: after the kill the schema is what it was before it."""
    first = processes.end(processes.start(stand, "db", "upgrade", crash_at=f"migration_written:{number}"))
    assert first.killed, first.stderr[-2000:]
    assert migrations.current(stand.url) != migrations.head()

    second = processes.run(stand, "db", "upgrade")

    assert second.code == 0, second.stderr[-2000:]
    assert migrations.current(stand.url) == migrations.head()
    assert migrations.differences(stand.url) == []
    assert processes.crawl(stand).code == 0
