"""JSON is read and written quickly where that changes nothing: the standard library is the judge of that."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from indexer.errors import BadPage
from indexer.sources.base import Inexact, canonical_json, clean_text, read_object
from tests.unit.sources.damage import damaged_bodies
from tests.unit.sources.recordings import NAMES

SLOW_DECODER = json.JSONDecoder(
    parse_float=Inexact,
    parse_constant=Inexact,
    parse_int=lambda text: int(text) if len(text) <= 100 else Inexact(text),
)

characters = st.characters(exclude_categories=()) | st.sampled_from(
    '\x00\x1f\x7f"\\/\ud83d\ude00\u2028\ufeffé😀'
)
texts = st.text(characters, max_size=8)
integers = st.integers() | st.integers(-(10**99), 10**99) | st.sampled_from([2**63, 2**64 - 1, 2**64])
inexact = st.sampled_from(["1.5", "1e400", "-0.0", "NaN", "9" * 101]).map(Inexact)
values = st.recursive(
    st.none() | st.booleans() | integers | texts | inexact,
    lambda part: st.lists(part, max_size=5) | st.dictionaries(texts, part, max_size=5),
    max_leaves=25,
)


def slow_canonical_json(value: object) -> str:
    """What `canonical_json` promises, said plainly."""
    cleaned = slow_clean(value, 0)
    return json.dumps(cleaned, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def slow_clean(value: object, depth: int) -> object:
    if depth > 64:
        return "…"
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, Inexact):
        return value.text
    if isinstance(value, dict):
        return {clean_text(key): slow_clean(part, depth + 1) for key, part in value.items()}
    if isinstance(value, list):
        return [slow_clean(part, depth + 1) for part in value]
    return value


def plain(value: Any) -> Any:
    """A decoded value in which `Inexact` is compared by its text, and True is not 1."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    return (type(value).__name__, value.text if isinstance(value, Inexact) else value)


def outcome(read: Callable[[bytes], Any], body: bytes) -> Any:
    try:
        return plain(read(body))
    except (ValueError, BadPage):
        return "refused"


@settings(max_examples=150, deadline=None)
@given(values)
def test_canonical_json_is_what_the_standard_library_would_write(value: object) -> None:
    """The quick encoder and the plain one write the same text, whatever has to be cleaned."""
    assert canonical_json(value) == slow_canonical_json(value)


@pytest.mark.parametrize("depth", [1, 63, 64, 65, 66, 200])
@pytest.mark.parametrize("shape", [lambda inner: [inner], lambda inner: {"k": inner}])
def test_what_is_too_deep_is_cut_at_the_same_place(depth: int, shape: Callable[[object], object]) -> None:
    """65 levels are one too many, in objects as in lists."""
    value: object = "bottom"
    for _ in range(depth):
        value = shape(value)

    assert canonical_json(value) == slow_canonical_json(value)
    assert ("…" in canonical_json(value)) == (depth > 64)


def test_many_small_parts_are_not_deep() -> None:
    """A long list of objects is kept whole."""
    value = [{"a": [number]} for number in range(100)]

    assert json.loads(canonical_json(value)) == value


def test_only_json_is_written() -> None:
    """What is no JSON at all is a mistake of ours, not a text."""
    with pytest.raises(TypeError):
        canonical_json({"a": object()})


@settings(max_examples=150, deadline=None)
@given(values.filter(lambda value: "Inexact" not in repr(plain(value))))
def test_what_was_written_is_read_back(value: object) -> None:
    """Escaped or raw, any value inside an object is read as the standard library reads it."""
    for ascii_only in (True, False):
        body = json.dumps({"x": value}, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        assert outcome(lambda body: read_object(body, "x"), body) == outcome(slow_read, body)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damaged_answers_are_read_alike(name: str, data: st.DataObject) -> None:
    """Byte by byte damaged, every recorded answer is refused by both readers or gives both the same value."""
    _, body = data.draw(damaged_bodies(name))

    assert outcome(lambda body: read_object(body, "x"), body) == outcome(slow_read, body)


LITERALS = (
    *(
        b"-0",
        b"-0.0",
        b"01",
        b"-01",
        b"1.",
        b".5",
        b"1e",
        b"+1",
        b"--1",
        b"1_0",
        b"0x1",
        b"-",
        b"nul",
        b"truex",
    ),
    *(b"1.5", b"1E+5", b"1e400", b"NaN", b"Infinity", b"-Infinity", b"18446744073709551616", b"9" * 78),
    *(b"9" * 100, b"9" * 101, b"-" + b"9" * 99, b"-" + b"9" * 100, b'"' + b"9" * 300 + b'"', b"9" * 5000),
    *(rb'"\q"', rb'"\u12"', rb'"\u12G4"', rb'"\ud800"', rb'"\ud83d\ude00"', rb'"\ude00\ud83d"', rb'"\u0000"'),
    *(b'"\xff"', b'"\xc3\xa9"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"\xc0\x80"', b'"\x7f"', b'"\n"'),
    *(b'{"a":1,"a":2}', b"[1,]", b'{"a":1,}', b"[1 2]", b"{a:1}", b"{1:2}", b"\x0b1", b"\xa01", b'"\x00"'),
)


@pytest.mark.parametrize("literal", LITERALS, ids=lambda literal: repr(literal[:20]))
def test_odd_literals_are_read_alike(literal: bytes) -> None:
    """Everything on which JSON readers are known to differ."""
    for body in (b'{"x":%s}' % literal, b'{"x":[%s,1]}' % literal, b"%s" % literal, b'{"x":1}%s' % literal):
        assert outcome(lambda body: read_object(body, "x"), body) == outcome(slow_read, body)


def slow_read(body: bytes) -> Any:
    value = SLOW_DECODER.decode(body.decode("utf-8"))
    if not isinstance(value, dict):
        raise BadPage("not an object")
    return value


@given(texts)
@example("\ufeff")
def test_clean_text_is_what_the_quick_encoder_can_write(text: str) -> None:
    """Clean text passes through unchanged: what is quickly written needed no cleaning."""
    cleaned = clean_text(text)

    assert clean_text(cleaned) == cleaned
    assert msgspec.json.decode(msgspec.json.encode(cleaned)) == cleaned
