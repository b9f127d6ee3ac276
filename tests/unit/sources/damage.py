"""Damage to recorded answers, byte by byte and value by value, for tests that compare two readers."""

import json
from typing import Any

from hypothesis import strategies as st

from indexer.records import Question
from tests.unit.sources.recordings import CASES, paths_in, readable_pages, walk, with_value

#: What is put in the place of a few bytes.
PIECES = (
    *(
        b"",
        b'"',
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b" ",
        b"\n",
        b"\x00",
        b"\xff",
        b"\xc3\xa9",
        b"0",
        b"-",
    ),
    *(b"null", b"true", b"NaN", b"1.5", b"1e3", b"-0", b"9" * 25, b"9" * 101, b'""', b"{}", b"[]", b"[[]]"),
    *(rb"\ud83d", rb"\ud83d\ude00", rb"\u0000", rb"\u0061", rb"\"", b'"a":1,', b'"amount":7,', b'"round":1,'),
)
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        1.5,
        2**63,
        2**64 - 1,
        2**64,
        10**30,
        "",
        "x",
        "7",
        "\x00",
        "\ud83d",
        "😀",
    ),
    *("9" * 90, "0.0.5", "0.0.48120", [], {}, [1], {"a": 1}, [[]], {"decimals": 5}, {"decimals": 20}),
)


@st.composite
def damaged_bodies(draw: st.DrawFn, name: str) -> tuple[Question, bytes]:
    """A question and a body it might be answered with."""
    question, body = draw(st.sampled_from(_recorded(name)))
    if draw(st.booleans()):
        body = _with_strange_value(draw, body)
    for _ in range(draw(st.integers(0, 2))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.sampled_from([0, 0, 1, 2, 8, 40])))
        body = body[:start] + draw(st.sampled_from([*PIECES, body[start:end] * 2])) + body[end:]
    return question, body


def _recorded(name: str) -> list[tuple[Question, bytes]]:
    """Every page that can be read, and every question with every body of its conversation."""
    pages = [(question, body) for question, body, _ in readable_pages(name)]
    cases = [case for case in CASES if case.source == name]
    return pages + [
        (question, exchange.body)
        for case in cases
        for question, exchange in zip(walk(case).questions, case.exchanges, strict=True)
    ]


def _with_strange_value(draw: st.DrawFn, body: bytes) -> bytes:
    try:
        document = json.loads(body)
    except ValueError:
        return body
    path = draw(st.sampled_from(list(paths_in(document))))
    changed = with_value(document, path, draw(st.sampled_from(VALUES)))
    return json.dumps(changed, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
