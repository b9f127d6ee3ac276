"""Planted secrets stay in memory: no log at DEBUG, no error, table or process list ever shows one.

Each canary is looked for as it is and as URLs, base64 and hexadecimal show it.
"""

import base64
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import TupleRow

from indexer.simulator import Fault, World
from indexer.simulator.positions import SOURCES
from indexer.store.bodies import StoredBody
from tests.faults import processes
from tests.faults.stand import Stand, built
from tests.integration.embedded_servers import free_port

#: One of each sort: header, signature, passphrase, path, query-like characters, password of the database.
CANARIES: Final[Mapping[str, Mapping[str, str]]] = {
    "okx_runes": {
        "api_key": "canary-header-8f3a1c",
        "secret_key": "canary-signature-5d20e7",
        "passphrase": "canary passphrase+a%2F&b=c",
    },
    "solana_das": {"api_key": "canary/path?key=77b1"},
    "algorand": {"api_token": "canary-token-04fe9b"},
    "loopring": {"api_key": "canary-loopring-c41d"},
}
PASSWORD: Final = "canary-password-e6a2"
#: The same thing in the other place a database URL may have it.
QUERY_PASSWORD: Final = "canary-query-3d18"
OPTIONAL: Final = {"INDEXER_SOURCES__OKX_RUNES__PROJECT": "canary-project-19aa"}
SECRETS: Final = (
    *(value for keys in CANARIES.values() for value in keys.values()),
    *OPTIONAL.values(),
    PASSWORD,
    QUERY_PASSWORD,
)
SETTINGS: Final = {"INDEXER_DEFAULTS__TIMEOUT": "0.5", "INDEXER_DAEMON__LEASE": "2s", **OPTIONAL}

#: Every way of failing that has words of its own.
_FAULTS: Final = (
    *(
        "hang",
        "reset_mid_body",
        "short_body",
        "no_answer",
        "huge_headers",
        "stacked_encodings",
        "corrupt_gzip",
    ),
    *("html_200", "truncated_json", "missing_field", "redirect", "repeated_cursor", "expired_cursor"),
    *("api_error", "item_error", "empty_200", "deep_nesting", "invalid_utf8"),
)
#: Refusals whose body repeats every secret, as some servers do in their error pages.
_STATUSES: Final = (400, 401, 403, 404, 429, 500, 503)
_ECHO: Final = f'{{"msg":"refused: {" ".join(SECRETS)}","message":"key {" ".join(SECRETS)}"}}'.encode()


def forms(secret: str) -> set[bytes]:
    """Everything a secret may look like in a text."""
    plain = secret.encode()
    found = {plain, quote(secret).encode(), quote(secret, safe="").encode(), plain.hex().encode()}
    # Three alignments: the inside of a longer text in base64 starts anywhere.
    found |= {base64.b64encode(b"x" * shift + plain)[4 * (shift > 0) : -4] for shift in range(3)}
    return {form for form in found if len(form) >= 8}


FORMS: Final = {form: secret for secret in SECRETS for form in forms(secret)}


def find_secrets(text: bytes, where: str) -> list[str]:
    """What of the canaries is in these bytes."""
    return [f"{secret!r} in {where}" for form, secret in FORMS.items() if form in text]


@pytest.fixture
def stand(database_url: str, tmp_path: Path) -> Iterator[Stand]:
    """Every source with canaries for secrets, and a database URL with one for its password."""
    url = database_url.replace("//indexer@", f"//indexer:{PASSWORD}@", 1)
    assert PASSWORD in url
    world = World.build(3, dict.fromkeys(SOURCES, (12, 3)))
    with built(url, tmp_path, world, SETTINGS, CANARIES) as made:
        yield made


