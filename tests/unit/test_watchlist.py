"""The watchlist: what is accepted, which mistakes are named and where, and that no typo watches nothing."""

import re
import sys
import tracemalloc
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.errors import UsageError
from indexer.templates import read_template
from indexer.watchlist import AddressRules, WatchEntry, load, read_rows
from indexer.watchlist_rows import Row

_REPOSITORY = Path(__file__).parents[2]


class _Rules:
    """Rules small enough to see through: an address is letters, digits and dots; case does not count."""

    def __init__(self, *, scoped: bool = False) -> None:
        self.scoped = scoped

    def canonical_address(self, text: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9.]+", text):
            raise ValueError("is not letters, digits and dots")
        return text.lower()

    def canonical_scope(self, text: str) -> str:
        if not re.fullmatch(r"[0-9]+:[0-9]+", text):
            raise ValueError("is not block:index")
        return text


_SOURCES: Mapping[str, AddressRules] = {
    "okx_runes": _Rules(scoped=True),
    "solana_das": _Rules(),
    "algorand": _Rules(),
    "loopring": _Rules(),
    "hedera": _Rules(),
}


def _load(folder: Path, **files: str) -> tuple[WatchEntry, ...]:
    for name, text in files.items():
        stem, _, ending = name.rpartition("_")
        (folder / f"{stem}.{ending}").write_text(text, encoding="utf-8")
    return load(["*.yaml", "*.csv"], folder, _SOURCES)


def _mistakes(folder: Path, **files: str) -> list[str]:
    with pytest.raises(UsageError) as caught:
        _load(folder, **files)
    return str(caught.value).split("\n")


# --- what is accepted -------------------------------------------------------------------------


def test_yaml_entries_are_read_with_their_place(tmp_path: Path) -> None:
    """Every field arrives, in canonical form, and remembers where it was written."""
    text = """\
# mine
addresses:
  - {source: hedera, address: 0.0.1001, label: Treasury, tags: [ops, hot, ops]}
  - source: okx_runes
    address: BC1P
    runes: ["840000:3", 1:0]
    every: 15m
"""
    entries = _load(tmp_path, a_yaml=text)

    quarter = timedelta(minutes=15)
    assert entries == (
        WatchEntry("hedera", "0.0.1001", "", "Treasury", ("ops", "hot"), None, "a.yaml", 3),
        WatchEntry("okx_runes", "bc1p", "840000:3", None, (), quarter, "a.yaml", 4),
        WatchEntry("okx_runes", "bc1p", "1:0", None, (), quarter, "a.yaml", 4),
    )


def test_csv_entries_are_read_in_any_order_of_columns(tmp_path: Path) -> None:
    """As a spreadsheet saves it: byte order mark, quotes, empty cells, and comments between."""
    text = (
        "\ufeffaddress,source,runes,tags,label\r\n"
        '0.0.1,hedera,,ops; hot,"Treasury, main"\r\n'
        "\r\n"
        "# the next one has two runes\r\n"
        "bc1p,okx_runes,1:0;2:0,,\r\n"
        ",,,,\r\n"
        "x, algorand\r\n"
    )
    entries = _load(tmp_path, a_csv=text)

    assert entries == (
        WatchEntry("hedera", "0.0.1", "", "Treasury, main", ("ops", "hot"), None, "a.csv", 2),
        WatchEntry("okx_runes", "bc1p", "1:0", None, (), None, "a.csv", 5),
        WatchEntry("okx_runes", "bc1p", "2:0", None, (), None, "a.csv", 5),
        WatchEntry("algorand", "x", "", None, (), None, "a.csv", 7),
    )


@pytest.mark.parametrize(
    "word", ["0x10", "1e3", "no", "0010", "1_000", "2026-01-01", "12:30:45", ".5", "True"]
)
def test_yaml_has_no_implicit_types(tmp_path: Path, word: str) -> None:
    """An unquoted 0x… is an address and not a number; a label `no` is not a truth."""
    (entry,) = _load(tmp_path, a_yaml=f"addresses:\n- {{source: hedera, address: a, label: {word}}}\n")
    assert entry.label == word


