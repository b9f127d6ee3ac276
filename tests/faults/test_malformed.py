"""Thousands of damaged answers for each source: one of our errors or a page that keeps the laws, and soon.

`tests/unit/sources/test_damage.py` damages values by meaning; here bytes are damaged without any.
"""

import random
import resource
from collections.abc import Callable
from typing import Final

import pytest

from indexer.errors import ApiError
from indexer.folding import Fold, named_assets
from indexer.sources import build
from tests.unit.sources.recordings import NAMES, read_damaged, readable_pages

#: Per source; the same ones in every run.
BODIES: Final = 4_000

#: More than all of them together may add to the memory of the process.
MOST_BYTES: Final = 256 * 2**20

_TOKENS: Final = (
    *(
        b"null",
        b"true",
        b"-1",
        b"1e400",
        b"1e3000000",
        b"NaN",
        b"Infinity",
        b"-0",
        b"1.5",
        b'""',
        b"{}",
        b"[]",
    ),
    *(b"9" * 400, b"0x", b"\\u0000", b"\\ud800", b"\\", b'"', b"{", b"}", b"[", b"]", b",", b":", b"\x00"),
    *(
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"[" * 5_000,
        b'{"a":' * 5_000,
        b'"' + b"x" * 100_000 + b'"',
    ),
)
_STATUSES: Final = (200, 200, 200, 204, 301, 400, 401, 402, 403, 404, 408, 418, 429, 500, 503)

Damage = Callable[[random.Random, bytearray], None]


def flip(dice: random.Random, body: bytearray) -> None:
    """A bit turns over."""
    body[dice.randrange(len(body))] ^= 1 << dice.randrange(8)


def cut(dice: random.Random, body: bytearray) -> None:
    """A piece is missing."""
    start = dice.randrange(len(body))
    del body[start : start + dice.randrange(1, 200)]


def insert(dice: random.Random, body: bytearray) -> None:
    """Something strange is between two bytes."""
    place = dice.randrange(len(body) + 1)
    body[place:place] = dice.choice(_TOKENS)


def replace_value(dice: random.Random, body: bytearray) -> None:
    """What stands after a colon is something else."""
    colons = [place for place, byte in enumerate(body) if byte == ord(":")]
    if not colons:
        return
    start = dice.choice(colons) + 1
    ends = [place for place in (body.find(b",", start), body.find(b"}", start)) if place >= 0]
    body[start : min(ends, default=len(body))] = dice.choice(_TOKENS)


def repeat(dice: random.Random, body: bytearray) -> None:
    """A piece comes twice."""
    start = dice.randrange(len(body))
    piece = body[start : start + dice.randrange(1, 500)]
    body[start:start] = piece


def truncate(dice: random.Random, body: bytearray) -> None:
    """The rest never came."""
    del body[dice.randrange(len(body)) :]


DAMAGES: Final[tuple[Damage, ...]] = (flip, cut, insert, replace_value, replace_value, repeat, truncate)


def damaged(dice: random.Random, body: bytes) -> bytes:
    """The body after one to four accidents."""
    found = bytearray(body)
    for _ in range(dice.randrange(1, 5)):
        if found:
            dice.choice(DAMAGES)(dice, found)
    return bytes(found)


@pytest.mark.parametrize("name", NAMES)
def test_damaged_bodies_end_as_our_errors_or_sound_pages(name: str) -> None:
    """Nothing but BadPage comes out of parse, nothing at all out of read_error, and memory stays small."""
    source, dice, pages = build(name, "", {}), random.Random(f"malformed {name}"), readable_pages(name)
    before, read = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0

    for _ in range(BODIES):
        question, honest, _ = dice.choice(pages)
        body = damaged(dice, honest)
        error = source.read_error(question, dice.choice(_STATUSES), body)
        assert error is None or isinstance(error, ApiError)
        page = read_damaged(source, question, body)
        if page is not None:
            read += 1
            watches = {address: number for number, address in enumerate(question.addresses)}
            Fold(watches).add(1, page, {ref: number for number, ref in enumerate(named_assets(page))})

    assert 0 < read < BODIES, "damage that never or always matters tests nothing"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < MOST_BYTES
