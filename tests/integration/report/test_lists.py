"""The plain lists: gaps, snapshots, quarantine, crawls, assets, prices, settled_until."""

from datetime import timedelta
from typing import Any

import pytest

from tests.integration.report.world import Span, World, at

GAPS = "SELECT gap_from, gap_to, reason FROM report.gaps WHERE address = '0.0.1001' ORDER BY gap_from"


def gaps(world: World) -> list[tuple[Any, ...]]:
    """(from, to, reason) of the hedera account of these stories."""
    return [tuple(row.values()) for row in world.rows(GAPS)]


def test_gaps_cover_every_time_without_a_fresh_answer(world: World) -> None:
    """Before the first crawl, after a missed one, off the watchlist, and up to now."""
    watch = world.watch()
    world.period(watch, at(0), at(20))
    world.period(watch, at(30))
    for hour in (1, 3, 10, 31):
        world.publish(watch, at(hour))

    assert gaps(world) == [
        (at(0), at(1), "never_observed"),
        (at(6), at(10), "stale"),
        (at(13), at(20), "stale"),
        (at(20), at(30), "not_watched"),
        (at(30), at(31), "never_observed"),
        (at(34), None, "stale"),
    ]


def test_a_watch_never_crawled_is_one_open_gap(world: World) -> None:
    """Nothing known yet is a gap that lasts."""
    world.watched()

    assert gaps(world) == [(at(0), None, "never_observed")]


def test_a_removed_watch_is_an_open_gap(world: World) -> None:
    """A snapshot may outlive its period; the gap starts where watching ended."""
    watch = world.watch()
    world.period(watch, at(0), at(2))
    world.publish(watch, at(1))

    assert gaps(world) == [(at(0), at(1), "never_observed"), (at(2), None, "not_watched")]


def test_a_fresh_watch_has_no_open_gap(world: World) -> None:
    """Seamless renewal leaves no gap, nor does an answer that is fresh now."""
    now = world.row("SELECT now() AS now")["now"]
    watch = world.watch()
    world.period(watch, now - timedelta(hours=4))
    world.publish(watch, now - timedelta(hours=4) + timedelta(minutes=1))
    world.publish(watch, now - timedelta(hours=1, minutes=10))

    assert [gap[2] for gap in gaps(world)] == ["never_observed"]


def test_gaps_agree_with_coverage(world: World) -> None:
    """Inside a gap coverage never says fresh; outside it always does."""
    watch = world.watch()
    world.period(watch, at(0), at(9))
    world.period(watch, at(12))
    for hour in (1, 2, 7, 13):
        world.publish(watch, at(hour))

    disagreeing = world.rows(
        "SELECT t FROM generate_series(%s::timestamptz, %s::timestamptz, interval '10 minutes') t"
        " CROSS JOIN LATERAL report.coverage_as_of(t) c WHERE (c.status = 'fresh') = EXISTS ("
        " SELECT FROM report.gaps g WHERE g.gap_from <= t AND (g.gap_to > t OR g.gap_to IS NULL))",
        at(0),
        at(20),
    )

    assert disagreeing == []


def test_snapshots_lists_published_and_disbelieved(world: World) -> None:
    """Every verdict has its row; a disbelieved list has no instant."""
    watch = world.watched()
    world.publish(watch, at(1), height_from=5, height_to=6)
    world.quarantine(watch, at(2))

    published, doubted = world.rows("SELECT * FROM report.snapshots ORDER BY judged_at")

    assert (published["state"], published["snapshot_at"]) == ("published", at(1))
    assert (published["height_from"], published["height_to"]) == (5, 6)
    assert published["digest"] == "07" * 32
    assert (doubted["state"], doubted["snapshot_at"], doubted["missing"]) == ("quarantined", None, 3)


