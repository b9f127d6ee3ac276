"""The names that dashboards and alerts rely on."""

import json
import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from indexer.client import RequestSeen
from indexer.metrics import DatabaseFigures, Metrics
from indexer.store.upkeep import SourceFigures
from indexer.walk import Progress

CONFIG = Path(__file__).resolve().parents[2] / "config"

_WORD = re.compile(r"\bindexer_[a-z_]+")


def read(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample by name and label values, as a Prometheus server reads it."""
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name, tuple(value for _label, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def figures(**changes: object) -> SourceFigures:
    """A source in good order."""
    known: dict[str, object] = {
        "source": "hedera",
        "is_paused": False,
        "watches": 3,
        "never_observed": 1,
        "stale": 0,
        "oldest_seconds": 60.0,
        "quarantined": 0,
        "pending": 2,
        "running": 1,
        "waiting_seconds": 4.0,
    }
    return SourceFigures(**(known | changes))  # type: ignore[arg-type]


def test_requests_and_pages_are_counted_by_source() -> None:
    """A request without an answer has no status, and a retry is counted as one."""
    metrics = Metrics()

    metrics.see_request(RequestSeen("hedera", None, 0.2, "server_trouble", 1))
    metrics.see_request(RequestSeen("hedera", 200, 0.1, "answered", 2))
    metrics.see_page(Progress("hedera", "0.0.1", 1, 25))

    found = read(metrics)
    assert found["indexer_requests_total", ("server_trouble", "hedera", "none")] == 1
    assert found["indexer_requests_total", ("answered", "hedera", "200")] == 1
    assert found["indexer_retries_total", ("hedera",)] == 1
    assert found["indexer_pages_total", ("hedera",)] == 1
    assert found["indexer_holdings_total", ("hedera",)] == 25


def test_what_the_database_no_longer_says_is_no_longer_shown() -> None:
    """An age that cannot be told is absent, never a stale number or a zero."""
    metrics = Metrics()
    metrics.see_figures(DatabaseFigures([figures()], 0, {"space": 1}))

    metrics.see_figures(DatabaseFigures([figures(oldest_seconds=None, waiting_seconds=None)], None, {}))

    found = read(metrics)
    assert ("indexer_oldest_snapshot_age_seconds", ("hedera",)) not in found
    assert ("indexer_oldest_pending_crawl_seconds", ("hedera",)) not in found
    assert ("indexer_notices", ("space",)) not in found
    assert found["indexer_watches", ("hedera",)] == 3


def test_no_label_can_hold_an_address() -> None:
    """Labels are few and fixed: a watchlist of a hundred thousand addresses makes no more series."""
    labels = {
        name for family in Metrics().registry.collect() for sample in family.samples for name in sample.labels
    }

    assert labels <= {"source", "outcome", "status", "state", "kind", "version", "python", "le"}


def test_alerts_use_only_metrics_that_exist() -> None:
    """A renamed metric must not silence an alert."""
    used = set(_WORD.findall((CONFIG / "prometheus" / "alerts.yml").read_text(encoding="utf-8")))

    assert len(used) >= 8
    assert used <= Metrics().names()


def test_the_dashboard_uses_only_metrics_that_exist() -> None:
    """Nor may it empty a panel."""
    dashboard = json.loads((CONFIG / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    used = {name for query in queries for name in _WORD.findall(query)}

    assert len(used) >= 10
    assert used <= Metrics().names()
