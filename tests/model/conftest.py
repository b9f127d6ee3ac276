"""The program on databases that tell the time by our clock: made once per process, cloned for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer import logs
from indexer.store import migrations
from tests import conftest as databases
from tests.model import clock
from tests.model.rig import Rig


@pytest.fixture(scope="session")
def clocked_template(server_url: str, worker_id: str) -> Iterator[str]:
    """The name of a migrated database with a clock of its own."""
    name = f"indexer_clocked_{worker_id}"
    databases._drop(server_url, name)
    databases._create(server_url, name, None)
    url = databases._with_database(server_url, name)
    clock.install(url)
    migrations.upgrade(url)
    yield name
    databases._drop(server_url, name)


@pytest.fixture
def rig(server_url: str, clocked_template: str, worker_id: str, tmp_path: Path) -> Iterator[Rig]:
    """The program on a fresh database whose clock is moved by hand."""
    logs.configure("ERROR", "json", [])
    name = f"indexer_model_{worker_id}"
    databases._drop(server_url, name)
    databases._create(server_url, name, clocked_template)
    url = databases._with_database(server_url, name)
    clock.follow(url)
    with Rig(url, tmp_path) as opened:
        yield opened
    databases._drop(server_url, name)
