"""Loopring L2: the NFT balances of one Ethereum address, by its Loopring account number.

``GET /api/v3/account?owner=…`` tells the account number once, then ``GET /api/v3/user/nft/balances`` is paged
by offset, newest rows first; ``totalNum`` counts rows and is only true on page 1 (0 past the end).
``nonZero=false`` keeps emptied rows in the list, so that they do not shift it. An error has ``resultInfo``.
Documentation: https://docs-protocol.loopring.io (the service is reported shut down since June 2026).

Pure: bytes in, page out.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Final

import msgspec

from indexer import errors
from indexer.errors import ApiError, BadPage
from indexer.records import Asset, Cursor, Holding, Page, Question, Request, Secrets, SplitPage, Unreadable
from indexer.sources.base import canonical_json, clean_text, need, newest, read_object, whole_number
from indexer.sources.reactions import react_to_status

_WHAT: Final = "loopring"
_ACCOUNT: Final = "/api/v3/account"
_BALANCES: Final = "/api/v3/user/nft/balances"
#: More than 50 is silently cut to 50; the next offset therefore counts the rows that came.
_LIMIT: Final = 50
#: An account has 2^15 NFT slots. Twice that is a list that never ends.
_MOST_ROWS: Final = 2**16
#: Balances are uint96 on chain, account numbers uint32.
_LARGEST_BALANCE: Final = 2**96 - 1
_LARGEST_ACCOUNT: Final = 2**32 - 1

_UNKNOWN: Final = "100000"
_USER_NOT_FOUND: Final = "101002"
_NOT_FOUND: Final = frozenset({"101001", _USER_NOT_FOUND})
_REFUSALS: Final = frozenset({"104001", "104002"})

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_HEX_NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]{1,64}")
_PENDING_PART: Final = re.compile(r"""["']?(withdraw|deposit)["']?\s*:\s*["']?([0-9]{1,78})\b""")
#: A long word with a digit in it may be a key or an address that the API repeated: not for our log.
_LONG_WORD: Final = re.compile(r"(?=[A-Za-z+/=_-]*[0-9])[0-9A-Za-z+/=_-]{12,}")
#: In `metadata` these two contradict the row: decimal digits behind "0x", and another numbering.
_FALSE_METADATA: Final = frozenset({"nftId", "nftType"})


class Loopring(msgspec.Struct, frozen=True):
    """The source ``loopring``. One question: all NFTs of one address."""

    prefix: str = ""

    name: ClassVar[str] = "loopring"
    network: ClassVar[str] = "loopring"
    kind: ClassVar[str] = "nft"
    batch: ClassVar[int] = 1
    scoped: ClassVar[bool] = False
    required_secrets: ClassVar[tuple[str, ...]] = ("api_key",)
    optional_secrets: ClassVar[tuple[str, ...]] = ()
    absences_needed: ClassVar[int] = 1
    repeats_facts: ClassVar[bool] = False
    names_owner: ClassVar[bool] = True
    volatile: ClassVar[re.Pattern[bytes] | None] = None

    def canonical_address(self, text: str) -> str:
        """An Ethereum address in lower case; EIP-55 is verified where the case is mixed."""
        if _ADDRESS.fullmatch(text) is None:
            raise ValueError("an Ethereum address is 0x and 40 hexadecimal digits")
        if text[2:] not in {text[2:].lower(), text[2:].upper()}:
            # Not at the top: it loads half of an Ethereum toolkit, which only a mixed-case address needs.
            from eth_utils.address import is_checksum_address

            if not is_checksum_address(text):
                raise ValueError("the EIP-55 checksum (upper and lower case) is wrong: mistyped?")
        return text.lower()

    def canonical_scope(self, text: str) -> str:
        if text:
            raise ValueError("loopring takes no scope")
        return text

    def fact_names(self, question: Question) -> tuple[str, ...]:
        return (_fact_name(question),)

    def request(self, question: Question) -> Request:
        account = _account(question)
        if account is None:
            target = f"{self.prefix}{_ACCOUNT}?owner={question.addresses[0]}"
            return Request(method="GET", target=target, template=_template(question), kind="lookup")
        offset, _ = _read_cursor(question.cursor)
        query = f"accountId={account}&offset={offset}&limit={_LIMIT}&nonZero=false&metadata=true"
        target = f"{self.prefix}{_BALANCES}?{query}"
        return Request(method="GET", target=target, template=_template(question))

    def headers(self, request: Request, secrets: Secrets, now: datetime) -> dict[str, str]:  # noqa: ARG002
        return {"X-API-KEY": secrets["api_key"]}

    def secret_path(self, secrets: Secrets) -> str:  # noqa: ARG002 - this source has no key in the path
        return ""

    def read_error(self, question: Question, status: int, body: bytes) -> ApiError | None:
        code, message = _read_code(body)
        is_lookup = _account(question) is None
        if status == 200 and code in {None, "0"}:
            return None
        if is_lookup and code == _USER_NOT_FOUND and status in {200, 400}:
            return None
        resumed = question.cursor is not None and not is_lookup
        error = _reaction(status, code, resumed)
        said = f", code {code}: {message}".rstrip(": ") if code is not None else ""
        if code in _NOT_FOUND and not is_lookup:
            said += " (Loopring says this for a bad API key too)"
        return error(f"{status} for {_template(question)}{said}")

    def split(self, body: bytes) -> SplitPage | None:  # noqa: ARG002
        """Never: a page of this list says more than its rows do."""
        return None

    def parse(self, question: Question, body: bytes) -> Page:
        answer = read_object(body, _WHAT)
        code, _ = _code_and_message(answer)
        account = _account(question)
        if account is None:
            return _read_lookup(question, answer, code)
        if code not in {None, "0"}:
            raise BadPage(f"{_WHAT}: the answer carries code {code}")
        return _read_list(question, account, answer)


def _fact_name(question: Question) -> str:
    return f"account:{question.addresses[0]}"


def _account(question: Question) -> str | None:
    return question.facts.get(_fact_name(question))


def _template(question: Question) -> str:
    if _account(question) is None:
        return f"{_ACCOUNT}?owner={{address}}"
    return f"{_BALANCES}?accountId={{account}}&offset={{offset}}&limit={_LIMIT}&nonZero=false&metadata=true"


def _reaction(status: int, code: str | None, resumed: bool) -> type[ApiError]:
    """The class that says what to do. The code is Loopring's own word and comes before the status."""
    if status != 429 and code in _REFUSALS:
        return errors.Refused
    found = react_to_status(status, resumed=resumed and code not in _NOT_FOUND)
    if code == _UNKNOWN and found in {errors.CursorRejected, errors.RequestRejected}:
        return errors.ServerTrouble  # its own word for trouble, over a status that says nothing better
    return found


