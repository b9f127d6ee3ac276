"""OKX Runes: the unspent outputs that carry one rune, for up to 20 Bitcoin addresses.

``GET /api/v5/mktplace/nft/runes/get-owned-asserts`` (OKX's own spelling), paged by an opaque cursor. Amounts
are in display units; the rune's divisibility is looked up once at ``…/runes/detail``. HTTP 200 may be
an error. Pure: bytes in, page out. https://web3.okx.com/onchainos/docs/waas/marketplace-runes-asset
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar, Final
from urllib.parse import quote

import base58
import bech32
import msgspec

from indexer import errors
from indexer.errors import ApiError, BadPage
from indexer.records import Asset, Holding, Page, Price, Question, Request, Secrets, SplitPage, Unreadable
from indexer.sources.base import canonical_json, clean_text, need, read_object
from indexer.sources.okx_cursor import find_next, read_place
from indexer.sources.reactions import react_to_status

_ROOT: Final = "/api/v5/mktplace/nft/runes"
_WHAT: Final = "okx_runes"
#: Keys, signatures, permissions; the wrong environment, our IP address.
_REFUSAL: Final = re.compile(r"501(01|0[3-7]|1[0-36])")
#: 50102 "timestamp expired" is cured by asking again: every attempt is signed with a fresh time.
_TROUBLE: Final = re.compile(r"50026|50102")
_RUNE_ID: Final = re.compile(r"(0|[1-9][0-9]{0,19}):(0|[1-9][0-9]{0,9})")
_BASE58: Final = re.compile(r"[1-9A-HJ-NP-Za-km-z]{25,36}")
_DECIMAL: Final = re.compile(r"([0-9]{1,60})(?:\.([0-9]{1,60}))?(?:[eE]([+-]?[0-9]{1,2}))?")
#: A long word with a digit in it may be a key or an address that the API repeated: not for our log.
_LONG_WORD: Final = re.compile(r"(?=[A-Za-z+/=_-]*[0-9])[0-9A-Za-z+/=_-]{12,}")
_CONTRADICTION: Final = "the page lists this output with two amounts"
#: What is true of the position. Never confirmations, prices or icons: those change by themselves.
_DETAILS: Final = (
    *("status", "listTime", "orderId", "assetId", "utxoValue"),
    *("txHash", "inscriptionNum", "unavailable", "chain", "tickerType"),
)
_ASSET_FIELDS: Final = ("ticker", "name", "symbol", "tickerIcon", "tickerType", "chain")


class OkxRunes(msgspec.Struct, frozen=True):
    """The source ``okx_runes``. One question: one rune, up to 20 addresses."""

    prefix: str = ""
    #: The last part of the path; the documents also spell it ``get-owned-assets``.
    path: str = "get-owned-asserts"

    name: ClassVar[str] = "okx_runes"
    network: ClassVar[str] = "bitcoin"
    kind: ClassVar[str] = "fungible"
    batch: ClassVar[int] = 20
    scoped: ClassVar[bool] = True
    required_secrets: ClassVar[tuple[str, ...]] = ("api_key", "secret_key", "passphrase")
    optional_secrets: ClassVar[tuple[str, ...]] = ("project",)
    absences_needed: ClassVar[int] = 1
    repeats_facts: ClassVar[bool] = False
    names_owner: ClassVar[bool] = True
    volatile: ClassVar[re.Pattern[bytes] | None] = None

    def canonical_address(self, text: str) -> str:
        """Bech32 and bech32m in lower case, base58check as it stands; mainnet only."""
        return _canonical_segwit(text) if text.lower().startswith("bc1") else _canonical_base58(text)

    def canonical_scope(self, text: str) -> str:
        """A rune id ``block:transaction``: u64 and u32, without leading zeros."""
        match = _RUNE_ID.fullmatch(text)
        if match is None or int(match[1]) >= 2**64 or int(match[2]) >= 2**32:
            raise ValueError("a rune id is BLOCK:TRANSACTION in digits without leading zeros, like 840000:3")
        return text

    def fact_names(self, question: Question) -> tuple[str, ...]:
        return (_fact_name(question),)

    def request(self, question: Question) -> Request:
        address_list, cursor = ",".join(question.addresses), read_place(question.cursor).cursor
        values = {"rune": question.scope, "addresses": address_list, "cursor": cursor}
        template = self._template(question)
        # Encoded once, signed and sent as it stands: a client that encodes again breaks the signature.
        target = self.prefix + template.format(**{key: quote(text, safe="") for key, text in values.items()})
        return Request("GET", target, template, kind="lookup" if _needs_lookup(question) else "page")

    def _template(self, question: Question) -> str:
        if _needs_lookup(question):
            return f"{_ROOT}/detail?runesId={{rune}}"
        cursor = "&cursor={cursor}" if question.cursor is not None else ""
        return f"{_ROOT}/{self.path}?runesId={{rune}}&walletAddresses={{addresses}}{cursor}&limit=100"

    def headers(self, request: Request, secrets: Secrets, now: datetime) -> dict[str, str]:
        timestamp = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        headers = {
            "OK-ACCESS-KEY": secrets["api_key"],
            "OK-ACCESS-PASSPHRASE": secrets["passphrase"],
            "OK-ACCESS-TIMESTAMP": timestamp,
            "OK-ACCESS-SIGN": sign(secrets["secret_key"], timestamp, request),
            "Content-Type": "application/json",
        }
        if secrets.get("project"):
            headers["OK-ACCESS-PROJECT"] = secrets["project"]
        return headers

    def secret_path(self, secrets: Secrets) -> str:  # noqa: ARG002 - this source has no key in the path
        return ""

    def read_error(self, question: Question, status: int, body: bytes) -> ApiError | None:
        code, message = _read_code(body)
        # 83000 with HTTP 200 may be an empty list: only `parse` knows whether rows came before.
        if status == 200 and code in {None, "0", "83000"}:
            return None
        resumed = question.cursor is not None and not _needs_lookup(question)
        said = f", code {code}: {message}".rstrip(": ") if code is not None else ""
        return _reaction(status, code or "", resumed)(f"{status} for {self._template(question)}{said}")

    def split(self, body: bytes) -> SplitPage | None:  # noqa: ARG002
        """Never: a page of this list says more than its rows do."""
        return None

    def parse(self, question: Question, body: bytes) -> Page:
        answer = read_object(body, _WHAT)
        code = _code_text(answer)
        rows = read_place(question.cursor).rows
        if code == "83000" and not _needs_lookup(question) and not rows:
            return Page()
        if code != "0":
            raise BadPage(f"{_WHAT}: `code` is {code or 'missing'}, not 0, after {rows} rows of this list")
        if _needs_lookup(question):
            return _read_lookup(question, need(answer, "data", list, f"{_WHAT} look-up"))
        return _read_list(question, need(answer, "data", dict, _WHAT))


def sign(secret_key: str, timestamp: str, request: Request) -> str:
    """OK-ACCESS-SIGN over exactly what goes on the wire."""
    text = f"{timestamp}{request.method}{request.target}".encode() + request.body
    return base64.b64encode(hmac.new(secret_key.encode(), text, hashlib.sha256).digest()).decode()


def read_base_units(value: object, divisibility: int) -> int:
    """Exact base units of an amount in display units. Raises ValueError: nothing is ever rounded."""
    match = _DECIMAL.fullmatch(str(value)) if type(value) in {str, int} else None
    if match is None:
        raise ValueError(f"amount is {'missing' if value is None else 'not a decimal number'}")
    whole, fraction, exponent = match[1], match[2] or "", int(match[3] or 0)
    shift = divisibility + exponent - len(fraction)
    if shift < 0:
        raise ValueError(f"amount has more fraction digits than the divisibility {divisibility}")
    amount: int = int(whole + fraction) * 10**shift
    if amount >= 2**128:
        raise ValueError("amount is above 2^128-1 base units")
    return amount


def _canonical_segwit(text: str) -> str:
    address = text.lower()
    if text not in {address, text.upper()}:
        raise ValueError("a bech32 address is all lower or all upper case, this one is mixed")
    symbols = [bech32.CHARSET.find(character) for character in address[3:]]
    if not text.isascii() or not 14 <= len(address) <= 90 or -1 in symbols:
        raise ValueError("not a bech32 address: wrong length or a character that bech32 does not use")
    version, checksum = symbols[0], bech32.bech32_polymod(bech32.bech32_hrp_expand("bc") + symbols)
    if checksum != (0x2BC830A3 if version else 1):  # BIP 350: bech32m from version 1 on
        raise ValueError(f"the {'bech32m' if version else 'bech32'} checksum is wrong: mistyped?")
    length = len(bech32.convertbits(symbols[1:-6], 5, 8, False) or ())
    if version > 16 or not 2 <= length <= 40 or (version == 0 and length not in {20, 32}):
        raise ValueError(f"no segwit address has version {version}, {length} bytes and this padding")
    return address


def _canonical_base58(text: str) -> str:
    try:
        payload = base58.b58decode_check(text) if _BASE58.fullmatch(text) else b""
    except ValueError:
        raise ValueError("the base58 checksum is wrong: mistyped?") from None
    if len(payload) != 21 or payload[0] not in {0x00, 0x05}:
        raise ValueError("not a Bitcoin mainnet address: expected bc1…, 1… or 3…")
    return text


def _reaction(status: int, code: str, resumed: bool) -> type[ApiError]:
    """The class that says what to do. The code is OKX's own word and comes before the status."""
    if code == "50011" or status == 429:
        return errors.RateLimited
    if _TROUBLE.fullmatch(code):
        return errors.ServerTrouble
    if _REFUSAL.fullmatch(code):
        return errors.Refused
    if resumed and code == "83001":
        return errors.CursorRejected
    return react_to_status(status, resumed=resumed)


