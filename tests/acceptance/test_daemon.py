"""`indexer run` and `indexer work` as an operator runs them: killed, stopped, edited under, in numbers."""

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.simulator import World
from tests.acceptance.cli_program import run_program
from tests.acceptance.daemons import Site, hold_requests, opened, wait_until

pytestmark = pytest.mark.timeout(180)

DOUBLED = """
    SELECT watch_id, due_at, count(*) FROM ledger.crawl_watch WHERE due_at IS NOT NULL
    GROUP BY watch_id, due_at HAVING count(*) > 1
"""
UNALIGNED = "SELECT due_at FROM ledger.crawl_watch WHERE extract(epoch FROM due_at)::numeric % 2 <> 0"
VIOLATIONS = "SELECT rule, ref FROM ledger.invariant_violation"


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    """Seven watches on three sources, due every two seconds."""
    world = World.build(3, {"hedera": (3, 120), "algorand": (2, 0), "okx_runes": (4, 5, 6)})
    with opened(tmp_path, database_url, world) as made:
        yield made


def test_every_watch_is_crawled_at_every_due_time(site: Site) -> None:
    """Aligned to the clock, addresses of one rune share a crawl, and nothing breaks a rule."""
    daemon = site.run_daemon()

    site.wait_for("verdict IN ('published', 'unchanged')", 21)

    assert daemon.stop()[0] == 0
    assert site.query(UNALIGNED) == []
    assert site.query(DOUBLED) == []
    assert site.query(VIOLATIONS) == []
    shared = site.query(
        "SELECT count(*) FROM ledger.crawl_watch JOIN ledger.crawl USING (crawl_id) "
        "WHERE source_id = 'okx_runes' GROUP BY crawl_id"
    )
    assert {row[0] for row in shared} == {3}


def test_a_killed_daemon_neither_forgets_nor_doubles(site: Site) -> None:
    """kill -9 in the middle of a walk: the next process goes on with it, and with the schedule."""
    asked, go_on = hold_requests(site.simulator)
    first = site.run_daemon()
    assert asked.wait(60)
    first.kill()
    site.simulator.before_answer = None
    go_on.set()
    opened_before = site.count("open")

    second = site.run_daemon()
    site.wait_for("verdict IN ('published', 'unchanged')", 21)

    assert opened_before == 7
    assert second.read_metric("indexer_lease_takeovers_total") >= 1
    assert second.stop()[0] == 0
    assert site.count("attempts > 1 AND verdict = 'published'") >= 1
    assert site.query(DOUBLED) == []
    assert site.query(VIOLATIONS) == []


def test_two_daemons_and_two_workers_do_no_due_time_twice(site: Site) -> None:
    """Any number of processes share one database; each watch is crawled once for each due time."""
    processes = [site.run_daemon(), site.run_daemon(), site.start("work"), site.start("work")]

    site.wait_for("verdict IN ('published', 'unchanged')", 35)

    assert [process.stop()[0] for process in processes] == [0, 0, 0, 0]
    assert site.query(DOUBLED) == []
    assert site.query(VIOLATIONS) == []
    assert not any("Traceback" in process.read_log() for process in processes)


def test_four_workers_keep_one_rate_limit(database_url: str, tmp_path: Path) -> None:
    """The limit belongs to the key, not to the process: the API refuses nobody."""
    world = World.build(5, {"hedera": (1,) * 24})
    with opened(tmp_path, database_url, world) as site:
        site.extra_environment = {"INDEXER_SOURCES__HEDERA__REQUESTS_PER_SECOND": "10"}
        site.configure(every="1s")
        site.simulator.rate_limits = {**site.simulator.rate_limits, "hedera": 10}
        processes = [site.run_daemon(), *(site.start("work") for _ in range(3))]

        wait_until(lambda: len(site.simulator.requests("hedera")) >= 60, "60 requests")

        assert [process.stop()[0] for process in processes] == [0] * 4
        assert site.simulator.refused("hedera") == 0


