"""One asset in an answer of Solana DAS: who holds how much of it, what it is, and what it costs.

Beside `solana_das.py` only because of its size: an asset has many shapes, one for every program and server
revision. Absent and null mean the same here, and any value may be of any type. Pure.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import base58

from indexer.errors import BadPage
from indexer.records import Asset, Holding, Price, Unreadable
from indexer.sources.base import Inexact, canonical_json, clean_text, whole_number

_LARGEST_UINT64: Final = 2**64 - 1
_ADDRESS: Final = re.compile(r"[1-9A-HJ-NP-Za-km-z]{32,44}")
_LONGEST_KEY: Final = 44
#: Between these are the numbers of exactly 32 bytes, the first of which is not zero.
_LOWEST_RANK: Final = base58.b58encode_int(2**248).decode("ascii").rjust(_LONGEST_KEY, "1")
_HIGHEST_RANK: Final = base58.b58encode_int(2**256 - 1).decode("ascii")
_CURRENCY: Final = re.compile(r"[A-Za-z0-9$._-]{1,20}")

#: Parts of an item that belong to its owner, or change without the asset changing.
_NOISE: Final[Mapping[str, tuple[str, ...]]] = {
    "token_info": ("balance", "associated_token_address", "price_info"),
    "compression": ("seq",),
}
_UNORDERED: Final = ("authorities", "creators", "grouping")


def is_key(text: str) -> bool:
    """Whether this is an address or asset id: base58 of exactly 32 bytes."""
    if _ADDRESS.fullmatch(text) is None:
        return False
    # In front, every "1" is a byte of its own: too rare to be quick about.
    return (
        len(base58.b58decode(text)) == 32 if text[0] == "1" else _LOWEST_RANK <= rank(text) <= _HIGHEST_RANK
    )


def rank(key: str) -> str:
    """Text that sorts as the bytes of this key do, which is the order of the list.

    Base58 digits stand in the order of ASCII, and zero is "1": padded to one length, numbers sort as texts.
    """
    return key.rjust(_LONGEST_KEY, "1")


def read_id(row: Any) -> str | None:
    """The id of a listed row, where it can be read."""
    asset_id = row.get("id") if type(row) is dict else None
    return asset_id if type(asset_id) is str and is_key(asset_id) else None


def read_failed(owner: str, row: Any) -> Unreadable:
    """A row of `errors`: the asset is listed, but the server could not describe it."""
    asset_id = read_id(row)
    return Unreadable("the server could not describe this asset", owner, asset_id)


def read_item(owner: str, asset_id: str | None, item: Any) -> Holding | Unreadable | None:
    """None for a burnt asset: it keeps its owner, yet nobody holds it. ``asset_id`` is from `read_id`."""
    if asset_id is None:
        return Unreadable("the asset id cannot be read", owner)
    ownership = item.get("ownership")
    stated = ownership.get("owner") if type(ownership) is dict else None
    if type(stated) is str and stated not in ("", owner):
        raise BadPage("solana_das page: an asset belongs to another owner")
    if item.get("burnt") is True:
        return None
    try:
        return _read_holding(owner, asset_id, item)
    except ValueError as error:
        return Unreadable(str(error), owner, asset_id)


def _read_holding(owner: str, asset_id: str, item: Mapping[str, Any]) -> Holding:
    ownership, token = _part(item, "ownership"), _part(item, "token_info")
    if not ownership:
        raise ValueError("ownership is missing")
    _expect(ownership, "owner", str)
    _expect(item, "burnt", bool)
    details: dict[str, object] = {}
    account = _expect(token, "associated_token_address", str)
    # Not of what exists once: not every partner of a provider tells it, and it would come and go.
    if account and ownership.get("ownership_model") == "token":
        details["associated_token_address"] = account
    if _expect(ownership, "non_transferable", bool):
        details["non_transferable"] = True
    return Holding(
        owner,
        asset_id,
        amount=_read_amount(ownership, token),
        decimals=_read_decimals(ownership, token),
        frozen=_expect(ownership, "frozen", bool),
        delegate=clean_text(_expect(ownership, "delegate", str) or "") or None,
        details=canonical_json(details) if details else "{}",
    )


def _part(item: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """An object inside an item; servers write null, {} or nothing for the same absence."""
    return _expect(item, key, dict) or {}


def _expect(item: Mapping[str, Any], key: str, kind: type) -> Any:
    """``item[key]`` of this type, or None where it is absent."""
    value = item.get(key)
    if value is not None and type(value) is not kind:
        raise ValueError(f"{key} is not a {kind.__name__}")
    return value


def _read_amount(ownership: Mapping[str, Any], token: Mapping[str, Any]) -> int | None:
    model = ownership.get("ownership_model")
    if model == "single":
        return 1
    if model != "token":
        raise ValueError("the ownership model is neither single nor token")
    balance = token.get("balance")
    if balance is None:
        return None  # held, but this server does not say how much
    if type(balance) is str:
        raise ValueError("balance is a text, not a number")
    amount = whole_number(balance)
    if amount > _LARGEST_UINT64:
        raise ValueError("balance is above 2^64-1")
    return amount


def tells_balance(item: Mapping[str, Any]) -> bool | None:
    """Whether the server tells balances, as far as this readable item shows; None: not at all.

    The reference server lists no fungibles and tells not even that one is held of an NFT in a token account;
    other revisions of it do both. https://github.com/metaplex-foundation/digital-asset-rpc-infrastructure
    """
    if _part(item, "token_info").get("balance") is not None:
        return True
    compression, interface = item.get("compression"), item.get("interface")
    is_compressed = type(compression) is dict and compression.get("compressed") is True
    is_core = type(interface) is str and interface.startswith("Mpl")
    # A fungible one is no sign: it would not be listed.
    has_account = item["ownership"]["ownership_model"] == "single" and not is_compressed and not is_core
    return False if has_account else None


def _read_decimals(ownership: Mapping[str, Any], token: Mapping[str, Any]) -> int | None:
    decimals: int | None = _expect(token, "decimals", int)
    if decimals is None:
        return 0 if ownership.get("ownership_model") == "single" else None
    if not 0 <= decimals <= 255:
        raise ValueError("decimals is outside 0 to 255")
    return decimals


def read_asset(item: Mapping[str, Any]) -> Asset:
    """The asset of a readable item, the same for every owner."""
    ownership, token = item["ownership"], _part(item, "token_info")
    content = item.get("content")
    named = content.get("metadata") if type(content) is dict else None
    named = named if type(named) is dict else {}
    return Asset(
        item["id"],
        "nft" if ownership["ownership_model"] == "single" else "fungible",
        symbol=_read_text(named.get("symbol")) or _read_text(token.get("symbol")),
        name=_read_text(named.get("name")),
        decimals=_read_decimals(ownership, token),
        metadata=canonical_json(_describe(item)),
    )


def _read_text(value: Any) -> str | None:
    return (clean_text(value) or None) if type(value) is str else None


def _describe(item: Mapping[str, Any]) -> dict[str, Any]:
    """The item without its owner's part, and without what differs between identical calls."""
    described = dict(item)
    described.pop("ownership", None)
    for key, noise in _NOISE.items():
        if type(described.get(key)) is dict:
            part = described[key] = dict(described[key])
            for name in noise:
                part.pop(name, None)
    for key in _UNORDERED:
        if key in described:
            described[key] = _sorted(described[key])
    content = described.get("content")
    if type(content) is dict and "files" in content:
        described["content"] = {**content, "files": _sorted(content["files"])}
    return described


def _sorted(value: Any) -> Any:
    """Lists that come out of a hash map upstream: their order says nothing."""
    return sorted(value, key=canonical_json) if type(value) is list and len(value) > 1 else value


def read_price(owner: str, item: Mapping[str, Any]) -> tuple[Price, ...]:
    """The market price some servers add, exactly as written; nothing where it cannot be one."""
    price = _part(item, "token_info").get("price_info")
    if type(price) is not dict:
        return ()
    currency, stated = price.get("currency"), price.get("price_per_token")
    if type(currency) is not str or _CURRENCY.fullmatch(currency) is None:
        return ()
    if type(stated) is not int and not isinstance(stated, Inexact):
        return ()
    value = _read_decimal(str(stated))
    return () if value is None else (Price(owner, item["id"], "market", currency.lower(), value),)


def _read_decimal(text: str) -> Decimal | None:
    """A price that can be one. 40 characters may be a longer number that was cut."""
    try:
        value = Decimal(text) if len(text) < 40 else None
    except InvalidOperation:
        return None
    sane = value is not None and value.is_finite() and value > 0 and -30 <= value.adjusted() <= 30
    return value if sane else None
