"""Hedera: every NFT an account holds, from a mirror node.

`GET /api/v1/accounts/{id}/nfts?limit=100&order=asc`, then the query of `links.next` exactly as given, until
that is null. Ascending, so that newly minted serials come last and shift nothing. Pure; see `base.py`.
https://docs.hedera.com/hedera/sdks-and-apis/rest-api
"""

# ruff: noqa: ARG002 - the protocol names arguments that some sources need and others do not.

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl

from indexer.errors import (
    ApiError,
    BadPage,
    CursorRejected,
    RateLimited,
    Refused,
    RequestRejected,
    ServerTrouble,
)
from indexer.records import Asset, Cursor, Holding, Page, Question, Request, Secrets, Unreadable
from indexer.sources.base import canonical_json, clean_text, need, newest, read_object

_WHAT: Final = "hedera page"
#: More is silently clamped to this.
_FIRST_QUERY: Final = "limit=100&order=asc"
_LARGEST_SERIAL: Final = 2**63 - 1
#: Account numbers have 38 bits beside 10 bits of shard and 16 bits of realm.
_LARGEST_NUMBER: Final = 2**38 - 1
_LARGEST_SHARD: Final = 2**10 - 1
_LARGEST_REALM: Final = 2**16 - 1

_ENTITY: Final = re.compile(r"(0|[1-9][0-9]{0,11})\.(0|[1-9][0-9]{0,11})\.(0|[1-9][0-9]{0,11})")
_NUMERIC: Final = re.compile(r"(?:(?:([0-9]{1,20})\.)?([0-9]{1,20})\.)?([0-9]{1,20})")
_CHECKSUMMED: Final = re.compile(r"[0-9.]+-[a-z]{5}")
_EVM: Final = re.compile(r"(?:0\.)?(?:0\.)?(?:0x)?([0-9A-Fa-f]{40})")
_ALIAS: Final = re.compile(
    r"(?:[0-9]{1,10}\.){0,2}(?=[A-Z2-7]{32})(?:[A-Z2-7]{8})*(?:[A-Z2-7]{2}|[A-Z2-7]{4,5}|[A-Z2-7]{7,8})"
)
#: What a query of links.next is made of. Anything else would not be a query any more, or not one line.
_SAFE_QUERY: Final = re.compile(r"[A-Za-z0-9._:=&%,~-]{1,1000}")
_URL: Final = re.compile(r"\w+://\S+")

#: Where a row stands in the list: shard, realm and number of its token, then its serial number.
_Position = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Hedera:
    """NFTs of one account at a mirror node."""

    prefix: str = ""

    name: ClassVar[str] = "hedera"
    network: ClassVar[str] = "hedera"
    kind: ClassVar[str] = "nft"
    batch: ClassVar[int] = 1
    scoped: ClassVar[bool] = False
    required_secrets: ClassVar[tuple[str, ...]] = ()
    optional_secrets: ClassVar[tuple[str, ...]] = ()
    absences_needed: ClassVar[int] = 1
    volatile: ClassVar[re.Pattern[bytes] | None] = None

    def canonical_address(self, text: str) -> str:
        """`shard.realm.num` where the number is known, else lower-case `0x…`, else the alias as given."""
        evm = _EVM.fullmatch(text)
        if evm is not None:
            return _canonical_evm(evm[1].lower())
        numeric = _NUMERIC.fullmatch(text)
        if numeric is not None:
            return _canonical_entity(*(int(part or "0") for part in numeric.groups()))
        if _CHECKSUMMED.fullmatch(text) is not None:
            raise ValueError("write the account without its checksum suffix, as 0.0.1234")
        if _ALIAS.fullmatch(text) is not None:
            return text
        raise ValueError(
            "a Hedera account is shard.realm.num (0.0.1234), 40 hexadecimal digits, or an upper-case alias"
        )

    def canonical_scope(self, text: str) -> str:
        """Always empty: one request lists every NFT."""
        if text:
            raise ValueError("hedera takes no scope")
        return ""

    def fact_names(self, question: Question) -> tuple[str, ...]:
        """None: no look-up is ever needed."""
        return ()

    def request(self, question: Question) -> Request:
        """The next page: our own query first, then the server's, byte for byte."""
        (address,) = question.addresses
        query = _FIRST_QUERY if question.cursor is None else question.cursor
        stored = _FIRST_QUERY if question.cursor is None else "{cursor}"
        return Request(
            method="GET",
            target=f"{self.prefix}/api/v1/accounts/{address}/nfts?{query}",
            template=f"/api/v1/accounts/{{address}}/nfts?{stored}",
        )

    def headers(self, request: Request, secrets: Secrets, now: datetime) -> dict[str, str]:
        """None."""
        return {}

    def secret_path(self, secrets: Secrets) -> str:
        """Empty: no secret is in the path."""
        return ""

    def read_error(self, question: Question, status: int, body: bytes) -> ApiError | None:
        """The reaction to anything but a 2xx."""
        if 200 <= status < 300:
            return None
        said = _said(body)
        if status == 404 and question.cursor is None:
            return RequestRejected(f"404{said}: the mirror node knows no such account")
        if status in (401, 402, 403):
            return Refused(f"{status}{said}: the mirror node refuses us")
        if status == 429:
            return RateLimited(f"429{said}: too many requests")
        if status >= 500 or status == 408:
            return ServerTrouble(f"{status}{said}")
        resumed = status >= 400 and question.cursor is not None
        return CursorRejected(f"{status}{said}") if resumed else RequestRejected(f"{status}{said}")

    def parse(self, question: Question, body: bytes) -> Page:
        """One page of NFTs; an unreadable row never hides the others."""
        answer = read_object(body, _WHAT)
        rows = need(answer, "nfts", list, _WHAT)
        links = need(answer, "links", dict, _WHAT)
        (address,) = question.addresses
        _check_owner(address, rows)
        last = _check_order(question.cursor, [_read_position(row) for row in rows])
        items = [_read_row(address, row) for row in rows]
        holdings = tuple(item for item in items if isinstance(item, Holding))
        return Page(
            holdings=holdings,
            unreadable=tuple(item for item in items if isinstance(item, Unreadable)),
            assets=newest([Asset(holding.asset_ref, "nft", decimals=0) for holding in holdings]),
            next_cursor=_read_next(links, question.cursor, last),
        )


