"""Secrets: where they may come from, and that none is ever shown."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.config import load, missing_secrets, secret_values, show
from indexer.config_environment import SECRETS, variable_name
from indexer.errors import UsageError
from indexer.settings import SOURCES


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs where no configuration lies around."""
    monkeypatch.chdir(tmp_path)


def _write(text: str) -> Path:
    path = Path("indexer.toml")
    path.write_text(text, encoding="utf-8")
    return path


def _mistakes(text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(UsageError) as caught:
        load(_write(text), environ or {})
    return str(caught.value).split("\n")


_CANARY = "canary-5f0c"


def _all_secrets() -> Iterator[tuple[str, str]]:
    for number, path in enumerate(SECRETS):
        yield variable_name(path), f"{_CANARY}{number}/+ x"
    yield (
        "INDEXER_DATABASE__URL",
        f"postgresql://me:{_CANARY}%40@h,g:1/db?sslpassword={_CANARY}s&sslmode=require",
    )


def test_secrets_are_shown_nowhere() -> None:
    """Neither the shown configuration nor its repr contains one, and the redactor is told every one."""
    config = load(None, dict(_all_secrets()))

    assert _CANARY not in show(config)
    assert _CANARY not in repr(config)
    assert "postgresql://me:***@h,g:1/db?sslpassword=***&sslmode=require" in show(config)
    assert {f"{_CANARY}@", f"{_CANARY}%40", f"{_CANARY}s", f"{_CANARY}0/+ x", f"{_CANARY}0%2F%2B%20x"} <= set(
        secret_values(config)
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"postgresql://u:{_CANARY}?x@h:1/db", "postgresql://u:***@h:1/db"),
        (f"postgresql://u:{_CANARY}#x@h:1/db", "postgresql://u:***@h:1/db"),
        (f"postgresql://h:1/db?user=u&p%61ssword={_CANARY}", "postgresql://h:1/db?user=u&p%61ssword=***"),
        ("postgresql:///db?host=/tmp/a@b", "postgresql:///db?host=/tmp/a@b"),
    ],
)
def test_a_password_is_what_libpq_takes_for_one(url: str, shown: str) -> None:
    """It ends a user at the first @, whatever the rules of other URLs say."""
    config = load(None, {"INDEXER_DATABASE__URL": url})

    assert f'url = "{shown}"' in show(config)
    assert any(value.startswith(_CANARY) for value in secret_values(config)) == (_CANARY in url)


@pytest.mark.parametrize("path", SECRETS, ids=".".join)
def test_a_secret_in_the_file_is_refused_unseen(path: tuple[str, ...]) -> None:
    """The file may be committed; the message names the variable and not the value."""
    (mistake,) = _mistakes(f"\n{'.'.join(path)} = '{_CANARY}'", {variable_name(path): "right"})

    assert mistake.startswith("indexer.toml:2: ")
    assert variable_name(path) in mistake
    assert _CANARY not in mistake


@pytest.mark.parametrize("path", [*SECRETS, ("database", "url")], ids=".".join)
def test_a_secret_can_be_a_file(path: tuple[str, ...]) -> None:
    """As container platforms hand them over, with a line break at the end."""
    text = "postgresql://u:p@h/d"
    Path("secret").write_text(text + "\n")

    config = load(None, {variable_name(path) + "_FILE": "secret"})

    assert config == load(None, {variable_name(path): text})
    assert config != load(None, {})


@pytest.mark.parametrize(
    ("environ", "what"),
    [
        ({"_FILE": "nowhere"}, "cannot be read"),
        ({"_FILE": "empty"}, "is empty"),
        ({"_FILE": "secret", "": "x"}, "not both"),
        ({"": f"{_CANARY}\nsecond line"}, "one line"),
        ({"": f"{_CANARY}é"}, "ASCII"),
    ],
)
def test_an_unusable_secret_is_refused_unseen(environ: dict[str, str], what: str) -> None:
    """What would break a header is found here, because the HTTP library would print it."""
    Path("secret").write_text(_CANARY)
    Path("empty").write_text("\n")
    name = "INDEXER_SOURCES__SOLANA_DAS__API_KEY"

    with pytest.raises(UsageError, match=what) as caught:
        load(None, {name + suffix: value for suffix, value in environ.items()})

    assert _CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"https://user:{_CANARY}@h",
        f"https://h/?key={_CANARY}",
        f"https://h/#{_CANARY}",
        f"https://[{_CANARY}",
        "https://h/v3/0123456789abcdef0123456789abcdef",
    ],
)
def test_a_key_in_a_base_url_is_refused_unseen(url: str) -> None:
    """Addresses of services are stored and shown; keys are not."""
    (mistake,) = _mistakes("", {"INDEXER_SOURCES__SOLANA_DAS__BASE_URL": url})
    assert _CANARY not in mistake
    assert "0123456789abcdef" not in mistake


def test_missing_secrets_are_named() -> None:
    """The message of a watch that cannot be crawled names the variables to set."""
    config = load(None, {"INDEXER_SOURCES__OKX_RUNES__SECRET_KEY": "x"})

    assert missing_secrets("okx_runes", config) == [
        "INDEXER_SOURCES__OKX_RUNES__API_KEY",
        "INDEXER_SOURCES__OKX_RUNES__PASSPHRASE",
    ]
    assert missing_secrets("algorand", config) == []
    assert {source for source in SOURCES if missing_secrets(source, config)} == {
        "okx_runes",
        "solana_das",
        "loopring",
    }
