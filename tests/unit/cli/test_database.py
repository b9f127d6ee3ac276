"""`indexer db` without a database: what is handed to psql, and what is refused."""

import sys
from pathlib import Path

import pytest

from indexer.cli.database import connection_environment, run_psql
from indexer.errors import DatabaseUnavailable, UsageError


def test_a_url_becomes_environment_variables() -> None:
    """No part of it appears in `ps`: not even the host."""
    found = connection_environment("postgresql://us%40er:p%23w@db.example:5433/book?sslmode=require")

    assert found == {
        "PGUSER": "us@er",
        "PGPASSWORD": "p#w",
        "PGHOST": "db.example",
        "PGPORT": "5433",
        "PGDATABASE": "book",
        "PGSSLMODE": "require",
    }


def test_a_socket_folder_in_a_url_is_understood() -> None:
    """The embedded server has no port."""
    assert connection_environment("postgresql://indexer@/indexer?host=/run/x") == {
        "PGUSER": "indexer",
        "PGDATABASE": "indexer",
        "PGHOST": "/run/x",
    }


def test_what_the_environment_cannot_carry_is_refused_by_name() -> None:
    """Silently dropping a parameter could connect somewhere else."""
    with pytest.raises(UsageError, match="keepalives_idle"):
        connection_environment("postgresql://h/x?keepalives_idle=5")


def test_psql_gets_the_connection_but_not_our_keys(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """API keys of the indexer stay with the indexer; the exit code is psql's own."""
    monkeypatch.setenv("INDEXER_SOURCES__ALGORAND__API_TOKEN", "topsecretkey")
    shown = "import os, sys; print(os.environ.get('PGHOST'), 'topsecretkey' in str(os.environ)); sys.exit(3)"

    code = run_psql(sys.executable, ["-c", shown], {"PGHOST": "/run/x"})

    assert code == 3
    assert capfd.readouterr().out == "/run/x False\n"


def test_a_psql_that_cannot_run_is_a_database_error(tmp_path: Path) -> None:
    """Exit code 4 and a reason."""
    with pytest.raises(DatabaseUnavailable, match="psql cannot be run"):
        run_psql(str(tmp_path / "absent"), [], {})
