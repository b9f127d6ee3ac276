"""An API that contradicts itself pass after pass: however often it is heard, it takes nothing away.

One strike is retried, restarted or fails; what is tested here is a fault that stays until somebody mends it.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from indexer.simulator import World
from indexer.simulator.positions import SOURCES, Position
from tests.faults.kinds import KINDS, Kind
from tests.faults.stand import NOTHING, Stand, built
from tests.faults.test_matrix import SETTINGS, check_recovery, other_host
from tests.faults.verdicts import Before, Pass, find_lies

#: Half of eight rows is not fewer than half: the guard is silent, so the contradiction itself must be seen.
SIZES: Final = dict.fromkeys(SOURCES, (8,))
MAX_PAGE: Final = 4
PASSES: Final = 3

#: Faults whose answers show by themselves that something is wrong with the list.
CONTRADICTIONS: Final = (
    *("duplicate_page", "repeated_edge", "repeated_cursor", "bigger_page", "totals_disagree"),
    *("out_of_order", "circling_link", "older_round", "lagging_node", "other_owner"),
    "item_key_unreadable",
    *("amount_missing", "null_item", "leading_zeros", "wrong_type", "null_envelope", "status_206"),
)


@pytest.fixture
def stand(database_url: str, tmp_path: Path) -> Iterator[Stand]:
    """One account of two pages at each source, known as it is."""
    with built(database_url, tmp_path, World.build(3, SIZES), SETTINGS) as made:
        made.simulator.switches.max_page = dict.fromkeys(SOURCES, MAX_PAGE)
        made.crawl()
        yield made


def check_lasting(stand: Stand, kind: Kind) -> None:
    """Three passes under a fault that stays, and one without it."""
    with other_host() as host:
        for source in kind.sources:
            address = next(row.address for row in stand.world.watchlist() if row.source == source)
            fault = kind.strike(source, address, host.origin)
            stand.simulator.faults.add(replace(fault, times=None))
        for _ in range(PASSES):
            done = Pass(stand, Before.of(stand), stand.crawl())

            assert find_lies(done) == []
            known = stand.known()
            for watch, held in stand.truth().items():
                assert _keys(held) <= _keys(known.get(watch, NOTHING).all), f"{watch}: looks sold"
    check_recovery(stand)


@pytest.mark.parametrize("name", ["duplicate_page", "older_round", "lagging_node"])
def test_a_contradiction_that_lasts_takes_nothing_away(stand: Stand, name: str) -> None:
    """Nothing was sold, so nothing may look sold, after one pass and after the third."""
    check_lasting(stand, next(kind for kind in KINDS if kind.name == name))


@pytest.mark.faults_full
@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.name in CONTRADICTIONS], ids=lambda kind: kind.name
)
def test_every_contradiction_that_lasts(stand: Stand, kind: Kind) -> None:
    """Every fault that a careful reader can see in the answers themselves."""
    check_lasting(stand, kind)


def _keys(positions: frozenset[Position]) -> set[tuple[str, str]]:
    return {(position.asset_ref, position.sub_key) for position in positions}
