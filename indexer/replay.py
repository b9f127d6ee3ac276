"""Replay: history is built again from the raw pages, beside the live one, and compared row by row.

It is the same fold as publishing, with the recorded verdicts and instants instead of new ones, and always on
the long way: nothing is skipped because a digest is known. Where old pages were pruned it begins with the
versions that were open then. Nothing is written but temporary tables, unless the result is to be adopted;
memory is bounded by one page.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from indexer.adoption import Adopted, LeftAlone, adopt, learn_assets, require_owner
from indexer.config import Config
from indexer.errors import BadPage
from indexer.folding import named_assets
from indexer.judging import find_hiding
from indexer.lists import FinishedCrawl, FoldedList, read_again
from indexer.publish import believe, to_snapshot
from indexer.records import Page
from indexer.sources.base import Source
from indexer.store import assets, history
from indexer.store import replay as store
from indexer.store.bodies import UNREADABLE
from indexer.store.database import Connection, Database
from indexer.store.history import SnapshotRow
from indexer.store.replay import Discrepancy, Judgement, ReplayedWatch, Story
from indexer.verdict import Verdict

#: More differences than this are only counted.
MOST_TOLD: Final = 1_000

#: A list with more rows than this changes what the planner should know.
_ANALYZE_FROM: Final = 5_000

#: How often a watch is built again while more is published of it.
_ATTEMPTS: Final = 5


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
    #: The watches whose live history was replaced, and those that differ all the same.
    adopted: list[Adopted] = field(default_factory=list)
    left_alone: list[LeftAlone] = field(default_factory=list)

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
        self.adopted += other.adopted
        self.left_alone += other.left_alone


async def replay(
    database: Database,
    config: Config,
    sources: Mapping[str, Source],
    selection: tuple[str | None, Sequence[str] | None],
    on_watch: Callable[[int, int], None] = lambda _done, _all: None,
    *,
    adopts: bool = False,
) -> Report:
    """Build the history of the selected (source, addresses) again and compare it.

    ``adopts``: where they differ, what was built takes the place of the live one. Raises DatabaseUnavailable.
    """
    if adopts:
        await require_owner(database)
    async with database.connection() as connection:
        watches = await store.select_watches(connection, *selection)
    report, learned = Report(), set[tuple[str, str]]()
    for number, watch in enumerate(watches):
        on_watch(number, len(watches))
        replayer = _Replayer(database, config, sources[watch.source], watch, learned)
        work = replayer.run_and_adopt if adopts else replayer.run
        report.absorb(await database.steadily(work))
    on_watch(len(watches), len(watches))
    return report


class _Replayer:
    """Builds the history of one watch again."""

    def __init__(
        self,
        database: Database,
        config: Config,
        source: Source,
        watch: ReplayedWatch,
        learned: set[tuple[str, str]],
    ) -> None:
        self._database = database
        self._config = config
        self._source = source
        self._watch = watch
        self._report = Report()
        #: Assets nobody had a number for before: the parser reads the pages differently now.
        self._unknown: dict[str, int] = {}
        self._baseline = True
        self._proved = True
        #: All pages could be read.
        self._is_whole = True
        #: New assets get real numbers, because what is built will be adopted; these got theirs so.
        self._learns = False
        self._learned = learned

    async def run(self) -> Report:
        """What differs for this watch. Looks again if pages were pruned meanwhile."""
        while True:
            async with self._database.publisher() as connection:
                story = await self._read_story(connection)
                await self._run(connection, story)
                if not self._report.found or story.is_kept_by(await self._read_story(connection)):
                    return self._report

    async def run_and_adopt(self) -> Report:
        """What differed for this watch and is adopted now. Looks again if anything happened meanwhile."""
        for _ in range(_ATTEMPTS):
            async with self._database.publisher() as connection:
                story = await self._read_story(connection)
                await self._run(connection, story)
                if not self._report.found:
                    return self._report
                if not self._is_whole:
                    if story.is_kept_by(await self._read_story(connection)):
                        return self._leave_alone("some of its pages cannot be read")
                elif self._unknown:
                    self._learns = True
                elif adopted := await adopt(connection, self._watch, story):
                    self._report.adopted.append(adopted)
                    return self._report
        return self._leave_alone(
            "it was published, folded or pruned each time: try again when less is going on"
        )

    def _leave_alone(self, why: str) -> Report:
        watch = self._watch
        self._report.left_alone.append(LeftAlone(watch.source, watch.address, watch.scope, why))
        return self._report

    async def _read_story(self, connection: Connection) -> Story:
        async with connection.transaction():
            await store.freeze(connection)
            return await store.read_story(connection, self._watch.watch_id)

    async def _run(self, connection: Connection, story: Story) -> None:
        self._report = Report(watches=1)
        self._unknown = {}
        self._is_whole = True
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
                proves = event.proves_absence
            else:
                proves = await self._fold(connection, event)
            if event.state == "published":
                self._baseline, self._proved = False, proves

    async def _fold(self, connection: Connection, judged: Judgement) -> bool:
        """Fold one list again; whether it proves absence, as it is read now."""
        self._report.snapshots += 1
        try:
            # The fold is emptied at commit: one list, one transaction, like a publish.
            async with connection.transaction():
                await store.allow_time(connection)
                item, rows = await self._read_list(connection, judged)
                snapshot = await self._judge(connection, item, judged)
        except UNREADABLE as error:
            told = json.dumps(f"crawl {judged.crawl_id}: {error}")
            self._report.add(self._difference("page", str(judged.snapshot_id), None, told))
            self._is_whole = False
            return judged.proves_absence
        if rows > _ANALYZE_FROM:
            await store.analyze(connection)
        return snapshot.proves

    async def _read_list(self, connection: Connection, judged: Judgement) -> tuple[FoldedList, int]:
        """The list of this watch as the pages state it, beside what is held by now."""
        watch = self._watch
        crawl = FinishedCrawl(
            claim=judged.as_claimed(watch.watch_id, watch.address),
            source=self._source,
            config=self._config.sources[self._source.name],
            facts=judged.facts or {},
            covered={watch.address: watch.watch_id},
            rows=None,
        )
        known = judged.as_known(watch.watch_id, baseline=self._baseline, proved=self._proved)
        rows = await read_again(connection, crawl, self._number_assets)
        if crawl.pages_read != judged.pages:
            raise BadPage(f"{crawl.pages_read} of {judged.pages} pages are there")
        repeats = await history.finish_fold(connection, rows)
        advanced = judged.as_advanced(self._source.name)
        item = FoldedList(crawl, advanced, known, crawl.summaries[known.watch_id])
        item.repeats = repeats.get(known.watch_id)
        item.measured = (await history.measure(connection, [known], store.HISTORY))[known.watch_id]
        return item, rows

    async def _judge(self, connection: Connection, item: FoldedList, judged: Judgement) -> SnapshotRow:
        """Do what was decided then, and see whether the list is the one it was decided about."""
        if judged.state == "published":
            item.verdict = Verdict("publish", witness_becomes="confirmed" if judged.witness else None)
            await find_hiding(connection, [item], store.HISTORY)
            await history.merge(connection, [believe(item)], judged.judged_at, doubts=True, sql=store.HISTORY)
        else:
            item.verdict = Verdict("quarantine", judged.reason or "")
            await find_hiding(connection, [item], store.HISTORY)
            if judged.resolution != "repeated":
                await history.insert_testimony(
                    connection, [(judged.snapshot_id, item.known.watch_id)], store.HISTORY
                )
        snapshot = to_snapshot(item)
        live, again = _facts(judged), _facts(snapshot)
        if live != again:
            await store.keep_facts(connection, judged.snapshot_id, snapshot)
            self._report.add(self._difference("snapshot", str(judged.snapshot_id), *_tell(live, again)))
        return snapshot

    async def _number_assets(self, connection: Connection, network: str, page: Page) -> dict[str, int]:
        """The numbers assets have; only to adopt are new ones given, else what is new gets a negative one."""
        if self._learns:
            return await learn_assets(self._database, network, page, self._learned)
        refs = named_assets(page)
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
