"""Killed while the embedded server comes up: the next command finds it or starts it, and is not blocked."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer import embedded
from indexer.simulator import World
from tests.faults import processes
from tests.faults.stand import Stand, built

#: Any will do: the database of the stand is not the one that is used.
NO_DATABASE = {"INDEXER_DATABASE__URL": ""}


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    """One small account, and a folder for the embedded database."""
    folder = tmp_path / "database"
    settings = NO_DATABASE | {"INDEXER_DATABASE__DATA_DIR": str(folder)}
    with built("", tmp_path, World.build(3, {"hedera": (7,)}), settings) as made:
        yield made
    embedded.stop(folder)


@pytest.mark.parametrize("point", ["cluster_made", "server_up", "server_joined"])
def test_a_kill_while_the_server_comes_up_blocks_nothing(stand: Stand, point: str) -> None:
    """The server may run on without a user; the next command takes it over and crawls."""
    first = processes.crawl(stand, crash_at=f"{point}:1")
    assert first.killed, first.stderr[-2000:]

    second = processes.crawl(stand)

    assert second.code == 0, second.stderr[-2000:]
    assert [(row["outcome"], row["holdings"]) for row in second.outcomes()] == [("published", 7)]
