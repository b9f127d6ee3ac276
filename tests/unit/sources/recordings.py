"""The recordings of `tests/recorded/`, and the walk through one of them as the crawl would do it.

A case is a question and the answers it met; its folder name says what it shows. Nothing here asserts anything
about a source but that it asks what was recorded.
"""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from indexer.errors import ApiError, BadPage
from indexer.records import LARGEST_AMOUNT, Page, Question, Request
from indexer.sources import SOURCES, build
from indexer.sources.base import Source

RECORDED = Path(__file__).parents[2] / "recorded"
NAMES = tuple(SOURCES)

Path_ = tuple[str | int, ...]


@dataclass(frozen=True)
class Exchange:
    """One recorded request, and the answer it met."""

    request: dict[str, str]
    status: int
    body: bytes


@dataclass(frozen=True)
class Case:
    """One folder of recordings."""

    source: str
    name: str
    question: Question
    exchanges: tuple[Exchange, ...]
    expect: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.source}-{self.name}"


@dataclass
class Walk:
    """What driving a case to its end gave."""

    pages: list[tuple[Question, bytes, Page]] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    error: ApiError | None = None


def load_case(folder: Path) -> Case:
    told = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    exchanges = tuple(
        Exchange(one["request"], one["status"], (folder / one["body"]).read_bytes())
        for one in told["exchanges"]
    )
    question = Question(tuple(told["addresses"]), told["scope"], None, told["facts"])
    return Case(folder.parent.name, folder.name, question, exchanges, told["expect"])


CASES = tuple(load_case(file.parent) for file in sorted(RECORDED.glob("*/*/case.json")))


def as_recorded(request: Request, recorded: dict[str, str]) -> dict[str, str]:
    """The parts of a request that this recording states."""
    stated = {"method": request.method, "target": request.target, "kind": request.kind}
    return stated | ({"body": request.body.decode()} if "body" in recorded else {})


def walk(case: Case) -> Walk:
    """Ask and read as the crawl does, until the list ends or an error does."""
    source, question, walked = build(case.source, "", {}), case.question, Walk()
    for exchange in case.exchanges:
        walked.questions.append(question)
        assert as_recorded(source.request(question), exchange.request) == exchange.request
        walked.error = source.read_error(question, exchange.status, exchange.body)
        if walked.error is not None:
            return walked
        try:
            page = source.parse(question, exchange.body)
        except BadPage as error:
            walked.error = error
            return walked
        walked.pages.append((question, exchange.body, page))
        question = replace(question, facts={**question.facts, **page.facts})
        if not page.teaches_only:
            question = replace(question, cursor=page.next_cursor)
    assert walked.pages[-1][2].next_cursor is None, "the list goes on where the recording ends"
    return walked


@cache
def readable_pages(name: str) -> tuple[tuple[Question, bytes, Page], ...]:
    return tuple(page for case in CASES if case.source == name for page in walk(case).pages)


@cache
def questions(name: str) -> tuple[Question, ...]:
    return tuple(question for case in CASES if case.source == name for question in walk(case).questions)


def texts_in(value: object) -> Iterator[str]:
    """Every text a value carries, however deep."""
    if isinstance(value, str):
        yield value
    elif is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            yield from texts_in(getattr(value, one.name))
    elif isinstance(value, msgspec.Struct):
        for part in msgspec.structs.astuple(value):
            yield from texts_in(part)
    elif isinstance(value, tuple | list | frozenset):
        for part in value:
            yield from texts_in(part)


def check_page(question: Question, page: Page) -> None:
    """What holds for any page whatever bytes it came from."""
    for text in texts_in(page):
        assert "\x00" not in text
        text.encode("utf-8")  # a lone surrogate cannot be encoded, nor stored
    for holding in page.holdings:
        assert holding.address in question.addresses
        assert holding.asset_ref
        assert holding.amount is None or 0 <= holding.amount <= LARGEST_AMOUNT
        assert holding.decimals is None or 0 <= holding.decimals <= 255
        assert isinstance(json.loads(holding.details), dict)
    assert all(isinstance(json.loads(asset.metadata), dict) for asset in page.assets)
    assert all(price.price.is_finite() and price.price >= 0 for price in page.prices)
    assert all(item.address is None or item.address in question.addresses for item in page.unreadable)
    if page.teaches_only:
        assert any(question.facts.get(name) != value for name, value in page.facts.items())
        assert page.lasting <= set(page.facts)
    else:
        assert page.next_cursor is None or page.next_cursor != question.cursor


def read_damaged(source: Source, question: Question, body: bytes) -> Page | None:
    """The page, or None where it was refused with the one error that is allowed."""
    try:
        page = source.parse(question, body)
    except BadPage:
        return None
    check_page(question, page)
    return page


def paths_in(document: Any, here: Path_ = ()) -> Iterator[Path_]:
    yield here
    if isinstance(document, dict):
        for key, value in document.items():
            yield from paths_in(value, (*here, key))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from paths_in(value, (*here, index))


def value_at(document: Any, path: Path_) -> Any:
    for step in path:
        document = document[step]
    return document


def with_value(document: Any, path: Path_, value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(document)
    value_at(changed, path[:-1])[path[-1]] = value
    return changed