def rounds() -> Iterator[dict[str, Fault]]:
    """One fault for each source at a time: every refusal at every source, everything else somewhere."""
    for place in range(len(_STATUSES)):
        yield {
            source: _refusal(source, _STATUSES[(place + shift) % len(_STATUSES)], page=1 + place % 2)
            for shift, source in enumerate(SOURCES)
        }
    for place in range(0, len(_FAULTS), len(SOURCES)):
        yield {
            source: Fault(source, _FAULTS[(place + shift) % len(_FAULTS)], page=2, times=2)
            for shift, source in enumerate(SOURCES)
        }


def _refusal(source: str, status: int, page: int) -> Fault:
    """Once is enough for most; trouble that stays ends in other words than trouble that passes."""
    times = 1 if status in (429, 503) else None
    return Fault(source, "status", status=status, body=_ECHO, page=page, times=times)


def crawl_under_faults(stand: Stand) -> list[str]:
    """A pass per round at DEBUG, two in three of them killed. Returns where secrets showed."""
    found: list[str] = []
    for place, faults in enumerate(rounds()):
        for fault in faults.values():
            stand.simulator.faults.add(fault)
        crash_at = ("", "answered:6", "page_written:4")[place % 3]
        process = processes.start(stand, "crawl", "--debug", crash_at=crash_at)
        found += find_secrets(_list_processes(), "the process list")
        ended = processes.end(process)
        found += find_secrets((ended.stdout + ended.stderr).encode(), f"the output of round {place}")
        stand.simulator.faults.clear()
        stand.move()
    assert len(stand.simulator.faults.struck) >= len(_STATUSES) * len(SOURCES)
    return found


def _list_processes() -> bytes:
    """Command lines, and titles of server processes."""
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, check=True).stdout


def find_in_database(stand: Stand) -> list[str]:
    """Where secrets are in any column of any table; raw bodies are unpacked first."""
    found: list[str] = []
    columns = """
        SELECT table_schema, table_name, column_name FROM information_schema.columns
        WHERE table_schema IN ('ledger', 'report', 'public')
          AND data_type IN ('text', 'character varying', 'jsonb', 'bytea', 'ARRAY')
    """
    with psycopg.connect(stand.url) as connection:
        for schema, table, column in connection.execute(columns).fetchall():
            # What PostgreSQL shows of bytea is hexadecimal.
            shown = sql.SQL("SELECT {}::text FROM {}").format(
                sql.Identifier(column), sql.Identifier(schema, table)
            )
            text = "\n".join(str(row[0]) for row in connection.execute(shown))
            found += find_secrets(text.encode(), f"{schema}.{table}.{column}")
        for body in unpack_bodies(connection):
            found += find_secrets(body, "a raw body")
        running = connection.execute("SELECT string_agg(query, '') FROM pg_stat_activity").fetchone()
        found += find_secrets(str(running).encode(), "pg_stat_activity")
    return found


def unpack_bodies(connection: "psycopg.Connection[TupleRow]") -> Iterable[bytes]:
    """Every raw body as it came in; what stands behind a delta comes before it."""
    statement = """
        SELECT sha256, codec, length, body, base_sha256 FROM ledger.raw_body ORDER BY depth, part_on
    """
    known: dict[bytes, StoredBody] = {}
    for sha256, codec, length, stored, base in connection.execute(statement).fetchall():
        known[sha256] = StoredBody(codec, length, stored, None if base is None else known[base])
    return [body.unpack() for body in known.values()]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_in_any_form_would_be_found(secret: str) -> None:
    """The search itself: plain, in a URL, in base64 wherever it starts, in a dump of bytes."""
    texts = (secret, quote(secret), quote(secret, safe=""), secret.encode().hex())
    codes = (base64.b64encode(b"y" * shift + secret.encode() + b"zz").decode() for shift in range(3))

    assert all(find_secrets(f"x {text} x".encode(), "here") for text in (*texts, *codes))


@pytest.mark.timeout(300)
def test_no_secret_leaves_memory(stand: Stand) -> None:
    """Refusals that repeat every secret, everything else that fails, kills between: nothing anywhere."""
    shown = crawl_under_faults(stand)
    stored = find_in_database(stand)

    assert shown == []
    assert stored == []


