"""What may stand in `indexer.toml`: tables, keys, ranges, built-in values, and the secrets of each source.

Validation only. Values are read strictly: text counts as a number only where it came from the
environment, which has nothing else. No message repeats a value.
"""

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from indexer.durations import read_cron, read_duration, read_positive_duration, read_size

_HOST_AND_PORT: Final = r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
_HOST_PART: Final = r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?"


class EnvironmentText(str):
    """Text of an environment variable: the only text that may stand for a number or a truth."""

    __slots__ = ()


def _read_whole(value: object) -> object:
    if isinstance(value, EnvironmentText):
        return int(value) if re.fullmatch(r"\s*[-+]?[0-9]{1,18}\s*", value) else str(value)
    return value


def _read_real(value: object) -> object:
    if isinstance(value, EnvironmentText):
        try:
            return float(value)
        except ValueError:
            return str(value)
    return value


def _read_truth(value: object) -> object:
    if isinstance(value, EnvironmentText):
        words = {"true": True, "1": True, "yes": True, "on": True}
        words |= {"false": False, "0": False, "no": False, "off": False}
        return words.get(value.strip().lower(), str(value))
    return value


def _read_list(value: object) -> object:
    if not isinstance(value, EnvironmentText):
        return value
    if not value.lstrip().startswith("["):
        return [item.strip() for item in value.split(",") if item.strip()]
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("must be a JSON list or names separated by commas") from None


def _check_path(value: str) -> str:
    if "\0" in value:
        raise ValueError("cannot be the name of a file")
    return value


def _read_retention(value: object) -> timedelta:
    return timedelta.max if value == "forever" else read_positive_duration(value)


