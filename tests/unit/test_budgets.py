"""What reading a page may cost, counted in function calls: the same number on every machine, in every mood.

A budget a little above today's count fails on a change that makes every holding dearer. When a feature is
worth it, raise the number here in the same change.
"""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import pytest

from indexer.records import Page, Question
from indexer.simulator.server import APIS, DEFAULT_SECRETS
from indexer.simulator.wire import Inquiry, Switches, read_query
from indexer.simulator.world import World
from indexer.sources import build
from indexer.sources.base import Source

#: Holdings of the account that is read: several pages at most sources.
_HOLDINGS = 600

#: Calls of Python and C functions per holding, whole pages included.
_BUDGETS = {"okx_runes": 175, "solana_das": 130, "algorand": 2.5, "loopring": 112, "hedera": 8}


def _answer(world: World, source: Source, question: Question) -> bytes:
    """The body the API gives to this question."""
    secrets = DEFAULT_SECRETS[source.name]
    request = source.request(question)
    path = request.target + source.secret_path(secrets)
    plain, query = read_query(path.removeprefix(f"/{source.name}"))
    headers = {
        name.lower(): value for name, value in source.headers(request, secrets, datetime.now(UTC)).items()
    }
    inquiry = Inquiry(
        source.name, request.method, path, plain, query, headers, request.body, Switches(), secrets
    )
    return APIS[source.name].answer(world, inquiry).body


def _walk(name: str) -> Iterator[tuple[Source, Question, bytes]]:
    """Every page of one account, with its question."""
    world = World.build(3, {name: [_HOLDINGS]})
    row = world.watchlist()[0]
    source = build(name, f"/{name}" + ("/v3" if name == "solana_das" else ""), {})
    scope = row.runes[0] if row.runes else ""
    question = Question((source.canonical_address(row.address),), scope)
    while True:
        body = _answer(world, source, question)
        page = source.parse(question, body)
        facts = {**question.facts, **page.facts}
        if not page.teaches_only:
            yield source, question, body
            if page.next_cursor is None:
                return
            question = Question(question.addresses, scope, page.next_cursor, facts)
        else:
            question = Question(question.addresses, scope, question.cursor, facts)


def _count_calls(source: Source, question: Question, body: bytes) -> tuple[int, Page]:
    """How many functions are called while this page is read."""
    calls = 0

    def count(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        page = source.parse(question, body)
    finally:
        sys.setprofile(None)
    return calls, page


@pytest.mark.parametrize("name", sorted(_BUDGETS))
def test_reading_a_holding_stays_within_its_budget_of_calls(name: str) -> None:
    """A page is read with a fixed number of calls per holding, whatever machine it is."""
    counted = [_count_calls(*asked) for asked in _walk(name)]

    holdings = sum(len(page.holdings) for _, page in counted)
    per_holding = sum(calls for calls, _ in counted) / holdings
    assert holdings > _HOLDINGS / 2
    assert per_holding <= _BUDGETS[name]
