"""Algorand algod as it answers ``GET /v2/accounts/{address}/assets``.

Ascending by asset id, keyset paging by ``next``, 1000 rows at most and 400 above; the last page
has no ``next-token``. Go's encoder: HTML characters escaped, a newline at the end.
"""

import base64
import binascii
import hashlib
import json
import re
from bisect import bisect_right
from functools import lru_cache
from typing import Final

from indexer.simulator.addresses import algorand_address
from indexer.simulator.positions import Description, Item, digest_of
from indexer.simulator.state import Ordered
from indexer.simulator.wire import Answer, Inquiry, Question, json_answer
from indexer.simulator.world import World

_ROUTE: Final = re.compile(r"/v2/accounts/([^/]+)/assets/?")
_LARGEST: Final = 2**64 - 1
_GO_ESCAPES: Final = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


class Rejected(Exception):
    """The node refuses a parameter."""


def ask(_world: World, inquiry: Inquiry) -> Question:
    """What this request asks for."""
    found = _ROUTE.fullmatch(inquiry.path)
    if found is None:
        return Question()
    return Question((found[1],), "", inquiry.first("next"), is_page=True)


def answer(world: World, inquiry: Inquiry) -> Answer:
    """What the node answers."""
    found = _ROUTE.fullmatch(inquiry.path)
    if found is None:
        return _problem(404, "Not Found")
    if inquiry.method != "GET":
        return _problem(405, "Method Not Allowed")
    token = inquiry.secrets.get("api_token")
    if token and _given_token(inquiry) != token:
        return _problem(401, "Invalid API Token")
    try:
        _check_address(found[1])
        return _page(world, inquiry, found[1], _limit(inquiry), _next(inquiry))
    except Rejected as error:
        return _problem(400, str(error))


def _problem(status: int, message: str) -> Answer:
    plain = json_answer(status, {"message": message})
    return Answer(status, plain.body + b"\n", plain.headers)


def _given_token(inquiry: Inquiry) -> str:
    bearer = inquiry.headers.get("authorization", "").removeprefix("Bearer ")
    return inquiry.headers.get("x-algo-api-token", bearer)


def _check_address(text: str) -> None:
    what = f"Invalid format for parameter address: error unmarshaling '{text}' text as *basics.Address: "
    try:
        raw = base64.b32decode(text + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        raise Rejected(f"{what}failed to decode address {text} from base 32") from None
    if len(raw) != 36:
        raise Rejected(f"{what}decoded bad addr: {text}")
    if hashlib.new("sha512_256", raw[:32]).digest()[-4:] != raw[32:]:
        raise Rejected(f"{what}address {text} is malformed, checksum verification failed")
    if algorand_address(raw[:32]) != text:
        raise Rejected(f"{what}address {text} is non-canonical")


def _single(inquiry: Inquiry, name: str) -> str | None:
    values = inquiry.values(name)
    if len(values) > 1:
        repeated = f"multiple values for single value parameter '{name}'"
        raise Rejected(f"Invalid format for parameter {name}: {repeated}")
    return values[0] if values else None


def _unsigned(text: str, prefix: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise Rejected(f'{prefix}strconv.ParseUint: parsing "{text}": invalid syntax')
    if int(text) > _LARGEST:
        raise Rejected(f'{prefix}strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


def _limit(inquiry: Inquiry) -> int:
    text = _single(inquiry, "limit")
    if text is None:
        return inquiry.page_size(1000)
    limit = _unsigned(text, "Invalid format for parameter limit: error binding string parameter: ")
    if limit == 0:
        raise Rejected("limit parameter must be a positive integer")
    if limit > 1000:
        raise Rejected(f"limit {limit} exceeds max assets single batch limit 1000")
    return inquiry.page_size(limit)


def _next(inquiry: Inquiry) -> int:
    text = _single(inquiry, "next")
    return 0 if text is None else _unsigned(text, "unable to parse next token: ")


def _page(world: World, inquiry: Inquiry, address: str, limit: int, after: int) -> Answer:
    account = world.find("algorand", address)
    ordered: Ordered = account.ordered("id", _identifier, inquiry.hide) if account else ([], [])
    key = ("algorand", address, world.versions("algorand", [address]), limit, after)
    known = None if inquiry.hide else world.pages.get(key)
    if known is None:
        known = _rows(world, ordered, limit, after)
        if inquiry.hide is None:
            world.pages.keep(key, known, len(known))
    return Answer(200, known + b'"round":%d}\n' % world.round)


def _identifier(item: Item) -> int:
    return int(item.asset_ref)


def _rows(world: World, ordered: Ordered, limit: int, after: int) -> bytes:
    keys, items = ordered
    start = bisect_right(keys, after)
    chosen = items[start : start + limit]
    rows = ",".join([_row(world.catalogue["algorand"][item.asset_ref], item) for item in chosen])
    token = f'"next-token":"{keys[start + limit - 1]}",' if start + limit < len(keys) else ""
    return f'{{"asset-holdings":[{rows}],{token}'.encode()


def _row(asset: Description, item: Item) -> str:
    frozen = "true" if item.frozen else "false"
    holding = f'{{"amount":{item.amount},"asset-id":{item.asset_ref},"is-frozen":{frozen}}}'
    if asset.deleted:
        return f'{{"asset-holding":{holding}}}'
    return f'{{"asset-holding":{holding},"asset-params":{_params(asset)}}}'


@lru_cache
def _creator(number: int) -> str:
    return algorand_address(digest_of("creator", number))


def _params(asset: Description) -> str:
    number = int(asset.asset_ref)
    creator = _creator(number % 50)
    fields = f'"creator":"{creator}","decimals":{asset.decimals},"default-frozen":false'
    texts = _text("name", asset.name), f'"total":{_LARGEST}', _text("unit-name", asset.symbol)
    return "{" + ",".join(part for part in (fields, *texts) if part) + "}"


def _text(key: str, text: str) -> str:
    """The plain twin only for printable text; joined emoji are not, so only base64 shows them."""
    if not text:
        return ""
    encoded = f'"{key}-b64":"{base64.b64encode(text.encode()).decode()}"'
    if not text.isprintable():
        return encoded
    plain = json.dumps(text, ensure_ascii=False)
    for character, escape in _GO_ESCAPES.items():
        plain = plain.replace(character, escape)
    return f'"{key}":{plain},{encoded}'
