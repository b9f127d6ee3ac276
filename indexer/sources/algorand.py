"""Algorand: every asset an account holds, from an algod node (v4.6 or newer).

`GET /v2/accounts/{address}/assets?limit=1000&next=…`, ascending by asset id. The list ends when
`next-token` is absent: a page may be short, even empty, and still have one. Pure; see `sources/base.py`.
https://developer.algorand.org/docs/rest-apis/algod/
"""

# ruff: noqa: ARG002 - the protocol names arguments that some sources need and others do not.

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, Final

import msgspec

from indexer.errors import ApiError, BadPage, RateLimited, Refused, RequestRejected
from indexer.records import Page, Question, Request, Secrets, SplitPage
from indexer.sources.algorand_page import read_page, split_page
from indexer.sources.base import clean_text, read_object
from indexer.sources.reactions import react_to_status

#: The node answers 400 above this, and it is also its default.
_LIMIT: Final = 1000
_ADDRESS: Final = re.compile(r"[A-Z2-7]{58}")
#: Unknown accounts get an empty list, so a 404 is never about the account.
_NO_ROUTE: Final = "this node does not serve account assets (older than v4.6, or not enabled)"
_URL: Final = re.compile(r"\w+://\S+")
#: What an operator should think of.
_MEANING: Final[Mapping[type[ApiError], str]] = {
    Refused: ": the node refuses us (token or quota)",
    RateLimited: ": too many requests",
}


#: The round moves with every block. A name that contains this text has its quotes escaped in JSON. A number
#: that is no JSON number, or too large to be stored, is left for the parser to refuse.
_ROUND: Final = re.compile(rb'"round":\s*(0|[1-9]\d{0,17})(?!\d)')


class Algorand(msgspec.Struct, frozen=True):
    """Assets of one account at a node; the account's Algos are not in this list."""

    prefix: str = ""

    name: ClassVar[str] = "algorand"
    network: ClassVar[str] = "algorand"
    kind: ClassVar[str] = "fungible"
    batch: ClassVar[int] = 1
    scoped: ClassVar[bool] = False
    required_secrets: ClassVar[tuple[str, ...]] = ()
    optional_secrets: ClassVar[tuple[str, ...]] = ("api_token",)
    absences_needed: ClassVar[int] = 1
    repeats_facts: ClassVar[bool] = False
    names_owner: ClassVar[bool] = False
    volatile: ClassVar[re.Pattern[bytes] | None] = _ROUND

    def canonical_address(self, text: str) -> str:
        """The address itself, once its checksum holds: there is only one spelling."""
        if _ADDRESS.fullmatch(text) is None:
            raise ValueError("an Algorand address is 58 characters of A-Z and 2-7, upper case")
        raw = base64.b32decode(text + "======")
        key, checksum = raw[:32], raw[32:]
        if _hash(key)[-4:] != checksum:
            raise ValueError("the checksum of this Algorand address does not match: is a character mistyped?")
        if base64.b32encode(raw).decode("ascii").rstrip("=") != text:
            raise ValueError("the last character of this Algorand address is not the canonical one")
        return text

    def canonical_scope(self, text: str) -> str:
        """Always empty: one request lists every asset."""
        if text:
            raise ValueError("algorand takes no scope")
        return ""

    def fact_names(self, question: Question) -> tuple[str, ...]:
        """None: no look-up is ever needed."""
        return ()

    def request(self, question: Question) -> Request:
        """The next page: an empty `next=` would be an error, so it is left out on the first one."""
        (address,) = question.addresses
        path, resumed = f"/assets?limit={_LIMIT}", ""
        if question.cursor is not None:
            path, resumed = f"{path}&next={question.cursor}", "&next={cursor}"
        return Request(
            method="GET",
            target=f"{self.prefix}/v2/accounts/{address}{path}",
            template=f"/v2/accounts/{{address}}/assets?limit={_LIMIT}{resumed}",
        )

    def headers(self, request: Request, secrets: Secrets, now: datetime) -> dict[str, str]:
        """The node's token, when there is one: public nodes want none."""
        token = secrets.get("api_token")
        return {"X-Algo-API-Token": token} if token else {}

    def secret_path(self, secrets: Secrets) -> str:
        """Empty: no secret is in the path."""
        return ""

    def read_error(self, question: Question, status: int, body: bytes) -> ApiError | None:
        """The reaction to anything but a 200."""
        if status == 200:
            return None
        said, resumed = _said(body), question.cursor is not None
        if status == 404 and not resumed:
            return RequestRejected(f"404{said}: {_NO_ROUTE}")
        reaction = react_to_status(status, resumed=resumed)
        return reaction(f"{status}{said}{_MEANING.get(reaction, '')}")

    def split(self, body: bytes) -> SplitPage | None:
        """The rows, if the answer has its usual shape."""
        return split_page(body)

    def parse(self, question: Question, body: bytes) -> Page:
        """One page of holdings; an unreadable row never hides the others."""
        return read_page(question, body)


def _hash(key: bytes) -> bytes:
    """SHA-512/256."""
    # Most builds of OpenSSL know it; the library that always does takes longer to load than a page to read.
    if "sha512_256" in hashlib.algorithms_available:
        return hashlib.new("sha512_256", key).digest()
    from Crypto.Hash import SHA512

    return SHA512.new(key, truncate="256").digest()


def _said(body: bytes) -> str:
    """The node's own message, cleaned and short, with a space in front; empty when there is none."""
    try:
        message = read_object(body, "algorand error").get("message")
    except BadPage:
        return ""
    if type(message) is not str:
        return ""
    printable = "".join(c if c.isprintable() else " " for c in clean_text(message[:1000]))
    text = " ".join(_URL.sub("[url]", printable).split())[:120]
    return f" {text!r}" if text else ""
