"""Thousands of damaged answers for each source: one of our errors or a page that keeps the laws, and soon.

`tests/unit/sources/test_damage.py` damages values by meaning; here bytes are damaged without any.
`INDEXER_TEST_MALFORMED_BODIES=100000` reads that many for each source.
"""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from indexer.errors import ApiError
from indexer.folding import Fold, named_assets
from indexer.records import Question
from indexer.sources import build
from indexer.sources.base import Source
from tests.unit.sources.recordings import NAMES, read_damaged, readable_pages

#: Per source; the same ones in every run.
BODIES: Final = int(os.environ.get("INDEXER_TEST_MALFORMED_BODIES") or 4_000)

#: What the worst of them may add to the memory of the process.
MOST_BYTES: Final = 256 * 2**20
#: Of the processor's time: a machine that is busy with other things makes no body slow.
MOST_SECONDS: Final = 1.0

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


class Peak:
    """How much memory the process took at most since this was made."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forgets the peak so far
        self._before = self._read("VmRSS")

    @property
    def grown_bytes(self) -> int:
        """The peak above where it began."""
        return self._read("VmHWM") - self._before

    def _read(self, name: str) -> int:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        (found,) = (line.split()[1] for line in lines if line.startswith(f"{name}:"))
        return int(found) * 1024


def read_as_a_crawl_does(source: Source, question: Question, status: int, body: bytes) -> bool:
    """Everything that looks at an answer. Returns whether it was a page."""
    error = source.read_error(question, status, body)
    assert error is None or isinstance(error, ApiError)
    source.split(body)
    page = read_damaged(source, question, body)
    if page is None:
        return False
    watches = {address: number for number, address in enumerate(question.addresses)}
    Fold(watches).add(1, page, {ref: number for number, ref in enumerate(named_assets(page))})
    return True


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", NAMES)
def test_damaged_bodies_end_as_our_errors_or_sound_pages(name: str) -> None:
    """Nothing but BadPage comes out of parse, nothing at all out of read_error, and no body is dear."""
    source, dice, pages = build(name, "", {}), random.Random(f"malformed {name}"), readable_pages(name)
    peak, read, slowest = Peak(), 0, 0.0

    for _ in range(BODIES):
        question, honest, _ = dice.choice(pages)
        body, status = damaged(dice, honest), dice.choice(_STATUSES)
        began = time.process_time()
        read += read_as_a_crawl_does(source, question, status, body)
        slowest = max(slowest, time.process_time() - began)

    assert 0 < read < BODIES, "damage that never or always matters tests nothing"
    assert peak.grown_bytes < MOST_BYTES
    assert slowest < MOST_SECONDS
