"""A DAS server behind Infura's edge: ``getAssetsByOwner`` with positional parameters only.

Page, keyset and cursor paging in the order of checks of the reference server; ids order by
their 32 bytes; ``total`` counts this page. Three revisions differ: see ``Switches.das_revision``.
"""

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Any, Final

import base58

from indexer.simulator.das_assets import render_asset
from indexer.simulator.positions import Description, Item
from indexer.simulator.wire import Answer, Inquiry, Question, dump, json_answer, read_json
from indexer.simulator.world import World

_ROUTE: Final = re.compile(r"/v3/([^/]*)")
_FLAGS: Final = (
    "showUnverifiedCollections",
    "showCollectionMetadata",
    "showZeroBalance",
    "showInscription",
    "showFungible",
)
_SORTS: Final = ("created", "updated", "recent_action", "id", "none")
_ONE_PARAMETER: Final = "Pagination Error. Only one pagination parameter supported per query."
_BY_ID_ONLY: Final = (
    "Pagination Sorting Error. Only sorting based on id is supported for this pagination option."
)
_INVALID: Final = -32602
_FAILED: Final = -32000


class Rejected(Exception):
    """The server answers with a JSON-RPC error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class _Parameters:
    """The positional parameters after their types were checked."""

    owner: str
    sort: str
    direction: str | None
    limit: int | None
    page: int | None
    before: str
    after: str
    fungible: bool
    cursor: str


def ask(_world: World, inquiry: Inquiry) -> Question:
    """What this request asks for. The cursor is whatever positions the page."""
    call = read_json(inquiry.body)
    parameters = call.get("params") if isinstance(call, dict) else None
    if not isinstance(parameters, list) or not parameters or not isinstance(parameters[0], str):
        return Question()
    given = [str(value) for value in [*parameters[3:6], *parameters[7:8]] if value not in (None, "")]
    return Question((parameters[0],), "", "" if given == ["1"] else "|".join(given), is_page=True)


def answer(world: World, inquiry: Inquiry) -> Answer:
    """What comes back through the edge: the key first, then JSON-RPC with HTTP 200."""
    found = _ROUTE.fullmatch(inquiry.path)
    if found is None or found[1] != inquiry.secrets["api_key"]:
        return _refuse("invalid project id" if found and found[1] else "project id required in the url")
    if inquiry.method != "POST":
        return Answer(
            405, b"Used HTTP Method is not allowed. POST is required\n", (("Content-Type", "text/plain"),)
        )
    call = read_json(inquiry.body)
    if call is None:
        return _rpc_error(None, -32700, "Parse error")
    if not isinstance(call, dict) or call.get("jsonrpc") != "2.0" or not isinstance(call.get("method"), str):
        return _rpc_error(None, -32600, "Invalid request")
    try:
        return _call(world, inquiry, call)
    except Rejected as error:
        return _rpc_error(call.get("id"), error.code, str(error))


def _refuse(message: str) -> Answer:
    realm = f'Basic realm="Auth failure, {message}"'
    headers = (("Content-Type", "text/plain; charset=utf-8"), ("WWW-Authenticate", realm))
    return Answer(401, f"{message}\n".encode(), headers)


def _rpc_error(identifier: Any, code: int, message: str) -> Answer:
    return json_answer(200, {"jsonrpc": "2.0", "error": {"code": code, "message": message}, "id": identifier})


def _call(world: World, inquiry: Inquiry, call: dict[str, Any]) -> Answer:
    if call["method"] != "getAssetsByOwner":
        raise Rejected(-32601, "Method not found")
    asked = _read_parameters(call.get("params"), inquiry)
    _check(asked, inquiry.switches.das_revision)
    state = (world.versions("solana_das", [asked.owner]), world.round)
    switches = inquiry.switches
    key = ("das", asked, state, switches.das_revision, switches.das_nulls, inquiry.page_size(1000))
    result: bytes | None = None if inquiry.hide else world.pages.get(key)
    if result is None:
        result = dump(_result(world, inquiry, asked))
        if inquiry.hide is None:
            world.pages.keep(key, result, len(result))
    return Answer(200, b'{"jsonrpc":"2.0","result":' + result + b',"id":' + dump(call.get("id")) + b"}")


def _read_parameters(values: Any, inquiry: Inquiry) -> _Parameters:
    if not isinstance(values, list):
        raise Rejected(_INVALID, "invalid type: map, expected a sequence at line 1 column 0")
    if len(values) < 6:
        expected = "expected struct GetAssetsByOwner with 8 elements"
        raise Rejected(_INVALID, f"invalid length {len(values)}, {expected} at line 1 column 2")
    if len(values) > (8 if inquiry.switches.das_options else 6):
        raise Rejected(_INVALID, "trailing characters at line 1 column 2")
    owner, sorting, limit, page, before, after, *rest = values
    options, cursor = [*rest, None, None][:2]
    sort, direction = _read_sorting(sorting)
    return _Parameters(
        owner=_read_text(owner, needed=True),
        sort=sort,
        direction=direction,
        limit=_read_count(limit),
        page=_read_count(page),
        before=_read_text(before),
        after=_read_text(after),
        fungible=_read_options(options),
        cursor=_read_text(cursor),
    )


def _read_text(value: Any, *, needed: bool = False) -> str:
    if isinstance(value, str):
        return value
    if value is None and not needed:
        return ""
    raise Rejected(_INVALID, f"invalid type: {_name(value)}, expected a string at line 1 column 2")


def _read_count(value: Any) -> int | None:
    if value is None or (type(value) is int and 0 <= value < 2**32):
        return value
    if type(value) is int:
        raise Rejected(_INVALID, f"invalid value: integer `{value}`, expected u32 at line 1 column 2")
    raise Rejected(_INVALID, f"invalid type: {_name(value)}, expected u32 at line 1 column 2")


def _name(value: Any) -> str:
    names = {
        str: "string",
        int: "integer",
        float: "floating point",
        bool: "boolean",
        list: "sequence",
        dict: "map",
    }
    return "null" if value is None else f"{names.get(type(value), 'value')}"


def _read_sorting(value: Any) -> tuple[str, str | None]:
    if value is None:
        return "id", None
    if not isinstance(value, dict):
        raise Rejected(_INVALID, f"invalid type: {_name(value)}, expected struct AssetSorting")
    if "sortBy" not in value:
        raise Rejected(_INVALID, "missing field `sortBy` at line 1 column 2")
    known = ", ".join(f"`{name}`" for name in _SORTS)
    if value["sortBy"] not in _SORTS:
        raise Rejected(
            _INVALID, f"unknown variant `{value['sortBy']}`, expected one of {known} at line 1 column 2"
        )
    direction = value.get("sortDirection")
    if direction not in ("asc", "desc", None):
        raise Rejected(
            _INVALID, f"unknown variant `{direction}`, expected `asc` or `desc` at line 1 column 2"
        )
    return value["sortBy"], direction


def _read_options(value: Any) -> bool:
    if value is None:
        return False
    if not isinstance(value, dict):
        raise Rejected(_INVALID, f"invalid type: {_name(value)}, expected struct Options")
    for name, flag in value.items():
        if name not in _FLAGS:
            raise Rejected(_INVALID, f"unknown field `{name}` at line 1 column 2")
        if not isinstance(flag, bool):
            raise Rejected(_INVALID, f"invalid type: {_name(flag)}, expected a boolean at line 1 column 2")
    return bool(value.get("showFungible", False))


def _check_key(text: str) -> bytes:
    try:
        raw = base58.b58decode(text)
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise Rejected(_FAILED, f"Pubkey Validation Err: {text} is invalid")
    return raw


def _check(asked: _Parameters, revision: str) -> None:
    """The reference server's checks in its order."""
    if revision == "J" and asked.before and asked.after:
        raise Rejected(_FAILED, _ONE_PARAMETER)
    _check_key(asked.owner)
    if (asked.limit or 0) > 1000:
        raise Rejected(_FAILED, "Pagination Error. Limit should not be greater than 1000.")
    if asked.page == 0:
        raise Rejected(_FAILED, "Pagination Error. No Pagination Method Selected")
    if asked.page is None:
        _check_bounds(asked)
    elif asked.before or asked.after or asked.cursor:
        raise Rejected(_FAILED, _ONE_PARAMETER)


