"""`indexer db …`: the database itself. None of these commands reads a watchlist."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from indexer.cli.failures import Ended
from indexer.cli.opening import open_config
from indexer.cli.options import ConfigOption, DebugOption
from indexer.cli.output import note, say
from indexer.errors import DatabaseUnavailable, UsageError

if TYPE_CHECKING:
    from indexer.config import Config

#: Our own variables hold API keys: psql has no use for them.
_OURS: Final = "INDEXER_"


def upgrade(config: ConfigOption = None, debug: DebugOption = False) -> None:
    """Create the schema, or bring it to this program's revision."""
    from indexer.store import migrations

    with open_database(open_config(config, debug)) as url:
        say(f"The schema is at revision {migrations.upgrade(url)}.")


def check(config: ConfigOption = None, debug: DebugOption = False) -> None:
    """Whether the database answers and its schema is current. Exit code 4 when not."""
    from indexer.store import migrations

    with open_database(open_config(config, debug)) as url:
        migrations.check(url)
        say(f"The database answers and its schema is current (revision {migrations.head()}).")


def print_url(config: ConfigOption = None, debug: DebugOption = False) -> None:
    """One libpq URL of the owner role, password included, for psql, BI tools and scripts.

    Over TCP where the embedded server has a port (`indexer db start --port`), else over its socket.
    """
    settings = open_config(config, debug)
    sys.stdout.write(f"{find_url(settings)}\n")


def psql(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- ARGS]", show_default=False, help="Arguments for psql, after --."),
    ] = None,
    config: ConfigOption = None,
    debug: DebugOption = False,
) -> None:
    """Open psql on the database; an embedded server is started when needed."""
    settings = open_config(config, debug)
    with open_database(settings) as url:
        code = run_psql(find_psql(settings), arguments or [], connection_environment(url))
    raise Ended(code)


def roles(config: ConfigOption = None, debug: DebugOption = False) -> None:
    """Print the statements that create the roles of analysts and of the daemon: pipe them into psql."""
    from indexer.store.places import folder

    _ = config, debug
    for file in ("report/roles_v01.sql", "roles/daemon_v01.sql"):
        sys.stdout.write((folder() / file).read_text(encoding="utf-8") + "\n")


def start(
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            metavar="N",
            min=1,
            max=65535,
            show_default=False,
            help="Also listen on 127.0.0.1:N, with a generated password.",
        ),
    ] = None,
    config: ConfigOption = None,
    debug: DebugOption = False,
) -> None:
    """Start the embedded PostgreSQL and keep it up until `indexer db stop`."""
    from indexer import embedded
    from indexer.store import migrations

    settings = open_config(config, debug)
    url = embedded.start(embedded_folder(settings, "start"), port)
    migrations.upgrade(url)
    sys.stdout.write(f"{url}\n")
    note("It stays up until `indexer db stop`.")


def stop(config: ConfigOption = None, debug: DebugOption = False) -> None:
    """Stop the embedded PostgreSQL."""
    from indexer import embedded

    stopped = embedded.stop(embedded_folder(open_config(config, debug), "stop"))
    say("The embedded PostgreSQL is stopped." if stopped else "The embedded PostgreSQL was not running.")


@contextmanager
def open_database(settings: "Config") -> Iterator[str]:
    """The URL of the database, up for as long as this lasts. The schema may be old: nothing is checked."""
    if settings.database.url is not None:
        yield settings.database.url.get_secret_value()
        return
    from indexer import embedded

    with embedded.running(settings.database.data_dir, reason="db") as url:
        yield url


def find_url(settings: "Config") -> str:
    """The owner's URL. Raises DatabaseUnavailable when the embedded server is down."""
    if settings.database.url is not None:
        return settings.database.url.get_secret_value()
    from indexer import embedded

    url = embedded.shared_url(settings.database.data_dir)
    if url is None:
        raise DatabaseUnavailable("The embedded PostgreSQL is not running: start it with `indexer db start`.")
    return url


def embedded_folder(settings: "Config", verb: str) -> Path:
    """Where the embedded server lives. Raises UsageError when a server is configured instead."""
    if settings.database.url is not None:
        raise UsageError(f"database.url names a server of yours: there is no embedded PostgreSQL to {verb}.")
    return settings.database.data_dir


def find_psql(settings: "Config") -> str:
    """The psql to run: for a configured server the system's own, which may know TLS; else the wheel's."""
    import shutil

    from indexer import embedded

    found = shutil.which("psql") if settings.database.url is not None else None
    return found or str(embedded.psql_path())


def connection_environment(url: str) -> dict[str, str]:
    """A libpq URL as PG… variables: arguments show in `ps`, the environment does not."""
    from psycopg.conninfo import conninfo_to_dict
    from psycopg.pq import Conninfo

    names = {
        option.keyword.decode(): option.envvar.decode() for option in Conninfo.get_defaults() if option.envvar
    }
    given = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
    unknown = sorted(key for key in given if key not in names)
    if unknown:
        raise UsageError(f"psql takes no {unknown[0]!r} from its environment: leave it out of database.url.")
    return {names[key]: value for key, value in given.items()}


def run_psql(program: str, arguments: list[str], connection: Mapping[str, str]) -> int:
    """Run psql in the foreground and return its exit code. Ctrl-C is psql's own: it cancels a query."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return subprocess.run(  # noqa: S603 - our own psql; the arguments are the caller's
            [program, *arguments], env={**inherited, **connection}, check=False
        ).returncode
    except OSError as error:
        raise DatabaseUnavailable(f"psql cannot be run: {error.strerror}.") from None
    finally:
        signal.signal(signal.SIGINT, before)
