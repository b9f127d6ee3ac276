"""However a secret is spelled, the redactor leaves nothing of it."""

import base64
import json
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.logs import Redactor

SPELLINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "percent": lambda secret: quote(secret, safe=""),
    "percent, path": quote,
    "percent, form": quote_plus,
    "percent, lower case": lambda secret: re.sub(r"%..", lambda m: m[0].lower(), quote(secret, safe="")),
    "percent twice": lambda secret: quote(quote(secret, safe=""), safe=""),
    "json": lambda secret: json.dumps(secret)[1:-1],
    "json, not ascii": lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    "repr": lambda secret: repr(secret)[1:-1],
    "base64": lambda secret: base64.b64encode(secret.encode()).decode().rstrip("="),
    "base64, for URLs": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode().rstrip("="),
}
SECRETS = st.text(st.characters(exclude_categories=["Cs"]), min_size=9, max_size=40)


@pytest.mark.parametrize("spelling", SPELLINGS)
@given(secret=SECRETS, before=st.sampled_from(["", "key=", '{"k": "', "a "]))
def test_redacts_every_spelling_of_any_secret(spelling: str, secret: str, before: str) -> None:
    """Raw, percent-encoded, escaped or in base64: nothing of it is left but the mask."""
    spelled = SPELLINGS[spelling](secret)

    cleaned = Redactor([secret])(f"{before}{spelled}")

    # Base64's last character mixes the secret with what follows; it tells at most four bits.
    assert re.fullmatch(re.escape(before) + r"\*\*\*[\w+/-]{0,2}", cleaned)


@given(secret=st.text("abcXYZ019+/=:_-", min_size=12, max_size=40), user=st.text("user:", max_size=6))
def test_redacts_a_secret_inside_base64(secret: str, user: str) -> None:
    """HTTP Basic encodes name and key together: the key is found at every alignment."""
    code = base64.b64encode(f"{user}:{secret}\n".encode()).decode()

    cleaned = Redactor([secret])(f"Basic {code}")

    assert "***" in cleaned
    assert len(cleaned) < len("Basic ") + len(user) * 2 + 20


@given(text=st.text(max_size=80))
def test_changes_nothing_without_secrets(text: str) -> None:
    """A redactor without secrets only knows passwords in connection strings."""
    if "://" not in text and "password" not in text.lower():
        assert Redactor([])(text) == text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("postgresql://me:pass@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("postgresql://me:p@ss:w@host/db", "postgresql://me:***@host/db"),
        ("at postgres://:pw@/db?host=/run and", "at postgres://:***@/db?host=/run and"),
        ("host=h password=pass user=me", "host=h password=*** user=me"),
        ("password = 'two words' user=me", "password = *** user=me"),
        ("http://127.0.0.1:8080/a", "http://127.0.0.1:8080/a"),
        ("postgresql://host/db by a@b", "postgresql://host/db by a@b"),
    ],
)
def test_redacts_passwords_of_connection_strings(text: str, cleaned: str) -> None:
    """Also those that nobody told the redactor about."""
    assert Redactor()(text) == cleaned


def test_longer_secrets_go_first() -> None:
    """A secret that contains another one leaves no rest of itself."""
    assert Redactor(["abcd", "abcd-efgh"])("x abcd-efgh y abcd z") == "x *** y *** z"


def test_short_secrets_do_not_blank_out_words() -> None:
    """Three letters are in every other word; such secrets are only never logged by us."""
    assert Redactor(["api", ""])("rapid api") == "rapid api"
