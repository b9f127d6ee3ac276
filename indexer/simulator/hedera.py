"""The Hedera mirror node as it answers ``GET /api/v1/accounts/{id}/nfts``.

Sorted by (token, serial), descending unless asked otherwise; limit 25, silently clamped to 100;
``links.next`` is set whenever a page is full, so an exact multiple ends with an empty page.
"""

import base64
import re
import zlib
from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from indexer.simulator.positions import Description, Item
from indexer.simulator.wire import Answer, Inquiry, Question, json_answer
from indexer.simulator.world import World

_ROUTE: Final = re.compile(r"/api/v1/accounts/([^/]+)/nfts/?")
_NUMERIC: Final = re.compile(r"(?:(\d{1,4})\.)?(?:(\d{1,5})\.)?(\d{1,12})")
_EVM: Final = re.compile(r"(?:\d+\.){0,2}(?:0x)?([0-9a-fA-F]{40})")
_ALIAS: Final = re.compile(r"(?:\d+\.){0,2}([A-Z2-7]{40,})")
_OPERATORS: Final = ("eq", "gt", "gte", "lt", "lte", "ne")
_KNOWN: Final = ("limit", "order", "token.id", "serialnumber", "spender.id")
_HEADERS: Final = (
    ("Content-Type", "application/json; charset=utf-8"),
    ("Cache-Control", "public, max-age=1"),
)
_FIRST: Final = (0, 0)
_LAST: Final = (2**64, 0)

Key = tuple[int, int]


class Rejected(Exception):
    """The node refuses a request: a status and its message."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class _Filter:
    """The rows asked for: keys from ``low`` up to but without ``high``."""

    low: Key
    high: Key
    ascending: bool
    limit: int
    spenders: frozenset[str]


def ask(_world: World, inquiry: Inquiry) -> Question:
    """What this request asks for. The cursor is the token and serial bound of ``links.next``."""
    found = _ROUTE.fullmatch(inquiry.path)
    if found is None:
        return Question()
    bounds = [
        f"{name.lower()}={value}"
        for name, value in inquiry.query
        if name.lower() in ("token.id", "serialnumber")
    ]
    return Question((found[1],), "", "&".join(bounds), is_page=True)


def answer(world: World, inquiry: Inquiry) -> Answer:
    """What the mirror node answers."""
    found = _ROUTE.fullmatch(inquiry.path)
    try:
        if found is None or inquiry.method != "GET":
            raise Rejected("Not found", 404)
        asked = _read_filter(inquiry)
        result = _page(world, inquiry, _find_account(world, found[1]), asked)
    except Rejected as error:
        return json_answer(error.status, {"_status": {"messages": [{"message": str(error)}]}})
    if ("ETag", inquiry.headers.get("if-none-match", "")) in result.headers:
        return Answer(304, b"", result.headers)
    return result


def _find_account(world: World, text: str) -> str:
    """The entity id behind any of the forms; a number that does not exist is simply empty."""
    if numeric := _NUMERIC.fullmatch(text):
        # Of another shard or realm nobody is here, and an empty list is the answer.
        return ".".join(str(int(part or 0)) for part in numeric.groups())
    evm = _EVM.fullmatch(text)
    if evm and evm[1].startswith("0" * 24):
        return f"0.0.{int(evm[1], 16)}"
    if evm:
        return _known_alias(world, evm[1].lower(), "Not found")
    if alias := _ALIAS.fullmatch(text):
        return _known_alias(world, alias[1], "No account with a matching alias found")
    raise Rejected("Invalid parameter: idOrAliasOrEvmAddress")


def _known_alias(world: World, alias: str, message: str) -> str:
    if alias not in world.aliases:
        raise Rejected(message, 404)
    return world.aliases[alias]


def _read_filter(inquiry: Inquiry) -> _Filter:
    given: dict[str, list[str]] = {name: [] for name in _KNOWN}
    for name, value in inquiry.query:
        if name.lower() not in given:
            raise Rejected(f"Unknown query parameter: {name}")
        given[name.lower()].append(value)
    low, high = _token_bounds(given["token.id"], given["serialnumber"])
    order = (given["order"] or ["desc"])[-1].lower()
    if order not in ("asc", "desc"):
        raise Rejected("Invalid parameter: order")
    spenders = frozenset(_entity(value.removeprefix("eq:"), "spender.id") for value in given["spender.id"])
    return _Filter(low, high, order == "asc", inquiry.page_size(_limit(given["limit"])), spenders)


def _limit(values: list[str]) -> int:
    text = (values or ["25"])[-1]
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 2**63:
        raise Rejected("Invalid parameter: limit")
    return min(100, int(text))


def _entity(text: str, name: str) -> str:
    numeric = _NUMERIC.fullmatch(text)
    if numeric is None:
        raise Rejected(f"Invalid parameter: {name}")
    return f"0.0.{int(numeric[3])}"


def _number(text: str, name: str) -> int:
    """A token's number, or a serial: any positive 64-bit integer."""
    if name != "serialnumber":
        return int(_entity(text, name).rpartition(".")[2])
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**63):
        raise Rejected(f"Invalid parameter: {name}")
    return int(text)


def _operations(values: list[str], name: str) -> dict[str, int]:
    """Operator to number; at most one equal, one lower and one upper bound."""
    found: dict[str, int] = {}
    for value in values:
        operator, _, text = value.partition(":") if ":" in value else ("eq", "", value)
        number = _number(text, name)
        if operator not in _OPERATORS:
            raise Rejected(f"Invalid parameter: {name}")
        if operator == "ne":
            raise Rejected(f"Not equal (ne) operator is not supported for {name}")
        _check_single(found, operator, name)
        found[operator] = number
    if "eq" in found and len(found) > 1:
        raise Rejected(f"Can't support both range and equal for {name}")
    return found


