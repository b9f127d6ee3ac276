"""One page of a mirror node's NFT list, read: the long way for anything, the short way for the usual.

Beside `hedera.py` only because of its size. The short way takes a page whole or not at all, and says what
the long way would say: that one is the truth. Pure.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl

import msgspec

from indexer.errors import BadPage
from indexer.records import Asset, Cursor, Holding, Page, Question, SplitPage, Unreadable
from indexer.sources.base import canonical_json, clean_text, need, read_object, read_usual

_WHAT: Final = "hedera page"
#: The most rows a page can have. More that are asked for are silently clamped to this.
FULL_PAGE: Final = 100
_LARGEST_SERIAL: Final = 2**63 - 1
_ENTITY: Final = re.compile(r"(0|[1-9][0-9]{0,11})\.(0|[1-9][0-9]{0,11})\.(0|[1-9][0-9]{0,11})")
#: What a query of links.next is made of. Anything else would not be a query any more, or not one line.
_SAFE_QUERY: Final = re.compile(r"[A-Za-z0-9._:=&%,~-]{1,1000}")

#: How a link may say where it goes on.
_PLACES: Final = frozenset({"token.id", "serialnumber"})
_OPERATORS: Final = frozenset({"gt", "gte", "lt", "lte"})

#: How a query of our own begins.
_PROBE: Final = "serialnumber=gt:"

#: Where a row stands in the list: shard, realm and number of its token, then its serial number.
_Position = tuple[int, int, int, int]


def read_page(question: Question, body: bytes) -> Page:
    """The page in these bytes. Raises BadPage when they cannot be believed as a whole."""
    page = read_usual_page(question, body)
    return read_any_page(question, body) if page is None else page


# The short way


class _UsualRow(msgspec.Struct, gc=False):
    account_id: str
    deleted: bool
    serial_number: Annotated[int, msgspec.Meta(gt=0, le=_LARGEST_SERIAL)]
    token_id: str
    created_timestamp: str | None = None
    delegating_spender: str | None = None
    metadata: str | None = None
    modified_timestamp: str | None = None
    spender: str | None = None


class _Links(msgspec.Struct, gc=False):
    next: str | None


class _UsualAnswer(msgspec.Struct, gc=False):
    nfts: list[_UsualRow]
    links: _Links


class _Details(msgspec.Struct, gc=False, omit_defaults=True):
    """The canonical JSON of a row: keys in order, nothing that is empty."""

    created_timestamp: str | None = None
    delegating_spender: str | None = None
    deleted: bool = False
    metadata: str | None = None
    modified_timestamp: str | None = None


_USUAL: Final = msgspec.json.Decoder(_UsualAnswer)
_ENCODE_DETAILS: Final = msgspec.json.Encoder().encode


def read_usual_page(question: Question, body: bytes) -> Page | None:
    """The page, if every row of it is well-formed; None says nothing about it."""
    answer = None if b"\\u0000" in body else read_usual(_USUAL, body)
    (address,) = question.addresses
    if answer is None or not _is_of(address, answer.nfts):
        return None
    start = None if question.cursor is None else _cursor_position(question.cursor)
    entity, last = ((-1, -1, -1), -1) if start is None else (start[:3], start[3])
    holdings, assets, token = [], [], None
    for row in answer.nfts:
        serial = row.serial_number
        if row.token_id != token:
            token, found = row.token_id, _read_entity(row.token_id)
            if found is None or (found, serial) <= (entity, last):
                return None
            entity = found
            assets.append(_nft(token))
        elif serial <= last:
            return None
        last = serial
        spender, details = row.spender or None, _describe(row)
        holdings.append(Holding(address, token, str(serial), 1, 0, None, None, spender, details))
    position = (*entity, last) if holdings else start
    following = _find_next(answer.links.next, question.cursor, position, len(holdings))
    return Page(tuple(holdings), assets=tuple(assets), next_cursor=following)


class _CutAnswer(msgspec.Struct, gc=False):
    nfts: list[msgspec.Raw]
    links: _Links


class _EdgeRow(msgspec.Struct, gc=False):
    serial_number: int
    token_id: str


_CUT: Final = msgspec.json.Decoder(_CutAnswer)
_EDGE: Final = msgspec.json.Decoder(_EdgeRow)


def split_page(body: bytes) -> SplitPage | None:
    """The rows of a page, each as it stands in the bytes."""
    answer = read_usual(_CUT, body)
    if answer is None:
        return None
    rows, link = list(map(bytes, answer.nfts)), answer.links.next
    if link is None and len(rows) >= FULL_PAGE:
        # Some of its rows would look like a page that ends the list: let them go on where it does.
        last = read_usual(_EDGE, rows[-1])
        entity = None if last is None else _read_entity(last.token_id)
        if last is None or entity is None:
            return None
        link = f"?{_probe((*entity, last.serial_number))}"
    after = b'],"links":{"next":%b}}' % msgspec.json.encode(link)
    return SplitPage(rows, b'{"nfts":[', after)


def _is_of(address: str, rows: list[_UsualRow]) -> bool:
    """Whether one readable account owns all rows: this address, where it can be compared."""
    owners = {row.account_id for row in rows}
    if len(owners) != 1:
        return not owners
    (owner,) = owners
    return _read_entity(owner) is not None and (owner == address or _read_entity(address) is None)


def _describe(row: _UsualRow) -> str:
    details = _Details(
        row.created_timestamp or None,
        row.delegating_spender or None,
        row.deleted,
        row.metadata or None,
        row.modified_timestamp or None,
    )
    return _ENCODE_DETAILS(details).decode("utf-8")


@lru_cache(maxsize=8192)
def _nft(token: str) -> Asset:
    """What a page says of a token; the very same object for as long as it is remembered."""
    return Asset(token, "nft", decimals=0)


# The long way


def read_any_page(question: Question, body: bytes) -> Page:
    """The page, row by row; an unreadable row never hides the others."""
    answer = read_object(body, _WHAT)
    rows = need(answer, "nfts", list, _WHAT)
    links = need(answer, "links", dict, _WHAT)
    (address,) = question.addresses
    _check_owner(address, rows)
    positions = [_read_position(row) for row in rows]
    last = _check_order(question.cursor, positions)
    items = [_read_row(address, row) for row in rows]
    holdings = tuple(item for item in items if isinstance(item, Holding))
    return Page(
        holdings=holdings,
        unreadable=tuple(item for item in items if isinstance(item, Unreadable)),
        assets=tuple(_nft(token) for token in dict.fromkeys(holding.asset_ref for holding in holdings)),
        next_cursor=_read_next(links, question.cursor, last, positions),
    )


def _read_entity(value: Any) -> tuple[int, int, int] | None:
    match = _ENTITY.fullmatch(value) if type(value) is str else None
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def _check_owner(address: str, rows: list[Any]) -> None:
    """Somebody else's NFT means somebody else's list. An alias can only be compared row with row."""
    stated = [row.get("account_id") for row in rows if type(row) is dict]
    owners = {owner for owner in stated if _read_entity(owner) is not None}
    if _read_entity(address) is not None:
        owners.add(address)
    if len(owners) > 1:
        raise BadPage(f"{_WHAT}: a row belongs to another account")


def _read_position(row: Any) -> _Position | None:
    if type(row) is not dict:
        return None
    token, serial = _read_entity(row.get("token_id")), row.get("serial_number")
    if token is None or type(serial) is not int or not 0 < serial <= _LARGEST_SERIAL:
        return None
    return (*token, serial)


def _check_order(cursor: Cursor | None, positions: list[_Position | None]) -> _Position | None:
    """The last position listed. Positions that do not rise mean that the server ignored our cursor."""
    last = start = None if cursor is None else _cursor_position(cursor)
    for number, position in enumerate(positions):
        if position is None:
            continue
        # The row our cursor stands on may be repeated at the edge; nothing else may come twice.
        repeated_edge = number == 0 and position == start
        if last is not None and position <= last and not repeated_edge:
            raise BadPage(f"{_WHAT}: ids go backwards")
        last = position
    return last


@lru_cache(maxsize=1024)
def _cursor_position(cursor: str) -> _Position | None:
    """The row a cursor stands on, where it says so plainly; None where it cannot be told."""
    tokens, serials = _lower_bounds(cursor, "token.id"), _lower_bounds(cursor, "serialnumber")
    if len(tokens) != 1 or len(serials) > 1:
        return None
    operator, text = tokens[0]
    token = _read_entity(text)
    if token is None:
        return None
    if serials and serials[0][1].isdigit() and serials[0][1].isascii() and len(serials[0][1]) <= 19:
        return (*token, int(serials[0][1]))
    return (*token, 0 if operator == "gte" else _LARGEST_SERIAL)


@lru_cache(maxsize=1024)
def _pairs(query: str) -> tuple[tuple[str, str], ...]:
    """The names and values of a query: each is looked at from several sides."""
    return tuple(parse_qsl(query, keep_blank_values=True))


def _lower_bounds(query: str, name: str) -> list[tuple[str, str]]:
    pairs = [value.partition(":") for key, value in _pairs(query) if key == name]
    return [(operator, text) for operator, _, text in pairs if operator in ("gt", "gte")]


def _read_next(
    links: Mapping[str, Any], cursor: Cursor | None, last: _Position | None, positions: list[_Position | None]
) -> Cursor | None:
    if "next" not in links:
        raise BadPage(f"{_WHAT}: `links.next` is missing")
    link = None if links["next"] is None else need(links, "next", str, _WHAT)
    ends_unreadable = bool(positions) and positions[-1] is None
    return _find_next(link, cursor, last, len(positions), ends_unreadable=ends_unreadable)


def _find_next(
    link: str | None,
    cursor: Cursor | None,
    last: _Position | None,
    rows: int,
    *,
    ends_unreadable: bool = False,
) -> Cursor | None:
    """The query of links.next, nothing of its host and path, and nothing dropped from it."""
    if link is None:
        # A full page has a link, even where nothing follows: without it the list may be cut off here.
        return _probe(last) if rows >= FULL_PAGE and last is not None else None
    query = link.partition("?")[2]
    if _SAFE_QUERY.fullmatch(query) is None or not re.search(r"(?:^|&)token\.id=", query):
        raise BadPage(f"{_WHAT}: `links.next` is no query we can ask")
    if _asks_for_another_list(query):
        raise BadPage(f"{_WHAT}: `links.next` asks for another list")
    position = _cursor_position(query)
    if query == cursor or (position is not None and last is not None and position < last):
        raise BadPage(f"{_WHAT}: `links.next` goes backwards")
    start = None if cursor is None else _cursor_position(cursor)
    if position is not None and position == start:
        raise BadPage(f"{_WHAT}: `links.next` leads back to where this page began")
    if rows and position not in (None, last) and not ends_unreadable:
        raise BadPage(f"{_WHAT}: `links.next` skips rows: it is not at the last one of this page")
    return Cursor(query)


def _probe(last: _Position) -> Cursor:
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


def _read_row(address: str, row: Any) -> Holding | Unreadable:
    position = _read_position(row)
    if position is None:
        return Unreadable("the token or the serial number cannot be read", address)
    try:
        return _read_holding(address, row)
    except ValueError as error:
        return Unreadable(str(error), address, row["token_id"], str(position[3]))


def _read_holding(address: str, row: Mapping[str, Any]) -> Holding:
    if _read_entity(row.get("account_id")) is None:
        raise ValueError("the owner is missing or no account id")
    if type(row.get("deleted")) is not bool:
        raise ValueError("deleted is not true or false")
    return Holding(
        address,
        row["token_id"],
        str(row["serial_number"]),
        amount=1,
        decimals=0,
        delegate=_read_text(row, "spender"),
        details=_read_details(row),
    )


def _read_details(row: Mapping[str, Any]) -> str:
    """What is true of this serial. NFTs of a deleted token stay listed, and stay held."""
    names = ("created_timestamp", "delegating_spender", "metadata", "modified_timestamp")
    details: dict[str, object] = {name: text for name in names if (text := _read_text(row, name))}
    if row["deleted"]:
        details["deleted"] = True
    return canonical_json(details) if details else "{}"


def _read_text(row: Mapping[str, Any], key: str) -> str | None:
    value = row.get(key)
    if value is not None and type(value) is not str:
        raise ValueError(f"{key} is not a text")
    return clean_text(value) or None if value else None
