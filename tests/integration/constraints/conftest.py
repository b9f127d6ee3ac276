"""A ledger for each test in which nothing is committed."""

import os
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow

from tests.conftest import _create as create_database
from tests.conftest import _drop as drop_database
from tests.conftest import _with_database as with_database
from tests.integration.constraints.ledger import Ledger


@pytest.fixture(scope="package")
def connection(server_url: str, template_url: str) -> Iterator[psycopg.Connection[TupleRow]]:
    """A connection to a migrated database of this folder's own."""
    name = f"indexer_constraints_{os.getpid()}"
    create_database(server_url, name, str(conninfo_to_dict(template_url)["dbname"]))
    with psycopg.connect(with_database(server_url, name)) as connection:
        yield connection
    drop_database(server_url, name)


@pytest.fixture
def ledger(connection: psycopg.Connection[TupleRow]) -> Iterator[Ledger]:
    """An empty ledger with one source, one asset and one raw body; nothing of a test is committed."""
    connection.execute("SELECT 1")  # the transaction begins here, so every write below is only a savepoint
    ledger = Ledger(connection)
    ledger.insert("source", source_id="hedera", network="hedera")
    ledger.asset = ledger.insert("asset", network="hedera", asset_ref="0.0.9")[0]
    today = ledger.value("SELECT current_date")
    ledger.insert("raw_body", part_on=today, sha256=b"s" * 32, codec="none", length=1, body=b"x")
    yield ledger
    connection.rollback()
