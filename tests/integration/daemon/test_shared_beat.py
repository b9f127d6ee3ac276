"""The beat in the database is the one whose arithmetic is proved: same questions, same turns."""

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.pacing import LocalBeat
from indexer.store import database as store
from indexer.store.pacing import SharedBeat

RATE = 20.0
READ = "SELECT next_at, extract(epoch FROM lag)::float8 FROM ledger.rate_limit"
#: So far ahead that no clock matters: every turn follows from the one before.
BEGIN = timedelta(minutes=20)
AHEAD_SECONDS = 3600.0

_OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(1, 40)),
        st.tuples(st.just("widen"), st.floats(0, 0.3)),
    ),
    max_size=12,
)


async def ask_shared(url: str, operations: list[tuple[str, float]]) -> None:
    """The same questions to the database."""
    async with store.opened(url) as database:
        beat = SharedBeat(database, "hedera", RATE, AHEAD_SECONDS)
        for name, value in operations:
            if name == "take":
                assert (await beat.take(int(value))).taken
            else:
                await beat.widen(value)


async def ask_local(operations: list[tuple[str, float]]) -> LocalBeat:
    """The same questions to the beat of the proof, at a moment long before its next turn."""
    beat = LocalBeat(RATE, lambda: -AHEAD_SECONDS)
    beat.next_at = 0.0
    for name, value in operations:
        if name == "take":
            beat.next_at, before = -AHEAD_SECONDS, beat.next_at
            await beat.take(int(value))
            beat.next_at += before + AHEAD_SECONDS
        else:
            await beat.widen(value)
    return beat


@pytest.fixture
def key_url(database_url: str) -> str:
    """A database that knows one source."""
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO ledger.source (source_id, network) VALUES ('hedera', 'hedera')")
    return database_url


def test_turns_follow_the_arithmetic_that_is_proved(key_url: str) -> None:
    """Whatever is asked in whatever order: the next turn and the lag are those of the local beat."""

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(_OPERATIONS)
    def compare(operations: list[tuple[str, float]]) -> None:
        begun = datetime.now(UTC) + BEGIN
        with psycopg.connect(key_url, autocommit=True) as connection:
            connection.execute("DELETE FROM ledger.rate_limit")
            connection.execute("INSERT INTO ledger.rate_limit VALUES ('hedera', %s)", [begun])

            asyncio.run(ask_shared(key_url, operations))

            row = connection.execute(READ).fetchone()
        expected = asyncio.run(ask_local(operations))
        assert row is not None
        assert (row[0] - begun).total_seconds() == pytest.approx(expected.next_at, abs=1e-4)
        assert row[1] == pytest.approx(expected.lag, abs=1e-4)

    compare()


def test_a_turn_that_is_far_away_is_not_given(key_url: str) -> None:
    """Nobody holds turns that a pause may still move; the answer says how long it takes."""

    async def ask() -> tuple[bool, float, bool]:
        async with store.opened(key_url) as database:
            beat = SharedBeat(database, "hedera", 0.1)
            first = await beat.take(1)
            second = await beat.take(1)
            await beat.hold(600)
            third = await beat.take(1)
        assert third.wait_seconds == pytest.approx(600, abs=30)
        return first.taken, second.wait_seconds, second.taken or third.taken

    taken, wait, later = asyncio.run(ask())

    assert taken
    assert not later
    assert 0 < wait <= 15.8


@pytest.mark.parametrize("rate", [20.0, 0.0001])
def test_a_beat_that_a_clock_left_behind_begins_anew(key_url: str, rate: float) -> None:
    """The clock was a day ahead, and set right: nobody waits for a day. What a slow beat needs, it needs."""

    async def ask() -> list[bool]:
        async with store.opened(key_url) as database:
            beat = SharedBeat(database, "hedera", rate)
            taken = [(await beat.take(1)).taken]
            async with database.transaction() as connection:
                await connection.execute("UPDATE ledger.rate_limit SET next_at = next_at + interval '1 day'")
            turn = await beat.take(1)
            assert turn.wait_seconds <= 0
            await beat.hold(600)
            return [*taken, turn.taken, (await beat.take(1)).taken]

    assert asyncio.run(ask()) == [True, True, False]


def test_two_that_ask_at_once_get_different_turns(key_url: str) -> None:
    """Even for the very first turn of a key."""

    async def ask() -> int:
        async with store.opened(key_url) as database:
            beats = [SharedBeat(database, "hedera", 0.1) for _ in range(8)]
            turns = await asyncio.gather(*(beat.take(1) for beat in beats))
        return sum(turn.taken for turn in turns)

    assert asyncio.run(ask()) == 1
