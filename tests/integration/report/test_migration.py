"""Revision 0002 comes and goes as a whole, with and without the right to create roles."""

from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from indexer.store import migrations
from indexer.store.places import folder
from tests.integration.report.world import World

SCHEMAS = "SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname = 'report'"
LEFTOVERS = (
    "SELECT relname FROM pg_catalog.pg_class WHERE relname ~ '^r_' AND relnamespace = 'ledger'::regnamespace"
)


def test_goes_and_comes_back(world: World, database_url: str) -> None:
    """Down leaves nothing of it, up brings it back."""
    migrations.downgrade(database_url, "0001")
    after_down = world.rows(SCHEMAS) + world.rows(LEFTOVERS)
    migrations.upgrade(database_url)

    assert after_down == []
    assert world.rows("SELECT * FROM report.holdings") == []


def test_refuses_to_take_an_analysts_view_with_it(world: World, database_url: str) -> None:
    """Somebody's own view on a report stops the downgrade instead of vanishing."""
    world.connection.execute("CREATE VIEW public.mine AS SELECT address FROM report.holdings")

    with pytest.raises(Exception, match="depend"):
        migrations.downgrade(database_url, "0001")

    assert world.rows("SELECT * FROM public.mine") == []


def test_the_grants_can_be_run_again(world: World) -> None:
    """`indexer db roles` prints what the upgrade ran; an administrator may run it twice."""
    statements = (folder() / "report" / "roles_v01.sql").read_text(encoding="utf-8")

    with world.connection.transaction():
        world.connection.execute(statements.encode())
        world.connection.execute(statements.encode())

    granted = world.row(
        "SELECT has_table_privilege('indexer_analyst', 'report.holdings', 'SELECT') AS granted"
    )
    assert granted["granted"] is True


def test_an_ordinary_owner_can_run_it(world: World, database_url: str) -> None:
    """A role that may create nothing but its own objects can own the warehouse."""
    with psycopg.connect(database_url, autocommit=True) as administrator:
        owner, database = f"owner_{uuid4().hex}", administrator.info.dbname
        administrator.execute(f"CREATE ROLE {owner} NOLOGIN".encode())
        try:
            migrations.downgrade(database_url, "0001")
            administrator.execute(
                sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(
                    sql.Identifier(database), sql.Identifier(owner)
                )
            )
            administrator.execute(
                f"GRANT ALL ON SCHEMA ledger TO {owner}; GRANT ALL ON ALL TABLES IN SCHEMA ledger TO {owner};"
                f" ALTER TABLE ledger.snapshot OWNER TO {owner};"
                f" ALTER TABLE ledger.snapshot_run OWNER TO {owner};"
                " ALTER FUNCTION ledger.fold_unchanged(bigint, integer, timestamptz)"
                f" OWNER TO {owner};"
                f" ALTER FUNCTION ledger.drop_raw_before(date) OWNER TO {owner};"
                f" ALTER TABLE ledger.crawl OWNER TO {owner};"
                f" ALTER TABLE ledger.asset_detail OWNER TO {owner}".encode()
            )
            separator = "&" if "?" in database_url else "?"
            migrations.upgrade(f"{database_url}{separator}options=-c%20role%3D{owner}")
            owners = world.rows(
                "SELECT DISTINCT viewowner FROM pg_catalog.pg_views WHERE schemaname = 'report'"
            )
        finally:
            administrator.execute(f"DROP OWNED BY {owner} CASCADE; DROP ROLE {owner}".encode())

    assert [row["viewowner"] for row in owners] == [owner]
