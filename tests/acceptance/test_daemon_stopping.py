"""How `indexer run` ends, whatever it is doing: exit code 0 in five seconds, leases handed back."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it brings no types, and stubs are no dependency
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from indexer.simulator import World
from tests.acceptance.cli_program import build_environment, run_program
from tests.acceptance.daemons import Site, hold_requests, opened, wait_until

pytestmark = pytest.mark.timeout(180)

#: What service managers and people are promised.
STOP_SECONDS = 5.0


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    """Seven watches on three sources, due every two seconds."""
    world = World.build(3, {"hedera": (3, 120), "algorand": (2, 0), "okx_runes": (4, 5, 6)})
    with opened(tmp_path, database_url, world) as made:
        yield made


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_in_the_middle_of_a_request(told: signal.Signals, site: Site) -> None:
    """Exit code 0 within five seconds, and every lease is handed back."""
    asked, go_on = hold_requests(site.simulator)
    daemon = site.run_daemon()
    assert asked.wait(60)

    code, seconds = daemon.stop(told)

    go_on.set()
    assert code == 0, daemon.read_log()[-3000:]
    assert seconds < STOP_SECONDS
    assert site.query("SELECT count(*) FROM ledger.crawl WHERE state = 'running'") == [(0,)]
    assert "Traceback" not in daemon.read_log()


def test_it_stops_while_it_waits_for_the_rate_limit(site: Site) -> None:
    """A pause an API asked for does not hold the process."""
    site.extra_environment = {"INDEXER_SOURCES__HEDERA__REQUESTS_PER_SECOND": "0.01"}
    daemon = site.run_daemon()
    site.wait_for("source_id = 'algorand' AND verdict = 'published'")

    code, seconds = daemon.stop()

    assert code == 0
    assert seconds < STOP_SECONDS
    assert site.query("SELECT count(*) FROM ledger.crawl WHERE state = 'running'") == [(0,)]


@pytest.mark.parametrize("table", ["raw_page", "crawl", "snapshot"])
def test_it_stops_in_the_middle_of_a_commit(table: str, site: Site) -> None:
    """A transaction that waits for somebody's lock is given up; the lease runs out by itself."""
    asked, go_on = hold_requests(site.simulator)
    daemon = site.run_daemon()
    assert asked.wait(60)
    with psycopg.connect(site.database_url) as connection:
        connection.execute(f"LOCK TABLE ledger.{table} IN ACCESS EXCLUSIVE MODE".encode())
        go_on.set()
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
        wait_until(lambda: site.query(waiting), "a commit waits")

        code, seconds = daemon.stop()

    assert code == 0
    assert seconds < STOP_SECONDS


def test_it_stops_while_the_database_is_away(site: Site) -> None:
    """Nothing can be handed back then, and nothing is waited for."""
    daemon = site.run_daemon()
    site.wait_for("verdict = 'published'")
    name = site.query("SELECT current_database()")[0][0]
    server = make_conninfo(site.database_url, dbname="template1")
    allow = "ALTER DATABASE {} ALLOW_CONNECTIONS {}"

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(allow.format(name, "false").encode())
        connection.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'".encode()
        )
        troubles = wait_until(
            lambda: [body for status, body in [daemon.ask("/readyz")] if status == 503], "not ready"
        )

        code, seconds = daemon.stop()

        connection.execute(allow.format(name, "true").encode())
    assert "the database does not answer" in troubles[0]
    assert code == 0
    assert seconds < STOP_SECONDS


def test_a_worker_stops_in_the_middle_of_a_request(site: Site) -> None:
    """`indexer work` promises the same as the daemon."""
    site.run_daemon().stop()
    asked, go_on = hold_requests(site.simulator)
    daemon, worker = site.run_daemon(), site.start("work")
    worker.wait_for_log('"working"')
    assert asked.wait(60)

    stopped = [process.stop() for process in (worker, daemon)]

    go_on.set()
    assert [code for code, _ in stopped] == [0, 0]
    assert max(seconds for _, seconds in stopped) < STOP_SECONDS
    assert site.query("SELECT count(*) FROM ledger.crawl WHERE state = 'running'") == [(0,)]


