"""Exporting: the analysts' tables as Parquet files of one moment, in a folder that is whole or not there.

Reads only. Memory is bounded by a group of rows, whatever a table holds.
"""

import json
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Final

from indexer import __version__
from indexer.errors import UsageError
from indexer.parquet import MOST_DIGITS, Layout, Writer
from indexer.store import export as store
from indexer.store.database import Connection, Database
from indexer.store.export import Moment, Table
from indexer.store.verify import freeze

#: In every export, beside the tables: what it is, and how many rows each file has. Written last.
SUMMARY: Final = "export.json"

#: Of text, for one group of rows: large enough for readers that skip groups, small enough for any machine.
_GROUP_BYTES: Final = 16 * 2**20

OnTable = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to export."""

    #: None: all there are.
    tables: Collection[str] | None = None
    #: As of when; given the database's clock.
    at: Callable[[datetime], datetime] = lambda now: now
    #: "decimal", "text", or "auto": as decimals where all of them fit, else as text.
    amounts: str = "auto"


@dataclass(frozen=True, slots=True)
class ExportedTable:
    """One file."""

    name: str
    file: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export holds: the same as its summary."""

    indexer: str
    read_at: datetime
    as_of: datetime
    settled_until: datetime | None
    amounts: str
    tables: list[ExportedTable]

    def to_record(self) -> dict[str, object]:
        """All of it as JSON can carry it."""
        record = asdict(self)
        moments = {name: value.isoformat() for name, value in record.items() if isinstance(value, datetime)}
        return record | moments


async def export(
    database: Database, folder: Path, wanted: Wanted, on_table: OnTable, *, replaces: bool
) -> Exported:
    """Write the tables into ``folder``, which appears only when everything is in it.

    Raises UsageError for a folder that holds something (unless it is an export and ``replaces``), a table
    that does not exist, an instant that has not come, and amounts that do not fit where they must.
    """
    require_room(folder, replaces=replaces)
    with _prepared(folder) as unfinished:
        async with database.transaction() as connection:
            await freeze(connection)
            moment = await store.read_moment(connection)
            plan = _plan(wanted, moment, await store.list_tables(connection))
            exported = await _write_tables(connection, unfinished, plan, on_table)
        text = json.dumps(exported.to_record(), indent=2)
        (unfinished / SUMMARY).write_text(f"{text}\n", encoding="utf-8")
    return exported


def require_room(folder: Path, *, replaces: bool) -> None:
    """Raises UsageError when an export into ``folder`` would mix with what is there, remove it, or fail."""
    try:
        _require_room(folder, replaces=replaces)
    except OSError as error:
        raise UsageError(f"{folder} cannot be looked into ({error.strerror}): name another.") from None


def _require_room(folder: Path, *, replaces: bool) -> None:
    if not folder.exists() and not folder.is_symlink():
        if not folder.absolute().parent.is_dir():
            raise UsageError(f"{folder} cannot be made: there is no folder {folder.absolute().parent}.")
        return
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder: name one that an export can be written into.")
    if folder.is_mount() or folder.samefile(Path.cwd()):
        # A new folder takes its place, which the one you stand in and a file system do not give away.
        raise UsageError(f"{folder} cannot be replaced as a whole: name a folder in it.")
    if not any(folder.iterdir()):
        return
    if not _is_export(folder):
        raise UsageError(f"{folder} holds other files: name a folder that is empty or not there.")
    if not replaces:
        raise UsageError(f"{folder} holds an export: add --replace to put a new one in its place.")


def _is_export(folder: Path) -> bool:
    """Whether an export is in it and nothing else: all of it may go."""
    try:
        told = json.loads((folder / SUMMARY).read_bytes())
        files = {SUMMARY, *(table["file"] for table in told["tables"])}
    except (OSError, ValueError, TypeError, LookupError):
        return False
    return all(entry.name in files and entry.is_file() for entry in folder.iterdir())


