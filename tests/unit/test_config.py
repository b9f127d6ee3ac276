"""The configuration: which value is in force, and that what is shown is what is in force."""

import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest

from indexer.config import DEFAULT_PATH, Config, load, show, watchlist_folder
from indexer.config_environment import KEYS, SECRETS, variable_name


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs where no configuration lies around."""
    monkeypatch.chdir(tmp_path)


def _write(text: str) -> Path:
    path = Path("indexer.toml")
    path.write_text(text, encoding="utf-8")
    return path


def _without_place(config: Config) -> Config:
    return dataclasses.replace(config, path=None)


def test_without_a_file_the_built_in_values_hold() -> None:
    """Nothing has to be configured to begin."""
    config = load(None, {})

    assert config.path is None
    assert config.watchlists == ("watchlist/*.yaml", "watchlist/*.csv")
    assert config.database.url is None
    assert (config.daemon.listen_host, config.daemon.listen_port) == ("127.0.0.1", 9464)
    assert config.retention.raw is None
    assert config.retention.min_free_space_bytes == 2**30
    hedera = config.sources["hedera"]
    assert (hedera.every, hedera.cron) == (timedelta(hours=1), None)
    assert (hedera.requests_per_second, hedera.concurrency) == (20, 4)
    assert hedera.guard.confirm_after == timedelta(minutes=10)
    assert config.sources["okx_runes"].options == {"path": "get-owned-asserts"}
    assert config.sources["loopring"].base_url is None


def test_the_default_file_is_found_in_the_current_folder() -> None:
    """`config/indexer.toml` is read without being named."""
    DEFAULT_PATH.parent.mkdir()
    DEFAULT_PATH.write_text('[log]\nlevel = "debug"\n')

    config = load(None, {})

    assert config.path == DEFAULT_PATH
    assert config.log.level == "DEBUG"
    assert watchlist_folder(config) == Path("config")


def test_a_source_overrides_the_defaults() -> None:
    """Every key of [defaults] and [guard], for that source alone."""
    path = _write(
        '[defaults]\nevery = "2h"\ntimeout = 5\n[guard]\nmax_shrink = 0.1\n'
        '[sources.hedera]\nevery = "15m"\n[sources.hedera.guard]\nmin_holdings = 9\n'
    )

    sources = load(path, {}).sources

    assert sources["hedera"].every == timedelta(minutes=15)
    assert sources["algorand"].every == timedelta(hours=2)
    assert sources["hedera"].timeout == timedelta(seconds=5)
    assert (sources["hedera"].guard.min_holdings, sources["hedera"].guard.max_shrink) == (9, 0.1)
    assert sources["algorand"].guard.min_holdings == 5


def test_a_source_keeps_its_own_limit_below_the_general_one() -> None:
    """[defaults] concurrency does not lift what the API of a source can bear; [sources.x] does."""
    sources = load(_write("[defaults]\nconcurrency = 9\n"), {}).sources

    assert sources["okx_runes"].concurrency == 1
    assert sources["hedera"].concurrency == 9


def test_the_nearest_schedule_wins() -> None:
    """A source's cron replaces the general every, and the other way round; never both."""
    path = _write('[defaults]\ncron = "0 * * * *"\n[sources.hedera]\nevery = "5m"\n')

    sources = load(path, {}).sources

    assert (sources["hedera"].every, sources["hedera"].cron) == (timedelta(minutes=5), None)
    assert (sources["algorand"].every, sources["algorand"].cron) == (None, "0 * * * *")


def test_a_schedule_in_the_environment_replaces_the_other_kind_in_the_file() -> None:
    """An override works without editing the file."""
    config = load(_write('[sources.hedera]\nevery = "5m"\n'), {"INDEXER_SOURCES__HEDERA__CRON": "0 6 * * 1"})

    assert (config.sources["hedera"].every, config.sources["hedera"].cron) == (None, "0 6 * * mon")


@pytest.mark.parametrize("path", KEYS, ids=".".join)
def test_every_key_can_come_from_the_environment(path: tuple[str, ...]) -> None:
    """The same value given by file and by variable is the same configuration."""
    values = {
        "watchlists": ('["a", "b"]', "a, b"),
        "url": ('"postgresql://u@h/d"', "postgresql://u@h/d"),
        "data_dir": ('"here"', "here"),
        "cron": ('"5 * * * *"', "5 * * * *"),
        "listen": ('"[::1]:80"', "[::1]:80"),
        "level": ('"ERROR"', "error"),
        "format": ('"json"', "json"),
        "base_url": ('"http://127.0.0.1:8080/x"', "http://127.0.0.1:8080/x/"),
        "path": ('"get-owned-assets"', "get-owned-assets"),
        "enabled": ("false", "false"),
        "min_free_space": ('"2GiB"', "2GiB"),
    }
    numbers = {"concurrency": "3", "min_holdings": "3", "requests_per_second": "3.5", "max_shrink": "0.25"}
    numbers |= {"max_unreadable": "0.25"}
    in_file, in_variable = values.get(path[-1]) or (numbers.get(path[-1], '"7m"'),) * 2

    from_file = load(_write(".".join(path) + " = " + in_file), {})
    from_variable = load(_write(""), {variable_name(path): in_variable.strip('"')})

    assert from_variable == from_file
    assert from_file != load(_write(""), {})


def test_a_variable_set_to_nothing_is_not_set() -> None:
    """Compose files pass variables on even when nobody set them."""
    environ = {variable_name(path): " " for path in (*KEYS, *SECRETS)}
    assert load(None, environ) == load(None, {})


def test_paths_start_at_the_file() -> None:
    """`data_dir` means the same folder from wherever the program is started."""
    Path("etc").mkdir()
    Path("etc/my.toml").write_text('[database]\ndata_dir = "data"\n')

    config = load(Path("etc/my.toml"), {})

    assert config.database.data_dir == Path.cwd() / "etc/data"
    assert watchlist_folder(config) == Path("etc")


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [("[::1]:9464", "::1", 9464), ("0.0.0.0:0", "0.0.0.0", 0), ("localhost:80", "localhost", 80)],
)
def test_listen_is_host_and_port(listen: str, host: str, port: int) -> None:
    """IPv6 hosts stand in brackets."""
    daemon = load(None, {"INDEXER_DAEMON__LISTEN": listen}).daemon
    assert (daemon.listen_host, daemon.listen_port) == (host, port)


def test_a_shown_configuration_can_be_read_again() -> None:
    """`config show` prints what is in force, completely."""
    environ = {
        "INDEXER_DEFAULTS__CRON": "5 6 * * sun",
        "INDEXER_RETENTION__RAW": "90d",
        "INDEXER_GUARD__CONFIRM_AFTER": "0",
        "INDEXER_WATCHLISTS": '["a\\"\\\\\u00e9.yaml", "\U0001f600"]',
        "INDEXER_DAEMON__LISTEN": "[::1]:1",
    }
    config = load(None, environ)

    assert _without_place(load(_write(show(config)), {})) == config
