"""A stage for each test, and the promise checked after every one: no invariant is violated."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from indexer.simulator.positions import SOURCES
from indexer.simulator.server import Simulator
from tests.integration.engine.stage import Stage, World

OpenStage = Callable[..., Stage]


@pytest.fixture
def open_stage(database_url: str, tmp_path: Path) -> Iterator[OpenStage]:
    """Opens a stage on a world; whatever the test did, history must be sound at its end."""
    with ExitStack() as stack:
        stages: list[Stage] = []

        def begin(
            sizes: Mapping[str, Sequence[int]] | None = None,
            pages: int | None = None,
            world: World | None = None,
        ) -> Stage:
            world = world or World.build(11, sizes or {})
            limits = dict.fromkeys(SOURCES, None)
            max_page = dict.fromkeys(SOURCES, pages) if pages else {}
            sim = stack.enter_context(Simulator(world, limits=limits, max_page=max_page))
            stages.append(Stage(sim, database_url, tmp_path))
            return stages[-1]

        yield begin
        for stage in stages:
            assert stage.rows("SELECT rule, ref FROM ledger.invariant_violation") == []
