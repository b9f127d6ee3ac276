"""Which watches a person means by an address or a label, and what is not known of them.

An empty table must never read as zero: whoever prints holdings also prints `note_unknowns`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from indexer.cli.moments import age
from indexer.cli.output import note
from indexer.errors import UsageError

if TYPE_CHECKING:
    from indexer.sources.base import Source
    from indexer.store.database import Connection
    from indexer.store.reading import CoverageRow

#: More notes than this are counted, not listed.
_MOST_NOTES: Final = 10

_MEANING: Final = {
    "stale": "stale: its newest answer is {age} old",
    "never_observed": "unknown: no crawl of it was ever published",
    "not_watched": "unknown: it was not watched then",
    "future": "unknown: that instant is still to come",
}


def canonical_forms(text: str, sources: Mapping[str, "Source"]) -> list[str]:
    """``text`` as typed and in every form a source would store it."""
    forms = [text]
    for source in sources.values():
        try:
            forms.append(source.canonical_address(text))
        except ValueError:
            continue
    return list(dict.fromkeys(forms))


async def find_watches(
    conn: "Connection", text: str, sources: Mapping[str, "Source"], as_of: datetime
) -> list["CoverageRow"]:
    """The watches of this address or label. Raises UsageError with a hint when there are none."""
    from indexer.store import reading

    require_text(text)
    found = await reading.find_coverage(conn, as_of, canonical_forms(text, sources), text)
    if not found:
        raise UsageError(unknown_name(text, await reading.list_names(conn)))
    return found


def require_text(text: str) -> None:
    """Raise UsageError for an argument that is no text: bytes a shell passed on that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{text!r} is not text in UTF-8: check how it was pasted.") from None


def unknown_name(text: str, names: Sequence[str]) -> str:
    """What to say about a name nobody knows."""
    if not names:
        return "Nothing is watched yet: write a watchlist (`indexer init`), then run `indexer crawl`."
    close = get_close_matches(text, names, n=3, cutoff=0.6)
    if close:
        return f"{text!r} is not a watched address or label; did you mean {' or '.join(map(repr, close))}?"
    return f"{text!r} is not a watched address or label: `indexer holdings` without it lists what is watched."


def watch_key(row: "CoverageRow") -> tuple[str, str, str]:
    """What identifies a watch."""
    return (row.source, row.address, row.scope)


def note_unknowns(coverage: Iterable["CoverageRow"]) -> None:
    """Say on stderr which watches have no fresh answer, and why."""
    lines = [line for row in coverage if (line := describe_unknown(row))]
    for line in lines[:_MOST_NOTES]:
        note(line)
    if len(lines) > _MOST_NOTES:
        note(f"… and {len(lines) - _MOST_NOTES} more watches without a fresh answer: `indexer status`.")


def describe_unknown(row: "CoverageRow") -> str | None:
    """What is not known of a watch; None when its answer is fresh and undisputed."""
    parts = []
    if row.status in _MEANING:
        parts.append(_MEANING[row.status].format(age=age(row.age) if row.age is not None else "?"))
    if row.pending_review:
        parts.append("a newer list exists but is not believed yet (see `indexer status`)")
    if row.unreadable:
        parts.append(f"{row.unreadable} listed item(s) could not be read")
    return f"{name_watch(row)} — {'; '.join(parts)}." if parts else None


def name_watch(row: "CoverageRow") -> str:
    """A watch in one phrase."""
    scope = f" {row.scope}" if row.scope else ""
    label = f" ({row.label})" if row.label else ""
    return f"{row.source} {row.address}{scope}{label}"
