"""Instants as people type them: ISO 8601, a day, or how long ago. Pure; the clock is an argument."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from indexer.errors import UsageError

_AGO: Final = re.compile(r"-\s*(?P<minus>.+)|(?P<ago>.+?)\s+ago", re.IGNORECASE)
_HOW: Final = "write 2026-11-20, 2026-11-20T12:00:00Z, '1h ago' or -1h30m"


@dataclass(frozen=True, slots=True)
class Moment:
    """A typed instant: absolute, or a distance back from now. Exactly one of the two is set."""

    at: datetime | None = None
    ago: timedelta | None = None
    #: The text had no zone, so UTC was assumed: worth saying.
    zone_assumed: bool = False

    def resolve(self, now: datetime) -> datetime:
        """The instant, given the database's now."""
        if self.at is not None:
            return self.at
        try:
            return now - (self.ago or timedelta())
        except OverflowError:
            raise UsageError(f"That is longer ago than any date: {_HOW}.") from None


def read_moment(text: str) -> Moment:
    """The instant in ``text``. Raises UsageError saying what can be written."""
    typed = text.strip()
    if typed.lower() == "now":
        return Moment(ago=timedelta())
    relative = _AGO.fullmatch(typed)
    if relative:
        return Moment(ago=_read_distance(relative["minus"] or relative["ago"], text))
    return _read_absolute(typed)


def _read_distance(typed: str, text: str) -> timedelta:
    from indexer.durations import read_duration

    try:
        return read_duration(typed)
    except ValueError:
        raise UsageError(f"{text!r} is not an instant: {_HOW}.") from None


def _read_absolute(typed: str) -> Moment:
    try:
        at = datetime.fromisoformat(typed)
        assumed = at.tzinfo is None
        at = at.replace(tzinfo=UTC) if assumed else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"{typed!r} is not an instant: {_HOW}.") from None
    return Moment(at=at, zone_assumed=assumed)


def iso(at: datetime) -> str:
    """ISO 8601 in UTC with microseconds, as every output of ours has it."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def brief(at: datetime) -> str:
    """An instant for tables: UTC to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def age(span: timedelta) -> str:
    """How long, in its two largest units: `3d 4h`, `12m 5s`, `0s`."""
    seconds = max(0, int(span.total_seconds()))
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"