def test_it_goes_on_when_the_database_comes_back(site: Site) -> None:
    """Connections are lost in the middle of everything; nobody restarts anything."""
    daemon = site.run_daemon()
    site.wait_for("verdict = 'published'", 7)
    terminate = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name LIKE 'indexer%' AND datname = current_database()"
    )
    site.query(terminate)
    before = site.count("verdict IN ('published', 'unchanged')")

    site.wait_for("verdict IN ('published', 'unchanged')", before + 14)

    assert daemon.stop()[0] == 0
    assert site.query(VIOLATIONS) == []


def test_an_address_added_to_a_file_is_crawled_at_once(site: Site) -> None:
    """Nobody restarts or signals anything; an address taken out ends as unwatched, never as sold."""
    site.configure(every="1h")
    daemon = site.run_daemon()
    site.wait_for("verdict = 'published'", 7)
    world = site.simulator.world
    kept = [row for row in world.watched if row.source != "algorand"]
    world.watch("hedera", 7, 4)
    world.watched[:] = [*kept, world.watched[-1]]

    site.write_watchlist(world.watchlist_yaml())
    site.wait_for("verdict = 'published'", 8)

    reasons = site.query(
        "SELECT DISTINCT close_reason FROM ledger.holding_version WHERE valid_to IS NOT NULL"
    )
    log = daemon.read_log()
    assert reasons == [("unwatched",)]
    assert "watches added" in log
    assert "watches removed" in log
    assert daemon.stop()[0] == 0


#: What is told of one address in the middle of the time nobody watched it, and right after it was seen again.
_TOLD = """
WITH away AS (
    SELECT max(watched_to) AS since, max(watched_from) AS until
    FROM ledger.watch_period JOIN ledger.watch USING (watch_id) JOIN ledger.address USING (address_id)
    WHERE address = '{address}'
)
SELECT middle.answer, middle.reason, again.answer, (SELECT count(*) FROM report.gaps AS g
    WHERE g.address = '{address}' AND (g.reason, g.gap_from, g.gap_to) = ('not_watched', since, until))
FROM away CROSS JOIN
    report.balance_as_of('hedera', '{address}', '{asset}', since + (until - since) / 2) AS middle
CROSS JOIN report.balance_as_of('hedera', '{address}', '{asset}', statement_timestamp()) AS again
"""


def test_an_address_added_again_begins_anew(site: Site) -> None:
    """What it held while nobody watched is unknown, shown as a gap, and no change of its holdings."""
    site.configure(every="1h")
    daemon = site.run_daemon()
    site.wait_for("verdict = 'published'", 7)
    world = site.simulator.world
    everything = list(world.watched)
    (gone,) = [row for row in everything if row.source == "hedera"][1:]
    ended = f"address = '{gone.address}' AND close_reason = 'unwatched'"
    held = f"SELECT min(asset_ref) FROM report.holding_history WHERE {ended}"

    world.watched[:] = [row for row in everything if row is not gone]
    site.write_watchlist(world.watchlist_yaml())
    wait_until(lambda: site.query(held)[0][0], "its history ends")
    asset = site.query(held)[0][0]
    world.watched[:] = everything
    world.churn(0.5, 1)
    site.write_watchlist(world.watchlist_yaml())
    site.wait_for("verdict = 'published'", 8)

    told = site.query(_TOLD.format(address=gone.address, asset=asset))
    its = f"WHERE address = '{gone.address}' ORDER BY 1"
    changes = site.query(f"SELECT DISTINCT change FROM report.holding_changes {its}")
    reasons = site.query(f"SELECT DISTINCT open_reason FROM report.holding_history {its}")
    assert told == [("unknown", "not_watched", "held", 1)]
    assert (changes, reasons) == ([("first_seen",), ("knowledge_ended",), ("seen_again",)], [("baseline",)])
    assert daemon.stop()[0] == 0
    assert site.query(VIOLATIONS) == []


