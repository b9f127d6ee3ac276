"""What a chaos run left behind, held against the world's own word of what was true when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg

from indexer.simulator.positions import Position
from tests.faults.chaos import Moment
from tests.faults.stand import Stand, Watch, as_position

_SNAPSHOTS = """
    SELECT source, address, scope, snapshot_at, first_page_at, last_page_at, proves_absence
    FROM report.snapshots WHERE state = 'published' ORDER BY snapshot_at
"""
_HELD = """
    SELECT asset_ref, sub_key, amount, decimals, frozen, locked, delegate, status
    FROM report.holdings_as_of(%s) WHERE (source, address, scope) = (%s, %s, %s)
"""
#: Listed but never readable: known to be there, and nothing more.
_DOUBTED = """
    SELECT t.asset_ref, c.sub_key
    FROM ledger.carried_span AS c
    JOIN ledger.watch AS w ON w.watch_id = c.watch_id
    JOIN ledger.address AS a ON a.address_id = w.address_id
    JOIN ledger.asset AS t ON t.asset_id = c.asset_id
    WHERE c.valid_from <= %s AND (c.valid_to IS NULL OR c.valid_to > %s)
      AND (w.source_id, a.address, w.scope) = (%s, %s, %s)
"""


@dataclass(frozen=True)
class Told:
    """What history says was held at a snapshot, and the seconds in which its pages were fetched."""

    watch: Watch
    at: datetime
    first: datetime
    last: datetime
    certain: frozenset[Position]
    #: Keys of what is shown or doubted.
    mentioned: frozenset[tuple[str, str]]
    #: False: an item was listed whose key nobody could read, and the list proves no absence.
    proves: bool

    def __str__(self) -> str:
        return f"{self.watch}, pages from {self.first:%T.%f} to {self.last:%T.%f}, published {self.at:%T.%f}"


def find_wrong_snapshots(stand: Stand, moments: Sequence[Moment]) -> tuple[int, list[str]]:
    """How many snapshots were compared, and what is wrong with them.

    A position is right when it was true at some time in the window; one that was true all the time and is
    neither shown nor doubted is lost. A list that proves no absence may say nothing of what is new in it, but
    must still mention what was known before.
    """
    wrong: list[str] = []
    before: dict[Watch, frozenset[tuple[str, str]]] = {}
    told = list(_read(stand))
    for snapshot in told:
        states = [moment.truth[snapshot.watch] for moment in _during(moments, snapshot)]
        possible = frozenset[Position]().union(*states)
        always = states[0].intersection(*states[1:])
        if invented := snapshot.certain - possible:
            wrong.append(f"{snapshot}: never true then: {invented}, but {_when(moments, invented, snapshot)}")
        expected = {_key(position) for position in always}
        if not snapshot.proves:
            expected &= before.get(snapshot.watch, frozenset())
        if lost := expected - snapshot.mentioned:
            wrong.append(f"{snapshot}: lost {lost}, proves absence: {snapshot.proves}")
        before[snapshot.watch] = snapshot.mentioned
    return len(told), wrong


def _when(moments: Sequence[Moment], invented: frozenset[Position], snapshot: Told) -> list[str]:
    """When it was true, for the message."""
    return [f"true from {m.began:%T.%f}" for m in moments if invented <= m.truth[snapshot.watch]]


def _key(position: Position) -> tuple[str, str]:
    return position.asset_ref, position.sub_key


def _during(moments: Sequence[Moment], snapshot: Told) -> list[Moment]:
    """The states of the world that its pages may have shown."""
    found = [moment for moment in moments if moment.began <= snapshot.first][-1:]
    return found + [moment for moment in moments if snapshot.first < moment.began <= snapshot.last]


def _read(stand: Stand) -> list[Told]:
    with psycopg.connect(stand.url) as connection:
        found = []
        for source, address, scope, at, first, last, proves in connection.execute(_SNAPSHOTS).fetchall():
            rows = connection.execute(_HELD, [at, source, address, scope]).fetchall()
            certain = frozenset(as_position(row[:-1]) for row in rows if row[-1] != "carried")
            doubted = connection.execute(_DOUBTED, [at, at, source, address, scope]).fetchall()
            mentioned = frozenset(
                [*((row[0], row[1]) for row in rows), *((row[0], row[1]) for row in doubted)]
            )
            found.append(Told((source, address, scope), at, first, last, certain, mentioned, proves))
        return found