def _read_code(body: bytes) -> tuple[str | None, str]:
    """OKX's code and message, or ``None`` when the body (HTML, nothing) has none."""
    try:
        answer = read_object(body, _WHAT)
    except BadPage:
        return None, ""
    message = answer.get("msg") or answer.get("error_message")
    return _code_text(answer), _said(message) if isinstance(message, str) else ""


def _code_text(answer: Mapping[str, Any]) -> str | None:
    """`code` as text: it is a number on success and a string in errors of the gateway."""
    code = answer.get("code")
    return _said(str(code)) if type(code) in {str, int} and code != "" else None


def _said(text: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in clean_text(text[:500]))
    return _LONG_WORD.sub("…", printable).strip()[:120]


def _fact_name(question: Question) -> str:
    return f"divisibility:{question.scope}"


def _needs_lookup(question: Question) -> bool:
    return _fact_name(question) not in question.facts


def _read_lookup(question: Question, runes: Sequence[object]) -> Page:
    what = f"{_WHAT} look-up of {question.scope}"
    rune = next((r for r in runes if isinstance(r, dict) and r.get("runesId") == question.scope), None)
    if rune is None:
        raise BadPage(f"{what}: the answer does not contain this rune")
    divisibility = need(rune, "divisibility", int, what)
    if not 0 <= divisibility <= 38:
        raise BadPage(f"{what}: `divisibility` is {divisibility}, not 0 to 38")
    # What the market does is no fact about the rune.
    known = {key: value for key, value in rune.items() if key not in {"marketData", "mintedNumber"}}
    asset, name = _asset(question.scope, divisibility, known), _fact_name(question)
    return Page(
        assets=(asset,), facts={name: str(divisibility)}, lasting=frozenset({name}), teaches_only=True
    )


