"""One page of a mirror node's NFT list, read: the long way for anything, the short way for the usual.

Beside `hedera.py` only because of its size. The short way takes a page whole or not at all, and says what
the long way would say: that one is the truth. Pure.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, Final

import msgspec

from indexer.errors import BadPage
from indexer.records import Asset, Cursor, Facts, Holding, Page, Question, SplitPage, Unreadable
from indexer.sources.base import canonical_json, clean_text, need, read_object, read_usual
from indexer.sources.hedera_cursor import (
    FULL_PAGE,
    LARGEST_SERIAL,
    Position,
    find_next,
    find_position,
    probe,
    read_entity,
)

_WHAT: Final = "hedera page"


def read_page(question: Question, body: bytes) -> Page:
    """The page in these bytes. Raises BadPage when they cannot be believed as a whole."""
    page = read_usual_page(question, body)
    return read_any_page(question, body) if page is None else page


# The short way


class _UsualRow(msgspec.Struct, gc=False):
    account_id: str
    deleted: bool
    serial_number: Annotated[int, msgspec.Meta(gt=0, le=LARGEST_SERIAL)]
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
    if answer is None or not _is_of(find_owner(question), answer.nfts):
        return None
    start = None if question.cursor is None else find_position(question.cursor)
    entity, last = ((-1, -1, -1), -1) if start is None else (start[:3], start[3])
    holdings, assets, token = [], [], None
    for row in answer.nfts:
        serial = row.serial_number
        if row.token_id != token:
            token, found = row.token_id, read_entity(row.token_id)
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
    following = find_next(answer.links.next, question.cursor, position, len(holdings))
    learned = _learn_owner(question, [row.account_id for row in answer.nfts[:1]])
    return Page(
        tuple(holdings),
        assets=tuple(assets),
        next_cursor=following,
        facts=learned,
        lasting=frozenset(learned),
    )


class _CutAnswer(msgspec.Struct, gc=False):
    nfts: list[msgspec.Raw]
    links: _Links


class _EdgeRow(msgspec.Struct, gc=False):
    serial_number: int
    token_id: str


_CUT: Final = msgspec.json.Decoder(_CutAnswer)
_EDGE: Final = msgspec.json.Decoder(_EdgeRow)


def split_page(body: bytes) -> SplitPage | None:
    """The rows of a page, each as it stands in the bytes: views of them, which equal views only."""
    answer = read_usual(_CUT, body)
    if answer is None:
        return None
    rows, link = answer.nfts, answer.links.next
    if link is None and len(rows) >= FULL_PAGE:
        # Some of its rows would look like a page that ends the list: let them go on where it does.
        last = read_usual(_EDGE, bytes(rows[-1]))
        entity = None if last is None else read_entity(last.token_id)
        if last is None or entity is None:
            return None
        link = f"?{probe((*entity, last.serial_number))}"
    after = b'],"links":{"next":%b}}' % msgspec.json.encode(link)
    return SplitPage(rows, b'{"nfts":[', after)


def name_owner(address: str) -> str | None:
    """The fact that says whose account an address means; None for one that says so itself."""
    return None if read_entity(address) is not None else f"owner:{address}"


def find_owner(question: Question) -> str | None:
    """The account whose rows these must be; None as long as nobody knows whom an alias means."""
    (address,) = question.addresses
    name = name_owner(address)
    return address if name is None else question.facts.get(name)


def _learn_owner(question: Question, stated: Sequence[str]) -> Facts:
    """Whom the alias means, as the first row says: its rows can be compared with nothing else."""
    name = name_owner(question.addresses[0])
    return {} if name is None or not stated else {name: stated[0]}


def _is_of(owner: str | None, rows: list[_UsualRow]) -> bool:
    """Whether one readable account owns all rows: this one, where it is known."""
    owners = {row.account_id for row in rows}
    if len(owners) != 1:
        return not owners
    (stated,) = owners
    return read_entity(stated) is not None and owner in (None, stated)


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
    learned = _check_owner(question, rows)
    positions = [_read_position(row) for row in rows]
    last = _check_order(question.cursor, positions)
    items = [_read_row(address, row) for row in rows]
    holdings = tuple(item for item in items if isinstance(item, Holding))
    return Page(
        holdings=holdings,
        unreadable=tuple(item for item in items if isinstance(item, Unreadable)),
        assets=tuple(_nft(token) for token in dict.fromkeys(holding.asset_ref for holding in holdings)),
        next_cursor=_read_next(links, question.cursor, last, positions),
        facts=learned,
        lasting=frozenset(learned),
    )


def _check_owner(question: Question, rows: list[Any]) -> Facts:
    """Somebody else's NFT means somebody else's list; what it says of an alias is learned."""
    stated = [row.get("account_id") for row in rows if type(row) is dict]
    owners = [owner for owner in stated if type(owner) is str and read_entity(owner) is not None]
    if len({*owners, find_owner(question)} - {None}) > 1:
        raise BadPage(f"{_WHAT}: a row belongs to another account")
    return _learn_owner(question, owners)


def _read_position(row: Any) -> Position | None:
    if type(row) is not dict:
        return None
    token, serial = read_entity(row.get("token_id")), row.get("serial_number")
    if token is None or type(serial) is not int or not 0 < serial <= LARGEST_SERIAL:
        return None
    return (*token, serial)


def _check_order(cursor: Cursor | None, positions: list[Position | None]) -> Position | None:
    """The last position listed. Positions that do not rise mean that the server ignored our cursor."""
    last = start = None if cursor is None else find_position(cursor)
    for number, position in enumerate(positions):
        if position is None:
            continue
        # The row our cursor stands on may be repeated at the edge; nothing else may come twice.
        repeated_edge = number == 0 and position == start
        if last is not None and position <= last and not repeated_edge:
            raise BadPage(f"{_WHAT}: ids go backwards")
        last = position
    return last


def _read_next(
    links: Mapping[str, Any], cursor: Cursor | None, last: Position | None, positions: list[Position | None]
) -> Cursor | None:
    if "next" not in links:
        raise BadPage(f"{_WHAT}: `links.next` is missing")
    link = None if links["next"] is None else need(links, "next", str, _WHAT)
    ends_unreadable = bool(positions) and positions[-1] is None
    return find_next(link, cursor, last, len(positions), ends_unreadable=ends_unreadable)


def _read_row(address: str, row: Any) -> Holding | Unreadable:
    position = _read_position(row)
    if position is None:
        return Unreadable("the token or the serial number cannot be read", address)
    try:
        return _read_holding(address, row)
    except ValueError as error:
        return Unreadable(str(error), address, row["token_id"], str(position[3]))


def _read_holding(address: str, row: Mapping[str, Any]) -> Holding:
    if read_entity(row.get("account_id")) is None:
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
