"""Reads a YAML watchlist into rows: plain lists of words only, one entry at a time."""

import sys
from collections.abc import Iterator
from typing import Any, Final

import yaml

from indexer.config_environment import printable, suggest
from indexer.watchlist_rows import COLUMNS, LISTS, REQUIRED, Row, RowError

#: The deepest real file is mapping, list, mapping, list, word.
_DEEPEST: Final = 5
#: libyaml's parser is ten times faster; wheels have it, a source build may not.
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BEGINNINGS: Final = (yaml.StreamStartEvent, yaml.DocumentStartEvent)


def read_yaml(text: str) -> Iterator[Row | RowError]:
    """The rows of a file, and its mistakes in between."""
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
    if not mistakes or words.keys() >= set(REQUIRED):
        yield Row(node.start_mark.line + 1, words, lists)


def _read_value(
    line: int, key: str, value: yaml.Node, words: dict[str, str], lists: dict[str, tuple[str, ...]]
) -> None:
    if key not in COLUMNS:
        raise RowError(line, f"unknown key '{printable(key)}'{suggest(key, list(COLUMNS))}")
    if _is_nothing(value):
        return
    if key in LISTS:
        items = value.value if isinstance(value, yaml.SequenceNode) else [value]
        lists[key] = tuple(sys.intern(_read_word(key, item)) for item in items)
    elif word := _read_word(key, value):
        words[key] = word


def _read_word(key: str, node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        allowed = "a word or a list of words" if key in LISTS else "a single word or text"
        raise RowError(node.start_mark.line + 1, f"`{key}` must be {allowed}")
    return str(node.value).strip()


def _is_nothing(node: yaml.Node) -> bool:
    """Nothing was written, or YAML's own word for nothing, unquoted."""
    is_plain = isinstance(node, yaml.ScalarNode) and not node.style
    return is_plain and node.value in {"", "~", "null", "Null", "NULL"}
