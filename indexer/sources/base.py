"""What a source is, and how its bytes are read without ever being believed too early.

A source is pure: it turns a question into a request and bytes into a page. It opens no socket,
reads no clock, writes no log and knows no other source.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

import msgspec

from indexer.errors import ApiError, BadPage
from indexer.records import LARGEST_AMOUNT, Asset, Page, Question, Request, Secrets, SplitPage

#: JSON integers longer than this cannot be an amount (2^256 has 78 digits); int() of them is slow.
_LONGEST_INTEGER: Final = 100

T = TypeVar("T")


class Source(Protocol):
    """One HTTP API. Instances are frozen; they hold settings, never secrets."""

    @property
    def name(self) -> str:
        """The name in configuration, tables and logs."""
        ...

    @property
    def network(self) -> str:
        """The network its addresses and assets live on."""
        ...

    @property
    def kind(self) -> str:
        """Kind given to an asset before anything else is known of it."""
        ...

    @property
    def batch(self) -> int:
        """How many addresses one request takes."""
        ...

    @property
    def scoped(self) -> bool:
        """Whether a watch needs a scope (the rune id)."""
        ...

    @property
    def required_secrets(self) -> tuple[str, ...]:
        """Names of the secrets without which no request can be made."""
        ...

    @property
    def optional_secrets(self) -> tuple[str, ...]:
        """Names of the secrets that may be given."""
        ...

    @property
    def absences_needed(self) -> int:
        """Complete crawls in which a holding must be missing before it counts as gone."""
        ...

    @property
    def repeats_facts(self) -> bool:
        """Whether lists tell lasting facts too, and not look-ups alone: what is old is asked of them."""
        ...

    @property
    def names_owner(self) -> bool:
        """Whether its rows say whose they are. Else only what they list tells one account from another.

        Lists of such a source must be in ascending order of their asset numbers, which are its asset_refs.
        """
        ...

    @property
    def volatile(self) -> re.Pattern[bytes] | None:
        """Finds the one number in a body that changes by itself (its group 1: the chain height), if any."""
        ...

    @property
    def prefix(self) -> str:
        """Path prefix of ``base_url``, without trailing slash."""
        ...

    def canonical_address(self, text: str) -> str:
        """The one form in which this address is stored. Raises ValueError saying what is wrong."""
        ...

    def canonical_scope(self, text: str) -> str:
        """The one form of a scope. Raises ValueError saying what is wrong."""
        ...

    def fact_names(self, question: Question) -> tuple[str, ...]:
        """Names of the lasting facts that could spare this question a look-up."""
        ...

    def request(self, question: Question) -> Request:
        """The next request for this question. Pure: the same question gives the same bytes."""
        ...

    def headers(self, request: Request, secrets: Secrets, now: datetime) -> dict[str, str]:
        """The headers that carry secrets and signatures. ``now`` is an aware UTC time."""
        ...

    def secret_path(self, secrets: Secrets) -> str:
        """What is appended to the target on the wire only (a key in the path), else ``''``."""
        ...

    def read_error(self, question: Question, status: int, body: bytes) -> ApiError | None:
        """Why this answer is not a page, or None when ``parse`` should read it. Never raises."""
        ...

    def parse(self, question: Question, body: bytes) -> Page:
        """The page in these bytes. Raises BadPage when they cannot be believed as a whole."""
        ...

    def split(self, body: bytes) -> SplitPage | None:
        """The page cut into its rows, where each row can be read without the others; None: it cannot be cut.

        ``parse`` must say of a page with some of the rows what it says of these rows in the whole page, as
        long as the rows left out are such that ``parse`` took them before, and in this order.
        """
        ...


class Inexact:
    """A JSON number that is no whole number: a float, an exponent, NaN, or absurdly long."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text[:40]

    def __repr__(self) -> str:
        return self.text


def _read_integer(text: str) -> int | Inexact:
    return int(text) if len(text) <= _LONGEST_INTEGER else Inexact(text)


_DECODER: Final = json.JSONDecoder(parse_float=Inexact, parse_constant=Inexact, parse_int=_read_integer)
#: Some ten times as fast, and of the same opinion wherever it has one (tested); elsewhere it raises.
_QUICK_DECODER: Final = msgspec.json.Decoder(float_hook=Inexact)
#: Whatever a quick reader raises: the slow one decides what these bytes are.
_NO_OPINION: Final = (msgspec.MsgspecError, ValueError, TypeError, RecursionError)

#: Every digit as "0": a run of them shows where an integer may be absurdly long, which the quick one takes.
_DIGITS_ALIKE: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG_RUN: Final = b"0" * _LONGEST_INTEGER