def _canonical_entity(shard: int, realm: int, number: int) -> str:
    if shard > _LARGEST_SHARD or realm > _LARGEST_REALM or not 0 < number <= _LARGEST_NUMBER:
        raise ValueError("this Hedera account number is outside what an account can have (1 to 2^38-1)")
    return f"{shard}.{realm}.{number}"


def _canonical_evm(digits: str) -> str:
    """Twelve zero bytes in front: the rest is the account number itself."""
    if digits.startswith("0" * 24):
        return _canonical_entity(0, 0, int(digits, 16))
    return f"0x{digits}"


def _read_entity(value: Any) -> tuple[int, int, int] | None:
    match = _ENTITY.fullmatch(value) if type(value) is str else None
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def _check_owner(address: str, rows: list[Any]) -> None:
    """Somebody else's NFT means somebody else's list. Aliases and EVM addresses cannot be compared."""
    if _read_entity(address) is None:
        return
    for row in rows:
        owner = row.get("account_id") if isinstance(row, Mapping) else None
        if _read_entity(owner) is not None and owner != address:
            raise BadPage(f"{_WHAT}: a row belongs to another account")


def _read_position(row: Any) -> _Position | None:
    if not isinstance(row, Mapping):
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


def _lower_bounds(query: str, name: str) -> list[tuple[str, str]]:
    pairs = [value.partition(":") for key, value in parse_qsl(query) if key == name]
    return [(operator, text) for operator, _, text in pairs if operator in ("gt", "gte")]


def _read_next(links: Mapping[str, Any], cursor: Cursor | None, last: _Position | None) -> Cursor | None:
    """The query of links.next, nothing of its host and path, and nothing dropped from it."""
    if "next" not in links:
        raise BadPage(f"{_WHAT}: `links.next` is missing")
    if links["next"] is None:
        return None
    query = need(links, "next", str, _WHAT).partition("?")[2]
    if _SAFE_QUERY.fullmatch(query) is None or not re.search(r"(?:^|&)token\.id=", query):
        raise BadPage(f"{_WHAT}: `links.next` is no query we can ask")
    position = _cursor_position(query)
    if query == cursor or (position is not None and last is not None and position < last):
        raise BadPage(f"{_WHAT}: `links.next` goes backwards")
    return Cursor(query)


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


def _said(body: bytes) -> str:
    """The server's own messages, cleaned and short, with a space in front; empty when there are none."""
    try:
        status = read_object(body, _WHAT).get("_status")
    except BadPage:
        return ""
    messages = status.get("messages") if isinstance(status, Mapping) else None
    rows = [row for row in messages[:3] if isinstance(row, Mapping)] if isinstance(messages, list) else []
    texts = [clean_text(row["message"][:1000]) for row in rows if type(row.get("message")) is str]
    printable = "".join(c if c.isprintable() else " " for c in "; ".join(texts))
    text = " ".join(_URL.sub("[url]", printable).split())[:120]
    return f" {text!r}" if text else ""
