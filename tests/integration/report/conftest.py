"""A database with the reports in it, and a way to tell it stories."""

from collections.abc import Iterator

import pytest

from tests.integration.report.world import World, open_world


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    """An empty warehouse."""
    world = open_world(database_url)
    with world.connection:
        yield world
