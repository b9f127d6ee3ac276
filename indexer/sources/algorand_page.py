"""One page of Algorand's list, read: the long way for anything, the short way for the usual.

Beside `algorand.py` only because of its size. The short way takes a page whole or not at all, and says what
the long way would say: that one is the truth. Pure.
"""

import binascii
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from indexer.errors import BadPage
from indexer.records import Asset, Cursor, Holding, Page, Question, SplitPage, Unreadable
from indexer.sources.base import (
    canonical_json,
    clean_text,
    need,
    newest,
    read_object,
    read_usual,
    whole_number,
)

_WHAT: Final = "algorand page"
_LARGEST_UINT64: Final = 2**64 - 1
#: Rounds are stored as a signed 64-bit number.
_LARGEST_ROUND: Final = 2**63 - 1
_MOST_DECIMALS: Final = 19
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,19}")

#: A thousand accounts describe the same assets in the same bytes: as many are read only once. Some 40 MB.
_REMEMBERED_ASSETS: Final = 24_000
#: No description is longer: the protocol limits each of its parts.
_LONGEST_DESCRIPTION: Final = 2048


def read_page(question: Question, body: bytes) -> Page:
    """The page in these bytes. Raises BadPage when they cannot be believed as a whole."""
    page = read_usual_page(question, body)
    return read_any_page(question, body) if page is None else page


# The short way


class _UsualHolding(msgspec.Struct, gc=False, rename="kebab"):
    amount: int
    asset_id: int
    is_frozen: bool


class _UsualRow(msgspec.Struct, gc=False, rename="kebab"):
    asset_holding: _UsualHolding
    #: Not read before it is known to be new.
    asset_params: msgspec.Raw = msgspec.Raw()


class _UsualAnswer(msgspec.Struct, gc=False, rename="kebab"):
    asset_holdings: list[_UsualRow]
    round: int
    next_token: str | None = None


_USUAL: Final = msgspec.json.Decoder(_UsualAnswer)


def read_usual_page(question: Question, body: bytes) -> Page | None:
    """The page, if every row of it is well-formed; None says nothing about it."""
    answer = read_usual(_USUAL, body)
    if answer is None or not 0 <= answer.round <= _LARGEST_ROUND:
        return None
    (address,) = question.addresses
    last = int(question.cursor or 0)
    holdings, assets = [], []
    for row in answer.asset_holdings:
        stated = row.asset_holding
        amount, asset_id = stated.amount, stated.asset_id
        # Looking twice costs less than a call, and comparing the bytes less than hashing them.
        if asset_id not in _remembered or _remembered[asset_id][0] != row.asset_params:
            known = _describe(asset_id, bytes(row.asset_params))
        else:
            known = _remembered[asset_id]
        if known is None or not last < asset_id or not 0 <= amount <= _LARGEST_UINT64:
            return None
        last = asset_id
        _, asset_ref, asset, decimals = known
        if asset is not None:
            assets.append(asset)
        holdings.append(Holding(address, asset_ref, "", amount, decimals, None, stated.is_frozen))
    if last > _LARGEST_UINT64:
        return None
    following = _read_next(answer.next_token, last)
    return Page(tuple(holdings), assets=tuple(assets), next_cursor=following, height=answer.round)


class _CutAnswer(msgspec.Struct, gc=False, rename="kebab"):
    asset_holdings: list[msgspec.Raw]
    round: int
    next_token: str | None = None


_CUT: Final = msgspec.json.Decoder(_CutAnswer)


def split_page(body: bytes) -> SplitPage | None:
    """The rows of a page, each as it stands in the bytes: views of them, which equal views only."""
    answer = read_usual(_CUT, body)
    if answer is None:
        return None
    token = msgspec.json.encode(answer.next_token)
    after = b'],"next-token":%b,"round":%d}' % (token, answer.round)
    return SplitPage(answer.asset_holdings, b'{"asset-holdings":[', after)


#: The bytes that describe an asset, its reference, and what they say of it.
_Described = tuple[msgspec.Raw, str, Asset | None, int | None]

#: By asset: what described it last.
_remembered: dict[int, _Described] = {}


def _describe(asset_id: int, params: bytes) -> _Described | None:
    """What these bytes say of an asset, remembered for the next time; None when they are unusual."""
    if len(_remembered) >= _REMEMBERED_ASSETS:
        _remembered.clear()
    asset_ref = str(asset_id)
    try:
        asset = _read_params(asset_ref, params)
    except (BadPage, ValueError):
        return None
    decimals = None if asset is None else asset.decimals
    _remembered[asset_id] = described = (msgspec.Raw(params), asset_ref, asset, decimals)
    return described


def _read_params(asset_ref: str, params: bytes) -> Asset | None:
    """The asset in these bytes; None when they are absent. Raises BadPage or ValueError for others."""
    if params in (b"", b"null"):
        return None
    if len(params) > _LONGEST_DESCRIPTION:
        raise ValueError("too long to be remembered")
    return _read_asset(asset_ref, read_object(params, _WHAT))


# The long way


def read_any_page(question: Question, body: bytes) -> Page:
    """The page, row by row; an unreadable row never hides the others."""
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
        assets=newest([asset for row in rows for asset in _read_description(row)]),
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
    holding = row.get("asset-holding") if type(row) is dict else None
    asset_id = holding.get("asset-id") if type(holding) is dict else None
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
    # Without `asset-params`: a destroyed asset, or an opt-in a v4.6 node has only in memory.
    params = row.get("asset-params")
    decimals = None if params is None else _read_decimals(params)
    return Holding(address, asset_ref, amount=amount, decimals=decimals, frozen=frozen)


def _read_decimals(params: Any) -> int:
    decimals = params.get("decimals") if type(params) is dict else None
    if type(decimals) is not int or not 0 <= decimals <= _MOST_DECIMALS:
        raise ValueError(f"decimals is not a whole number from 0 to {_MOST_DECIMALS}")
    return decimals


def _read_description(row: Any) -> tuple[Asset, ...]:
    """The asset, only where it is described: its absence must not erase what is known."""
    asset_id = _read_id(row)
    params = row.get("asset-params") if asset_id is not None else None
    if type(params) is not dict:
        return ()
    try:
        return (_read_asset(str(asset_id), params),)
    except ValueError:
        return ()


def _read_asset(asset_ref: str, params: Mapping[str, Any]) -> Asset:
    return Asset(
        asset_ref,
        "fungible",
        symbol=_read_text(params, "unit-name"),
        name=_read_text(params, "name"),
        decimals=_read_decimals(params),
        metadata=canonical_json(params),
    )


def _read_text(params: Mapping[str, Any], key: str) -> str | None:
    """A name from its exact bytes: the plain twin is missing whenever a rune does not print."""
    exact, plain = params.get(f"{key}-b64"), params.get(key)
    if type(exact) is str:
        try:
            return clean_text(binascii.a2b_base64(exact, strict_mode=True).decode("utf-8", "replace")) or None
        except (binascii.Error, ValueError):
            pass  # not base64: the plain twin is all there is
    return (clean_text(plain) or None) if type(plain) is str else None