def _check_single(found: dict[str, int], operator: str, name: str) -> None:
    if operator == "eq" and "eq" in found:
        raise Rejected(f"Only one equal (eq) operator is allowed for {name}")
    for side in (("gt", "gte"), ("lt", "lte")):
        if operator in side and any(other in found for other in side):
            raise Rejected(f"Only one {side[0]}/{side[1]} operator is allowed for {name}")


def _token_bounds(tokens: list[str], serials: list[str]) -> tuple[Key, Key]:
    """The one range of (token, serial) that both filters describe together."""
    token, serial = _operations(tokens, "token.id"), _operations(serials, "serialnumber")
    if serial and not token:
        raise Rejected("serialnumber without a token.id parameter filter")
    if any(name in serial for name in ("gt", "gte", "eq")) and not ("gte" in token or "eq" in token):
        raise Rejected("token.id must have gte or eq operator")
    if any(name in serial for name in ("lt", "lte", "eq")) and not ("lte" in token or "eq" in token):
        raise Rejected("token.id must have lte or eq operator")
    low, high = _FIRST, _LAST
    for name, number in token.items():
        low = {"gt": (number + 1, 0), "gte": (number, 0), "eq": (number, 1)}.get(name, low)
        high = {"lt": (number, 0), "lte": (number + 1, 0), "eq": (number + 1, 0)}.get(name, high)
    lower, upper = token.get("gte", token.get("eq", 0)), token.get("lte", token.get("eq", 0))
    for name, number in serial.items():
        low = {"gt": (lower, number + 1), "gte": (lower, number), "eq": (lower, number)}.get(name, low)
        high = {"lt": (upper, number), "lte": (upper, number + 1), "eq": (upper, number + 1)}.get(name, high)
    return low, high


def _key(item: Item) -> Key:
    return (int(item.asset_ref[4:]), int(item.sub_key))


def _page(world: World, inquiry: Inquiry, address: str, asked: _Filter) -> Answer:
    key = ("hedera", inquiry.target, world.versions("hedera", [address]), asked)
    known: Answer | None = None if inquiry.hide else world.pages.get(key)
    if known is None:
        known = _render(world, inquiry, address, asked)
        if inquiry.hide is None:
            world.pages.keep(key, known, len(known.body))
    return known


def _render(world: World, inquiry: Inquiry, address: str, asked: _Filter) -> Answer:
    chosen = _select(world, inquiry, address, asked)
    rows = ",".join([_row(address, world.catalogue["hedera"][item.asset_ref], item) for item in chosen])
    link = _next_link(inquiry, asked, chosen)
    following = "null" if link is None else f'"{link}"'
    body = f'{{"nfts":[{rows}],"links":{{"next":{following}}}}}'.encode()
    headers = (*_HEADERS, ("ETag", f'W/"{len(body):x}-{zlib.crc32(body):x}"'))
    return Answer(200, body, headers if link is None else (*headers, ("Link", f'<{link}>; rel="next"')))


def _select(world: World, inquiry: Inquiry, address: str, asked: _Filter) -> list[Item]:
    account = world.find("hedera", address)
    if account is None:
        return []
    keys, items = account.ordered("token", _key, inquiry.hide)
    start, stop = bisect_left(keys, asked.low), bisect_left(keys, asked.high)
    if asked.spenders:
        matching = [item for item in items[start:stop] if item.delegate in asked.spenders]
        return matching[: asked.limit] if asked.ascending else matching[::-1][: asked.limit]
    if asked.ascending:
        return items[start : min(stop, start + asked.limit)]
    return items[max(start, stop - asked.limit) : stop][::-1]


def _next_link(inquiry: Inquiry, asked: _Filter, chosen: list[Item]) -> str | None:
    """None when the page is not full or nothing can follow within the caller's own bounds."""
    if len(chosen) < asked.limit:
        return None
    token, serial = _key(chosen[-1])
    if asked.ascending:
        exhausted, near, far, replaced = (token, serial + 1) >= asked.high, "gte", "gt", ("gt", "gte")
    else:
        exhausted, near, far, replaced = (token, serial) <= asked.low, "lte", "lt", ("lt", "lte")
    if exhausted:
        return None
    kept = [
        f"{name.lower()}={value}" for name, value in inquiry.query if not _is_replaced(name, value, replaced)
    ]
    equal = any(name.lower() == "token.id" and value[:2] not in ("gt", "lt") for name, value in inquiry.query)
    bound = [] if equal else [f"token.id={near}:0.0.{token}"]
    path = inquiry.path
    return f"{path}?{'&'.join([*kept, *bound, f'serialnumber={far}:{serial}'])}"


def _is_replaced(name: str, value: str, operators: tuple[str, ...]) -> bool:
    return name.lower() in ("token.id", "serialnumber") and value.partition(":")[0] in operators


def _row(address: str, asset: Description, item: Item) -> str:
    created, modified = _time(item.number, 0), _time(item.number, item.touched)
    spender = "null" if item.delegate is None else f'"{item.delegate}"'
    deleted = "true" if asset.deleted else "false"
    metadata = base64.b64encode(f"ipfs://nft/{item.sub_key}".encode()).decode() if item.number % 8 else ""
    return (
        f'{{"account_id":"{address}","created_timestamp":"{created}","delegating_spender":null,'
        f'"deleted":{deleted},"metadata":"{metadata}","modified_timestamp":"{modified}",'
        f'"serial_number":{item.sub_key},"spender":{spender},"token_id":"{item.asset_ref}"}}'
    )


def _time(number: int, touched: int) -> str:
    return f"{1_600_000_000 + number + touched}.{number % 10**9:09d}"