def _read_code(body: bytes) -> tuple[str | None, str]:
    try:
        return _code_and_message(read_object(body, _WHAT))
    except BadPage:
        return None, ""


def _code_and_message(answer: Mapping[str, Any]) -> tuple[str | None, str]:
    """The code in `resultInfo` or beside it, an error before a success; a success usually has neither."""
    info = answer.get("resultInfo")
    found: tuple[str | None, str] = (None, "")
    for place in (info, answer) if isinstance(info, dict) else (answer,):
        code, message = place.get("code"), place.get("message") or place.get("msg")
        if code is not None and code != "" and found[0] in {None, "0"}:
            found = _said(str(code)), _said(message) if isinstance(message, str) else ""
    return found


def _said(text: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in clean_text(text[:500]))
    return _LONG_WORD.sub("…", printable).strip()[:120]


def _read_lookup(question: Question, answer: Mapping[str, Any], code: str | None) -> Page:
    what = f"{_WHAT} account look-up"
    if code == _USER_NOT_FOUND:
        # No Loopring account: the list is complete and empty. Not lasting, it may open one tomorrow.
        return Page()
    if code not in {None, "0"}:
        raise BadPage(f"{what}: the answer carries code {code}")
    if need(answer, "owner", str, what).lower() != question.addresses[0]:
        raise BadPage(f"{what}: the answer is about another owner")
    account = need(answer, "accountId", int, what)
    if not 0 < account <= _LARGEST_ACCOUNT:
        raise BadPage(f"{what}: `accountId` {account} is not possible")
    name = _fact_name(question)
    return Page(facts={name: str(account)}, lasting=frozenset({name}), teaches_only=True)


def _read_cursor(cursor: Cursor | None) -> tuple[int, int | None]:
    """Rows so far (the offset) and the total that page 1 stated."""
    if cursor is None:
        return 0, None
    rows, total = cursor.split("|", 1)
    return int(rows), int(total)


def _read_list(question: Question, account: str, answer: Mapping[str, Any]) -> Page:
    items = need(answer, "data", list, _WHAT)
    stated = need(answer, "totalNum", int, _WHAT)
    if stated > _MOST_ROWS:
        raise BadPage(f"{_WHAT}: {stated} rows are more than an account can have")
    offset, first_total = _read_cursor(question.cursor)
    rows = offset + len(items)
    if first_total is None:
        _check_first_page(stated, len(items))
        first_total = stated
    next_cursor, moved = _next_step(rows, first_total, stated, len(items))
    read = [_read_row(question.addresses[0], account, item) for item in items]
    return Page(
        holdings=tuple(row for row in read if isinstance(row, Holding)),
        unreadable=tuple(row for row in read if isinstance(row, Unreadable)),
        assets=newest([asset for item in items for asset in _read_assets(item)]),
        next_cursor=next_cursor,
        # Past the end the API says 0: nothing to be trusted.
        reported_total=first_total if stated > 0 or question.cursor is None else None,
        not_held=read.count(None),
        moved=moved,
    )


def _check_first_page(stated: int, items: int) -> None:
    """Page 1 cannot have moved: when it contradicts itself it cannot be believed."""
    if stated < items or (stated > 0 and items == 0):
        raise BadPage(f"{_WHAT}: page 1 states {stated} rows in all and lists {items}")


