"""Replay: history is built again from the raw pages, beside the live one, and compared row by row.

It is the same fold as publishing, with the recorded verdicts and instants instead of new ones, and always on
the long way: nothing is skipped because a digest is known. Where old pages were pruned it begins with the
versions that were open then. Nothing is written but temporary tables; memory is bounded by one page.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from indexer.config import Config
from indexer.errors import BadPage
from indexer.lists import FinishedCrawl, FoldedList, read_again
from indexer.publish import believe, to_snapshot
from indexer.sources.base import Source
from indexer.store import assets, history
from indexer.store import replay as store
from indexer.store.bodies import UNREADABLE
from indexer.store.crawls import Claim
from indexer.store.database import Connection, Database
from indexer.store.history import Known, SnapshotRow
from indexer.store.pages import Advanced
from indexer.store.replay import Discrepancy, Judgement, ReplayedWatch, Story
from indexer.verdict import Verdict

#: More differences than this are only counted.
MOST_TOLD: Final = 1_000

#: A list with more rows than this changes what the planner should know.
_ANALYZE_FROM: Final = 5_000


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not the same in the live history and in the one built again."""

    kind: Literal["version", "carried_span", "snapshot", "page"]
    source: str
    address: str
    scope: str
    #: Asset, position and instant of a row, or the number of a snapshot.
    ref: str
    #: What differs; None on one side: there is no such row.
    live: str | None = field(metadata={"json": True})
    replayed: str | None = field(metadata={"json": True})


@dataclass(slots=True)
class Report:
    """What a replay found."""

    watches: int = 0
    #: Verdicts that were folded again, and those whose pages are gone.
    snapshots: int = 0
    without_pages: int = 0
    versions: int = 0
    carried_spans: int = 0
    #: All differences, and the first of them.
    found: int = 0
    differences: list[Difference] = field(default_factory=list)

    def add(self, difference: Difference) -> None:
        """Count a difference, and keep it while there are few."""
        self.found += 1
        if len(self.differences) < MOST_TOLD:
            self.differences.append(difference)

    def absorb(self, other: "Report") -> None:
        """Add what was found for one watch."""
        self.watches += other.watches
        self.snapshots += other.snapshots
        self.without_pages += other.without_pages
        self.versions += other.versions
        self.carried_spans += other.carried_spans
        self.found += other.found
        self.differences += other.differences[: MOST_TOLD - len(self.differences)]


async def replay(
    database: Database,
    config: Config,
    sources: Mapping[str, Source],
    selection: tuple[str | None, Sequence[str] | None],
    on_watch: Callable[[int, int], None] = lambda _done, _all: None,
) -> Report:
    """Build the history of the selected (source, addresses) again and compare it.

    Raises DatabaseUnavailable.
    """
    async with database.connection() as connection:
        watches = await store.select_watches(connection, *selection)
    report = Report()
    for number, watch in enumerate(watches):
        on_watch(number, len(watches))
        replayer = _Replayer(database, config, sources[watch.source], watch)
        report.absorb(await database.steadily(replayer.run))
    on_watch(len(watches), len(watches))
    return report


