"""Solana DAS `getAssetsByOwner`, the dialect Infura serves: NFTs and, where offered, fungible tokens.

One JSON-RPC POST per page, positional parameters. Keyset paging by asset id (decoded bytes, ascending); where
that is refused, numbered pages. A short page proves nothing: the list ends with an empty one. Pure.
https://docs.metamask.io/services/reference/solana/json-rpc-methods/digital-asset-standard/getassetsbyowner
"""

# ruff: noqa: ARG002 - the protocol names arguments that some sources need and others do not.

import json
import re
from collections.abc import Mapping, Set
from datetime import datetime
from typing import Any, ClassVar, Final, NamedTuple
from urllib.parse import quote

import msgspec

from indexer.errors import (
    ApiError,
    BadPage,
    CursorRejected,
    RateLimited,
    Refused,
    RequestRejected,
    ServerTrouble,
)
from indexer.records import Cursor, Facts, Holding, Page, Question, Request, Secrets, SplitPage, Unreadable
from indexer.sources.base import need, read_object
from indexer.sources.reactions import react_to_status
from indexer.sources.solana_das_asset import (
    is_key,
    rank,
    read_asset,
    read_failed,
    read_id,
    read_item,
    read_price,
    tells_balance,
)
from indexer.sources.solana_das_failure import Failure, find_failure, is_quota, read_failure, show_failure

_WHAT: Final = "solana_das page"
_ENDPOINT: Final = "getAssetsByOwner"
#: Each divides the one before, so that a numbered page keeps its place when the limit shrinks.
_LIMITS: Final = (1000, 500, 250, 125, 25, 5, 1)
#: The answer is above the server's 10 MiB: jsonrpsee before and after version 0.17.
_TOO_BIG: Final = (-32702, -32008)
_INVALID_PARAMETERS: Final = -32602
_APPLICATION_ERROR: Final = -32000
_TROUBLE: Final = (-32603, -32604, -32800, -32050)
#: Known once a balance was told. Infura asks several partners, and one that tells none lists no fungibles.
_BALANCES: Final = "balances"
_TROUBLE_TEXTS: Final = ("Database Error", "Database Connection Failed")


class _Place(NamedTuple):
    """Where a page starts: after an asset id, or at a numbered page of ``limit`` rows."""

    after: str | None = None
    page: int | None = None
    limit: int = _LIMITS[0]
    #: The last id of the numbered page before: seen again, the server ignores the number.
    last: str = ""


class SolanaDas(msgspec.Struct, frozen=True):
    """Assets of one owner at a DAS provider. Absences need two crawls: partners lag behind each other."""

    prefix: str = ""

    name: ClassVar[str] = "solana_das"
    network: ClassVar[str] = "solana"
    kind: ClassVar[str] = "other"
    batch: ClassVar[int] = 1
    scoped: ClassVar[bool] = False
    required_secrets: ClassVar[tuple[str, ...]] = ("api_key",)
    optional_secrets: ClassVar[tuple[str, ...]] = ()
    absences_needed: ClassVar[int] = 2
    repeats_facts: ClassVar[bool] = True
    names_owner: ClassVar[bool] = True
    volatile: ClassVar[re.Pattern[bytes] | None] = None

    def canonical_address(self, text: str) -> str:
        """The address itself: base58 has one spelling, and its case matters."""
        if not is_key(text):
            raise ValueError(
                "a Solana address is base58 (32 to 44 characters, no 0 O I l) of exactly 32 bytes"
            )
        return text

    def canonical_scope(self, text: str) -> str:
        """Always empty: one list holds every asset."""
        if text:
            raise ValueError("solana_das takes no scope")
        return ""

    def fact_names(self, question: Question) -> tuple[str, ...]:
        """In which mode this provider was seen to take all we ask with, and whether it told balances."""
        return ("works", _BALANCES)

    def request(self, question: Question) -> Request:
        """The next page, with the parameters this provider is known to take."""
        (owner,) = question.addresses
        place, limit = _place(question), _limit(question.facts)
        page = None if place.page is None else _page_number(place, limit)
        order = {"sortBy": "id" if page is None else "created", "sortDirection": "asc"}
        parameters: list[object] = [owner, order, limit, page, None, place.after]
        if _sends_options(question):
            parameters.append({"showFungible": True})
        call = {"jsonrpc": "2.0", "id": 1, "method": _ENDPOINT, "params": parameters}
        body = json.dumps(call, separators=(",", ":")).encode("ascii")
        return Request("POST", target=self.prefix, template=f"POST {_ENDPOINT}", body=body)

    def headers(self, request: Request, secrets: Secrets, now: datetime) -> dict[str, str]:
        """Only what the body is: the key travels in the path."""
        return {"Content-Type": "application/json"}

    def secret_path(self, secrets: Secrets) -> str:
        """The key, as the last part of the path."""
        return f"/{quote(secrets['api_key'], safe='')}"

    def read_error(self, question: Question, status: int, body: bytes) -> ApiError | None:
        """The reaction to a refusal. The HTTP status decides first: codes mean different things behind it."""
        failure = find_failure(body)
        said = f"{status}{show_failure(failure, body if status == 401 else b'')}"
        if failure is not None and is_quota(failure):
            return Refused(f"{said}: the daily quota is used up")
        reaction = react_to_status(status, resumed=question.cursor is not None)
        if reaction is Refused:
            return Refused(f"{said}: the provider refuses us (key, payment or quota)")
        if reaction is RateLimited:
            return RateLimited(said, failure.backoff_seconds if failure else None)
        if failure is None or reaction is ServerTrouble:
            return None if status == 200 else reaction(said)
        return None if _teach(question, failure) else _react(question, failure, said)

    def split(self, body: bytes) -> SplitPage | None:
        """Never: a page of this list says more than its rows do."""
        return None

    def parse(self, question: Question, body: bytes) -> Page:
        """One page of assets, or what a refusal taught about this provider."""
        answer = read_object(body, _WHAT)
        failure = read_failure(answer)
        if failure is not None:
            return _teaching_page(question, failure)
        _check_envelope(answer)
        result = need(answer, "result", dict, _WHAT)
        items = need(result, "items", list, _WHAT)
        errors = [] if result.get("errors") is None else need(result, "errors", list, _WHAT)
        return _read_page(question, result, items, errors)


