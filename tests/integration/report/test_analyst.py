"""The analysts' role reads schema report and nothing else."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from tests.integration.report.world import Span, World, at


@pytest.fixture
def analyst(world: World, database_url: str) -> Iterator[World]:
    """A real login with the role, beside an account that holds something."""
    name = sql.Identifier(f"analyst_{uuid4().hex}")
    password = uuid4().hex
    world.connection.execute(
        sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE indexer_analyst").format(
            name, sql.Literal(password)
        )
    )
    watch = world.watched()
    world.publish(watch, at(1))
    world.version(watch, world.asset("0.0.7"), Span(at(1)), 5)
    url = make_conninfo(database_url, user=name.as_string().strip('"'), password=password)
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        yield World(connection)
    world.connection.execute(sql.SQL("DROP ROLE {}").format(name))


@pytest.mark.parametrize(
    "relation",
    [
        "holdings",
        "balances",
        "coverage",
        "holding_history",
        "holding_changes",
        "snapshots",
        "assets",
        "gaps",
        "settled_until",
        "holdings_as_of('2025-03-01 02:00Z')",
        "balances_as_of('2025-03-01 02:00Z')",
        "coverage_as_of('2025-03-01 02:00Z')",
        "balance_as_of('hedera', '0.0.1001', '0.0.7', '2025-03-01 02:00Z')",
        "balances_daily('2025-03-01', '2025-03-01', 'UTC')",
        "diff('2025-02-01', '2025-03-01 02:00Z')",
    ],
)
def test_reads_every_report(analyst: World, relation: str) -> None:
    """Views and functions, without any right on the ledger."""
    assert analyst.rows(f"SELECT * FROM report.{relation}")


@pytest.mark.parametrize("relation", ["quarantine", "crawls", "prices"])
def test_reads_the_empty_reports_too(analyst: World, relation: str) -> None:
    """Nothing there is not the same as not allowed."""
    assert analyst.rows(f"SELECT * FROM report.{relation}") == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM ledger.holding_version",
        "SELECT * FROM ledger.raw_body",
        "SELECT * FROM ledger.r_version",
        "SELECT * FROM ledger.r_coverage_as_of(now())",
        "SELECT * FROM ledger.invariant_violation",
        "DELETE FROM report.assets",
        "UPDATE report.settled_until SET settled_until = now()",
        "CREATE TABLE report.mine ()",
        "CREATE TABLE ledger.mine ()",
    ],
)
def test_may_do_nothing_else(analyst: World, statement: str) -> None:
    """Not even name a relation of the ledger, and change nothing."""
    with pytest.raises((errors.InsufficientPrivilege, errors.ObjectNotInPrerequisiteState)):
        analyst.connection.execute(statement.encode())


def test_sees_the_explanations(analyst: World) -> None:
    """psql's \\d+ reads the same catalogs."""
    row = analyst.row("SELECT pg_catalog.col_description('report.holdings'::regclass, 12) AS told")

    assert row["told"].startswith("Integer base units")


def test_nobody_else_may_call_the_functions(world: World) -> None:
    """PUBLIC lost the EXECUTE it gets by default."""
    assert (
        world.rows(
            "SELECT proname FROM pg_catalog.pg_proc p CROSS JOIN LATERAL aclexplode(p.proacl) a"
            " WHERE p.pronamespace = 'report'::regnamespace AND a.grantee = 0"
        )
        == []
    )