class _Replayer:
    """Builds the history of one watch again."""

    def __init__(self, database: Database, config: Config, source: Source, watch: ReplayedWatch) -> None:
        self._database = database
        self._config = config
        self._source = source
        self._watch = watch
        self._report = Report()
        #: Assets nobody had a number for before: the parser reads the pages differently now.
        self._unknown: dict[str, int] = {}
        self._baseline = True
        self._proved = True

    async def run(self) -> Report:
        """What differs for this watch. Looks twice if pages were pruned meanwhile."""
        while True:
            async with self._database.publisher() as connection:
                story = await self._read_story(connection)
                await self._run(connection, story)
                if not self._report.found or (await self._read_story(connection)).since == story.since:
                    return self._report

    async def _read_story(self, connection: Connection) -> Story:
        async with connection.transaction():
            await store.freeze(connection)
            return await store.read_story(connection, self._watch.watch_id)

    async def _run(self, connection: Connection, story: Story) -> None:
        self._report = Report(watches=1)
        self._unknown = {}
        await store.prepare(connection)
        since = story.since
        if since is not None:
            await store.seed(connection, self._watch.watch_id, since)
        until = None
        for until, event in story.events():
            await self._follow(connection, until, event, is_past=since is not None and until <= since)
        if until is not None:
            await self._compare(connection, since, until)

    async def _follow(
        self,
        connection: Connection,
        instant: datetime,
        event: Judgement | Literal["begin", "end"],
        *,
        is_past: bool,
    ) -> None:
        """One thing that happened; what is past is in the seed already."""
        if event == "begin":
            self._baseline = self._proved = True
        elif event == "end":
            if not is_past:
                async with connection.transaction():
                    await store.unwatch(connection, self._watch.watch_id, instant)
        else:
            if is_past:
                self._report.without_pages += 1
            else:
                await self._fold(connection, event)
            if event.state == "published":
                self._baseline, self._proved = False, event.proves_absence

    async def _fold(self, connection: Connection, judged: Judgement) -> None:
        self._report.snapshots += 1
        try:
            # The fold is emptied at commit: one list, one transaction, like a publish.
            async with connection.transaction():
                await store.allow_time(connection)
                item, rows = await self._read_list(connection, judged)
                await self._judge(connection, item, judged)
        except UNREADABLE as error:
            told = json.dumps(f"crawl {judged.crawl_id}: {error}")
            self._report.add(self._difference("page", str(judged.snapshot_id), None, told))
            return
        if rows > _ANALYZE_FROM:
            await store.analyze(connection)

    async def _read_list(self, connection: Connection, judged: Judgement) -> tuple[FoldedList, int]:
        """The list of this watch as the pages state it, beside what is held by now."""
        crawl = self._crawl(judged)
        known = self._known(judged)
        rows = await read_again(connection, crawl, self._number_assets)
        if crawl.pages_read != judged.pages:
            raise BadPage(f"{crawl.pages_read} of {judged.pages} pages are there")
        repeats = await history.finish_fold(connection, rows)
        item = FoldedList(crawl, _advanced(judged, self._source.name), known, crawl.summaries[known.watch_id])
        item.repeats = repeats.get(known.watch_id)
        item.measured = (await history.measure(connection, [known], store.HISTORY))[known.watch_id]
        return item, rows

    async def _judge(self, connection: Connection, item: FoldedList, judged: Judgement) -> None:
        """Do what was decided then, and see whether the list is the one it was decided about."""
        if judged.state == "published":
            item.verdict = Verdict("publish", witness_becomes="confirmed" if judged.witness else None)
            await history.merge(connection, [believe(item)], judged.judged_at, doubts=True, sql=store.HISTORY)
        else:
            item.verdict = Verdict("quarantine", judged.reason or "")
            if judged.resolution != "repeated":
                await history.insert_testimony(
                    connection, [(judged.snapshot_id, item.known.watch_id)], store.HISTORY
                )
        live, again = _facts(judged), _facts(to_snapshot(item))
        if live != again:
            self._report.add(self._difference("snapshot", str(judged.snapshot_id), *_tell(live, again)))

    def _crawl(self, judged: Judgement) -> FinishedCrawl:
        assert judged.part_on is not None
        claim = Claim(
            crawl_id=judged.crawl_id,
            part_on=judged.part_on,
            lease_epoch=0,
            scope=judged.scope or "",
            cursor=None,
            pages=judged.pages,
            lookups=0,
            facts=judged.facts,
            first_page_age=None,
            last_page_age=None,
            window_restarts=0,
            drift_restarts=0,
            cursor_restarts=0,
            watches=[self._watch.watch_id],
            addresses=judged.addresses or [self._watch.address],
            open=[True],
            grown_window=None,
        )
        return FinishedCrawl(
            claim=claim,
            source=self._source,
            config=self._config.sources[self._source.name],
            facts=judged.facts or {},
            covered={self._watch.address: self._watch.watch_id},
            rows=None,
        )

    def _known(self, judged: Judgement) -> Known:
        return Known(
            watch_id=self._watch.watch_id,
            watched_from=judged.first_page_at,
            latest=judged.judged_at,
            baseline=self._baseline,
            proved_before=self._proved,
            digest=None,
            unreadable=0,
            holdings=None,
            crawl_id=None,
            height=None,
            unheard_of=False,
            carries=True,
            witness=judged.witness,
            witness_age=None,
            witness_lags=False,
        )

    async def _number_assets(
        self, connection: Connection, network: str, refs: Collection[str]
    ) -> dict[str, int]:
        """The numbers assets have; a replay gives no new ones, so what is new gets a negative one."""
        numbers = await assets.find(connection, network, refs)
        for ref in refs:
            if ref not in numbers:
                numbers[ref] = self._unknown.setdefault(ref, -1 - len(self._unknown))
        return numbers

    async def _compare(self, connection: Connection, since: datetime | None, until: datetime) -> None:
        names = {number: ref for ref, number in self._unknown.items()}
        async with connection.transaction():
            await store.allow_time(connection)
            watch_id = self._watch.watch_id
            async for found in store.compare_versions(connection, watch_id, since, until):
                self._report.add(self._tell_row("version", found, names))
            async for found in store.compare_spans(connection, watch_id, since, until):
                self._report.add(self._tell_row("carried_span", found, names))
            self._report.versions, self._report.carried_spans = await store.count(connection)

    def _tell_row(
        self, kind: Literal["version", "carried_span"], found: Discrepancy, names: Mapping[int, str]
    ) -> Difference:
        asset = found.asset_ref or names.get(found.asset_id, str(found.asset_id))
        ref = f"{asset}/{found.sub_key}/{found.valid_from.isoformat()}"
        live = None if found.live is None else json.loads(found.live)
        again = None if found.replayed is None else json.loads(found.replayed)
        return self._difference(kind, ref, *_tell(live, again))

    def _difference(
        self,
        kind: Literal["version", "carried_span", "snapshot", "page"],
        ref: str,
        live: str | None,
        replayed: str | None,
    ) -> Difference:
        watch = self._watch
        return Difference(kind, watch.source, watch.address, watch.scope, ref, live, replayed)


