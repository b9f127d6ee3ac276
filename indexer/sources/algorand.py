"""Algorand: every asset an account holds, from an algod node (v4.6 or newer).

`GET /v2/accounts/{address}/assets?limit=1000&next=…`, ascending by asset id. The list ends when
`next-token` is absent: a page may be short, even empty, and still have one. Pure; see `sources/base.py`.
https://developer.algorand.org/docs/rest-apis/algod/
"""

# ruff: noqa: ARG002 - the protocol names arguments that some sources need and others do not.

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

from Crypto.Hash import SHA512

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
from indexer.sources.base import canonical_json, clean_text, need, newest, read_object, whole_number

_WHAT: Final = "algorand page"
#: The node answers 400 above this, and it is also its default.
_LIMIT: Final = 1000
_LARGEST_UINT64: Final = 2**64 - 1
#: Rounds are stored as a signed 64-bit number.
_LARGEST_ROUND: Final = 2**63 - 1
_MOST_DECIMALS: Final = 19
_ADDRESS: Final = re.compile(r"[A-Z2-7]{58}")
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,19}")
#: Unknown accounts get an empty list, so a 404 is never about the account.
_NO_ROUTE: Final = "this node does not serve account assets (older than v4.6, or not enabled)"
_URL: Final = re.compile(r"\w+://\S+")


#: The round moves with every block. A name that contains this text has its quotes escaped in JSON.
_ROUND: Final = re.compile(rb'"round":\s*(\d{1,20})')


@dataclass(frozen=True, slots=True)
class Algorand:
    """Assets of one account at a node; the account's Algos are not in this list."""

    prefix: str = ""

    name: ClassVar[str] = "algorand"
    network: ClassVar[str] = "algorand"
    kind: ClassVar[str] = "fungible"
    batch: ClassVar[int] = 1
    scoped: ClassVar[bool] = False
    required_secrets: ClassVar[tuple[str, ...]] = ()
    optional_secrets: ClassVar[tuple[str, ...]] = ("api_token",)
    absences_needed: ClassVar[int] = 1
    volatile: ClassVar[re.Pattern[bytes] | None] = _ROUND

    def canonical_address(self, text: str) -> str:
        """The address itself, once its checksum holds: there is only one spelling."""
        if _ADDRESS.fullmatch(text) is None:
            raise ValueError("an Algorand address is 58 characters of A-Z and 2-7, upper case")
        raw = base64.b32decode(text + "======")
        key, checksum = raw[:32], raw[32:]
        if SHA512.new(key, truncate="256").digest()[-4:] != checksum:
            raise ValueError("the checksum of this Algorand address does not match: is a character mistyped?")
        if base64.b32encode(raw).decode("ascii").rstrip("=") != text:
            raise ValueError("the last character of this Algorand address is not the canonical one")
        return text

    def canonical_scope(self, text: str) -> str:
        """Always empty: one request lists every asset."""
        if text:
            raise ValueError("algorand takes no scope")
        return ""

    def fact_names(self, question: Question) -> tuple[str, ...]:
        """None: no look-up is ever needed."""
        return ()

    def request(self, question: Question) -> Request:
        """The next page: an empty `next=` would be an error, so it is left out on the first one."""
        (address,) = question.addresses
        path, resumed = f"/assets?limit={_LIMIT}", ""
        if question.cursor is not None:
            path, resumed = f"{path}&next={question.cursor}", "&next={cursor}"
        return Request(
            method="GET",
            target=f"{self.prefix}/v2/accounts/{address}{path}",
            template=f"/v2/accounts/{{address}}/assets?limit={_LIMIT}{resumed}",
        )

    def headers(self, request: Request, secrets: Secrets, now: datetime) -> dict[str, str]:
        """The node's token, when there is one: public nodes want none."""
        token = secrets.get("api_token")
        return {"X-Algo-API-Token": token} if token else {}

    def secret_path(self, secrets: Secrets) -> str:
        """Empty: no secret is in the path."""
        return ""

    def read_error(self, question: Question, status: int, body: bytes) -> ApiError | None:
        """The reaction to anything but a 2xx."""
        if 200 <= status < 300:
            return None
        said = _said(body)
        if status == 404 and question.cursor is None:
            return RequestRejected(f"404{said}: {_NO_ROUTE}")
        if status in (401, 402, 403):
            return Refused(f"{status}{said}: the node refuses us (token or quota)")
        if status == 429:
            return RateLimited(f"429{said}: too many requests")
        if status >= 500 or status == 408:
            return ServerTrouble(f"{status}{said}")
        resumed = status >= 400 and question.cursor is not None
        return CursorRejected(f"{status}{said}") if resumed else RequestRejected(f"{status}{said}")

    def parse(self, question: Question, body: bytes) -> Page:
        """One page of holdings; an unreadable row never hides the others."""
        answer = read_object(body, _WHAT)
        rows = need(answer, "asset-holdings", list, _WHAT)
        height = need(answer, "round", int, _WHAT)
        if not 0 <= height <= _LARGEST_ROUND:
            raise BadPage(f"{_WHAT}: round {height} is no round")
        last = _check_order(question, [_read_id(row) for row in rows])
        (address,) = question.addresses
        items = [_read_row(address, row) for row in rows]
        return Page(
            holdings=tuple(item for item in items if isinstance(item, Holding)),
            unreadable=tuple(item for item in items if isinstance(item, Unreadable)),
            assets=newest([asset for row in rows for asset in _read_asset(row)]),
            next_cursor=_read_next(answer.get("next-token"), last),
            height=height,
        )


