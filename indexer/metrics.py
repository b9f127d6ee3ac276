"""What is counted and measured, under the names dashboards and alerts rely on.

One registry per process. Counters are fed by the working parts; figures of the whole database are read when
somebody asks, by whoever holds a connection. Labels are sources and fixed words, never addresses.
"""

import platform
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from indexer import __version__
from indexer.client import RequestSeen
from indexer.pacing import Pacer
from indexer.store.upkeep import SourceFigures
from indexer.walk import Progress

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_REQUEST_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class DatabaseFigures:
    """What the database says of the whole installation."""

    sources: Iterable[SourceFigures]
    #: None: the invariants were never checked.
    violations: int | None
    notices: Mapping[str, int]


class Metrics:
    """Every metric of one process."""

    def __init__(self) -> None:
        # A second series per counter that nobody asked for.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library states no types here
        self.registry = CollectorRegistry()
        self._count_work()
        self._measure_process()
        self._measure_database()
        #: What the database said last.
        self._figures: DatabaseFigures | None = None

    def _count_work(self) -> None:
        add = self._counter
        self.crawls = add("indexer_crawls", "Walks that ended in this process.", "source", "outcome")
        self.due = add("indexer_due_crawls", "Crawls made because watches were due.", "source")
        self.pages = add("indexer_pages", "Pages committed.", "source")
        self.holdings = add("indexer_holdings", "Holdings listed on committed pages.", "source")
        self.requests = add("indexer_requests", "HTTP requests by status.", "source", "status", "outcome")
        self.retries = add("indexer_retries", "HTTP requests that repeated one that failed.", "source")
        self.waited = add(
            "indexer_rate_limit_wait_seconds", "Time spent waiting for the rate limit.", "source"
        )
        self.takeovers = add("indexer_lease_takeovers", "Crawls taken over from workers gone.", "source")
        self.request_seconds = Histogram(
            "indexer_request_seconds",
            "How long requests took.",
            ["source"],
            buckets=_REQUEST_BUCKETS,
            registry=self.registry,
        )

    def _measure_process(self) -> None:
        gauge = self._gauge
        self.ticks = self._counter("indexer_ticks", "Ticks by how they ended.", "outcome")
        self.ticked_at = gauge("indexer_last_tick_timestamp_seconds", "When the last tick ended.")
        self.refused = gauge("indexer_configuration_refused", "1: the files on disk are not in force.")
        self.has_room = gauge("indexer_claiming_allowed", "0: crawling pauses for want of free space.")
        self.free_bytes = gauge("indexer_free_space_bytes", "Free on the disk of the database.")
        self.floor_bytes = gauge("indexer_free_space_floor_bytes", "Crawling pauses below this.")
        self.pool = gauge(
            "indexer_database_pool",
            "Connections of this process, but for the one that says it lives.",
            "state",
        )
        self.database_up = gauge("indexer_database_up", "1: the database answers.")
        build = gauge("indexer_build_info", "What runs here.", "version", "python")
        build.labels(version=__version__, python=platform.python_version()).set(1)

    def _measure_database(self) -> None:
        gauge = self._gauge
        self.watches = gauge("indexer_watches", "Watches that are watched now.", "source")
        self.never_observed = gauge("indexer_watches_never_observed", "Watches without any answer.", "source")
        self.stale = gauge("indexer_watches_stale", "Watches with an answer older than fresh_for.", "source")
        self.oldest = gauge(
            "indexer_oldest_snapshot_age_seconds", "Age of the oldest last answer of a watch.", "source"
        )
        self.quarantined = gauge("indexer_quarantined", "Lists that wait for a second witness.", "source")
        self.open_crawls = gauge("indexer_open_crawls", "Crawls that wait or run.", "source", "state")
        self.waiting = gauge(
            "indexer_oldest_pending_crawl_seconds", "How long the oldest crawl has waited.", "source"
        )
        self.paused = gauge("indexer_source_paused", "1: the source refuses us.", "source")
        self.violations = gauge("indexer_invariant_violations", "What the last daily check found.")
        self.notices = gauge("indexer_notices", "What an operator must know.", "kind")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def see_request(self, seen: RequestSeen) -> None:
        """One HTTP request ended."""
        status = "none" if seen.status is None else str(seen.status)
        self.requests.labels(seen.source, status, seen.outcome).inc()
        self.request_seconds.labels(seen.source).observe(seen.seconds)
        if seen.attempt > 1:
            self.retries.labels(seen.source).inc()

    def see_page(self, seen: Progress) -> None:
        """One page is durable."""
        self.pages.labels(seen.source).inc()
        self.holdings.labels(seen.source).inc(seen.holdings)

    def see_figures(self, figures: DatabaseFigures) -> None:
        """What the database says now. What it no longer mentions is no longer shown."""
        self._figures = figures
        for gauge in (self.oldest, self.waiting, self.notices):
            gauge.clear()
        for found in figures.sources:
            self._see_source(found)
        if figures.violations is not None:
            self.violations.set(figures.violations)
        for kind, count in figures.notices.items():
            self.notices.labels(kind).set(count)

    def see_silence(self, seconds: float) -> None:
        """The database has said nothing for so long: what it said last has grown older since."""
        for found in self._figures.sources if self._figures else ():
            if found.oldest_seconds is not None:
                self.oldest.labels(found.source).set(found.oldest_seconds + seconds)

    def _see_source(self, found: SourceFigures) -> None:
        self.watches.labels(found.source).set(found.watches)
        self.never_observed.labels(found.source).set(found.never_observed)
        self.stale.labels(found.source).set(found.stale)
        self.quarantined.labels(found.source).set(found.quarantined)
        self.open_crawls.labels(found.source, "pending").set(found.pending)
        self.open_crawls.labels(found.source, "running").set(found.running)
        self.paused.labels(found.source).set(found.is_paused)
        if found.oldest_seconds is not None:
            self.oldest.labels(found.source).set(found.oldest_seconds)
        if found.waiting_seconds is not None:
            self.waiting.labels(found.source).set(found.waiting_seconds)

    def see_pool(self, stats: Mapping[str, int]) -> None:
        """The database connections of this process."""
        self.pool.labels("open").set(stats.get("pool_size", 0))
        self.pool.labels("idle").set(stats.get("pool_available", 0))
        self.pool.labels("wanted").set(stats.get("requests_waiting", 0))

    def wrap_pacer(self, source: str, pacer: Pacer) -> Pacer:
        """The same beat, with a clock on it."""
        return _TimedPacer(pacer, self.waited.labels(source))

    def render(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)

    def names(self) -> frozenset[str]:
        """Every name a query may use."""
        found: set[str] = set()
        for family in self.registry.collect():
            found.add(family.name)
            suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
            found.update(family.name + suffix for suffix in suffixes.get(family.type, ()))
        return frozenset(found)


class _TimedPacer:
    """Counts how long requests wait for their turn."""

    def __init__(self, pacer: Pacer, waited: Counter) -> None:
        self._pacer = pacer
        self._waited = waited

    async def wait(self) -> None:
        """Return when the caller may send one request."""
        began = time.monotonic()
        await self._pacer.wait()
        self._waited.inc(time.monotonic() - began)

    async def hold(self, seconds: float) -> None:
        """Let nobody send anything for this long, the caller included."""
        await self._pacer.hold(seconds)