@pytest.mark.parametrize(
    "text", ["addresses:\n  - {source: hedera, address: nonsense}\n", "addresses: []\n", "{"]
)
def test_a_broken_watchlist_changes_nothing_and_is_seen(text: str, site: Site) -> None:
    """Refused whole; the log, the metrics and `indexer status` say so until it is mended."""
    daemon = site.run_daemon()
    site.wait_for("verdict = 'published'", 7)
    good = site.simulator.world.watchlist_yaml()

    site.write_watchlist(text)
    daemon.wait_for_log("configuration refused")
    notices = wait_until(lambda: site.query("SELECT message FROM ledger.notice"), "there is a notice")
    status = run_program(site.folder, "status", "--json", environment=site.environment())
    refused = daemon.read_metric("indexer_configuration_refused")
    before = site.count("true")
    site.wait_for("true", before + 7)
    site.write_watchlist(good)
    wait_until(lambda: not site.query("SELECT message FROM ledger.notice"), "the notice is gone")

    assert "all.yaml" in notices[0][0]
    assert [row["kind"] for row in json.loads(status.stdout)["notices"]] == ["configuration"]
    assert refused == 1
    assert site.query("SELECT count(*) FROM ledger.watch_period WHERE watched_to IS NOT NULL") == [(0,)]
    assert daemon.read_metric("indexer_configuration_refused") == 0
    assert daemon.stop()[0] == 0


def test_intervals_and_switches_change_while_it_runs(site: Site) -> None:
    """The file counts from the next tick on, except for what needs a restart: that is refused and told."""
    site.configure(every="1h", more="[sources.okx_runes]\nenabled = false\n")
    daemon = site.run_daemon()
    site.wait_for("verdict = 'published'", 4)

    site.configure(every="2s", more='listen = "127.0.0.1:1"\n')
    site.wait_for("source_id = 'okx_runes' AND verdict = 'published'", 3)
    site.wait_for("verdict IN ('published', 'unchanged')", 15)

    daemon.wait_for_log("cannot change while running")
    assert site.query("SELECT kind FROM ledger.notice") == [("restart",)]
    assert daemon.stop()[0] == 0


def test_sighup_reads_everything_again(site: Site) -> None:
    """A broken environment file of a secret is noticed without any file of ours changing."""
    secret = site.folder / "secret"
    secret.write_text("first-secret-of-okx\n")
    site.simulator.secrets["okx_runes"]["api_key"] = "first-secret-of-okx"
    environment = site.simulator.environment()
    del environment["INDEXER_SOURCES__OKX_RUNES__API_KEY"]
    site.extra_environment = {
        "INDEXER_SOURCES__OKX_RUNES__API_KEY": "",
        "INDEXER_SOURCES__OKX_RUNES__API_KEY_FILE": str(secret),
    }
    daemon = site.run_daemon()
    site.wait_for("source_id = 'okx_runes' AND verdict = 'published'")
    secret.write_text("second-secret-of-okx\n")

    daemon.process.send_signal(signal.SIGHUP)

    daemon.wait_for_log("sources.okx_runes.secrets.api_key")
    assert "secret-of-okx" not in daemon.read_log()
    assert daemon.stop()[0] == 0