def _read_level(value: str) -> str:
    if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
        raise ValueError("must be DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return value.upper()


def _read_format(value: str) -> str:
    if value not in {"", "console", "json"}:
        raise ValueError('must be "console", "json", or "" to choose by the terminal')
    return value


def _check_listen(value: str) -> str:
    split_listen(value)
    return value


def split_listen(value: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:9464` or `[::1]:9464`."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})", value.strip())
    if match is None or int(match[3]) > 65_535:
        raise ValueError("must be host:port, such as 127.0.0.1:9464 or [::1]:9464")
    return match[1] or match[2], int(match[3])


def _check_database_url(value: SecretStr) -> SecretStr:
    url = value.get_secret_value().strip()
    if url and not re.match(r"postgres(ql)?://", url):
        raise ValueError("must start with postgresql:// (a libpq URL, without +driver)")
    if not re.fullmatch(r"[!-~]*", url):
        raise ValueError("must be one line of ASCII: write other characters as %20 and the like")
    _split_url(url, "must be a libpq URL: its brackets do not match")
    if url:
        _check_connection(url)
    return SecretStr(url)


def _check_connection(url: str) -> None:
    """Refuse here what would fail at every connection. No message of libpq's: it repeats the URL."""
    # Not at the top: it takes longer to load than all that runs without a database.
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        given = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
    except ProgrammingError:
        raise ValueError(
            "must be a libpq URL: it has an option, or an escape, that libpq does not know"
        ) from None
    for port in given.get("port", "").split(","):
        if port and not (re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) < 65_536):
            raise ValueError("must have a port from 1 to 65535")
    if not re.fullmatch("-?[0-9]{1,9}", given.get("connect_timeout", "0")):
        raise ValueError("must have a connect_timeout in whole seconds")
    for host in given.get("host", "").split(","):
        try:
            # A folder of sockets begins with a slash, an abstract one with @.
            if not host.startswith(("/", "@")):
                host.encode("idna")
        except UnicodeError:
            raise ValueError("has a host that is neither a name nor an address") from None


def _split_url(url: str, refusal: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        # urlsplit repeats the URL in its message.
        raise ValueError(refusal) from None


def _read_folder(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must be the name of a folder")
    try:
        return str(Path(value).expanduser()) if value else value
    except RuntimeError:
        raise ValueError("starts with ~ and a user whose home is not known") from None


def _check_place(parts: SplitResult) -> None:
    """A host that names one, and a port that one can listen on."""
    host = parts.hostname or ""
    if ":" in host:
        ipaddress.IPv6Address(host)
    elif not re.fullmatch(rf"{_HOST_PART}(\.{_HOST_PART})*\.?", host):
        raise ValueError("has a host that cannot be one")
    # Also raises where it is above 65535.
    if parts.port == 0:
        raise ValueError("has a port that is not 1 to 65535")


def _check_base_url(value: str) -> str:
    """Scheme, host, port and path prefix only: whatever else is in a URL is a secret or a mistake."""
    if not value:
        return value
    refusal = "must be http(s)://host, with an optional port and path prefix"
    parts = _split_url(value, refusal)
    if "@" in value or "?" in value or "#" in value:
        raise ValueError("must not contain a user, a query or a fragment: keys belong in the environment")
    if parts.scheme not in {"http", "https"} or not re.fullmatch(_HOST_AND_PORT, parts.netloc):
        raise ValueError(refusal)
    _check_place(parts)
    if not re.fullmatch(r"(/[A-Za-z0-9._~%:+-]+)*/?", parts.path):
        raise ValueError("has a path prefix that is not letters, digits and ._~%:+- between single slashes")
    if re.search(
        r"/[0-9a-fA-F]{32}(/|$)|/[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(/|$)", parts.path
    ):
        raise ValueError("seems to contain an API key: leave it out of the URL and set it in the environment")
    return value.rstrip("/")


Whole = Annotated[int, BeforeValidator(_read_whole)]
Real = Annotated[float, BeforeValidator(_read_real), Field(allow_inf_nan=False)]
Share = Annotated[Real, Field(ge=0, le=1)]
Truth = Annotated[bool, BeforeValidator(_read_truth)]
Duration = Annotated[timedelta, BeforeValidator(read_positive_duration)]
DurationOrZero = Annotated[timedelta, BeforeValidator(read_duration)]
CronLine = Annotated[str, AfterValidator(read_cron)]
BaseUrl = Annotated[str, AfterValidator(_check_base_url)]


class Table(BaseModel):
    """One TOML table. A key that is not given is None, and the layer below decides."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class DatabaseTable(Table):
    url: Annotated[SecretStr, AfterValidator(_check_database_url)] | None = None
    data_dir: Annotated[str, AfterValidator(_read_folder)] | None = None


class GuardTable(Table):
    min_holdings: Annotated[Whole, Field(ge=1)] | None = None
    max_shrink: Share | None = None
    confirm_after: DurationOrZero | None = None
    max_unreadable: Share | None = None


class DefaultsTable(Table):
    every: Duration | None = None
    cron: CronLine | None = None
    fresh_for: Duration | None = None
    max_window: Duration | None = None
    timeout: Duration | None = None
    concurrency: Annotated[Whole, Field(ge=1, le=1000)] | None = None


class SourceTable(Table):
    """``DefaultsTable`` once more (every key of it can be overridden), and what only a source has."""

    every: Duration | None = None
    cron: CronLine | None = None
    fresh_for: Duration | None = None
    max_window: Duration | None = None
    timeout: Duration | None = None
    concurrency: Annotated[Whole, Field(ge=1, le=1000)] | None = None
    enabled: Truth | None = None
    base_url: BaseUrl | None = None
    #: Slower than one in three hours is a slip of the pen, not a limit.
    requests_per_second: Annotated[Real, Field(ge=0.0001, le=10_000)] | None = None
    guard: GuardTable = GuardTable()


class LogTable(Table):
    level: Annotated[str, AfterValidator(_read_level)] | None = None
    format: Annotated[str, AfterValidator(_read_format)] | None = None


class RetentionTable(Table):
    #: timedelta.max stands for "forever": None already means "not given".
    raw: Annotated[timedelta, BeforeValidator(_read_retention)] | None = None
    min_free_space: Annotated[int, BeforeValidator(read_size)] | None = None


class DaemonTable(Table):
    listen: Annotated[str, AfterValidator(_check_listen)] | None = None
    tick: Duration | None = None
    lease: Duration | None = None


class Document(Table):
    """The whole file."""

    watchlists: (
        Annotated[
            list[Annotated[str, Field(min_length=1), AfterValidator(_check_path)]],
            BeforeValidator(_read_list),
            Field(min_length=1),
        ]
        | None
    ) = None
    database: DatabaseTable = DatabaseTable()
    defaults: DefaultsTable = DefaultsTable()
    guard: GuardTable = GuardTable()
    log: LogTable = LogTable()
    retention: RetentionTable = RetentionTable()
    daemon: DaemonTable = DaemonTable()
    sources: dict[str, SourceTable] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What this program knows of a source before any configuration: `[sources.<name>]` and its secrets."""

    values: SourceTable
    required_secrets: tuple[str, ...] = ()
    optional_secrets: tuple[str, ...] = ()
    #: Plain options only this source has, with their defaults.
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


#: The config table of a new source is one entry here (and one table in `templates/indexer.toml`).
SOURCES: Final[Mapping[str, SourceFacts]] = MappingProxyType(
    {
        "okx_runes": SourceFacts(
            SourceTable(base_url="https://web3.okx.com", requests_per_second=1.0, concurrency=1),
            required_secrets=("api_key", "secret_key", "passphrase"),
            optional_secrets=("project",),
            # OKX's real spelling; its documents also say get-owned-assets.
            options=MappingProxyType({"path": "get-owned-asserts"}),
        ),
        "solana_das": SourceFacts(
            SourceTable(base_url="https://solana-mainnet.infura.io/v3", requests_per_second=20.0),
            required_secrets=("api_key",),
        ),
        "algorand": SourceFacts(
            SourceTable(
                base_url="https://mainnet-api.4160.nodely.dev", requests_per_second=10.0, concurrency=2
            ),
            optional_secrets=("api_token",),
        ),
        # No base_url: reported shut down since June 2026, so retired until somebody gives one.
        "loopring": SourceFacts(
            SourceTable(requests_per_second=5.0, concurrency=1), required_secrets=("api_key",)
        ),
        "hedera": SourceFacts(
            SourceTable(base_url="https://mainnet-public.mirrornode.hedera.com", requests_per_second=20.0)
        ),
    }
)

#: In force where neither the file nor the environment says otherwise.
BUILT_IN: Final = Document.model_validate(
    {
        "watchlists": ["watchlist/*.yaml", "watchlist/*.csv"],
        "defaults": {
            "every": "1h",
            "fresh_for": "3h",
            "max_window": "15m",
            "timeout": "30s",
            "concurrency": 4,
        },
        "guard": {"min_holdings": 5, "max_shrink": 0.5, "confirm_after": "10m", "max_unreadable": 0.2},
        "log": {"level": "INFO", "format": ""},
        "retention": {"raw": "forever", "min_free_space": "1GiB"},
        "daemon": {"listen": "127.0.0.1:9464", "tick": "1s", "lease": "30s"},
    }
)
