"""Every knob, read once into frozen values. Unknown keys are errors; secrets come from the environment.

`load` fills in what `config_file.py` read: built-in values below the file, the file below the environment,
`[defaults]` and `[guard]` below each `[sources.<name>]`. Only bootstrap calls it; nothing reads it again.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote

from pydantic import SecretStr

from indexer.config_environment import variable_name
from indexer.config_file import Settings, read_settings
from indexer.durations import format_duration, format_size
from indexer.settings import BUILT_IN, SOURCES, DefaultsTable, SourceTable, Table, split_listen

#: Read from the current folder when no other file is named.
DEFAULT_PATH: Final = Path("config/indexer.toml")


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """Where the warehouse lives."""

    #: libpq URL of a server, or None for the embedded PostgreSQL in ``data_dir``.
    url: SecretStr | None
    data_dir: Path


@dataclass(frozen=True, slots=True)
class GuardConfig:
    """How surprising a list may be before it needs a second witness (promises 5 and 6)."""

    min_holdings: int
    max_shrink: float
    confirm_after: timedelta
    max_unreadable: float


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """One source as configured, defaults filled in."""

    name: str
    enabled: bool
    #: None: retired until somebody sets one (Loopring).
    base_url: str | None
    requests_per_second: float
    concurrency: int
    #: Exactly one of ``every`` and ``cron`` is set.
    every: timedelta | None
    cron: str | None
    fresh_for: timedelta
    max_window: timedelta
    timeout: timedelta
    guard: GuardConfig
    #: Source-specific plain options (``okx_runes.path``).
    options: Mapping[str, str]
    #: By key name: ``api_key``, ``secret_key`` … Only those that are set.
    secrets: Mapping[str, SecretStr]


@dataclass(frozen=True, slots=True)
class LogConfig:
    level: str
    #: "console" or "json"; "" chooses by whether stderr is a terminal.
    format: str


@dataclass(frozen=True, slots=True)
class RetentionConfig:
    #: None: forever.
    raw: timedelta | None
    min_free_space_bytes: int


@dataclass(frozen=True, slots=True)
class DaemonConfig:
    listen_host: str
    listen_port: int
    tick: timedelta
    lease: timedelta


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration. ``path`` is None when built-in defaults are in force."""

    path: Path | None
    watchlists: tuple[str, ...]
    database: DatabaseConfig
    log: LogConfig
    retention: RetentionConfig
    daemon: DaemonConfig
    sources: Mapping[str, SourceConfig]


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """The effective configuration. Raises UsageError naming every mistake with its line or variable."""
    if path is None and _is_there(DEFAULT_PATH):
        path = DEFAULT_PATH
    settings = read_settings(path, environ)
    document = settings.document
    retention = _layer(document.retention, BUILT_IN.retention)
    return Config(
        path=path,
        watchlists=tuple(document.watchlists or BUILT_IN.watchlists or ()),
        database=_fill_database(settings, _folder_of(path)),
        log=LogConfig(**_layer(document.log, BUILT_IN.log)),
        retention=RetentionConfig(
            raw=None if retention["raw"] == timedelta.max else retention["raw"],
            min_free_space_bytes=retention["min_free_space"],
        ),
        daemon=_fill_daemon(settings),
        sources=MappingProxyType({name: _fill_source(name, settings) for name in SOURCES}),
    )