def _asset(rune: str, divisibility: int, known: Mapping[str, Any]) -> Asset:
    symbol, name = (
        clean_text(text) if isinstance(text := known.get(key), str) and text else None
        for key in ("symbol", "name")
    )
    return Asset(rune, "fungible", symbol, name, divisibility, canonical_json(known))


def _read_list(question: Question, data: Mapping[str, Any]) -> Page:
    items = need(data, "items", list, _WHAT)
    divisibility = int(question.facts[_fact_name(question)])
    read = _doubt_contradictions([_read_row(question, divisibility, item) for item in items])
    return Page(
        holdings=tuple(row for row in read if isinstance(row, Holding)),
        unreadable=tuple(row for row in read if isinstance(row, Unreadable)),
        assets=_read_asset(question.scope, divisibility, items),
        prices=tuple(ask for row, item in zip(read, items, strict=True) for ask in _read_asks(row, item)),
        next_cursor=find_next(question.cursor, data.get("cursor"), items),
    )


def _read_row(question: Question, divisibility: int, item: object) -> Holding | Unreadable:
    if not isinstance(item, dict):
        return Unreadable("the row is not an object")
    if item.get("tickerId") != question.scope:
        raise BadPage(f"{_WHAT}: a row is not of rune {question.scope}: the API ignored `runesId`")
    address = _read_owner(question, item.get("ownerAddress"))
    if address is None:
        return Unreadable("`ownerAddress` is missing or not an address")
    asset_ref, output = None, ""
    try:
        output = _read_output(item.get("utxoTxHash"), item.get("utxoVout"))
        asset_ref = question.scope
        amount = read_base_units(item.get("amount"), divisibility)
    except ValueError as error:
        return Unreadable(str(error), address, asset_ref, output)
    return Holding(address, question.scope, output, amount, divisibility, details=_read_details(item))


