"""Configuration mistakes: all are named at once, each at its line or variable."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from indexer.config import load
from indexer.config_file import find_lines
from indexer.errors import UsageError


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


def _refusal(path: Path) -> str:
    try:
        load(path, {})
    except UsageError as error:
        return str(error)
    return ""


def test_all_mistakes_are_named_at_once_with_their_lines() -> None:
    """Nobody has to run the program once per mistake."""
    text = (
        'watchlist = ["a"]\n'
        "[sources]\n"
        "algorand = {requests_per_second = 0}\n"
        "[defaults]\n"
        "# a comment\n"
        'every = "15 minutes"\n'
        "[sources.headera]\n"
        "[sources.hedera]\n"
        "guard.max_shrink = 2\n"
        'enabled = "yes"\n'
    )

    mistakes = _mistakes(text, {"INDEXER_LOG__LEVL": "INFO", "INDEXER_DAEMON__TICK": "0"})

    assert mistakes == [
        "indexer.toml:1: watchlist: unknown key; did you mean watchlists?",
        "indexer.toml:3: sources.algorand.requests_per_second: must be greater than or equal to 0.0001",
        "indexer.toml:6: defaults.every: must be a duration such as 15m, 1h30m, 2d, or seconds",
        "indexer.toml:7: sources.headera: unknown source; did you mean hedera?",
        "indexer.toml:9: sources.hedera.guard.max_shrink: must be less than or equal to 1",
        "indexer.toml:10: sources.hedera.enabled: must be a valid boolean",
        "INDEXER_LOG__LEVL: unknown variable; did you mean INDEXER_LOG__LEVEL?",
        "INDEXER_DAEMON__TICK: must be longer than 0",
    ]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('defaults.cron = "61 * * * *"', "cron line"),
        ('defaults = {every = "1h", cron = "0 * * * *"}', "either every or cron"),
        ("defaults = 5", "must be a table"),
        ("sources = 5", "must be a table"),
        ("sources.hedera = 5", "must be a table"),
        ("watchlists = []", "must name at least 1 file"),
        ("watchlists = [5]", "string"),
        ('watchlists = ["a\\u0000b"]', "name of a file"),
        ("sources.hedera.requests_per_second = 1e-300", "0.0001"),
        ("defaults.concurrency = 0", "greater than or equal to 1"),
        ("defaults.concurrency = true", "integer"),
        ('defaults.concurrency = "4"', "integer"),
        ("sources.hedera.requests_per_second = nan", "finite"),
        ("guard.max_unreadable = 1.5", "less than or equal to 1"),
        ("defaults.every = -5", "negative"),
        ("defaults.timeout = 0", "longer than 0"),
        ('daemon.listen = "9464"', "host:port"),
        ('daemon.listen = "h:70000"', "host:port"),
        ('database.data_dir = "~nobody-at-all/x"', "home"),
        ('database.data_dir = "a\\u0000b"', "folder"),
        ('log.level = "loud"', "DEBUG"),
        ('log.format = "xml"', "console"),
        ('retention.raw = "always"', "duration"),
        ('retention.min_free_space = "1 elephant"', "size"),
        ('database.url = "mysql://h/d"', "postgresql://"),
        ('database.url = "postgresql+psycopg://h/d"', "postgresql://"),
        ('database.url = "postgresql://a@db..example/d"', "neither a name nor an address"),
        ('database.url = "postgresql://a@h:abc/d"', "a port from 1 to 65535"),
        ('database.url = "postgresql://a@h,i:70000/d"', "a port from 1 to 65535"),
        ('database.url = "postgresql://a@h/d?passsword=x"', "libpq does not know"),
        ('database.url = "postgresql://a:%zz@h/d"', "libpq does not know"),
        ('database.url = "postgresql://a@h/d?connect_timeout=soon"', "whole seconds"),
        ('sources.hedera.base_url = "ftp://h"', "http(s)"),
        ('sources.hedera.base_url = "https://h:port"', "http(s)"),
        ('sources.hedera.base_url = "https://h:99999"', "ort"),
        ('sources.hedera.base_url = "https://h:0"', "1 to 65535"),
        ('sources.hedera.base_url = "https://a..b"', "host"),
        ('sources.hedera.base_url = "https://-"', "host"),
        ('sources.hedera.base_url = "https://h/a b"', "path prefix"),
        ('sources.hedera.base_url = "https://h/x?y=1"', "query"),
        ('sources.okx_runes.path = "../x"', "letters"),
        ('sources.hedera.path = "x"', "unknown key"),
        ("guards.min_holdings = 5", "did you mean guard"),
    ],
)
def test_a_wrong_value_is_refused_at_its_line(line: str, what: str) -> None:
    """Each knob has a range, and the message says it."""
    (mistake,) = _mistakes("# first line\n\n" + line)
    assert mistake.startswith("indexer.toml:3: ")
    assert what in mistake


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = [1,\n", 3),
        ("a = 1\na = 2\n", 2),
        ("\n\n= 5", 3),
        ("x = \x01", 1),
        ("a = " + "[" * 9999, 1),
    ],
)
def test_what_is_not_toml_is_refused_at_its_line(text: str, line: int) -> None:
    """Broken files get one sentence, not a traceback."""
    (mistake,) = _mistakes(text)
    assert mistake.startswith(f"indexer.toml:{line}: is ")


def test_a_named_file_must_exist() -> None:
    """A typo in --config does not silently mean the built-in values."""
    with pytest.raises(UsageError, match=r"nowhere\.toml: there is no such file"):
        load(Path("nowhere.toml"), {})


def test_a_file_that_is_not_text_is_refused() -> None:
    """Bytes are not guessed at."""
    Path("latin.toml").write_bytes(b"a = 1\n# \xe9\n")
    with pytest.raises(UsageError, match=r"latin\.toml:2: is not UTF-8"):
        load(Path("latin.toml"), {})
    with pytest.raises(UsageError, match="cannot be read"):
        load(Path.cwd(), {})


def test_unknown_variables_are_refused_and_test_variables_are_not() -> None:
    """INDEXER_TEST_* belongs to the test suite; other programs' variables are not ours."""
    assert load(None, {"INDEXER_TEST_POSTGRES": "x", "PATH": "/bin", "INDEXERS": "x"}) == load(None, {})
    with pytest.raises(UsageError, match="did you mean INDEXER_DATABASE__URL"):
        load(None, {"INDEXER_DATABASE_URL": "x"})