def read_object(body: bytes, what: str) -> dict[str, Any]:
    """The JSON object in ``body``. Floats arrive as ``Inexact``: no amount is ever rounded.

    Raises BadPage for anything else, including invalid UTF-8 and nesting too deep to be real.
    """
    try:
        value = _decode(body)
    except (ValueError, RecursionError) as error:
        raise BadPage(f"{what}: the answer is not JSON ({_explain(error)})") from None
    if type(value) is not dict:
        raise BadPage(f"{what}: the answer is {_describe(value)}, not an object")
    return value


def _explain(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "no UTF-8"
    return "nested too deeply" if isinstance(error, RecursionError) else "malformed"


def _decode(body: bytes) -> Any:
    if _LONG_RUN not in body.translate(_DIGITS_ALIKE):
        try:
            return _QUICK_DECODER.decode(body)
        except _NO_OPINION:
            pass
    return _DECODER.decode(body.decode("utf-8"))


def read_usual(decoder: msgspec.json.Decoder[T], body: bytes) -> T | None:
    """The answer, where it has exactly the usual shape. None says nothing: then read it the long way."""
    try:
        # Parts that nobody looks at are skipped over unread, so what they are made of is checked here.
        body.decode("utf-8")
        return decoder.decode(body)
    except _NO_OPINION:
        return None


def need(item: Mapping[str, Any], key: str, kind: type, what: str) -> Any:
    """``item[key]`` of exactly this type. Raises BadPage: a missing field is never a default."""
    value = item.get(key)
    if type(value) is not kind:
        raise BadPage(f"{what}: `{key}` is {_describe(value)}, not {_KINDS[kind]}")
    return value


def _describe(value: object) -> str:
    return "missing or null" if value is None else _KINDS[type(value)]


#: What JSON calls what Python read from it.
_KINDS: Final[Mapping[type, str]] = {
    str: "a text",
    int: "a whole number",
    Inexact: "no whole number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}


def whole_number(value: object) -> int:
    """A whole number 0 … 2^256-1 from a JSON integer or a string of decimal digits.

    Raises ValueError saying what it was instead; the caller makes the item Unreadable.
    """
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= 78:
        value = int(value)
    if type(value) is not int:
        raise ValueError(f"amount is {_show(value)}, not a whole number")
    if not 0 <= value <= LARGEST_AMOUNT:
        raise ValueError("amount is negative or above 2^256-1")
    return value


def _show(value: object) -> str:
    return "missing" if value is None else clean_text(str(value))[:40]


def clean_text(text: str) -> str:
    """Text as PostgreSQL can store it: NUL and lone surrogates become U+FFFD."""
    if "\x00" in text or not text.isascii():
        text = text.replace("\x00", "\ufffd")
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


#: Deeper JSON than this is kept in the raw bytes only.
_DEEPEST_DETAIL: Final = 64


def canonical_json(value: object) -> str:
    """JSON text with sorted keys and clean strings: equal values give equal text. Takes no floats.

    Most values are clean as they are. What is not is cleaned first, which takes ten times as long.
    """
    try:
        text = _ENCODER.encode(value)
    except _NO_OPINION:  # a lone surrogate
        return _encode(_cleaned(value, 0))
    # The first search is for one byte, which is so much faster that it comes first.
    if _may_be_deep(text) or (b"\\" in text and b"\\u0000" in text):
        return _encode(_cleaned(value, 0))
    return text.decode("utf-8")


def _may_be_deep(text: bytes) -> bool:
    # Most are flat objects: to see that takes a fraction of counting.
    if text.find(b"{", 1) < 0 and b"[" not in text:
        return False
    return text.count(b"{") + text.count(b"[") > _DEEPEST_DETAIL


def _encode_inexact(value: object) -> str:
    if type(value) is not Inexact:
        raise TypeError(f"a {type(value).__name__} is not JSON")
    return value.text


_ENCODER: Final = msgspec.json.Encoder(order="sorted", enc_hook=_encode_inexact)


def _encode(value: object) -> str:
    return _ENCODER.encode(value).decode("utf-8")


def _cleaned(value: object, depth: int) -> object:
    if depth > _DEEPEST_DETAIL:
        return "…"
    if type(value) is str:
        return clean_text(value)
    if type(value) is dict:
        return {clean_text(key): _cleaned(part, depth + 1) for key, part in value.items()}
    if type(value) is list:
        return [_cleaned(part, depth + 1) for part in value]
    return value


def newest(assets: Sequence[Asset]) -> tuple[Asset, ...]:
    """One asset per reference: the last mention on a page wins."""
    return tuple({asset.asset_ref: asset for asset in assets}.values())