@contextmanager
def _prepared(folder: Path) -> Iterator[Path]:
    """A folder beside the one that is wanted, which takes its place if the block ends without an error."""
    place = folder.resolve()
    mark = secrets.token_hex(4)
    unfinished = place.with_name(f".{place.name}.{mark}.unfinished")
    try:
        unfinished.mkdir()
    except OSError as error:
        raise UsageError(f"{place.parent} cannot be written ({error.strerror}): name another.") from None
    try:
        yield unfinished
        _sync(unfinished)
        _put(unfinished, place, place.with_name(f".{place.name}.{mark}.old"))
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _put(new: Path, place: Path, old: Path) -> None:
    if place.exists():
        # It took a while to write the new one: what somebody put here meanwhile stays.
        if any(place.iterdir()) and not _is_export(place):
            raise UsageError(f"{place} holds other files now: name a folder that is empty or not there.")
        # Never both gone: whoever is killed between the two finds the earlier one under its other name.
        new.chmod(stat.S_IMODE(place.stat().st_mode))
        place.rename(old)
    new.rename(place)
    _sync(place.parent)
    shutil.rmtree(old, ignore_errors=True)


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@dataclass(frozen=True, slots=True)
class _Plan:
    moment: Moment
    as_of: datetime
    amounts_as_text: bool
    tables: Sequence[Table]

    @property
    def about(self) -> dict[str, str]:
        """What every file says of itself."""
        settled = self.moment.settled_until
        return {
            "indexer.version": __version__,
            "indexer.read_at": self.moment.read_at.isoformat(),
            "indexer.as_of": self.as_of.isoformat(),
            "indexer.settled_until": settled.isoformat() if settled else "",
        }


def _plan(wanted: Wanted, moment: Moment, there_are: Mapping[str, Table]) -> _Plan:
    unknown = sorted(set(wanted.tables or ()) - there_are.keys())
    if unknown:
        raise UsageError(f"There is no table {', '.join(unknown)}: there are {', '.join(sorted(there_are))}.")
    at = wanted.at(moment.read_at)
    if at > moment.read_at:
        raise UsageError(f"{at.isoformat()} has not come: name an instant that is past.")
    if moment.exceeds and wanted.amounts == "decimal":
        raise UsageError(f"An amount has more than {MOST_DIGITS} digits: write them with --amounts text.")
    as_text = wanted.amounts == "text" or moment.exceeds
    chosen = [there_are[name] for name in there_are if wanted.tables is None or name in wanted.tables]
    return _Plan(moment, at, as_text, chosen)


async def _write_tables(connection: Connection, folder: Path, plan: _Plan, on_table: OnTable) -> Exported:
    exported: list[ExportedTable] = []
    for table in plan.tables:
        on_table(len(exported), len(plan.tables))
        exported.append(await _write_table(connection, folder, plan, table))
    return Exported(
        indexer=__version__,
        read_at=plan.moment.read_at,
        as_of=plan.as_of,
        settled_until=plan.moment.settled_until,
        amounts="text" if plan.amounts_as_text else f"decimal({MOST_DIGITS}, 0)",
        tables=sorted(exported, key=attrgetter("name")),
    )


async def _write_table(connection: Connection, folder: Path, plan: _Plan, table: Table) -> ExportedTable:
    path = folder / f"{table.name}.parquet"
    layout = Layout(table.columns, table.types, amounts_as_text=plan.amounts_as_text, about=plan.about)
    rows = store.copy_rows(connection, table, plan.as_of)
    # Closed here in any case: a connection in the middle of a COPY cannot even roll back.
    async with aclosing(rows):
        with Writer(path, layout) as writer:
            lines = bytearray()
            async for line in rows:
                lines += line
                if len(lines) >= _GROUP_BYTES:
                    # Not in a thread: whoever is cancelled would close the file under it.
                    writer.add(bytes(lines))
                    lines.clear()
            if lines:
                writer.add(bytes(lines))
    return ExportedTable(table.name, path.name, writer.rows, path.stat().st_size)