_KEY = st.sampled_from(
    ["watchlists", "defaults", "every", "sources", "hedera", "guard", "x", "database", "url"]
)
_VALUE = st.recursive(
    st.one_of(
        st.integers(),
        st.floats(),
        st.booleans(),
        st.text(st.characters(codec="ascii", exclude_characters="'\n")),
    ).map(lambda value: f"'{value}'" if isinstance(value, str) else str(value).lower()),
    lambda inner: st.lists(inner, max_size=3).map(lambda values: "[" + ",\n".join(values) + "]"),
    max_leaves=4,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.lists(_KEY, min_size=1, max_size=4), _VALUE), max_size=4))
def test_any_toml_is_read_or_refused(pairs: list[tuple[list[str], str]]) -> None:
    """Whatever a file holds, the answer is a configuration or a UsageError with places."""
    path = _write("\n".join(f"{'.'.join(keys)} = {value}" for keys, value in pairs))

    refusal = _refusal(path)

    assert all(line.startswith("indexer.toml:") for line in refusal.split("\n") if refusal)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60))
@example("\ufeff[log]")
@example("a.b.'c\"' = 1\n[[x]]\n[x.y]")
def test_any_text_is_read_or_refused(text: str) -> None:
    """Garbage raises a UsageError and nothing else."""
    path = Path("indexer.toml")
    path.write_bytes(text.encode("utf-8", "surrogatepass"))

    refusal = _refusal(path)

    assert not refusal or refusal.startswith("indexer.toml:")


@given(st.integers(min_value=0, max_value=5), st.integers(min_value=0, max_value=5))
def test_the_line_of_a_key_is_found_behind_long_values(before: int, items: int) -> None:
    """Comments, lists over several lines and text that looks like keys do not move a line."""
    text = (
        "# c\n" * before
        + "a = [\n"
        + "  'x = 1',\n" * items
        + "]\nb = '''\nkey = 1\n'''\n[t.'q r']\nkey = 2\n"
    )

    lines = find_lines(text)

    assert lines["a",] == before + 1
    assert lines["b",] == before + items + 3
    assert lines["t", "q r", "key"] == before + items + 7
    assert ("key",) not in lines
