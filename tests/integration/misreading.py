"""Parsers with a bug, and databases that were crawled with one until the program was corrected."""

import asyncio
import re
from bisect import bisect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar
from zlib import crc32

import msgspec
from msgspec.structs import replace

from indexer import bootstrap, jobs, review
from indexer.jobs import Engine, Selection
from indexer.records import Asset, Holding, Page, Price, Question, Unreadable
from indexer.replay import Report, replay
from indexer.sources.base import Source
from indexer.store.passes import Outcome
from indexer.worker import Worker
from tests.integration.keeping import Stage

Misread = Callable[[Page], Page]
Result = TypeVar("Result")
_Named = TypeVar("_Named", Holding, Asset, Price)


class Misreading:
    """A source with a bug in its parser."""

    def __init__(self, source: Source, misread: Misread) -> None:
        self._source = source
        self._misread = misread

    def __getattr__(self, name: str) -> object:
        return getattr(self._source, name)

    def parse(self, question: Question, body: bytes) -> Page:
        """The page, read wrongly."""
        return self._misread(self._source.parse(question, body))


def halve(page: Page) -> Page:
    """Amounts and decimals that are others, details that are left out."""
    return replace(page, holdings=tuple(map(_half, page.holdings)))


def _half(one: Holding) -> Holding:
    amount = None if one.amount is None else one.amount // 2
    return msgspec.structs.replace(one, amount=amount, decimals=None, details="{}")


def drop(page: Page) -> Page:
    """A kind of rows that nobody knew: neither holdings nor assets nor prices."""
    return replace(
        page,
        holdings=tuple(one for one in page.holdings if not _is_chosen(one.asset_ref)),
        assets=tuple(one for one in page.assets if not _is_chosen(one.asset_ref)),
        prices=tuple(one for one in page.prices if not _is_chosen(one.asset_ref)),
    )


def invent(page: Page) -> Page:
    """Holdings that are not there."""
    more = tuple(
        msgspec.structs.replace(one, sub_key=f"{one.sub_key}-twice")
        for one in page.holdings
        if _is_chosen(one.asset_ref)
    )
    return replace(page, holdings=page.holdings + more)


def doubt(page: Page) -> Page:
    """Items that could be read well."""
    doubts = tuple(
        Unreadable("of a kind nobody knows", one.address, one.asset_ref, one.sub_key)
        for one in page.holdings
        if _is_chosen(one.asset_ref)
    )
    rest = tuple(one for one in page.holdings if not _is_chosen(one.asset_ref))
    return replace(page, holdings=rest, unreadable=page.unreadable + doubts)


def lose_keys(page: Page) -> Page:
    """Items whose very name could be read."""
    doubts = tuple(Unreadable("no name", one.address) for one in page.holdings if _is_chosen(one.asset_ref))
    rest = tuple(one for one in page.holdings if not _is_chosen(one.asset_ref))
    return replace(page, holdings=rest, unreadable=page.unreadable + doubts)


def rename(page: Page) -> Page:
    """Every asset under another name."""
    return replace(
        page,
        holdings=tuple(_rename(one) for one in page.holdings),
        assets=tuple(_rename(one) for one in page.assets),
        prices=tuple(_rename(one) for one in page.prices),
    )


def _rename(one: _Named) -> _Named:
    return msgspec.structs.replace(one, asset_ref=f"{one.asset_ref}-misnamed")


def _is_chosen(asset_ref: str) -> bool:
    return crc32(asset_ref.encode()) % 4 == 0


MISREADINGS: Sequence[Misread] = (halve, drop, invent, doubt, lose_keys, rename)


def run_with(stage: Stage, misread: Misread | None, work: Callable[[Engine], Awaitable[Result]]) -> Result:
    """Do something as a program whose parsers have this bug, or none."""

    async def go() -> Result:
        settings, sources = stage.config(), parsers(stage, misread)
        entries = bootstrap.read_watchlist(settings, sources)
        redact = bootstrap.build_redactor(settings)
        async with (
            bootstrap.database(settings) as database,
            Worker(settings, database, sources, redact).working() as worker,
        ):
            return await work(Engine(settings, database, sources, entries, worker))

    return asyncio.run(go())


def crawl_with(stage: Stage, misread: Misread | None) -> list[Outcome]:
    """One pass of such a program."""

    async def crawl(engine: Engine) -> list[Outcome]:
        return list(await jobs.run_pass(engine, Selection(None, None), lambda _progress: None))

    return run_with(stage, misread, crawl)


def release_with(stage: Stage, misread: Misread | None) -> None:
    """A person releases the list that waits, if one does."""
    waiting = stage.value("SELECT max(snapshot_id) FROM report.quarantine")
    if waiting is None:
        return

    async def release(engine: Engine) -> str:
        return await review.release(engine.database, engine.config, engine.sources, waiting)

    run_with(stage, misread, release)


def adopt_with(stage: Stage, misread: Misread | None = None, source: str | None = None) -> Report:
    """`indexer replay --adopt` of such a program."""

    async def adopt(engine: Engine) -> Report:
        return await replay(engine.database, engine.config, engine.sources, (source, None), adopts=True)

    return run_with(stage, misread, adopt)


def parsers(stage: Stage, misread: Misread | None) -> Mapping[str, Source]:
    """The sources as a program has them."""
    sources = dict(bootstrap.build_sources(stage.config()))
    if misread is None:
        return sources
    return {name: Misreading(source, misread) for name, source in sources.items()}  # type: ignore[misc]  # all of Source


def upgrade(stage: Stage) -> None:
    """The program is another one now: its code did not read the pages that are there."""
    stage.execute("UPDATE ledger.crawl SET reader = 'an older one'")


_INSTANT = re.compile(r'"\d{4}-\d\d-\d\dT[0-9:.]+\+00:00"')

#: Of each report the columns that depend on which numbers and instants the database happened to choose.
_AS_OF = {"holdings_as_of": "version_key,observed_at,age", "coverage_as_of": "age"}
_ALWAYS = {
    "holding_changes": "crawl",
    "holding_history": "version_key",
    "snapshots": "snapshot_id,crawl_id,first_page_at,last_page_at,height_from,height_to,reason",
    "assets": "updated_at",
}


def read_story(stage: Stage, marks: Sequence[datetime]) -> dict[tuple[str, int], list[str]]:
    """What every report says after each round, with rounds in the place of instants."""

    def tell(found: re.Match[str]) -> str:
        return f'"round {bisect(marks, datetime.fromisoformat(found[0][1:-1]))}"'

    def ask(report: str, chance: str, at: datetime | None = None) -> list[str]:
        call = f"{report}(%(at)s)" if at else report
        query = f"SELECT (to_jsonb(r) - '{{{chance}}}'::text[])::text AS line FROM report.{call} AS r"
        lines = (_INSTANT.sub(tell, row["line"]) for row in stage.rows(query, at=at))
        # What was misnamed stays known by that name, and nobody holds it.
        return sorted(line for line in lines if report != "assets" or "-misnamed" not in line)

    story = {
        (name, number): ask(name, _AS_OF[name], at) for name in _AS_OF for number, at in enumerate(marks)
    }
    return story | {(name, -1): ask(name, chance) for name, chance in _ALWAYS.items()}
