"""Planted secrets stay in memory: no log at DEBUG, no error, table or process list ever shows one.

Each canary is looked for as it is and as URLs, base64 and hexadecimal show it.
"""

import base64
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg
import pytest
import zstandard
from psycopg import sql

from indexer.simulator import Fault, World
from indexer.simulator.positions import SOURCES
from tests.faults import processes
from tests.faults.stand import Stand, built

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
OPTIONAL: Final = {"INDEXER_SOURCES__OKX_RUNES__PROJECT": "canary-project-19aa"}
SECRETS: Final = (
    *(value for keys in CANARIES.values() for value in keys.values()),
    *OPTIONAL.values(),
    PASSWORD,
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
        for (stored,) in connection.execute("SELECT body FROM ledger.raw_body").fetchall():
            is_packed = stored.startswith(zstandard.FRAME_HEADER)
            body = zstandard.ZstdDecompressor().decompress(stored) if is_packed else stored
            found += find_secrets(body, "a raw body")
        running = connection.execute("SELECT string_agg(query, '') FROM pg_stat_activity").fetchone()
        found += find_secrets(str(running).encode(), "pg_stat_activity")
    return found


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