# Where we are in the list


def _limit(facts: Facts) -> int:
    return int(facts.get("limit") or _LIMITS[0])


def _place(question: Question) -> _Place:
    if question.cursor is None:
        return _Place(page=1) if _mode(question) == "page" else _Place()
    kind, _, rest = question.cursor.partition(":")
    if kind == "after":
        return _Place(after=rest)
    page, limit, last = rest.split(":")
    return _Place(page=int(page), limit=int(limit), last=last)


def _mode(question: Question) -> str:
    return question.facts.get("mode") or question.facts.get("works") or "keyset"


def _sends_options(question: Question) -> bool:
    return question.facts.get("options") != "rejected"


# What went wrong, and what it teaches


def _react(question: Question, failure: Failure, said: str) -> ApiError:
    """The reaction to a JSON-RPC error that HTTP itself did not explain."""
    code = failure.code
    if code in (401, 403, -32002):
        return Refused(f"{said}: the provider refuses us")
    if code in (429, -32005):
        return RateLimited(said, failure.backoff_seconds)
    if code in _TROUBLE or 500 <= code < 600:
        return ServerTrouble(said)
    if code == _APPLICATION_ERROR and failure.message.startswith(_TROUBLE_TEXTS):
        return ServerTrouble(said)
    if code == _INVALID_PARAMETERS and question.cursor is None and "works" in question.facts:
        return ServerTrouble(f"{said}: it took these parameters before")
    known = code in (_APPLICATION_ERROR, _INVALID_PARAMETERS)
    return _reject(question, said) if known else RequestRejected(said)


def _reject(question: Question, said: str) -> ApiError:
    return RequestRejected(said) if question.cursor is None else CursorRejected(said)


def _teach(question: Question, failure: Failure) -> dict[str, str]:
    """What this refusal says about the provider; empty when it teaches nothing."""
    limit = _limit(question.facts)
    if failure.code in _TOO_BIG and limit > _LIMITS[-1]:
        return {"limit": str(next(smaller for smaller in _LIMITS if smaller < limit))}
    return _teach_dialect(question, failure) if question.cursor is None else {}


def _teach_dialect(question: Question, failure: Failure) -> dict[str, str]:
    invalid = failure.code == _INVALID_PARAMETERS
    if invalid and _sends_options(question) and "works" not in question.facts:
        return {"options": "rejected"}
    if _mode(question) == "page":
        return {}
    if invalid:
        # It was the missing page number that was refused, so the options are worth another try. Where they
        # worked before they are never left out: a list without fungibles would look like a sale.
        return {"mode": "page", "options": ""}
    if failure.code == _APPLICATION_ERROR and "Pagination" in failure.message:
        return {"mode": "page"}
    return {}


