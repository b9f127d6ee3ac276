"""Verification: whether history keeps its own rules, and the raw pages still say what was made of them.

Reads only. The rules are checked as of one moment; lists are folded again one crawl at a time, and bytes are
read a few bodies at a time, so neither memory nor a working daemon suffers.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from indexer.folding import Fold, named_assets
from indexer.records import Question
from indexer.sources.base import Source
from indexer.store import pages
from indexer.store import verify as store
from indexer.store.bodies import UNREADABLE
from indexer.store.database import Connection, Database
from indexer.store.verify import JudgedCrawl, StoredBody, Violation

#: More violations of one rule than this are only counted.
MOST_TOLD: Final = 1_000


@dataclass(slots=True)
class Findings:
    """What was checked, and what is wrong."""

    #: How many there are of each broken rule.
    found: Counter[str] = field(default_factory=Counter)
    #: The first of each rule.
    violations: list[Violation] = field(default_factory=list)
    #: How many things of each kind were looked at.
    checked: Counter[str] = field(default_factory=Counter)

    def add(self, rule: str, ref: str) -> None:
        """Count a violation, and keep it while there are few of its rule."""
        self.found[rule] += 1
        if self.found[rule] <= MOST_TOLD:
            self.violations.append(Violation(rule, ref))


async def verify(database: Database, sources: Mapping[str, Source], *, quick: bool) -> Findings:
    """Check everything; ``quick``: the rules of history only. Raises DatabaseUnavailable."""
    findings = await database.steadily(lambda: _check_rules(database))
    if not quick:
        async with database.connection() as connection:
            await _check_lists(connection, sources, findings)
            await _check_bodies(connection, findings)
    return findings


async def _check_rules(database: Database) -> Findings:
    findings = Findings()
    async with database.transaction() as connection:
        await store.freeze(connection)
        async for violation in store.read_violations(connection):
            findings.add(violation.rule, violation.ref)
        counts = await store.count_checked(connection)
    findings.checked.update(
        snapshots=counts.snapshots,
        versions=counts.versions,
        carried_spans=counts.carried_spans,
        crawls=counts.crawls,
        pages=counts.pages,
    )
    return findings


async def _check_lists(connection: Connection, sources: Mapping[str, Source], findings: Findings) -> None:
    """Fold every judged list again: its digest must be the one it was judged by."""
    async for crawl in store.read_judged_crawls(connection):
        broken = await _check_crawl(connection, sources[crawl.source], crawl)
        findings.checked["lists"] += len(crawl.snapshots)
        # Pages that were pruned while they were read are no violation.
        if broken and await store.is_kept(connection, crawl):
            for violation in broken:
                findings.add(violation.rule, violation.ref)


async def _check_crawl(connection: Connection, source: Source, crawl: JudgedCrawl) -> list[Violation]:
    covered = dict(zip(crawl.watched, crawl.watches, strict=True))
    try:
        fold = await _fold(connection, source, crawl, covered)
    except UNREADABLE as error:
        return [Violation("page_unreadable", f"{crawl.crawl_id}: {error}")]
    return [
        Violation("digest_differs", f"{snapshot}: crawl {crawl.crawl_id}, {address}")
        for snapshot, watch, address, digest in zip(
            crawl.snapshots, crawl.watches, crawl.watched, crawl.digests, strict=True
        )
        if fold.summaries[watch].digest != digest
    ]


async def _fold(
    connection: Connection, source: Source, crawl: JudgedCrawl, covered: Mapping[str, int]
) -> Fold:
    """The lists as the pages state them. Only their digests matter, so assets need no numbers."""
    fold = Fold(covered)
    async for stored in pages.read(connection, crawl.part_on, crawl.crawl_id):
        question = Question(tuple(crawl.addresses), crawl.scope, stored.cursor_in, crawl.facts or {})
        page = source.parse(question, stored.body)
        fold.add(stored.page_no, page, dict.fromkeys(named_assets(page), 0))
    return fold


async def _check_bodies(connection: Connection, findings: Findings) -> None:
    """Every body must be the bytes its hash and its length say."""
    async for day in store.list_days(connection):
        async for body in store.read_bodies(connection, day):
            rule, length = await asyncio.to_thread(_check_body, body)
            findings.checked["bodies"] += 1
            findings.checked["bytes"] += length
            if rule:
                findings.add(rule, f"{day.isoformat()}/{body.sha256.hex()}")


def _check_body(body: StoredBody) -> tuple[str, int]:
    """The rule a body breaks, '' if none, and its length."""
    try:
        exact = body.unpack()
    except UNREADABLE:
        return "body_unreadable", 0
    if hashlib.sha256(exact).digest() != body.sha256:
        return "body_differs_from_its_hash", len(exact)
    return ("body_differs_from_its_length" if len(exact) != body.length else ""), len(exact)