def _check_bounds(asked: _Parameters) -> None:
    bounds = [bound for bound in (asked.before, asked.after) if bound]
    for bound in bounds:
        if asked.cursor:
            raise Rejected(_FAILED, _ONE_PARAMETER)
        if asked.sort != "id":
            raise Rejected(_FAILED, _BY_ID_ONLY)
        _check_key(bound)
    if not bounds and asked.sort != "id":
        raise Rejected(_FAILED, _BY_ID_ONLY)
    if asked.cursor:
        _check_key(asked.cursor)


def _visible(item: Item, asset: Description, fungible: bool, revision: str) -> bool:
    """Which rows a revision lists at all."""
    in_tokens = asset.kind in ("token", "custom")
    if revision == "M":
        return not in_tokens
    return True if fungible else not in_tokens and not item.burnt


def _sort_key(item: Item) -> bytes:
    return base58.b58decode(item.asset_ref)


def _rows(world: World, inquiry: Inquiry, asked: _Parameters) -> tuple[list[Item], int, int]:
    """The chosen rows, the limit echoed and how many of them fit on a page."""
    account = world.find("solana_das", asked.owner)
    limit = 1000 if asked.limit is None else asked.limit
    size = inquiry.page_size(limit)
    revision = inquiry.switches.das_revision
    direction = asked.direction or ("asc" if revision == "J" else "desc")
    if account is None:
        return [], limit, size
    keys, items = account.ordered("id", _sort_key, inquiry.hide)
    low = bisect_right(keys, _check_key(asked.after)) if asked.after else 0
    high = bisect_left(keys, _check_key(asked.before)) if asked.before else len(keys)
    if asked.cursor and direction == "asc":
        low = bisect_right(keys, _check_key(asked.cursor))
    elif asked.cursor:
        high = bisect_left(keys, _check_key(asked.cursor))
    catalogue = world.catalogue["solana_das"]
    places = range(low, high) if direction == "asc" else range(high - 1, low - 1, -1)
    if asked.sort not in ("id", "none"):
        places = sorted(  # type: ignore[assignment]  # any order
            places, key=lambda place: items[place].number, reverse=direction == "desc"
        )
    skip, chosen = ((asked.page or 1) - 1) * size, []
    for place in places:
        if _visible(items[place], catalogue[items[place].asset_ref], asked.fungible, revision):
            chosen.append(items[place])
            if len(chosen) == skip + size:
                break
    return chosen[skip:] if size else [], limit, size


def _result(world: World, inquiry: Inquiry, asked: _Parameters) -> dict[str, Any]:
    rows, limit, _size = _rows(world, inquiry, asked)
    switches, catalogue = inquiry.switches, world.catalogue["solana_das"]
    items = [render_asset(catalogue[i.asset_ref], i, asked.owner, world.round, switches) for i in rows]
    envelope: dict[str, Any] = {"total": len(items), "limit": limit}
    if asked.page is not None:
        return envelope | {"page": asked.page, "items": items}
    envelope |= _echo(asked, switches.das_revision)
    if rows and not (asked.before or asked.after):
        envelope["cursor"] = rows[-1].asset_ref
    elif rows and switches.das_revision == "J":
        envelope["cursor"] = rows[-1 if asked.after else 0].asset_ref
    return envelope | {"items": items}


def _echo(asked: _Parameters, revision: str) -> dict[str, str]:
    """Bounds in the answer: base58 in J; elsewhere raw bytes, when they happen to be text."""
    found = {}
    for name, bound in (("before", asked.before), ("after", asked.after)):
        try:
            if bound:
                found[name] = bound if revision == "J" else base58.b58decode(bound).decode()
        except UnicodeDecodeError:
            continue
    return found