def test_quarantine_says_what_to_type(world: World) -> None:
    """Unresolved lists only, with what they list beside what history holds."""
    watch = world.watched()
    world.publish(watch, at(1))
    for serial in "123":
        world.version(watch, world.asset("0.0.7"), Span(at(1)), sub_key=serial)
    world.quarantine(watch, at(2), resolved=at(3))
    snapshot = world.quarantine(watch, at(4))

    row = world.row("SELECT * FROM report.quarantine")

    assert (row["snapshot_id"], row["address"], row["judged_at"]) == (snapshot, "0.0.1001", at(4))
    assert (row["holdings"], row["held"], row["missing"]) == (0, 3, 3)
    assert row["release_command"] == f"indexer release {snapshot}"
    assert row["reject_command"] == f"indexer reject {snapshot}"
    # The number of a snapshot is not that of its crawl: whoever looks must not see another account's answers.
    crawl = world.row("SELECT crawl_id FROM report.snapshots WHERE snapshot_id = %s", snapshot)["crawl_id"]
    assert (row["crawl_id"], row["raw_command"]) == (crawl, f"indexer raw {crawl}")


def test_crawls_give_a_verdict_per_address(world: World) -> None:
    """One crawl of several addresses is one row, in the order of the request."""
    watches = [world.watched("okx_runes", address, "1:1") for address in ("bc1qz", "bc1qa")]
    crawl = world.number(
        "INSERT INTO ledger.crawl (source_id, scope, state, created_at, finished_at, cursor)"
        " VALUES ('okx_runes', '1:1', 'complete', %s, %s, 'opaque') RETURNING crawl_id",
        at(1),
        at(1.5),
    )
    for place, (watch, verdict) in enumerate(zip(watches, ("published", "failed"), strict=True)):
        world.connection.execute(
            "INSERT INTO ledger.crawl_watch (crawl_id, watch_id, place, verdict) VALUES (%s, %s, %s, %s)",
            (crawl, watch, place, verdict),
        )

    row = world.row("SELECT * FROM report.crawls")

    assert (row["crawl_id"], row["addresses"]) == (crawl, ["bc1qz", "bc1qa"])
    assert row["verdicts"] == {"bc1qz": "published", "bc1qa": "failed"}
    assert row["duration"] == timedelta(minutes=30)
    assert not {"cursor", "lease_owner", "lease_until", "facts"} & set(row)


def test_assets_say_when_nothing_is_known(world: World) -> None:
    """An asset without a description is listed, with NULLs."""
    world.asset("0.0.7", kind="fungible", symbol="ABC", decimals=6, metadata='{"image": "x"}')
    world.asset("0.0.8")

    described, bare = world.rows("SELECT * FROM report.assets ORDER BY asset_ref")

    assert (described["kind"], described["decimals"], described["metadata"]) == (
        "fungible",
        6,
        {"image": "x"},
    )
    assert (bare["kind"], bare["decimals"], bare["metadata"], bare["updated_at"]) == (
        "other",
        None,
        None,
        None,
    )


def test_prices_keep_every_observation(world: World) -> None:
    """A row per change, exactly as stated."""
    watch = world.watched()
    for hour, price in ((1, "0.10"), (2, "0.3000000000000000000001")):
        world.connection.execute(
            "INSERT INTO ledger.price"
            " (watch_id, asset_id, sub_key, kind, currency, observed_at, price, crawl_id)"
            " VALUES (%s, %s, '5', 'ask', 'usd', %s, %s::numeric, 1)",
            (watch, world.asset("0.0.7"), at(hour), price),
        )

    rows = world.rows("SELECT * FROM report.prices ORDER BY observed_at")

    assert [(row["kind"], row["currency"], str(row["price"])) for row in rows] == [
        ("ask", "usd", "0.10"),
        ("ask", "usd", "0.3000000000000000000001"),
    ]


def test_settled_until_is_a_minute_ago(world: World) -> None:
    """One row, sixty seconds before the statement."""
    row = world.row("SELECT statement_timestamp() - settled_until AS behind FROM report.settled_until")

    assert row["behind"] == timedelta(seconds=60)


@pytest.mark.parametrize(
    "view", ["gaps", "snapshots", "quarantine", "crawls", "assets", "prices", "coverage"]
)
def test_an_empty_database_answers(world: World, view: str) -> None:
    """Nothing known is no row, not an error."""
    assert world.rows(f"SELECT * FROM report.{view}") == []