def _advanced(judged: Judgement, source: str) -> Advanced:
    return Advanced(
        crawl_id=judged.crawl_id,
        first_page_at=judged.first_page_at,
        last_page_at=judged.last_page_at,
        height_from=judged.height_from,
        height_to=judged.height_to,
        pages=judged.pages,
        moved=bool(judged.moved),
        source=source,
        reported_total=judged.reported_total,
    )


def _facts(stated: Judgement | SnapshotRow) -> dict[str, object]:
    """What a verdict says about its list."""
    proves = stated.proves_absence if isinstance(stated, Judgement) else stated.proves
    return {
        "digest": stated.digest.hex(),
        "holdings": stated.holdings,
        "unreadable": stated.unreadable,
        "missing": stated.missing,
        "proves_absence": proves,
    }


def _tell(
    live: Mapping[str, object] | None, again: Mapping[str, object] | None
) -> tuple[str | None, str | None]:
    """Both sides as JSON: whole where the other side is missing, else only what differs."""
    if live is None or again is None:
        return _text(live), _text(again)
    names = sorted(name for name in live if live[name] != again.get(name))
    return _text({name: live[name] for name in names}), _text({name: again.get(name) for name in names})


def _text(facts: Mapping[str, object] | None) -> str | None:
    return None if facts is None else json.dumps(facts, sort_keys=True)