def _doubt_contradictions(rows: list[Holding | Unreadable]) -> list[Holding | Unreadable]:
    """An output has one amount for ever: where one page lists it with two, neither is read."""
    told: dict[tuple[str, str], int | None] = {}
    doubted = set[tuple[str, str]]()
    for row in rows:
        if isinstance(row, Holding):
            key = (row.address, row.sub_key)
            if told.setdefault(key, row.amount) != row.amount:
                doubted.add(key)
    return [
        Unreadable(_CONTRADICTION, row.address, row.asset_ref, row.sub_key)
        if isinstance(row, Holding) and (row.address, row.sub_key) in doubted
        else row
        for row in rows
    ]


def _read_owner(question: Question, value: object) -> str | None:
    """The address of the question that owns the row; ``None`` when it cannot be read."""
    try:
        address = OkxRunes().canonical_address(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if address is not None and address not in question.addresses:
        raise BadPage(f"{_WHAT}: a row is of an address that was not asked: the API ignored the filter")
    return address


def _read_output(transaction: object, index: object) -> str:
    """``txid:vout``, the key of the row. Raises ValueError."""
    if not isinstance(transaction, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", transaction):
        raise ValueError("`utxoTxHash` is not 64 hexadecimal digits")
    if type(index) is not int or not 0 <= index < 2**32:
        raise ValueError("`utxoVout` is not a number below 2^32")
    return f"{transaction.lower()}:{index}"


def _read_details(item: Mapping[str, Any]) -> str:
    """For unlisted rows OKX sends null, zero, "" or nothing: all four must give the same text."""
    told = {key: item[key] for key in _DETAILS if item.get(key) not in (None, "", 0, "0")}
    return canonical_json({"status": 0, **told} if item.get("status") == 0 else told)


def _read_asset(rune: str, divisibility: int, items: Sequence[object]) -> tuple[Asset, ...]:
    """What the last row that names the rune says of it: silence must not erase a name."""
    for item in reversed(items):
        if isinstance(item, dict) and (item.get("name") or item.get("symbol")):
            known = {key: item[key] for key in _ASSET_FIELDS if item.get(key) not in (None, "")}
            return (_asset(rune, divisibility, known),)
    return ()


def _read_asks(row: Holding | Unreadable, item: Any) -> tuple[Price, ...]:
    """The asking price of one display unit, for a listed row."""
    if isinstance(row, Unreadable) or item.get("status") != 1 or not isinstance(item.get("unitPrice"), dict):
        return ()
    offers = [(currency, item["unitPrice"].get(f"{currency}Price")) for currency in ("sat", "usd")]
    return tuple(
        Price(row.address, row.asset_ref, "ask", currency, Decimal(text), row.sub_key)
        for currency, text in offers
        if isinstance(text, str) and _DECIMAL.fullmatch(text) and Decimal(text)
    )