def _is_there(path: Path) -> bool:
    """Whether the file is there, even where it cannot be read: that must be an error, not the defaults."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def watchlist_folder(config: Config) -> Path:
    """What relative watchlist patterns start from: the folder of the configuration file, else `config`."""
    return _folder_of(config.path)


def _folder_of(path: Path | None) -> Path:
    return (path or DEFAULT_PATH).parent


def _layer(*tables: Table) -> dict[str, Any]:
    """The values of these tables, the first that gives one winning."""
    layers = [{key: value for key, value in table if value is not None} for table in reversed(tables)]
    merged = dict.fromkeys(type(tables[0]).model_fields)
    for layer in layers:
        merged |= layer
    return merged


def _fill_database(settings: Settings, folder: Path) -> DatabaseConfig:
    table = settings.document.database
    url = table.url if table.url is not None and table.url.get_secret_value() else None
    data_dir = folder / Path(table.data_dir) if table.data_dir else _default_data_dir()
    return DatabaseConfig(url, data_dir.absolute())


def _default_data_dir() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/indexer")
    # Not at the top: it loads a module of its own for every system it knows.
    import platformdirs

    return platformdirs.user_data_path("indexer", appauthor=False)


def _fill_daemon(settings: Settings) -> DaemonConfig:
    values = _layer(settings.document.daemon, BUILT_IN.daemon)
    host, port = split_listen(values["listen"])
    return DaemonConfig(host, port, values["tick"], values["lease"])


def _fill_source(name: str, settings: Settings) -> SourceConfig:
    document, facts = settings.document, SOURCES[name]
    given = document.sources.get(name, SourceTable())
    values = _layer(given, facts.values)
    defaults = _layer(document.defaults, BUILT_IN.defaults)
    values = {key: defaults.get(key) if value is None else value for key, value in values.items()}
    every, cron = _choose_schedule(given, document.defaults)
    guard = GuardConfig(**_layer(given.guard, document.guard, BUILT_IN.guard))
    values |= {"every": every, "cron": cron, "guard": guard}
    values["enabled"] = given.enabled is not False
    return SourceConfig(
        name=name,
        options=MappingProxyType({**facts.options, **settings.options.get(name, {})}),
        secrets=settings.secrets.get(name, MappingProxyType({})),
        **values | {"base_url": values["base_url"] or None},
    )


def _choose_schedule(given: SourceTable, defaults: DefaultsTable) -> tuple[timedelta | None, str | None]:
    """Every or cron of the nearest table that gives either; never one from each."""
    for table in (given, defaults, BUILT_IN.defaults):
        if table.every or table.cron:
            return table.every, table.cron
    raise AssertionError("the built-in values give a schedule")


def missing_secrets(source: str, config: Config) -> list[str]:
    """The variables that must be set before this source can be asked anything."""
    held = config.sources[source].secrets
    required = SOURCES[source].required_secrets
    return [variable_name(("sources", source, key)) for key in required if key not in held]


def secret_values(config: Config) -> list[str]:
    """Every text that must never be printed, longest first, also as it looks inside a URL."""
    found = {
        secret.get_secret_value() for source in config.sources.values() for secret in source.secrets.values()
    }
    if config.database.url is not None:
        found |= _passwords_in(config.database.url.get_secret_value())
    found |= {form for value in found for form in (quote(value), quote(value, safe=""), unquote(value))}
    return sorted(found - {""}, key=lambda value: (-len(value), value))


def _passwords_in(url: str) -> set[str]:
    _scheme, user, rest = _split_user(url)
    query = {value for key, value in parse_qsl(rest.partition("?")[2]) if "pass" in key.lower()}
    return {user.partition(":")[2], *query}


def _split_user(url: str) -> tuple[str, str, str]:
    """Scheme, user with password, and the rest as libpq tells them apart: the first @ before a slash ends it.

    Not as other URLs: a question mark or a # before it belongs to the password.
    https://github.com/postgres/postgres/blob/REL_18_STABLE/src/interfaces/libpq/fe-connect.c
    """
    scheme, slashes, rest = url.partition("://")
    user, at, tail = rest.partition("@")
    return (scheme + slashes, user, at + tail) if at and "/" not in user else (scheme + slashes, "", rest)


def show(config: Config) -> str:
    """TOML that gives this configuration again, apart from secrets and the place of the file."""
    return "\n".join(_list_lines(config)) + "\n"


def _list_lines(config: Config) -> Iterator[str]:
    yield f"# from {_quote(str(config.path))}" if config.path else "# built-in values: no configuration file"
    yield f"watchlists = [{', '.join(map(_quote, config.watchlists))}]"
    yield from ("", "[database]", f"url = {_quote(_mask_url(config.database.url))}")
    yield f"data_dir = {_quote(str(config.database.data_dir))}"
    yield from ("", "[log]", f"level = {_quote(config.log.level)}", f"format = {_quote(config.log.format)}")
    raw = config.retention.raw
    yield from ("", "[retention]", f'raw = "{format_duration(raw) if raw else "forever"}"')
    yield f'min_free_space = "{format_size(config.retention.min_free_space_bytes)}"'
    host = config.daemon.listen_host
    listen = f"[{host}]" if ":" in host else host
    yield from ("", "[daemon]", f'listen = "{listen}:{config.daemon.listen_port}"')
    yield f'tick = "{format_duration(config.daemon.tick)}"'
    yield f'lease = "{format_duration(config.daemon.lease)}"'
    for source in config.sources.values():
        yield from _list_source(source)


def _list_source(source: SourceConfig) -> Iterator[str]:
    yield from ("", f"[sources.{source.name}]", f"enabled = {str(source.enabled).lower()}")
    yield f"base_url = {_quote(source.base_url or '')}"
    yield f"requests_per_second = {source.requests_per_second}"
    yield f"concurrency = {source.concurrency}"
    yield (
        f'every = "{format_duration(source.every)}"'
        if source.every
        else f"cron = {_quote(source.cron or '')}"
    )
    for name in ("fresh_for", "max_window", "timeout"):
        yield f'{name} = "{format_duration(getattr(source, name))}"'
    yield from (f"{name} = {_quote(value)}" for name, value in source.options.items())
    yield from _list_secrets(source)
    yield from _list_guard(source.name, source.guard)


def _list_secrets(source: SourceConfig) -> Iterator[str]:
    facts = SOURCES[source.name]
    for key in facts.required_secrets + facts.optional_secrets:
        absent = "(not set)" if key in facts.required_secrets else "(not set, optional)"
        value = "***" if key in source.secrets else absent
        yield f"# {variable_name(('sources', source.name, key))} = {value}"


def _list_guard(name: str, guard: GuardConfig) -> Iterator[str]:
    yield f"[sources.{name}.guard]"
    yield f"min_holdings = {guard.min_holdings}"
    yield f"max_shrink = {guard.max_shrink}"
    yield f'confirm_after = "{format_duration(guard.confirm_after)}"'
    yield f"max_unreadable = {guard.max_unreadable}"


def _mask_url(url: SecretStr | None) -> str:
    """The URL without its password, wherever libpq allows one."""
    if url is None:
        return ""
    scheme, user, rest = _split_user(url.get_secret_value())
    name, colon, _ = user.partition(":")
    place, mark, query = rest.partition("?")
    options = [option.partition("=") for option in query.split("&")]
    told = "&".join(
        key + equals + ("***" if "pass" in unquote(key).lower() else value) for key, equals, value in options
    )
    return f"{scheme}{name}{colon}{'***' if colon else ''}{place}{mark}{told}"


def _quote(text: str) -> str:
    """A TOML basic string. JSON's quoting is not enough: DEL, and characters outside the BMP."""
    return '"' + re.sub(r'[\x00-\x1f\x7f"\\]', lambda found: f"\\u{ord(found[0]):04x}", text) + '"'