def test_it_stops_while_a_server_does_not_answer_at_the_start(site: Site) -> None:
    """A database that takes the connection and says nothing keeps nobody."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        site.extra_environment = {"INDEXER_DATABASE__URL": f"postgresql://nobody@127.0.0.1:{port}/none"}
        daemon = site.run_daemon()
        silent.accept()

        code, seconds = daemon.stop()

    assert code == 0
    assert seconds < STOP_SECONDS


@pytest.mark.parametrize("times", [1, 2])
def test_it_stops_while_the_database_hangs(times: int, tmp_path: Path) -> None:
    """A server that neither answers nor hangs up: five seconds all the same, and at once when told twice."""
    with opened(tmp_path, "", World.build(3, {"hedera": (3,)})) as site:
        site.extra_environment = {"INDEXER_DATABASE__DATA_DIR": str(tmp_path / "data")}
        daemon = site.run_daemon()
        daemon.wait_for_log("crawl finished")
        (pidfile,) = (tmp_path / "data").rglob("postmaster.pid")
        postmaster = psutil.Process(int(pidfile.read_text().split()[0]))
        server = [postmaster, *postmaster.children()]
        for process in server:
            process.suspend()
        try:
            wait_until(lambda: daemon.ask("/readyz")[0] == 503, "not ready")
            for _ in range(times - 1):
                daemon.process.send_signal(signal.SIGTERM)
                daemon.wait_for_log("stopping")
            code, seconds = daemon.stop()
        finally:
            for process in server:
                process.resume()
        run_program(site.folder, "db", "stop", environment=site.environment())

        assert code in (0, 128 + signal.SIGTERM)
        assert (code == 0) == (times == 1)
        assert seconds < (STOP_SECONDS if times == 1 else 1.0)


def test_a_second_signal_stops_at_once(site: Site) -> None:
    """Somebody who presses Ctrl-C twice means it."""
    asked, go_on = hold_requests(site.simulator)
    daemon = site.run_daemon()
    assert asked.wait(60)

    daemon.process.send_signal(signal.SIGINT)
    daemon.process.send_signal(signal.SIGINT)
    code = daemon.process.wait(60)

    go_on.set()
    assert code in (0, 130)


def test_the_embedded_database_stops_with_the_daemon(tmp_path: Path) -> None:
    """Without a server it starts its own, upgrades it, and leaves it in order in the same five seconds."""
    world = World.build(3, {"hedera": (3,)})
    with opened(tmp_path, "", world) as site:
        site.extra_environment = {"INDEXER_DATABASE__DATA_DIR": str(tmp_path / "data")}
        daemon = site.run_daemon()
        daemon.wait_for_log("crawl finished")

        code, seconds = daemon.stop()

        assert code == 0, daemon.read_log()[-3000:]
        assert seconds < STOP_SECONDS
        assert list((tmp_path / "data").rglob("postmaster.pid")) == []
        assert "Traceback" not in daemon.read_log()


#: Tells its own process to stop when it begins to load a module.
_TOLD_WHILE_LOADING = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.{signal})

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize("command", ["run", "work"])
@pytest.mark.parametrize("module", ["typer", "indexer.daemon"])
@pytest.mark.parametrize("told", ["SIGTERM", "SIGINT"])
def test_it_stops_while_python_still_loads_it(told: str, module: str, command: str, tmp_path: Path) -> None:
    """From the first line of ours on: an operator who changes their mind at once gets the same answer."""
    hook = _TOLD_WHILE_LOADING.format(module=module, signal=told)
    (tmp_path / "sitecustomize.py").write_text(hook)
    path = os.pathsep.join([str(tmp_path), build_environment()["PYTHONPATH"]])

    ended = run_program(tmp_path, command, environment={"PYTHONPATH": path})

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_it_stops_while_it_starts(tmp_path: Path) -> None:
    """Somebody changes their mind before there is anything to stop."""
    world = World.build(3, {"hedera": (3,)})
    with opened(tmp_path, "", world) as site:
        site.extra_environment = {"INDEXER_DATABASE__DATA_DIR": str(tmp_path / "data")}
        daemon = site.run_daemon()
        daemon.wait_for_log("status door open")

        code, seconds = daemon.stop()

        assert code == 0, daemon.read_log()[-3000:]
        assert seconds < STOP_SECONDS
        again = run_program(site.folder, "db", "check", environment=site.environment())
        assert again.returncode in (0, 4), again.stderr
        run_program(site.folder, "db", "stop", environment=site.environment())