def _check_order(question: Question, ids: list[int | None]) -> int:
    """The last position listed. Ids that do not rise mean that the node ignored our cursor."""
    last = int(question.cursor or 0)
    for asset_id in ids:
        if asset_id is None:
            continue
        if asset_id <= last:
            raise BadPage(f"{_WHAT}: ids go backwards ({asset_id} after {last})")
        last = asset_id
    return last


def _read_next(token: Any, last: int) -> Cursor | None:
    """The cursor in `next-token`. Rows can be dropped from a page, so it may be past the last one listed."""
    if token is None:
        return None
    if type(token) is not str or _DECIMAL.fullmatch(token) is None or int(token) > _LARGEST_UINT64:
        raise BadPage(f"{_WHAT}: `next-token` is not an asset id")
    if int(token) < last:
        raise BadPage(f"{_WHAT}: `next-token` {token} is before the last id {last}")
    return Cursor(token)


def _read_id(row: Any) -> int | None:
    holding = row.get("asset-holding") if isinstance(row, Mapping) else None
    asset_id = holding.get("asset-id") if isinstance(holding, Mapping) else None
    return asset_id if type(asset_id) is int and 0 < asset_id <= _LARGEST_UINT64 else None


def _read_row(address: str, row: Any) -> Holding | Unreadable:
    asset_id = _read_id(row)
    if asset_id is None:
        return Unreadable("the asset id cannot be read", address)
    try:
        return _read_holding(address, str(asset_id), row)
    except ValueError as error:
        return Unreadable(str(error), address, str(asset_id))


def _read_holding(address: str, asset_ref: str, row: Mapping[str, Any]) -> Holding:
    holding = row["asset-holding"]
    if type(holding.get("amount")) is str:
        raise ValueError("amount is a text, not a number")
    amount = whole_number(holding.get("amount"))
    if amount > _LARGEST_UINT64:
        raise ValueError("amount is above 2^64-1")
    frozen = holding.get("is-frozen")
    if type(frozen) is not bool:
        raise ValueError("is-frozen is not true or false")
    return Holding(address, asset_ref, amount=amount, decimals=_read_decimals(row), frozen=frozen)


def _read_decimals(row: Mapping[str, Any]) -> int | None:
    """None without `asset-params`: a destroyed asset, or an opt-in a v4.6 node has only in memory."""
    params = row.get("asset-params")
    if params is None:
        return None
    decimals = params.get("decimals") if isinstance(params, Mapping) else None
    if type(decimals) is not int or not 0 <= decimals <= _MOST_DECIMALS:
        raise ValueError(f"decimals is not a whole number from 0 to {_MOST_DECIMALS}")
    return decimals


def _read_asset(row: Any) -> tuple[Asset, ...]:
    """The asset, only where it is described: its absence must not erase what is known."""
    asset_id = _read_id(row)
    params = row.get("asset-params") if asset_id is not None else None
    if not isinstance(params, Mapping):
        return ()
    try:
        decimals = _read_decimals(row)
    except ValueError:
        return ()
    return (
        Asset(
            str(asset_id),
            "fungible",
            symbol=_read_text(params, "unit-name"),
            name=_read_text(params, "name"),
            decimals=decimals,
            metadata=canonical_json(params),
        ),
    )


def _read_text(params: Mapping[str, Any], key: str) -> str | None:
    """A name from its exact bytes: the plain twin is missing whenever a rune does not print."""
    exact, plain = params.get(f"{key}-b64"), params.get(key)
    if type(exact) is str:
        try:
            return clean_text(base64.b64decode(exact, validate=True).decode("utf-8", "replace")) or None
        except (binascii.Error, ValueError):
            pass  # not base64: the plain twin is all there is
    return (clean_text(plain) or None) if type(plain) is str else None


def _said(body: bytes) -> str:
    """The node's own message, cleaned and short, with a space in front; empty when there is none."""
    try:
        message = read_object(body, _WHAT).get("message")
    except BadPage:
        return ""
    if type(message) is not str:
        return ""
    printable = "".join(c if c.isprintable() else " " for c in clean_text(message[:1000]))
    text = " ".join(_URL.sub("[url]", printable).split())[:120]
    return f" {text!r}" if text else ""
