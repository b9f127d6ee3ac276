"""OKX's marketplace gateway as it answers Runes get-owned-asserts (its spelling) and detail.

HMAC over the target as received; code is a number on success and a string in errors; amounts
are display units. A page with rows always carries a cursor, then one empty page with none.
"""

import base64
import binascii
import hashlib
import hmac
from bisect import bisect_right
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Any, Final

from indexer.simulator.positions import Description, Item
from indexer.simulator.state import Ordered
from indexer.simulator.wire import Answer, Inquiry, Question, dump, json_answer
from indexer.simulator.world import World

_OWNED: Final = "/api/v5/mktplace/nft/runes/get-owned-asserts"
_DETAIL: Final = "/api/v5/mktplace/nft/runes/detail"
#: OKX's asset ids do not fit in a double.
_FIRST_ASSET_ID: Final = 28_912_795_273_670_000
_SKEW_SECONDS: Final = 30


class Rejected(Exception):
    """The gateway refuses a request: an HTTP status and its own code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def ask(_world: World, inquiry: Inquiry) -> Question:
    """What this request asks for."""
    if inquiry.path != _OWNED:
        return Question(scope=inquiry.first("runesId"))
    addresses = tuple(inquiry.first("walletAddresses").split(","))
    return Question(addresses, inquiry.first("runesId"), inquiry.first("cursor"), is_page=True)


def answer(world: World, inquiry: Inquiry) -> Answer:
    """What the gateway answers: authentication first, routes after it."""
    try:
        _check_signature(inquiry)
        if inquiry.method == "GET" and inquiry.path == _OWNED:
            return _owned(world, inquiry)
        if inquiry.method == "GET" and inquiry.path == _DETAIL:
            return _detail(world, inquiry)
        raise Rejected(404, "404", "Not Found")
    except Rejected as error:
        return json_answer(error.status, {"msg": str(error), "code": error.code})


def _check_signature(inquiry: Inquiry) -> None:
    """In the gateway's order: key, passphrase, timestamp, sign."""
    headers, secrets = inquiry.headers, inquiry.secrets
    missing = {
        "ok-access-key": ("50116", "OK-ACCESS-KEY AND OK-ACCESS-TOKEN can not all empty"),
        "ok-access-passphrase": ("50104", "OK-ACCESS-PASSPHRASE cannot be empty"),
        "ok-access-timestamp": ("50107", "OK-ACCESS-TIMESTAMP cannot be empty"),
        "ok-access-sign": ("50106", "OK-ACCESS-SIGN cannot be empty"),
    }
    wrong = {
        "ok-access-key": ("50111", "Invalid OK-ACCESS-KEY"),
        "ok-access-passphrase": ("50105", "OK-ACCESS-PASSPHRASE incorrect"),
    }
    expected = {"ok-access-key": secrets["api_key"], "ok-access-passphrase": secrets["passphrase"]}
    for name, (code, message) in missing.items():
        given = headers.get(name, "")
        if not given:
            raise Rejected(401, code, f"Request header {message}")
        if name in expected and given != expected[name]:
            raise Rejected(401, *wrong[name])
        if name == "ok-access-timestamp":
            _check_timestamp(given)
    _check_sign(inquiry, headers["ok-access-timestamp"], headers["ok-access-sign"])


def _check_timestamp(text: str) -> None:
    try:
        asked = datetime.fromisoformat(text)
    except ValueError:
        raise Rejected(401, "50112", "Invalid OK-ACCESS-TIMESTAMP") from None
    if asked.tzinfo is None:
        raise Rejected(401, "50112", "Invalid OK-ACCESS-TIMESTAMP")
    if abs((datetime.now(UTC) - asked).total_seconds()) > _SKEW_SECONDS:
        raise Rejected(401, "50102", "Timestamp request expired")


def _check_sign(inquiry: Inquiry, timestamp: str, given: str) -> None:
    text = f"{timestamp}{inquiry.method}{inquiry.target}".encode() + inquiry.body
    right = hmac.digest(inquiry.secrets["secret_key"].encode(), text, hashlib.sha256)
    if not hmac.compare_digest(base64.b64encode(right), given.encode()):
        raise Rejected(401, "50113", "Invalid signature")


def _wrong(message: str = "Wrong parameters") -> Rejected:
    return Rejected(200, "83001", message)


def _limit(inquiry: Inquiry) -> int:
    text = inquiry.first("limit", "10")
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 100):
        raise _wrong()
    return inquiry.page_size(int(text))


def _after(inquiry: Inquiry) -> int:
    """The number of the last row seen: cursors are base64 of a digit string."""
    text = inquiry.first("cursor")
    try:
        return int(base64.b64decode(text, validate=True)) if text else 0
    except (binascii.Error, ValueError):
        raise _wrong() from None