@pytest.mark.parametrize("nothing", ["", "~", "null"])
def test_an_empty_field_is_not_given(tmp_path: Path, nothing: str) -> None:
    """Optional fields may be there without a value; quotes make a text of any word."""
    given_nothing = "".join(f"  {key}: {nothing}\n" for key in ("label", "tags", "every"))
    text = "addresses:\n- source: hedera\n  address: a\n" + given_nothing
    (entry,) = _load(tmp_path, a_yaml=text)
    assert (entry.label, entry.tags, entry.every) == (None, (), None)

    (quoted,) = _load(tmp_path, a_yaml='addresses:\n- {source: hedera, address: a, label: "null"}\n')
    assert quoted.label == "null"


def test_the_examples_are_in_order(tmp_path: Path) -> None:
    """The files that come with the program pass, together, and need no key."""
    folder = _REPOSITORY / "config"
    rules = {**_SOURCES, "solana_das": _Rules()}

    entries = load(["watchlist/*.yaml", "watchlist/*.csv"], folder, rules)

    assert {entry.source for entry in entries} == {"algorand", "hedera"}
    commented = read_template("watchlist.yaml").replace("  # - ", "  - ")
    assert {entry.source for entry in _load(tmp_path, a_yaml=commented)} == set(_SOURCES)


@given(
    st.lists(
        st.tuples(st.sampled_from(["hedera", "algorand"]), st.integers(0, 10**9)), unique=True, min_size=1
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20),
)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_yaml_and_csv_say_the_same(tmp_path: Path, keys: list[tuple[str, int]], label: str) -> None:
    """Whichever form a list has, it is the same list."""
    quoted = label.replace("'", "''")
    yaml_lines = [f"- {{source: {source}, address: a{number}, label: '{quoted}'}}" for source, number in keys]
    in_cell = label.replace('"', '""')
    csv_lines = [f'{source},a{number},"{in_cell}"' for source, number in keys]
    (tmp_path / "a.yaml").write_text("\n".join(["addresses:", *yaml_lines]), encoding="utf-8")
    (tmp_path / "a.csv").write_text("\n".join(["source,address,label", *csv_lines]), encoding="utf-8")

    from_yaml = load(["a.yaml"], tmp_path, _SOURCES)
    from_csv = load(["a.csv"], tmp_path, _SOURCES)

    assert [(entry.source, entry.address, entry.label, entry.line) for entry in from_yaml] == [
        (entry.source, entry.address, entry.label, entry.line) for entry in from_csv
    ]
    assert [entry.label for entry in from_yaml] == [label] * len(keys)


@pytest.mark.parametrize(
    ("name", "head", "row"),
    [
        ("a.csv", "source,address,label,tags\n", "hedera,0.0.{},a label,a;b\n"),
        ("a.yaml", "addresses:\n", "- {{source: hedera, address: 0.0.{}, label: a label, tags: [a, b]}}\n"),
    ],
)
def test_a_long_list_is_read_row_by_row(name: str, head: str, row: str) -> None:
    """A hundred thousand rows are never in memory at once, in YAML as in CSV: bytes are counted."""
    text = head + "".join(row.format(number) for number in range(5_000))

    tracemalloc.start()
    try:
        rows = sum(isinstance(found, Row) for found in read_rows(name, text))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert rows == 5_000
    assert peak < 2 * len(text)


def test_ten_times_the_rows_cost_ten_times_the_work(tmp_path: Path) -> None:
    """The daemon re-reads a list of a hundred thousand while it works: calls are counted, not seconds."""

    def count_calls(rows: int) -> int:
        lines = "\n".join(f"hedera,0.0.{number},label {number},a;b" for number in range(rows))
        (tmp_path / "a.csv").write_text("source,address,label,tags\n" + lines)
        calls = 0

        def count(_frame: object, event: str, _argument: object) -> None:
            nonlocal calls
            calls += event == "call"

        sys.setprofile(count)
        try:
            entries = load(["*.csv"], tmp_path, _SOURCES)
        finally:
            sys.setprofile(None)
        assert len(entries) == rows
        return calls

    few, many = count_calls(500), count_calls(5_000)

    assert many < 11 * few
    assert many < 5_000 * 60


