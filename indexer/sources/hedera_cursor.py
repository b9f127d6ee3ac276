"""Where a mirror node's list goes on: the query of its own link, or one of ours behind its last row.

Beside `hedera_page.py` only because of its size. Pure.
"""

import re
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl

from indexer.errors import BadPage
from indexer.records import Cursor

_WHAT: Final = "hedera page"
#: The most rows a page can have. More that are asked for are silently clamped to this.
FULL_PAGE: Final = 100
LARGEST_SERIAL: Final = 2**63 - 1
_ENTITY: Final = re.compile(r"(0|[1-9][0-9]{0,11})\.(0|[1-9][0-9]{0,11})\.(0|[1-9][0-9]{0,11})")
#: What a query of links.next is made of. Anything else would not be a query any more, or not one line.
_SAFE_QUERY: Final = re.compile(r"[A-Za-z0-9._:=&%,~-]{1,1000}")

#: How a link may say where it goes on.
_PLACES: Final = frozenset({"token.id", "serialnumber"})
_OPERATORS: Final = frozenset({"gt", "gte", "lt", "lte"})

#: How a query of our own begins.
_PROBE: Final = "serialnumber=gt:"

#: Where a row stands in the list: shard, realm and number of its token, then its serial number.
Position = tuple[int, int, int, int]


def read_entity(value: Any) -> tuple[int, int, int] | None:
    """The parts of `shard.realm.num` in its one spelling; None for anything else."""
    match = _ENTITY.fullmatch(value) if type(value) is str else None
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


@lru_cache(maxsize=1024)
def find_position(cursor: str) -> Position | None:
    """The row a cursor stands on, where it says so plainly; None where it cannot be told."""
    tokens, serials = _lower_bounds(cursor, "token.id"), _lower_bounds(cursor, "serialnumber")
    if len(tokens) != 1 or len(serials) > 1:
        return None
    operator, text = tokens[0]
    token = read_entity(text)
    if token is None:
        return None
    if serials and serials[0][1].isdigit() and serials[0][1].isascii() and len(serials[0][1]) <= 19:
        return (*token, int(serials[0][1]))
    return (*token, 0 if operator == "gte" else LARGEST_SERIAL)


@lru_cache(maxsize=1024)
def _pairs(query: str) -> tuple[tuple[str, str], ...]:
    """The names and values of a query: each is looked at from several sides."""
    return tuple(parse_qsl(query, keep_blank_values=True))


def _lower_bounds(query: str, name: str) -> list[tuple[str, str]]:
    pairs = [value.partition(":") for key, value in _pairs(query) if key == name]
    return [(operator, text) for operator, _, text in pairs if operator in ("gt", "gte")]


def find_next(
    link: str | None,
    cursor: Cursor | None,
    last: Position | None,
    rows: int,
    *,
    ends_unreadable: bool = False,
) -> Cursor | None:
    """The query of links.next, nothing of its host and path, and nothing dropped from it."""
    if link is None:
        # A full page has a link, even where nothing follows: without it the list may be cut off here.
        return probe(last) if rows >= FULL_PAGE and last is not None else None
    query = link.partition("?")[2]
    if _SAFE_QUERY.fullmatch(query) is None or not re.search(r"(?:^|&)token\.id=", query):
        raise BadPage(f"{_WHAT}: `links.next` is no query we can ask")
    if _asks_for_another_list(query):
        raise BadPage(f"{_WHAT}: `links.next` asks for another list")
    position = find_position(query)
    if query == cursor or (position is not None and last is not None and position < last):
        raise BadPage(f"{_WHAT}: `links.next` goes backwards")
    start = None if cursor is None else find_position(cursor)
    if position is not None and position == start:
        raise BadPage(f"{_WHAT}: `links.next` leads back to where this page began")
    if rows and position not in (None, last) and not ends_unreadable:
        raise BadPage(f"{_WHAT}: `links.next` skips rows: it is not at the last one of this page")
    return Cursor(query)


def probe(last: Position) -> Cursor:
    """Our own query for what comes after a row. A server begins its links with another name."""
    *token, serial = last
    return Cursor(f"{_PROBE}{serial}&token.id=gte:{'.'.join(map(str, token))}&limit={FULL_PAGE}&order=asc")


def is_probe(cursor: Cursor | None) -> bool:
    """Whether it is a question of our own, after a list that the server calls complete."""
    return cursor is not None and cursor.startswith(_PROBE)


@lru_cache(maxsize=1024)
def _asks_for_another_list(query: str) -> bool:
    """Whether a link turns the order round, or filters: such a list ends before ours does."""
    for name, value in _pairs(query):
        is_place = name in _PLACES and value.partition(":")[0] in _OPERATORS
        if not is_place and name != "limit" and (name, value.lower()) != ("order", "asc"):
            return True
    return False
