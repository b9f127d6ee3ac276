"""Every knob, read once into frozen values. Unknown keys are errors; secrets come from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr


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