# --- which files ------------------------------------------------------------------------------


def test_patterns_find_each_file_once(tmp_path: Path) -> None:
    """Overlapping patterns, folders below, absolute names and links; hidden files are not read."""
    (tmp_path / "team/deep").mkdir(parents=True)
    (tmp_path / "b.yaml").write_text("addresses: [{source: hedera, address: b}]")
    (tmp_path / "team/deep/a.yaml").write_text("addresses: [{source: hedera, address: a}]")
    (tmp_path / ".hidden.yaml").write_text("not: a list")
    (tmp_path / "elsewhere").write_text("source,address\nhedera,c\n")
    (tmp_path / "link.csv").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "folder.yaml").mkdir()

    entries = load(["**/*.yaml", "*.yaml", str(tmp_path / "*.csv")], tmp_path, _SOURCES)

    assert [(entry.address, entry.file) for entry in entries] == [
        ("c", str(tmp_path / "link.csv")),
        ("b", "b.yaml"),
        ("a", "team/deep/a.yaml"),
    ]


def test_a_pattern_may_match_nothing_but_not_all_of_them(tmp_path: Path) -> None:
    """Both default patterns rarely match; that neither does is the typo that watches nothing."""
    assert len(_load(tmp_path, a_csv="source,address\nhedera,a\n")) == 1
    (tmp_path / "a.csv").unlink()

    (mistake,) = _mistakes(tmp_path)

    assert mistake.startswith("the watchlist is empty: nothing would be watched (no file matches ")


def test_a_missing_file_or_folder_is_a_mistake(tmp_path: Path) -> None:
    """A list that was renamed, or a volume that is not mounted, must not end every watch in it."""
    (tmp_path / "a.yaml").write_text("addresses: [{source: hedera, address: a}]")

    with pytest.raises(UsageError) as caught:
        load(["*.yaml", "b.yaml", "volume/*.yaml", "x" * 300], tmp_path, _SOURCES)

    first, second, third = str(caught.value).split("\n")
    assert first.startswith("volume/*.yaml: folder ")
    assert second == "b.yaml: cannot be read (No such file or directory)"
    assert third.endswith("xxx: cannot be read (File name too long)")


def test_an_empty_set_is_refused(tmp_path: Path) -> None:
    """No entry at all would end every watch."""
    (mistake,) = _mistakes(tmp_path, a_yaml="addresses: []\n", b_csv="source,address\n")
    assert mistake == "the watchlist is empty: nothing would be watched (no entry in a.yaml, b.csv)"


def test_what_is_not_a_readable_text_file_is_refused(tmp_path: Path) -> None:
    """Broken links, folders, other encodings, other kinds and files too large to be a list."""
    (tmp_path / "a.yaml").symlink_to("nowhere")
    (tmp_path / "b.csv").write_bytes(b"source,address\nhedera,\xff\n")
    (tmp_path / "c.txt").write_text("x")
    (tmp_path / "d.yaml").mkdir()
    with (tmp_path / "e.csv").open("wb") as file:
        file.truncate(50_000_001)

    with pytest.raises(UsageError) as caught:
        load(["a.yaml", "*.csv", "c.txt", "d.yaml"], tmp_path, _SOURCES)

    assert str(caught.value).split("\n") == [
        "a.yaml: cannot be read (No such file or directory)",
        "b.csv:2: is not UTF-8 text: save it as UTF-8",
        "c.txt:1: is neither .yaml, .yml nor .csv",
        "d.yaml: cannot be read (it is not a regular file)",
        "e.csv: cannot be read (it is larger than 50 MB)",
    ]
