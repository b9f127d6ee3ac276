"""`indexer export`: files that say what SQL says, all of one moment, and never half of it."""

import asyncio
import itertools
import json
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb
import pytest
from pyarrow import parquet

from indexer import bootstrap
from indexer.errors import UsageError
from indexer.export import SUMMARY, Exported, Wanted, export
from tests.acceptance.cli_program import run_program
from tests.integration.engine.stage import Stage
from tests.integration.keeping import Fault, cloned, live_eventfully, open_stage

_TABLES: Final = (
    "adoptions",
    "assets",
    "balances",
    "coverage",
    "crawls",
    "gaps",
    "holding_changes",
    "holding_history",
    "holdings",
    "prices",
    "quarantine",
    "snapshots",
)

#: Tables of which a row says something of now.
_AS_OF: Final = ("balances", "coverage", "holdings")

_SPANS: Final = ("age", "duration")
_JSON: Final = ("details", "metadata", "verdicts")

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def lived(server_url: str, template_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Five sources with all that can become of a list, and one that waits. Nobody changes it."""
    with (
        cloned(server_url, template_url, 0) as url,
        open_stage(url, tmp_path_factory.mktemp("lived")) as opened,
    ):
        live_eventfully(opened)
        opened.sim.faults.add(Fault("algorand", "empty_200", times=None))
        opened.crawl("algorand")
        yield opened


@pytest.fixture(scope="module")
def lake(lived: Stage, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Exported]:
    """All of it, as of a moment after everything. Nobody changes it."""
    folder = tmp_path_factory.mktemp("exported") / "lake"
    return folder, _export(lived, folder, Wanted(amounts="text"))


@pytest.fixture
def stage(server_url: str, lived: Stage, tmp_path: Path) -> Iterator[Stage]:
    """A copy that may change."""
    with cloned(server_url, lived.url, next(_NUMBERS)) as url:
        yield Stage(lived.sim, url, tmp_path, lived.settings)


def _export(
    stage: Stage,
    folder: Path,
    wanted: Wanted | None = None,
    on_table: Callable[[int, int], None] = lambda _done, _all: None,
    *,
    replaces: bool = False,
) -> Exported:
    async def go() -> Exported:
        async with bootstrap.database(stage.config()) as database:
            return await export(database, folder, wanted or Wanted(), on_table, replaces=replaces)

    return asyncio.run(go())


def _middle(stage: Stage) -> datetime:
    found = stage.value(
        "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY snapshot_at) FROM report.snapshots"
    )
    assert isinstance(found, datetime)
    return found


def _exported_rows(folder: Path, table: str) -> list[str]:
    return _sorted(parquet.read_table(folder / f"{table}.parquet").to_pylist())


def _stored_rows(stage: Stage, table: str, at: datetime) -> list[str]:
    place = f"{table}_as_of(%(at)s)" if table in _AS_OF else table
    rows = stage.rows(f"SELECT * FROM report.{place}", at=at)
    return _sorted(
        [{f"{name}_seconds" if name in _SPANS else name: row[name] for name in row} for row in rows]
    )


def _sorted(rows: list[dict[str, Any]]) -> list[str]:
    """Rows in one spelling, whoever read them."""
    return sorted(json.dumps({name: _plain(name, row[name]) for name in row}) for row in rows)


def _plain(name: str, value: Any) -> Any:
    match value:
        case Decimal():
            return format(value, "f")
        case timedelta():
            return value.total_seconds()
        case datetime():
            return value.astimezone(UTC).isoformat()
        case str() if name in _JSON:
            return json.dumps(json.loads(value), sort_keys=True)
        case dict() | list() if name in _JSON:
            return json.dumps(value, sort_keys=True)
        case _:
            return value


@pytest.mark.parametrize("table", _TABLES)
def test_files_say_what_sql_says(lived: Stage, lake: tuple[Path, Exported], table: str) -> None:
    """Every row and every value of every table, unknown ones included."""
    folder, exported = lake

    rows = _exported_rows(folder, table)
    assert rows == _stored_rows(lived, table, exported.as_of)
    assert rows or table == "adoptions"
    assert [one.rows for one in exported.tables if one.name == table] == [len(rows)]


def test_every_table_of_the_analysts_is_there(lake: tuple[Path, Exported]) -> None:
    """One file each, and a summary that names them; nothing else, and nothing unfinished beside it."""
    folder, exported = lake

    summary = json.loads((folder / SUMMARY).read_text())
    assert summary == exported.to_record()
    assert [one["name"] for one in summary["tables"]] == list(_TABLES)
    assert {path.name for path in folder.iterdir()} == {
        SUMMARY,
        *(f"{name}.parquet" for name in _TABLES),
    }
    assert [path.name for path in folder.parent.iterdir()] == ["lake"]


def test_holdings_as_of_an_earlier_moment(lived: Stage, tmp_path: Path) -> None:
    """What was known then, and the file says when that was."""
    at = _middle(lived)

    exported = _export(lived, tmp_path / "lake", Wanted(at=lambda _now: at, amounts="text"))

    assert exported.as_of == at
    for table in _AS_OF:
        assert _exported_rows(tmp_path / "lake", table) == _stored_rows(lived, table, at)
    assert (
        0
        < len(_exported_rows(tmp_path / "lake", "holdings"))
        < lived.value("SELECT count(*) FROM report.holdings")
    )
    about = parquet.read_schema(tmp_path / "lake" / "holdings.parquet").metadata
    assert about[b"indexer.as_of"] == at.isoformat().encode()


def test_everything_is_of_one_moment(stage: Stage, tmp_path: Path) -> None:
    """What is published while files are written is in none of them."""
    before = {table: _stored_rows(stage, table, stage.now()) for table in ("holding_history", "snapshots")}

    def end_a_version(done: int, _all: int) -> None:
        if done == 1:
            stage.execute(
                "UPDATE ledger.holding_version SET valid_to = clock_timestamp(), close_reason = 'unwatched'"
                " WHERE valid_to IS NULL"
            )

    _export(stage, tmp_path / "lake", Wanted(amounts="text"), end_a_version)

    for table, rows in before.items():
        assert _exported_rows(tmp_path / "lake", table) == rows
        assert table == "snapshots" or rows != _stored_rows(stage, table, stage.now())


def test_amounts_are_decimals_where_all_of_them_fit(stage: Stage, tmp_path: Path) -> None:
    """Text in every table otherwise; whoever insists on decimals is told."""
    with pytest.raises(UsageError, match="more than 38 digits: write them with --amounts text"):
        _export(stage, tmp_path / "lake", Wanted(amounts="decimal"))
    assert _export(stage, tmp_path / "lake").amounts == "text"

    for table in ("holding_version", "raw_page", "snapshot"):
        stage.execute(f"ALTER TABLE ledger.{table} DISABLE TRIGGER ALL")
    stage.execute("DELETE FROM ledger.holding_version WHERE greatest(amount, locked) >= 1e38")
    assert _export(stage, tmp_path / "other").amounts == "decimal(38, 0)"

    (sums,) = stage.rows("SELECT sum(amount) AS amount, sum(locked) AS locked FROM report.holdings")
    holdings = parquet.read_table(tmp_path / "other" / "holdings.parquet").to_pylist()
    for name, total in sums.items():
        assert sum(row[name] for row in holdings if row[name] is not None) == total


def test_other_tools_answer_as_sql_does(lived: Stage, tmp_path: Path) -> None:
    """DuckDB: who held what at an earlier moment, out of the history alone."""
    at = _middle(lived)
    _export(lived, tmp_path / "lake", Wanted(tables=["holding_history"]))

    with duckdb.connect() as duck:
        found = duck.execute(
            "SELECT source, address, asset_ref, sub_key, amount FROM read_parquet($file)"
            " WHERE valid_from <= $at::timestamptz AND (valid_to IS NULL OR valid_to > $at::timestamptz)",
            {"file": str(tmp_path / "lake" / "holding_history.parquet"), "at": at.isoformat()},
        ).fetchall()

    expected = lived.rows(
        "SELECT source, address, asset_ref, sub_key, amount::text FROM report.holdings_as_of(%(at)s)", at=at
    )
    assert set(found) == {tuple(row.values()) for row in expected}
    assert len(found) == len(expected) > 20


def test_a_failed_export_leaves_what_was_there(lived: Stage, tmp_path: Path) -> None:
    """Neither half a folder nor a missing one: the earlier export stays until the new one is whole."""
    earlier = _export(lived, tmp_path / "lake", Wanted(tables=["coverage"]))

    def fail(done: int, _all: int) -> None:
        if done:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        _export(lived, tmp_path / "lake", on_table=fail, replaces=True)
    with pytest.raises(OSError, match="No space"):
        _export(lived, tmp_path / "new", on_table=fail)

    assert json.loads((tmp_path / "lake" / SUMMARY).read_text()) == earlier.to_record()
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"lake"}

    again = _export(lived, tmp_path / "lake", replaces=True)
    assert json.loads((tmp_path / "lake" / SUMMARY).read_text()) == again.to_record()
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"lake"}


def test_other_files_are_never_removed(lived: Stage, tmp_path: Path) -> None:
    """Only a folder that is empty, or holds an export, gives its place."""
    busy = tmp_path / "busy"
    busy.mkdir()
    (busy / "thesis.txt").write_text("all I have")
    (tmp_path / "empty").mkdir()

    for folder, what in (
        (busy, "other files"),
        (busy / "thesis.txt", "no folder"),
        (tmp_path / "a/b", "made"),
    ):
        with pytest.raises(UsageError, match=what):
            _export(lived, folder, replaces=True)
    _export(lived, tmp_path / "empty", Wanted(tables=["coverage"]))
    with pytest.raises(UsageError, match="add --replace"):
        _export(lived, tmp_path / "empty")

    assert (busy / "thesis.txt").read_text() == "all I have"


def test_a_folder_that_is_there_stays_as_private_as_it_was(
    lived: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one takes its place. The one somebody stands in is none that can be replaced."""
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    _export(lived, folder, Wanted(tables=["coverage"]))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    monkeypatch.chdir(folder)
    with pytest.raises(UsageError, match="name a folder in it"):
        _export(lived, Path(), replaces=True)


def test_what_lies_beside_a_summary_is_no_export(lived: Stage, tmp_path: Path) -> None:
    """Neither somebody's own file of that name, nor an export to which somebody added."""
    own, added = tmp_path / "own", tmp_path / "added"
    own.mkdir()
    (own / SUMMARY).write_text("{}")
    _export(lived, added, Wanted(tables=["coverage"]))
    for folder in (own, added):
        (folder / "thesis.txt").write_text("all I have")

        with pytest.raises(UsageError, match="other files"):
            _export(lived, folder, replaces=True)
        assert (folder / "thesis.txt").read_text() == "all I have"


def test_what_is_put_there_meanwhile_stays(lived: Stage, tmp_path: Path) -> None:
    """The folder was empty as the export began."""
    folder = tmp_path / "lake"
    folder.mkdir()

    def put_something(_done: int, _all: int) -> None:
        (folder / "mine.txt").write_text("mine")

    with pytest.raises(UsageError, match="other files now"):
        _export(lived, folder, on_table=put_something)

    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["lake"]
    assert (folder / "mine.txt").read_text() == "mine"


def test_what_cannot_be_exported_is_refused(lived: Stage, tmp_path: Path) -> None:
    """A table nobody has, and a moment that has not come; nothing is made."""
    with pytest.raises(UsageError, match="There is no table portfolio: there are adoptions, assets"):
        _export(lived, tmp_path / "lake", Wanted(tables=["portfolio"]))
    with pytest.raises(UsageError, match="has not come"):
        _export(lived, tmp_path / "lake", Wanted(at=lambda now: now + timedelta(hours=1)))

    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == set()


def test_the_command_and_its_exit_codes(stage: Stage) -> None:
    """0 and the files; 2 when they are there already; JSON on stdout alone."""
    environment = {"INDEXER_DATABASE__URL": stage.url}
    first = run_program(stage.folder, "export", "--table", "holdings", environment=environment)
    second = run_program(stage.folder, "export", environment=environment)
    third = run_program(stage.folder, "export", "--replace", "--json", environment=environment)

    assert first.returncode == 0, first.stderr
    assert "holdings.parquet" in first.stdout
    assert second.returncode == 2
    assert second.stderr == "Error: export holds an export: add --replace to put a new one in its place.\n"
    assert third.returncode == 0, third.stderr
    printed = json.loads(third.stdout)
    assert printed["folder"] == str(stage.folder / "export")
    assert [one["name"] for one in printed["tables"]] == list(_TABLES)
