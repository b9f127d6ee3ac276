"""What every source promises, on every folder of `tests/recorded/`: a sixth one is covered by its recordings.

The first test drives the conversation as the crawl would; the others hold for any question and any answer.
"""

import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from indexer.errors import UsageError
from indexer.records import Cursor, Holding, Question, Unreadable
from indexer.sources import build
from tests.unit.sources.recordings import (
    CASES,
    NAMES,
    Case,
    check_page,
    questions,
    walk,
)

PREFIX = "/planted-prefix"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_every_source_has_recordings() -> None:
    """A source without recordings would pass the whole suite by saying nothing."""
    counts = {name: sum(case.source == name for case in CASES) for name in NAMES}

    assert all(count >= 8 for count in counts.values()), counts
    assert {case.source for case in CASES} == set(NAMES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_recorded_case(case: Case) -> None:
    """The conversation asks what was recorded and ends with the holdings, gaps and error it says."""
    walked = walk(case)

    holdings = {h: None for _, _, page in walked.pages for h in page.holdings}
    unreadable = [u for _, _, page in walked.pages for u in page.unreadable]
    error = None if walked.error is None else type(walked.error).__name__
    assert error == case.expect["error"]
    assert len(walked.questions) == len(case.exchanges)
    assert sorted(rows_of(holdings)) == sorted(map(tuple, case.expect["holdings"]))
    assert sorted(gaps_of(unreadable), key=repr) == sorted(map(tuple, case.expect["unreadable"]), key=repr)


def rows_of(holdings: dict[Holding, None]) -> list[tuple[object, ...]]:
    return [
        (h.address, h.asset_ref, h.sub_key, None if h.amount is None else str(h.amount), h.decimals)
        for h in holdings
    ]


def gaps_of(unreadable: list[Unreadable]) -> list[tuple[object, ...]]:
    return [(u.address, u.asset_ref, u.sub_key) for u in unreadable]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_recorded_pages_keep_the_general_laws(case: Case) -> None:
    """Reading twice gives equal pages, and asking twice gives equal requests: replay depends on it."""
    source = build(case.source, "", {})

    for question, body, page in walk(case).pages:
        check_page(question, page)
        assert source.parse(question, body) == page
        assert source.request(replace(question, facts=dict(question.facts))) == source.request(question)
    for address in case.question.addresses:
        assert source.canonical_address(address) == address
    assert source.canonical_scope(case.question.scope) == case.question.scope


@pytest.mark.parametrize("name", NAMES)
def test_what_is_stored_of_a_request_names_nobody(name: str) -> None:
    """Templates hold no address, no cursor and no path prefix (which may hold a key)."""
    source = build(name, PREFIX + "/", {})

    for question in questions(name):
        request = source.request(question)
        assert request.target.startswith(PREFIX)
        assert PREFIX not in request.template
        assert not any(address in request.template for address in question.addresses)
        assert question.cursor is None or len(question.cursor) < 6 or question.cursor not in request.template
    templates = {source.request(question).template for question in questions(name)}
    assert len(templates) <= 3


@pytest.mark.parametrize("name", NAMES)
def test_secrets_travel_only_in_headers_and_the_secret_path(name: str) -> None:
    """The same secrets give the same headers, and every fact name and secret name is stated up front."""
    source = build(name, "", {})
    secrets = {key: f"planted-{key}" for key in (*source.required_secrets, *source.optional_secrets)}

    for question in questions(name):
        request = source.request(question)
        headers = source.headers(request, secrets, NOW)
        assert headers == source.headers(request, dict(secrets), NOW)
        assert all("\n" not in key + value for key, value in headers.items())
        sent = source.secret_path(secrets) + "".join(headers.values())
        assert ("planted" in sent) == bool(secrets)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_errors_are_told_briefly_and_cleanly(name: str, data: st.DataObject) -> None:
    """`read_error` never raises, and never passes on a whole body, a control character or a URL."""
    recorded = [exchange.body for case in CASES if case.source == name for exchange in case.exchanges]
    message = "\x1b[31mred\n https://host.example/v3/planted-key " + "long " * 200
    shapes = (
        {"message": message},
        {"error": {"code": -32000, "message": message}},
        {"_status": {"messages": [{"message": message}]}},
        {"code": 50014, "msg": message},
        {"resultInfo": {"code": 104001, "message": message}},
    )
    made = [json.dumps(shape).encode() for shape in shapes]
    body = data.draw(st.one_of(st.sampled_from([*recorded, *made]), st.binary(max_size=60)))
    status, question = data.draw(st.integers(200, 599)), data.draw(st.sampled_from(questions(name)))

    error = build(name, "", {}).read_error(question, status, body)

    assert (error is not None) or status < 500
    if error is not None:
        assert len(str(error)) <= 400
        assert str(error).isprintable()
        assert "planted-key" not in str(error)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=80, deadline=None)
@given(text=st.text(max_size=80))
def test_no_text_breaks_the_address_check(name: str, text: str) -> None:
    """An address is refused with ValueError, or its one form is stable."""
    source = build(name, "", {})

    with suppress(ValueError):
        address = source.canonical_address(text)
        assert source.canonical_address(address) == address


@pytest.mark.parametrize("name", NAMES)
def test_a_scope_stands_where_one_is_needed_and_nowhere_else(name: str) -> None:
    """A rune id at a source without scopes would watch something else than it says; so would none at OKX."""
    source = build(name, "", {})

    with pytest.raises(ValueError, match=r"scope|rune"):
        source.canonical_scope("" if source.scoped else "840000:3")


def test_an_unknown_source_is_a_usage_error() -> None:
    """The message names the sources there are."""
    with pytest.raises(UsageError, match="okx_runes, solana_das, algorand, loopring, hedera"):
        build("etherscan", "", {})


def test_the_last_part_of_the_okx_path_is_an_option() -> None:
    """OKX spells its path two ways; the option chooses."""
    source = build("okx_runes", "", {"path": "get-owned-assets"})

    question = Question(
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",), "840000:1", None, {"divisibility:840000:1": "0"}
    )
    assert "/get-owned-assets?" in source.request(question).target


def test_cursors_are_not_asked_twice() -> None:
    """No recorded conversation ever asks the same page with the same facts again."""
    for case in CASES:
        asked: list[tuple[Cursor | None, tuple[tuple[str, str], ...]]] = [
            (question.cursor, tuple(sorted(question.facts.items()))) for question in walk(case).questions
        ]
        assert len(asked) == len(set(asked)), str(case)