def _owned(world: World, inquiry: Inquiry) -> Answer:
    rune, addresses = inquiry.first("runesId"), inquiry.first("walletAddresses").split(",")
    if not rune or not all(addresses):
        raise Rejected(400, "50014", "Parameter runesId or walletAddresses can not be empty.")
    if len(addresses) > 20:
        raise _wrong()
    limit, after = _limit(inquiry), _after(inquiry)
    key = (
        "okx",
        rune,
        tuple(addresses),
        world.versions("okx_runes", addresses),
        inquiry.switches.okx_longest_list,
    )
    ordered = None if inquiry.hide else world.pages.get(key)
    if ordered is None:
        ordered = _merge(world, inquiry, rune, addresses)
        if inquiry.hide is None:
            world.pages.keep(key, ordered, 16 * len(ordered[0]))
    return _page(world, inquiry, ordered, limit, after)


def _merge(world: World, inquiry: Inquiry, rune: str, addresses: list[str]) -> Ordered:
    """The rows of all asked addresses as one list, oldest first."""
    pairs: list[tuple[str, Item]] = []
    for address in addresses:
        account = world.find("okx_runes", address)
        items = account.ordered("number", _number, inquiry.hide)[1] if account else []
        pairs += [(address, item) for item in items if item.asset_ref == rune]
    pairs.sort(key=lambda pair: pair[1].number)
    del pairs[inquiry.switches.okx_longest_list or len(pairs) :]
    return [item.number for _, item in pairs], pairs  # type: ignore[return-value]  # pairs beside their keys


def _number(item: Item) -> int:
    return item.number


def _page(world: World, inquiry: Inquiry, ordered: Any, limit: int, after: int) -> Answer:
    keys, pairs = ordered
    if not keys and inquiry.switches.okx_not_found:
        raise Rejected(200, "83000", "Data not found")
    start = bisect_right(keys, after)
    chosen = pairs[start : start + limit]
    cursor = base64.b64encode(str(keys[start + len(chosen) - 1]).encode()).decode() if chosen else ""
    rows = [_row(world.rune(item.asset_ref), address, item) for address, item in chosen]
    return Answer(200, dump({"code": 0, "data": {"cursor": cursor, "items": rows}, "msg": ""}))


def display(amount: int, divisibility: int) -> str:
    """Base units as the gateway shows them: a plain decimal without trailing zeros."""
    with localcontext() as context:
        context.prec = 120
        text = f"{Decimal(amount).scaleb(-divisibility):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _row(rune: Description, address: str, item: Item) -> dict[str, Any]:
    transaction, _, output = item.sub_key.partition(":")
    return {
        "amount": display(item.amount or 0, rune.decimals),
        "assetId": str(_FIRST_ASSET_ID + item.number),
        "chain": 0,
        "confirmations": None,
        "inscriptionNum": "",
        "name": rune.name,
        "ownerAddress": address,
        "status": item.listing,
        "symbol": rune.symbol,
        "ticker": rune.name,
        "tickerIcon": f"https://icons.example/{rune.asset_ref.replace(':', '-')}.png",
        "tickerId": rune.asset_ref,
        "tickerType": 4,
        "txHash": "",
        "unavailable": (None, None, None, 1, None, 2)[item.number % 6],
        "utxoTxHash": transaction,
        "utxoValue": "546",
        "utxoVout": int(output),
    } | _listing(item)


def _listing(item: Item) -> dict[str, Any]:
    """Price and order; for a row that is not listed OKX leaves null, zero or nothing."""
    if item.listing:
        sats = 1_000 + item.number
        return {
            "listTime": 1_714_000_000 + item.number,
            "orderId": 200_000 + item.number,
            "totalPrice": _price(Decimal(sats)),
            "unitPrice": _price(Decimal(sats) / 1000),
        }
    if item.number % 3 == 0:
        return {"listTime": None, "orderId": None, "totalPrice": None, "unitPrice": None}
    return (
        {"listTime": 0, "orderId": 0, "totalPrice": None, "unitPrice": None} if item.number % 3 == 1 else {}
    )


def _price(sats: Decimal) -> dict[str, str]:
    return {
        "currency": "BTC",
        "currencyUrl": "https://icons.example/btc.png",
        "price": f"{sats.scaleb(-8):f}",
        "satPrice": f"{sats:f}",
        "usdPrice": f"{sats * Decimal('0.00062'):f}",
    }


def _detail(world: World, inquiry: Inquiry) -> Answer:
    names = [name for name in inquiry.first("runesId").split(",") if name]
    if not names:
        raise Rejected(400, "50014", "Parameter runesId can not be empty.")
    data = [_describe(world.rune(name)) for name in names]
    return json_answer(200, {"code": 0, "data": data, "msg": ""})


def _describe(rune: Description) -> dict[str, Any]:
    return {
        "collectionUrl": "",
        "deployedTime": 1_713_571_767,
        "divisibility": rune.decimals,
        "marketData": {"floorPrice": "10.65", "holders": 72_903, "salesCount": 35_436},
        "maxMintNumber": "100000000000",
        "mintedNumber": "100000000000",
        # Crossed over, as OKX does: the spaced form under `name`.
        "name": rune.name,
        "runesId": rune.asset_ref,
        "spaceName": rune.name.replace("•", ""),
        "startBlock": int(rune.asset_ref.partition(":")[0]),
        "symbol": rune.symbol,
    }
