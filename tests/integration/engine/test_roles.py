"""Least privilege: the daemon's role can do the daemon's work, and nothing that would rewrite history."""

from pathlib import Path

import psycopg
import pytest

from indexer.store.places import folder
from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.stage import Stage, outcomes

ROLES = (folder() / "roles" / "daemon_v01.sql").read_text(encoding="utf-8")

#: A login of this test's own; roles belong to the whole server.
LOGIN = """
DO $$ BEGIN
    CREATE ROLE indexer_test_daemon LOGIN IN ROLE indexer_daemon;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$
"""

FORBIDDEN = [
    "UPDATE ledger.holding_version SET amount = 1",
    "UPDATE ledger.holding_version SET valid_from = now()",
    "DELETE FROM ledger.holding_version",
    "TRUNCATE ledger.holding_version",
    "DELETE FROM ledger.snapshot",
    "UPDATE ledger.snapshot SET snapshot_at = now()",
    "UPDATE ledger.watch_period SET watched_from = now()",
    "DELETE FROM ledger.raw_page",
    "UPDATE ledger.raw_body SET body = ''",
    "DELETE FROM ledger.asset",
    "DROP TABLE ledger.price",
    "ALTER TABLE ledger.holding_version DISABLE TRIGGER ALL",
    "DROP SCHEMA report CASCADE",
    "UPDATE ledger.alembic_version SET version_num = 'x'",
]


def as_daemon(stage: Stage) -> None:
    """From here on the stage's programs log in as the daemon."""
    with psycopg.connect(stage.url, autocommit=True) as connection:
        connection.execute(ROLES.encode())
        connection.execute(LOGIN.encode())
    head, _, rest = stage.url.partition("://")
    stage.settings["DATABASE__URL"] = f"{head}://indexer_test_daemon@{rest.partition('@')[2]}"


def test_the_daemon_can_do_its_work(open_stage: OpenStage, tmp_path: Path) -> None:
    """Passes over all five sources, changes, an address taken off: all with the daemon's rights alone."""
    stage = open_stage(
        {"algorand": (12, 3), "hedera": (5,), "loopring": (4,), "solana_das": (4,), "okx_runes": (6,)}
    )
    as_daemon(stage)
    stage.crawl()
    stage.world.change(1)
    stage.world.watched = stage.world.watched[1:]

    stage.crawl()
    found = stage.crawl()

    assert set(outcomes(found)) <= {"published", "unchanged"}
    assert stage.differences() == {}


def test_a_missing_right_is_said(open_stage: OpenStage) -> None:
    """An upgrade added a table and nobody ran the grants again: what to do is in the outcome."""
    stage = open_stage({"hedera": (3,)})
    as_daemon(stage)
    stage.execute("REVOKE INSERT ON ledger.raw_page FROM indexer_daemon")

    (found,) = stage.crawl()

    assert found.outcome == "failed"
    assert (found.error or "").startswith("permission denied for table raw_page")
    assert "`indexer db roles`" in (found.error or "")


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_daemon_cannot_rewrite_history(open_stage: OpenStage, statement: str) -> None:
    """The grants refuse before any trigger has to."""
    stage = open_stage({"hedera": (3,)})
    as_daemon(stage)

    with (
        psycopg.connect(stage.settings["DATABASE__URL"]) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement.encode())
