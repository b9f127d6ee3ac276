"""The README is a promise: its commands stand as CI and users need them, and its SQL runs."""

import re
from pathlib import Path

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.settings import SOURCES

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
SQL = [
    statement
    for language, text in BLOCKS
    if language == "sql"
    for statement in text.split(";\n")
    if statement.strip()
]

TWO_COMMANDS = [("pip install . ", "&& indexer demo"), ("pip install '.[test]' ", "&& pytest")]


@pytest.mark.parametrize(("first", "second"), TWO_COMMANDS)
def test_each_command_stands_alone_on_a_line(first: str, second: str) -> None:
    """Copied as it stands, each works; and no earlier line could be taken for it."""
    lines = README.splitlines()

    first_line = next(line for line in lines if first.strip() in line and second.strip("& ") in line)

    assert first_line == f"{first}{second}"
    assert any(text.strip() == first_line for _, text in BLOCKS)


@pytest.mark.parametrize("statement", SQL)
def test_its_questions_run(database_url: str, statement: str) -> None:
    """Every SQL question is accepted by the schema as it is."""
    with psycopg.connect(database_url) as connection:
        connection.execute(statement.encode())


def test_it_names_what_analysts_can_ask(database_url: str) -> None:
    """Every view and function of the schema is at least mentioned."""
    with psycopg.connect(database_url) as connection:
        names = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'report'"
            " UNION SELECT routine_name FROM information_schema.routines WHERE routine_schema = 'report'"
        ).fetchall()

    missing = [name for (name,) in names if f"`{name}" not in README and f"report.{name}" not in README]

    assert missing == []


def test_it_names_every_source() -> None:
    """Nobody has to read code to learn which sources there are."""
    assert [name for name in SOURCES if f"`{name}`" not in README and f"source: {name}" not in README] == []


def test_the_places_it_names_exist() -> None:
    """*Where is…* leads somewhere."""
    section = README.split("## Where is…")[1].split("\n## ")[0]
    named = re.findall(r"`((?:indexer|migrations|config|tests)/[\w./]*)`", section)

    assert named
    assert [place for place in named if not (ROOT / place).exists()] == []


def test_no_command_gives_psql_an_address_that_may_be_empty() -> None:
    """`indexer db url` prints none while the embedded server is down; psql would take any server it finds."""
    commands = [line for language, text in BLOCKS if not language for line in text.splitlines()]

    assert [line for line in commands if re.search(r'psql "?\$\(', line)] == []
    assert any(line.startswith("indexer db roles | indexer db psql ") for line in commands)


@pytest.mark.parametrize("amount", [pa.decimal128(38), pa.string()])
def test_its_question_to_an_export_runs(
    amount: pa.DataType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where one amount has more than 38 digits, as in the demo, and so all of them are text."""
    (question,) = re.findall(r'^duckdb -c "(.*)"$', README, re.MULTILINE)
    columns = {"source": pa.string(), "label": pa.string(), "asset_ref": pa.string(), "amount": amount}
    schema = pa.schema([*columns.items(), ("quantity", pa.string()), ("complete", pa.bool_())])
    (tmp_path / "lake").mkdir()
    for name in ("holdings", "balances"):
        pq.write_table(schema.empty_table(), tmp_path / "lake" / f"{name}.parquet")
    monkeypatch.chdir(tmp_path)

    assert duckdb.execute(question).fetchall() == []