def _next_step(rows: int, first_total: int, stated: int, items: int) -> tuple[Cursor | None, bool]:
    """Where to go on, and whether the list moved since page 1.

    The end is where page 1 said, which spares a request. In a list that moved it is an empty page or
    the larger of both totals, so that even a list published as drifted misses as little as possible.
    """
    if items == 0:
        return None, rows != first_total
    moved = stated != first_total or rows > first_total
    if rows >= max(first_total, stated):
        return None, moved
    if rows > _MOST_ROWS:
        raise BadPage(f"{_WHAT}: {rows} rows are more than an account can have")
    return Cursor(f"{rows}|{first_total}"), moved


def _read_row(address: str, account: str, item: object) -> Holding | Unreadable | None:
    """One row; ``None`` for a balance of 0, which Loopring lists although nothing is held."""
    if not isinstance(item, dict):
        return Unreadable("the row is not an object", address)
    if str(item.get("accountId")) != account:
        raise BadPage(f"{_WHAT}: a row is of another account: the API ignored `accountId`")
    asset_ref = _wide_hex(item.get("nftData"))
    if asset_ref is None:
        return Unreadable("`nftData` is not a hexadecimal number", address)
    try:
        amount = _read_balance(item.get("total"), "total")
        if amount == 0:
            return None
        locked = _read_balance(0 if item.get("locked") is None else item["locked"], "locked")
        if locked > amount:
            raise ValueError("`locked` is more than `total`")
    except ValueError as error:
        return Unreadable(str(error), address, asset_ref)
    return Holding(address, asset_ref, amount=amount, decimals=0, locked=locked, details=_details(item))


def _read_balance(value: object, name: str) -> int:
    try:
        balance = whole_number(value)
    except ValueError as error:
        raise ValueError(f"`{name}`: {error}") from None
    if balance > _LARGEST_BALANCE:
        raise ValueError(f"`{name}` is above 2^96-1")
    return balance


def _wide_hex(value: object) -> str | None:
    """``0x`` and 64 digits: the server drops leading zeros at times."""
    if not isinstance(value, str) or _HEX_NUMBER.fullmatch(value) is None:
        return None
    return f"0x{int(value, 16):064x}"


def _nft_id(value: object) -> str | None:
    """The outer `nftId`: hexadecimal with ``0x``, else decimal digits."""
    if isinstance(value, str) and not value.startswith(("0x", "0X")):
        try:
            return f"0x{whole_number(value):064x}"
        except ValueError:
            return None
    return _wide_hex(value)


def _token_address(value: object) -> str | None:
    return value.lower() if isinstance(value, str) and _ADDRESS.fullmatch(value) else None


def _details(item: Mapping[str, Any]) -> str:
    preference = item.get("preference")
    chosen = {key for key, flag in preference.items() if flag is True} if isinstance(preference, dict) else ()
    details = {
        "token_address": _token_address(item.get("tokenAddress")),
        "nft_id": _nft_id(item.get("nftId")),
        "nft_type": item.get("nftType"),
        "slot": item.get("tokenId"),
        "deployment_status": item.get("deploymentStatus"),
        "is_counterfactual": item.get("isCounterFactualNFT"),
        # The row comes without preference at times: only what the owner did choose is told.
        "preference": dict.fromkeys(chosen, True) or None,
        **_pending(item.get("pending")),
    }
    return canonical_json({key: value for key, value in details.items() if value is not None})


def _pending(value: object) -> dict[str, str]:
    """Amounts on their way to or from L1 where they are not 0: an object, or text that looks like one."""
    if isinstance(value, str):
        value = dict(_PENDING_PART.findall(value))
    if not isinstance(value, dict):
        return {}
    parts = {f"pending_{key}": value.get(key) for key in ("withdraw", "deposit")}
    return {name: str(part) for name, part in parts.items() if part not in (None, "", 0, "0")}


def _read_assets(item: object) -> tuple[Asset, ...]:
    """The NFT itself. Nothing while the server still fetches its metadata: silence must not erase a name."""
    if not isinstance(item, dict) or (asset_ref := _wide_hex(item.get("nftData"))) is None:
        return ()
    metadata = item.get("metadata")
    base = metadata.get("base") if isinstance(metadata, dict) else None
    if not isinstance(base, dict) or not any(isinstance(value, str) and value for value in base.values()):
        return ()
    name = base.get("name")
    name = clean_text(name) if isinstance(name, str) and name else None
    return (Asset(asset_ref, "nft", name=name, decimals=0, metadata=_asset_metadata(item)),)


def _asset_metadata(item: Mapping[str, Any]) -> str:
    known = {
        "token_address": _token_address(item.get("tokenAddress")),
        "nft_id": _nft_id(item.get("nftId")),
        "nft_type": item.get("nftType"),
        "minter": item.get("minter"),
        "royalty_percentage": item.get("royaltyPercentage"),
        "collection_info": item.get("collectionInfo"),
        "metadata": {key: value for key, value in item["metadata"].items() if key not in _FALSE_METADATA},
    }
    return canonical_json({key: value for key, value in known.items() if value is not None})