def test_a_database_that_is_away_is_named_without_its_password(stand: Stand) -> None:
    """Exit code 4 and a sentence, at DEBUG even a traceback, and nothing in either."""
    url = f"postgresql://indexer:{PASSWORD}@127.0.0.1:1/none"
    away = replace(stand, environment=stand.environment | {"INDEXER_DATABASE__URL": url})
    ended = processes.crawl(away, "--debug")

    assert ended.code == 4
    assert find_secrets((ended.stdout + ended.stderr).encode(), "the output") == []


#: What a daemon does in seconds, so that every fault has been met.
DAEMON: Final = {
    "INDEXER_DAEMON__TICK": "250ms",
    "INDEXER_DEFAULTS__EVERY": "1s",
    "INDEXER_DAEMON__LEASE": "2s",
    "INDEXER_DEFAULTS__TIMEOUT": "0.5",
}


def visit(port: int) -> bytes:
    """Everything the status door of a daemon says; empty while it is not open yet."""
    said = b""
    for path in ("/metrics", "/healthz", "/readyz", "/nothing"):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                said += answer.read()
        except urllib.error.HTTPError as error:
            said += error.read()
        except OSError:
            return b""
    return said


@pytest.mark.timeout(300)
def test_no_secret_leaves_a_daemon(stand: Stand) -> None:
    """Hours of refusals in short, at DEBUG: log, status door, metrics, process list, tables."""
    port = free_port()
    place, _, given = stand.url.replace(f":{PASSWORD}@", "@").partition("?")
    settings = DAEMON | {"INDEXER_DAEMON__LISTEN": f"127.0.0.1:{port}"}
    # The embedded server's folder is in the query, too.
    settings["INDEXER_DATABASE__URL"] = f"{place}?password={QUERY_PASSWORD}&{given}".rstrip("&")
    stand.environment |= settings
    for faults in list(rounds())[: len(_STATUSES)]:
        for fault in faults.values():
            stand.simulator.faults.add(replace(fault, times=2))
    daemon = processes.start(stand, "run", "--debug")
    try:
        processes.wait_until(
            lambda: len({fault.status for fault in stand.simulator.faults.struck}) >= 4, "faults were met"
        )
        processes.wait_until(lambda: bool(visit(port)), "the status door is open")
        said, listed = visit(port), _list_processes()
    finally:
        daemon.terminate()
    ended = processes.end(daemon)

    assert ended.code == 0, ended.stderr[-2000:]
    assert b"indexer_" in said
    assert find_secrets(said, "the status door") == []
    assert find_secrets(listed, "the process list") == []
    assert find_secrets((ended.stdout + ended.stderr).encode(), "the log") == []
    assert find_in_database(stand) == []


def test_a_bug_in_the_middle_of_a_request_shows_no_secret(stand: Stand) -> None:
    """A traceback at DEBUG from where the keys are: lines of code, never their values."""
    stand.mutant = "bug"
    ended = processes.crawl(stand, "--debug")

    assert "ZeroDivisionError" in ended.stderr
    assert find_secrets((ended.stdout + ended.stderr).encode(), "the output") == []
    assert find_in_database(stand) == []


def test_a_process_that_aborts_leaves_no_core(stand: Stand) -> None:
    """A core dump is all of memory in a file: the program forbids its own."""
    stand.simulator.switches.latency_seconds = 5
    process = processes.start(stand, "crawl")
    processes.wait_until(lambda: len(stand.simulator.log) > 0, "it is crawling")
    limits = Path(f"/proc/{process.pid}/limits").read_text(encoding="ascii")
    process.send_signal(signal.SIGABRT)
    ended = processes.end(process)

    (core,) = (line.split() for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core[4:6] == ["0", "0"]
    assert ended.code == -signal.SIGABRT
    assert find_secrets((ended.stdout + ended.stderr).encode(), "the output") == []
