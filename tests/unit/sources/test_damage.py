"""Recorded answers are damaged in every way that was ever seen, on every folder of `tests/recorded/`.

A source may refuse a damaged page (BadPage) or read it; what it reads must still be true.
"""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.errors import BadPage
from indexer.sources import build
from tests.unit.sources.recordings import (
    NAMES,
    Path_,
    paths_in,
    questions,
    read_damaged,
    readable_pages,
    value_at,
    with_value,
)

#: Where each source states how much is held (Hedera lists single serials instead).
AMOUNT_KEY = {
    "okx_runes": "amount",
    "solana_das": "balance",
    "algorand": "amount",
    "loopring": "total",
    "hedera": "serial_number",
}
#: Texts that people read: whatever they hold, the page stands.
DISPLAY_KEYS = {
    "name",
    "symbol",
    "unit-name",
    "ticker",
    "description",
    "json_uri",
    "url",
    "tickerIcon",
    "image",
}
BAD_AMOUNTS = tuple(
    (name, literal)
    for name in NAMES
    for literal in ("NaN", "1e400", "1.5", "-1", str(2**256), "[]", "null")
    # A Solana token without balance is no damage: it is held, and nobody says how much.
    if (name, literal) != ("solana_das", "null")
)
HOSTILE_TEXT = "a\x00b\ud83dc"
STRANGE_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    "",
    "x",
    "9" * 90,
    [],
    {},
    [1],
    {"a": 1},
    [[]],
)


def amount_paths(name: str, document: Any) -> list[Path_]:
    """Places where an amount is stated that counts: a single NFT at Solana is 1 whatever stands there."""
    found = [path for path in paths_in(document) if path and path[-1] == AMOUNT_KEY[name]]
    if name != "solana_das":
        return found
    return [p for p in found if value_at(document, p[:-2])["ownership"]["ownership_model"] == "token"]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_cut_body_is_refused_or_read(name: str, data: st.DataObject) -> None:
    """A body cut at any byte is BadPage, never half a page."""
    question, body, page = data.draw(st.sampled_from(readable_pages(name)))
    cut = data.draw(st.integers(0, len(body)))

    damaged = read_damaged(build(name, "", {}), question, body[:cut])

    assert damaged == (page if body[:cut].strip() == body.strip() else None)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_value_of_another_type_is_refused_or_read(name: str, data: st.DataObject) -> None:
    """Any value replaced by any other ends as BadPage or as a page that keeps the laws."""
    question, body, _ = data.draw(st.sampled_from(readable_pages(name)))
    document = json.loads(body)
    path = data.draw(st.sampled_from(list(paths_in(document))))
    value = data.draw(st.sampled_from((*STRANGE_VALUES, HOSTILE_TEXT)))

    read_damaged(build(name, "", {}), question, json.dumps(with_value(document, path, value)).encode())


@pytest.mark.parametrize("name", NAMES)
def test_any_display_text_is_cleaned_and_fails_no_page(name: str) -> None:
    """NUL and lone surrogates become U+FFFD: PostgreSQL refuses both, and spam tokens carry them."""
    source, tried = build(name, "", {}), 0

    for question, body, page in readable_pages(name):
        document = json.loads(body)
        shown = [
            p
            for p in paths_in(document)
            if p and p[-1] in DISPLAY_KEYS and type(value_at(document, p)) is str
        ]
        for path in shown:
            damaged = read_damaged(
                source, question, json.dumps(with_value(document, path, HOSTILE_TEXT)).encode()
            )
            assert damaged is not None
            assert len(damaged.holdings) == len(page.holdings)
            tried += 1
    assert tried or name == "hedera"  # it lists no display text at all


@pytest.mark.parametrize(("name", "literal"), BAD_AMOUNTS)
def test_one_bad_amount_leaves_the_other_items_alone(name: str, literal: str) -> None:
    """An amount that is no amount makes its own item unreadable; the others stay as they were."""
    source, tried = build(name, "", {}), 0

    for question, body, page in readable_pages(name):
        document = json.loads(body)
        for path in amount_paths(name, document):
            text = json.dumps(with_value(document, path, "@@")).replace('"@@"', literal)
            damaged = source.parse(question, text.encode())
            lost = len(page.holdings) - len(damaged.holdings)
            assert len(damaged.unreadable) - len(page.unreadable) + damaged.not_held - page.not_held == lost
            assert set(damaged.holdings) <= set(page.holdings)
            tried += lost
    assert tried > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_amount_is_not_zero(name: str) -> None:
    """Without its amount an item is unreadable (or held with an unknown one), never 0."""
    source = build(name, "", {})

    for question, body, page in readable_pages(name):
        document = json.loads(body)
        for path in amount_paths(name, document):
            without = copy.deepcopy(document)
            del value_at(without, path[:-1])[path[-1]]
            damaged = source.parse(question, json.dumps(without).encode())
            zeros = [holding for holding in damaged.holdings if holding.amount == 0]
            assert set(zeros) <= set(page.holdings)
            assert len(damaged.holdings) + len(damaged.unreadable) >= len(page.holdings)


@pytest.mark.parametrize("name", NAMES)
def test_duplicate_keys_read_as_the_last_one(name: str) -> None:
    """JSON leaves duplicate keys open; here they are read one way, always."""
    source = build(name, "", {})

    for question, body, page in readable_pages(name):
        inner = body.strip()[1:-1]
        assert source.parse(question, b"{" + inner + b"," + inner + b"}") == page


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [b"[%s", b'{"deep":%s', b'{"data":[{"x":%s'])
def test_nesting_without_end_is_refused(name: str, shape: bytes) -> None:
    """A hundred thousand brackets end as BadPage, not as a crash."""
    source, question = build(name, "", {}), questions(name)[0]
    body = shape % (b"[" * 100_000 + b"]" * 100_000)

    with pytest.raises(BadPage):
        source.parse(question, body)
    source.read_error(question, 200, body)