def test_a_worker_follows_its_files_too(site: Site) -> None:
    """A new key, a new limit, without a restart; what is wrong is refused whole, logged and shown."""
    secret = site.folder / "secret"
    secret.write_text("first-secret-of-okx\n")
    site.extra_environment = {
        "INDEXER_SOURCES__OKX_RUNES__API_KEY": "",
        "INDEXER_SOURCES__OKX_RUNES__API_KEY_FILE": str(secret),
        "INDEXER_SOURCES__HEDERA__REQUESTS_PER_SECOND": "",
    }
    worker = site.start("work", "--listen", "127.0.0.1:0")
    worker.wait_for_log("status door open")
    wait_until(lambda: worker.ask("/readyz")[0] == 200, "the worker is ready")

    secret.write_text("second-secret-of-okx\n")
    worker.wait_for_log("sources.okx_runes.secrets.api_key")
    site.configure(more="[sources.hedera]\nrequests_per_second = 7\n")
    worker.wait_for_log("sources.hedera.requests_per_second")
    secret.write_text("")
    worker.wait_for_log("configuration refused")
    notices = wait_until(lambda: site.query("SELECT kind, place FROM ledger.notice"), "there is a notice")
    refused = worker.read_metric("indexer_configuration_refused")
    secret.write_text("third-secret-of-okx\n")
    wait_until(lambda: not site.query("SELECT kind FROM ledger.notice"), "the notice is gone")
    worker.process.send_signal(signal.SIGHUP)

    assert [kind for kind, _ in notices] == ["configuration"]
    assert notices[0][1].endswith("(work)")
    assert refused == 1
    assert "secret-of-okx" not in worker.read_log()
    assert worker.stop()[0] == 0


def test_a_worker_without_a_key_leaves_the_source_to_others(site: Site) -> None:
    """Asking without it would get the source paused for everybody."""
    daemon = site.run_daemon()
    site.wait_for("verdict = 'published'", 7)
    daemon.stop()
    site.extra_environment = {"INDEXER_SOURCES__OKX_RUNES__PASSPHRASE": ""}
    worker = site.start("work")
    worker.wait_for_log('"working"')
    site.extra_environment = {}
    asked = len(site.simulator.requests("okx_runes"))
    second = site.run_daemon()
    site.wait_for("source_id = 'okx_runes' AND verdict IN ('published', 'unchanged')", 9)

    assert len(site.simulator.requests("okx_runes")) > asked
    assert site.query("SELECT source_id FROM ledger.source WHERE state = 'paused'") == []
    assert site.count("verdict = 'failed'") == 0
    assert second.stop()[0] == 0
    assert worker.stop()[0] == 0


def test_too_little_free_space_pauses_claiming_and_resumes_by_itself(site: Site) -> None:
    """Nothing is asked below the floor; reading goes on."""
    site.configure(floor="1000TiB")
    daemon = site.run_daemon()
    daemon.wait_for_log("too little free space")
    wait_until(lambda: site.query("SELECT kind FROM ledger.notice"), "there is a notice")
    asked = len(site.simulator.log)
    allowed = daemon.read_metric("indexer_claiming_allowed")

    site.configure(floor="1MiB")
    site.wait_for("verdict = 'published'", 7)

    assert (asked, allowed) == (0, 0)
    wait_until(lambda: not site.query("SELECT kind FROM ledger.notice"), "the notice is gone")
    assert daemon.stop()[0] == 0


def test_a_port_in_use_is_a_clear_error(site: Site) -> None:
    """Exit code 2 before anything is started, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_program(
            site.folder, "run", "--listen", f"127.0.0.1:{port}", environment=site.environment()
        )

    assert done.returncode == 2
    assert f"127.0.0.1:{port}" in done.stderr
    assert "--listen" in done.stderr
    assert site.simulator.log == []


def test_a_schema_that_is_not_current_is_refused(site: Site) -> None:
    """The daemon never migrates a server's database; it says what to type."""
    site.query("UPDATE ledger.alembic_version SET version_num = '0001' RETURNING version_num")

    done = run_program(site.folder, "run", "--listen", "127.0.0.1:0", environment=site.environment())

    assert done.returncode == 4
    assert "indexer db upgrade" in done.stderr


def test_work_opens_a_door_only_when_asked(site: Site) -> None:
    """And tells there that it is ready."""
    worker = site.start("work", "--listen", "127.0.0.1:0")
    other = site.start("work")
    other.wait_for_log('"working"')

    wait_until(lambda: worker.ask("/readyz")[0] == 200, "the worker is ready")

    assert "status door open" not in other.read_log()
    assert worker.stop()[0] == 0
    assert other.stop()[0] == 0
