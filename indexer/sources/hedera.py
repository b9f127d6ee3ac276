"""Hedera: every NFT an account holds, from a mirror node.

`GET /api/v1/accounts/{id}/nfts?limit=100&order=asc`, then the query of `links.next` exactly as given, until
that is null. Ascending, so that newly minted serials come last and shift nothing. Pure; see `base.py`.
https://docs.hedera.com/hedera/sdks-and-apis/rest-api
"""

# ruff: noqa: ARG002 - the protocol names arguments that some sources need and others do not.

import re
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, Final

import msgspec

from indexer.errors import ApiError, BadPage, RateLimited, Refused, RequestRejected
from indexer.records import Page, Question, Request, Secrets, SplitPage
from indexer.sources.base import clean_text, read_object
from indexer.sources.hedera_cursor import FULL_PAGE, is_probe
from indexer.sources.hedera_page import name_owner, read_page, split_page
from indexer.sources.reactions import react_to_status

_FIRST_QUERY: Final = f"limit={FULL_PAGE}&order=asc"
#: How a server that only knows its own links may answer a question of ours.
_UNASKED: Final = (400, 404)
#: Account numbers have 38 bits beside 10 bits of shard and 16 bits of realm.
_LARGEST_NUMBER: Final = 2**38 - 1
_LARGEST_SHARD: Final = 2**10 - 1
_LARGEST_REALM: Final = 2**16 - 1

_NUMERIC: Final = re.compile(r"(?:(?:([0-9]{1,20})\.)?([0-9]{1,20})\.)?([0-9]{1,20})")
_CHECKSUMMED: Final = re.compile(r"[0-9.]+-[a-z]{5}")
_EVM: Final = re.compile(r"(?:0\.)?(?:0\.)?(?:0x)?([0-9A-Fa-f]{40})")
_ALIAS: Final = re.compile(
    r"(?:[0-9]{1,10}\.){0,2}(?=[A-Z2-7]{32})(?:[A-Z2-7]{8})*(?:[A-Z2-7]{2}|[A-Z2-7]{4,5}|[A-Z2-7]{7,8})"
)
_URL: Final = re.compile(r"\w+://\S+")
#: What an operator should think of.
_MEANING: Final[Mapping[type[ApiError], str]] = {
    Refused: ": the mirror node refuses us",
    RateLimited: ": too many requests",
}


class Hedera(msgspec.Struct, frozen=True):
    """NFTs of one account at a mirror node."""

    prefix: str = ""

    name: ClassVar[str] = "hedera"
    network: ClassVar[str] = "hedera"
    kind: ClassVar[str] = "nft"
    batch: ClassVar[int] = 1
    scoped: ClassVar[bool] = False
    required_secrets: ClassVar[tuple[str, ...]] = ()
    optional_secrets: ClassVar[tuple[str, ...]] = ()
    absences_needed: ClassVar[int] = 1
    repeats_facts: ClassVar[bool] = True
    names_owner: ClassVar[bool] = True
    volatile: ClassVar[re.Pattern[bytes] | None] = None

    def canonical_address(self, text: str) -> str:
        """`shard.realm.num` where the number is known, else lower-case `0x…`, else the alias as given."""
        evm = _EVM.fullmatch(text)
        if evm is not None:
            return _canonical_evm(evm[1].lower())
        numeric = _NUMERIC.fullmatch(text)
        if numeric is not None:
            return _canonical_entity(*(int(part or "0") for part in numeric.groups()))
        if _CHECKSUMMED.fullmatch(text) is not None:
            raise ValueError("write the account without its checksum suffix, as 0.0.1234")
        if _ALIAS.fullmatch(text) is not None:
            return text
        raise ValueError(
            "a Hedera account is shard.realm.num (0.0.1234), 40 hexadecimal digits, or an upper-case alias"
        )

    def canonical_scope(self, text: str) -> str:
        """Always empty: one request lists every NFT."""
        if text:
            raise ValueError("hedera takes no scope")
        return ""

    def fact_names(self, question: Question) -> tuple[str, ...]:
        """Whom an alias means, as an earlier list said. An account number needs none."""
        name = name_owner(question.addresses[0])
        return () if name is None else (name,)

    def request(self, question: Question) -> Request:
        """The next page: our own query first, then the server's, byte for byte."""
        (address,) = question.addresses
        query = _FIRST_QUERY if question.cursor is None else question.cursor
        stored = _FIRST_QUERY if question.cursor is None else "{cursor}"
        return Request(
            method="GET",
            target=f"{self.prefix}/api/v1/accounts/{address}/nfts?{query}",
            template=f"/api/v1/accounts/{{address}}/nfts?{stored}",
        )

    def headers(self, request: Request, secrets: Secrets, now: datetime) -> dict[str, str]:
        """None."""
        return {}

    def secret_path(self, secrets: Secrets) -> str:
        """Empty: no secret is in the path."""
        return ""

    def read_error(self, question: Question, status: int, body: bytes) -> ApiError | None:
        """The reaction to anything but a 200. Our own question at the end of a list may be one too many."""
        if status == 200 and is_probe(question.cursor) and not _lists_any(body):
            return BadPage("hedera: an answer that is no page, where the list may go on")
        if status == 200 or (status in _UNASKED and is_probe(question.cursor)):
            return None
        said, resumed = _said(body), question.cursor is not None
        if status == 404 and not resumed:
            return RequestRejected(f"404{said}: the mirror node knows no such account")
        reaction = react_to_status(status, resumed=resumed)
        return reaction(f"{status}{said}{_MEANING.get(reaction, '')}")

    def split(self, body: bytes) -> SplitPage | None:
        """The rows, if the answer has its usual shape."""
        return split_page(body)

    def parse(self, question: Question, body: bytes) -> Page:
        """One page of NFTs; an unreadable row never hides the others."""
        if is_probe(question.cursor) and not _lists_any(body):
            return Page()  # it knows no such question: the list ends where it said
        return read_page(question, body)


def _lists_any(body: bytes) -> bool:
    """Whether this is a page, be there rows on it or not."""
    try:
        return "nfts" in read_object(body, "hedera page")
    except BadPage:
        return False


def _canonical_entity(shard: int, realm: int, number: int) -> str:
    if shard > _LARGEST_SHARD or realm > _LARGEST_REALM or not 0 < number <= _LARGEST_NUMBER:
        raise ValueError("this Hedera account number is outside what an account can have (1 to 2^38-1)")
    return f"{shard}.{realm}.{number}"


def _canonical_evm(digits: str) -> str:
    """Twelve zero bytes in front: the rest is the account number itself."""
    if digits.startswith("0" * 24):
        return _canonical_entity(0, 0, int(digits, 16))
    return f"0x{digits}"


def _said(body: bytes) -> str:
    """The server's own messages, cleaned and short, with a space in front; empty when there are none."""
    try:
        status = read_object(body, "hedera error").get("_status")
    except BadPage:
        return ""
    messages = status.get("messages") if isinstance(status, Mapping) else None
    rows = [row for row in messages[:3] if isinstance(row, Mapping)] if isinstance(messages, list) else []
    texts = [clean_text(row["message"][:1000]) for row in rows if type(row.get("message")) is str]
    printable = "".join(c if c.isprintable() else " " for c in "; ".join(texts))
    text = " ".join(_URL.sub("[url]", printable).split())[:120]
    return f" {text!r}" if text else ""
