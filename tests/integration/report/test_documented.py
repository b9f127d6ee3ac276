"""What analysts see explains itself: nothing in schema report is without a comment."""

import pytest

from tests.integration.report.world import World

COLUMNS_WITHOUT_COMMENT = """
SELECT c.relname, a.attname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE (c.relnamespace = 'report'::regnamespace
    OR (c.relnamespace = 'ledger'::regnamespace AND c.relname ~ '^r_'))
    AND c.relkind = 'v'
    AND coalesce(pg_catalog.col_description(c.oid, a.attnum), '') = ''
"""

OBJECTS_WITHOUT_COMMENT = """
SELECT c.relname
FROM pg_catalog.pg_class c
WHERE (c.relnamespace = 'report'::regnamespace
    OR (c.relnamespace = 'ledger'::regnamespace AND c.relname ~ '^r_'))
    AND coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), '') = ''
UNION ALL
SELECT p.proname
FROM pg_catalog.pg_proc p
WHERE p.pronamespace IN ('report'::regnamespace, 'ledger'::regnamespace)
    AND coalesce(pg_catalog.obj_description(p.oid, 'pg_proc'), '') = ''
"""

UNDESCRIBED_OUTPUTS = r"""
SELECT p.proname, o.name
FROM pg_catalog.pg_proc p
CROSS JOIN LATERAL unnest(p.proargnames, p.proargmodes) AS o (name, mode)
WHERE p.pronamespace = 'report'::regnamespace
    AND o.mode = 't'
    AND pg_catalog.obj_description(p.oid, 'pg_proc') !~ ('\m' || o.name || '\M')
"""


@pytest.mark.parametrize("query", [COLUMNS_WITHOUT_COMMENT, OBJECTS_WITHOUT_COMMENT, UNDESCRIBED_OUTPUTS])
def test_everything_has_a_comment(world: World, query: str) -> None:
    """Every view, column, function and column of a function's result says what it is."""
    assert world.rows(query) == []


def test_functions_are_built_so_that_they_stay_fast(world: World) -> None:
    """Plain SQL bodies bound at creation, without the options that stop inlining."""
    functions = world.rows(
        "SELECT proname, provolatile, prosecdef, proisstrict, proconfig, prosqlbody IS NOT NULL AS atomic"
        " FROM pg_catalog.pg_proc WHERE pronamespace = 'report'::regnamespace"
    )

    assert {row["proname"] for row in functions} == {
        "coverage_as_of",
        "holdings_as_of",
        "balances_as_of",
        "balance_as_of",
        "balances_daily",
        "diff",
    }
    for row in functions:
        assert (
            row["provolatile"],
            row["prosecdef"],
            row["proisstrict"],
            row["proconfig"],
            row["atomic"],
        ) == (
            "s",
            False,
            False,
            None,
            True,
        )


def test_the_views_are_those_agreed(world: World) -> None:
    """Other tools are written against these names."""
    views = world.rows("SELECT viewname FROM pg_catalog.pg_views WHERE schemaname = 'report' ORDER BY 1")

    assert [row["viewname"] for row in views] == [
        "adoptions",
        "assets",
        "balances",
        "coverage",
        "crawls",
        "gaps",
        "holding_changes",
        "holding_history",
        "holdings",
        "prices",
        "quarantine",
        "settled_until",
        "snapshots",
    ]


def test_no_column_needs_the_ledgers_types(world: World) -> None:
    """BI tools meet plain numeric and timestamptz, not our domains."""
    assert (
        world.rows(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'report' AND domain_name IS NOT NULL"
        )
        == []
    )
