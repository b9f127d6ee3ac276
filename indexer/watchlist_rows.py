"""Reads the text of one watchlist file, YAML or CSV, into rows: words and lists of words with their line.

Knows no source and no meaning of a column beyond its name. All text stays text: `0x10` and `1e3` are words.
"""

import csv
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from indexer.config_environment import printable, suggest

COLUMNS: Final = ("source", "address", "label", "tags", "runes", "every")
_LISTS: Final = frozenset({"tags", "runes"})
_REQUIRED: Final = ("source", "address")
#: The deepest real file is mapping, list, mapping, list, word.
_DEEPEST: Final = 5
#: libyaml's parser is ten times faster; wheels have it, a source build may not.
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BEGINNINGS: Final = (yaml.StreamStartEvent, yaml.DocumentStartEvent)
_LINE: Final = re.compile("[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class RowError(Exception):
    """One mistake in one file: the line, and what is wrong there."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


@dataclass(frozen=True, slots=True)
class Row:
    """One entry as written. A column that was left empty is not in ``words`` or ``lists``."""

    line: int
    words: Mapping[str, str]
    lists: Mapping[str, tuple[str, ...]]


def read_rows(name: str, text: str) -> Iterator[Row | RowError]:
    """The rows of a file, and its mistakes in between; the name's ending says how it is written."""
    control = _CONTROL.search(text)
    if control:
        yield RowError(text.count("\n", 0, control.start()) + 1, "contains a control character")
    elif not text.strip():
        yield RowError(1, "the file is empty")
    elif name.endswith(".csv"):
        yield from _read_csv(text)
    elif name.endswith((".yaml", ".yml")):
        yield from _read_yaml(text)
    else:
        yield RowError(1, "is neither .yaml, .yml nor .csv")


# --- CSV ---------------------------------------------------------------------------------------


def _read_csv(text: str) -> Iterator[Row | RowError]:
    reader = csv.reader(_blank_comments(text), strict=True, skipinitialspace=True)
    columns: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            if columns is None and cells:
                columns = [cell.strip() for cell in cells]
                _check_header(line, columns)
            elif columns is not None and any(cell.strip() for cell in cells):
                yield _read_cells(line, columns, cells)
            line = reader.line_num + 1
    except csv.Error as error:
        yield RowError(line, f"is not CSV from here on: {error} (is a quote left open?)")
    except RowError as error:
        yield error
        return
    if columns is None:
        yield RowError(1, "has no header: the first line names the columns, " + ",".join(COLUMNS))


def _blank_comments(text: str) -> Iterator[str]:
    # Not a StringIO: it would hold four bytes for every character.
    for found in _LINE.finditer(text):
        line = found[0]
        yield "\n" if line.startswith("#") else line


def _check_header(line: int, columns: list[str]) -> None:
    for column in columns:
        if column not in COLUMNS:
            hint = (
                suggest(column, list(COLUMNS))
                or f"; the columns are {','.join(COLUMNS)}, separated by commas"
            )
            raise RowError(line, f"unknown column '{printable(column)}'{hint}")
        if columns.count(column) > 1:
            raise RowError(line, f"column '{column}' is there twice")
    for column in _REQUIRED:
        if column not in columns:
            raise RowError(line, f"column '{column}' is missing: the first line must name the columns")


def _read_cells(line: int, columns: list[str], cells: list[str]) -> Row | RowError:
    if len(cells) > len(columns):
        return RowError(line, f"has {len(cells)} cells, but the header names {len(columns)} columns")
    words: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    for column, cell in zip(columns, cells, strict=False):
        if column in _LISTS:
            if cell.strip():
                lists[column] = tuple(sys.intern(item.strip()) for item in cell.split(";"))
        elif cell.strip():
            words[column] = cell.strip()
    return Row(line, words, lists)


# --- YAML --------------------------------------------------------------------------------------


def _read_yaml(text: str) -> Iterator[Row | RowError]:
    try:
        _check_events(text)
        # Entry by entry: the nodes of a long list, all at once, take a hundred times its text.
        for node in _list_entries(yaml.parse(text, Loader=_LOADER)):
            yield from _read_entry(node)
    except RowError as error:
        yield error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        yield RowError(
            mark.line + 1 if mark else 1, f"is not YAML: {printable(error.problem or 'cannot be read')}"
        )
    except (yaml.YAMLError, ValueError) as error:
        yield RowError(1, f"is not YAML: {printable(getattr(error, 'reason', 'cannot be read'))}")


def _check_events(text: str) -> None:
    """Refuse what plain lists never need (and bombs do) before anything is built from it."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=_LOADER):
        line = event.start_mark.line + 1 if event.start_mark else 1
        documents += isinstance(event, yaml.DocumentStartEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if documents > 1:
            raise RowError(line, "a second document starts here: one file, one document")
        if depth > _DEEPEST:
            raise RowError(line, "is nested too deeply")
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            raise RowError(line, "anchors and aliases (& and *) are not supported")
        if getattr(event, "tag", None) is not None:
            raise RowError(line, "tags (starting with !) are not supported")


def _list_entries(events: Iterator[yaml.Event]) -> Iterator[yaml.Node]:
    """The entries of the list named `addresses`, the only thing in a file."""
    root = next(event for event in events if not isinstance(event, _BEGINNINGS))
    if isinstance(root, yaml.StreamEndEvent):
        raise RowError(1, "has no entries: it needs a list named `addresses:`")
    if not isinstance(root, yaml.MappingStartEvent):
        raise _no_mapping("the file", root.start_mark)
    seen: set[str] = set()
    for key in _compose_rest(events):
        line, name = _read_key(key, seen)
        if name != "addresses":
            raise RowError(line, f"unknown key '{printable(name)}'; the list is named `addresses:`")
        if not isinstance(next(events), yaml.SequenceStartEvent):
            raise RowError(line, "`addresses:` must be a list of entries, each starting with a dash")
        yield from _compose_rest(events)
    if not seen:
        raise RowError(1, "has no list named `addresses:`")


def _compose_rest(events: Iterator[yaml.Event]) -> Iterator[yaml.Node]:
    """The nodes up to the end of the collection that has begun."""
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            return
        yield _compose(event, events)


def _compose(event: yaml.Event, events: Iterator[yaml.Event]) -> yaml.Node:
    """The node that begins with this event, and all that is in it."""
    # Two parsers have two kinds of marks.
    mark: Any = event.start_mark
    if isinstance(event, yaml.ScalarEvent):
        return yaml.ScalarNode("", event.value, mark, style=event.style)
    inner = list(_compose_rest(events))
    if isinstance(event, yaml.SequenceStartEvent):
        return yaml.SequenceNode("", inner, mark)
    return yaml.MappingNode("", list(zip(inner[::2], inner[1::2], strict=True)), mark)


def _read_mapping(node: yaml.Node) -> Iterator[tuple[int, str, yaml.Node]]:
    """Line, key and value of each pair. Raises RowError for a non-mapping, or a key given twice."""
    if not isinstance(node, yaml.MappingNode):
        raise _no_mapping("an entry", node.start_mark)
    seen: set[str] = set()
    for key, value in node.value:
        yield *_read_key(key, seen), value


def _no_mapping(what: str, mark: Any) -> RowError:
    return RowError(mark.line + 1, f"{what} must be keys and values, such as {{source: hedera, …}}")


def _read_key(key: yaml.Node, seen: set[str]) -> tuple[int, str]:
    """Line and name of a key. Raises RowError for one that is no word, or ``seen`` before."""
    line = key.start_mark.line + 1
    if not isinstance(key, yaml.ScalarNode):
        raise RowError(line, "a key must be a word")
    if key.value in seen:
        raise RowError(line, f"key '{printable(key.value)}' is there twice")
    seen.add(key.value)
    return line, key.value


def _read_entry(node: yaml.Node) -> Iterator[Row | RowError]:
    words: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    mistakes: list[RowError] = []
    try:
        for line, key, value in _read_mapping(node):
            try:
                _read_value(line, key, value, words, lists)
            except RowError as error:
                mistakes.append(error)
    except RowError as error:
        mistakes.append(error)
    yield from mistakes
    # Go on to the addresses' own rules where there is something to check: all mistakes at once.
    if not mistakes or words.keys() >= set(_REQUIRED):
        yield Row(node.start_mark.line + 1, words, lists)


def _read_value(
    line: int, key: str, value: yaml.Node, words: dict[str, str], lists: dict[str, tuple[str, ...]]
) -> None:
    if key not in COLUMNS:
        raise RowError(line, f"unknown key '{printable(key)}'{suggest(key, list(COLUMNS))}")
    if _is_nothing(value):
        return
    if key in _LISTS:
        items = value.value if isinstance(value, yaml.SequenceNode) else [value]
        lists[key] = tuple(sys.intern(_read_word(key, item)) for item in items)
    elif word := _read_word(key, value):
        words[key] = word


def _read_word(key: str, node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        allowed = "a word or a list of words" if key in _LISTS else "a single word or text"
        raise RowError(node.start_mark.line + 1, f"`{key}` must be {allowed}")
    return str(node.value).strip()


def _is_nothing(node: yaml.Node) -> bool:
    """Nothing was written, or YAML's own word for nothing, unquoted."""
    is_plain = isinstance(node, yaml.ScalarNode) and not node.style
    return is_plain and node.value in {"", "~", "null", "Null", "NULL"}