def _teaching_page(question: Question, failure: Failure) -> Page:
    facts = _teach(question, failure)
    if not facts:
        raise BadPage(f"{_WHAT}: an error instead of a page ({failure.code})")
    # For this crawl only: believed for longer, one refusal by mistake would be a sale of everything fungible.
    return Page(facts=facts, teaches_only=True)


def _learn(question: Question, tells: Set[bool | None]) -> dict[str, str]:
    """What a page says of this provider. Sooner or later it is asked again: see `read_facts`."""
    learned, mode = {}, _mode(question)
    if question.cursor is None and _sends_options(question) and question.facts.get("works", mode) == mode:
        learned["works"] = mode
    if True in tells:
        learned[_BALANCES] = "told"
    return learned


# A page


def _check_envelope(answer: Mapping[str, Any]) -> None:
    if need(answer, "jsonrpc", str, _WHAT) != "2.0":
        raise BadPage(f"{_WHAT}: this is no JSON-RPC 2.0 answer")
    if answer.get("error") is not None:
        raise BadPage(f"{_WHAT}: an error that is no JSON-RPC error")
    echoed = answer.get("id")
    if not (type(echoed) in (int, str) and str(echoed) == "1"):
        raise BadPage(f"{_WHAT}: this answers another request")


def _read_page(question: Question, result: Mapping[str, Any], items: list[Any], errors: list[Any]) -> Page:
    (owner,) = question.addresses
    ids = [read_id(item) for item in items]
    next_cursor = _read_next(question, result, ids, errors)
    rows = [read_item(owner, asset_id, item) for asset_id, item in zip(ids, items, strict=True)]
    failed = [read_failed(owner, error) for error in errors]
    held = [item for row, item in zip(rows, items, strict=True) if isinstance(row, Holding)]
    tells = {tells_balance(item) for item in held}
    learned = _learn(question, tells)
    return Page(
        holdings=tuple(row for row in rows if isinstance(row, Holding)),
        unreadable=tuple(row for row in [*rows, *failed] if isinstance(row, Unreadable)),
        assets=tuple({item["id"]: read_asset(item) for item in held}.values()),
        prices=tuple(price for item in held for price in read_price(owner, item)),
        next_cursor=next_cursor,
        not_held=sum(row is None for row in rows),
        facts=learned,
        lasting=frozenset(learned),
        lacks=frozenset({_BALANCES}) if False in tells and True not in tells else frozenset(),
        may_lack=frozenset() if True in tells else frozenset({_BALANCES}),
    )


def _read_next(
    question: Question, result: Mapping[str, Any], ids: list[str | None], errors: list[Any]
) -> Cursor | None:
    """Where the next page starts; None only after a page with nothing on it at all."""
    place = _place(question)
    if place.page is None:
        last = _check_order(place, ids, [read_id(row) for row in errors])
        return Cursor(f"after:{last}") if ids or errors else None
    limit = _limit(question.facts)
    page = _page_number(place, limit)
    last = next((asset_id for asset_id in reversed(ids) if asset_id is not None), "")
    stated = result.get("page", page)
    is_ours = type(stated) is int and stated in _possible_numbers(place, limit)
    if not is_ours or (last and last == place.last):
        raise BadPage(f"{_WHAT}: this is not page {page}, the page number was ignored")
    return Cursor(f"page:{page + 1}:{limit}:{last}") if ids or errors else None


def _page_number(place: _Place, limit: int) -> int:
    """The number of a page once its limit may have shrunk."""
    return ((place.page or 1) - 1) * place.limit // limit + 1


def _possible_numbers(place: _Place, limit: int) -> set[int]:
    """What a page may be called: it is read again with what became of the limit later."""
    return {_page_number(place, once) for once in _LIMITS if limit <= once <= place.limit}


def _check_order(place: _Place, ids: list[str | None], failed: list[str | None]) -> str:
    """The largest id listed. Ids that do not rise mean that the server ignored `after` or the direction."""
    start = last = (rank(place.after), place.after) if place.after else ("", "")
    for listed in _rank_all(ids):
        if listed <= last:
            raise BadPage(f"{_WHAT}: ids go backwards")
        last = listed
    undescribed = _rank_all(failed)
    if any(listed <= start for listed in undescribed):
        raise BadPage(f"{_WHAT}: ids go backwards")
    last = max([last, *undescribed])
    if (ids or failed) and last == start:
        raise BadPage(f"{_WHAT}: no asset id can be read, so there is nothing to continue from")
    return last[1]


def _rank_all(ids: list[str | None]) -> list[tuple[str, str]]:
    return [(rank(asset_id), asset_id) for asset_id in ids if asset_id is not None]
