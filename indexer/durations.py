"""Durations (`1h30m`), sizes (`1GiB`) and cron lines as people write them, read exactly.

Pure text in, values out; raises ValueError saying what to write instead, never repeating the text
(it may have come from the wrong environment variable, and be a key).
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger

_MILLISECONDS: Final = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_UNITS: Final = {unit: Decimal(milliseconds) / 1000 for unit, milliseconds in _MILLISECONDS.items()}
_DURATION: Final = re.compile(
    r"(?:(?P<w>N)w)?\s*(?:(?P<d>N)d)?\s*(?:(?P<h>N)h)?\s*(?:(?P<m>N)m)?\s*(?:(?P<s>N)s)?\s*(?:(?P<ms>N)ms)?".replace(
        "N", r"[0-9]{1,15}(?:\.[0-9]{1,9})?"
    )
)
#: A century: anything longer is a mistyped unit, and timedelta arithmetic with dates would overflow.
_LONGEST: Final = timedelta(days=36_500)
_NOT_A_DURATION: Final = "must be a duration such as 15m, 1h30m, 2d, or seconds"

_SIZE: Final = re.compile(r"([0-9]{1,19}(?:\.[0-9]{1,9})?)\s*([kKMGT]?i?B)?")
#: What PostgreSQL and file systems count with.
_LARGEST_SIZE: Final = 2**63 - 1
_SIZE_UNITS: Final = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}
_NOT_A_SIZE: Final = "must be a size such as 500MB, 1GiB, or bytes"

_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_WEEKDAY_PART: Final = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/([0-9]{1,2}))?")
_ANY_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)


def read_duration(value: object) -> timedelta:
    """The duration in `15m`, `1h30m`, `500ms`, `90`, 90 or 1.5 (seconds). Never negative."""
    seconds = _read_seconds(value)
    if seconds > _LONGEST.total_seconds():
        raise ValueError(f"must be at most {format_duration(_LONGEST)}")
    if seconds < 0:
        raise ValueError("must not be negative")
    return timedelta(microseconds=int((seconds * 1_000_000).to_integral_value()))


def _read_seconds(value: object) -> Decimal:
    number = Decimal("NaN")
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = Decimal(str(value))
    elif isinstance(value, str):
        number = _read_number(value.strip())
    if not number.is_finite():
        raise ValueError(_NOT_A_DURATION)
    return number


def _read_number(text: str) -> Decimal:
    match = _DURATION.fullmatch(text)
    if match and text:
        parts = match.groupdict().items()
        return sum((Decimal(number) * _UNITS[unit] for unit, number in parts if number), Decimal(0))
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(_NOT_A_DURATION) from None


def read_positive_duration(value: object) -> timedelta:
    """Like ``read_duration``, for knobs where zero would mean an endless loop."""
    duration = read_duration(value)
    if not duration:
        raise ValueError("must be longer than 0")
    return duration


def format_duration(duration: timedelta) -> str:
    """The shortest text that ``read_duration`` reads back as exactly this duration."""
    seconds = duration.days * 86_400 + duration.seconds
    text = ""
    for unit in ("d", "h", "m"):
        count, seconds = divmod(seconds, int(_UNITS[unit]))
        text += f"{count}{unit}" if count else ""
    fraction = f".{duration.microseconds:06}".rstrip("0") if duration.microseconds else ""
    return text + (f"{seconds}{fraction}s" if seconds or fraction or not text else "")


def read_size(value: object) -> int:
    """The bytes in `1GiB`, `500MB`, `1024` or 1024. Never negative."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    match = _SIZE.fullmatch(text.strip()) if isinstance(text, str) else None
    unit = (match[2] or "B")[:-1] if match else ""
    if match is None or unit not in _SIZE_UNITS:
        raise ValueError(_NOT_A_SIZE)
    size = int(Decimal(match[1]) * _SIZE_UNITS[unit])
    if size > _LARGEST_SIZE:
        raise ValueError(f"must be at most {_LARGEST_SIZE} bytes")
    return size


def format_size(size: int) -> str:
    """Text that ``read_size`` reads back as exactly this number of bytes."""
    for unit in ("Ti", "Gi", "Mi", "Ki"):
        if size and size % _SIZE_UNITS[unit] == 0:
            return f"{size // _SIZE_UNITS[unit]}{unit}B"
    return f"{size}B"


def read_cron(text: str) -> str:
    """A five-field cron line with its weekdays by name.

    APScheduler counts 0 as Monday where every crontab says Sunday; names mean the same to both.
    """
    fields = text.lower().split()
    if len(fields) != 5:
        raise ValueError('must have the five fields of a cron line, such as "0 * * * *"')
    fields[4] = _name_weekdays(fields[4])
    line = " ".join(fields)
    try:
        first = cron_trigger(line).get_next_fire_time(None, _ANY_TIME)
    except ValueError:
        raise ValueError("is not a cron line: a field is out of range or cannot be read") from None
    if first is None:
        raise ValueError("is a cron line that never comes due")
    return line


def cron_trigger(line: str) -> "CronTrigger":
    """What says when a line of ``read_cron`` comes due, in UTC."""
    # Not at the top: every command reads durations, few configurations have a cron line.
    from apscheduler.triggers.cron import CronTrigger

    return CronTrigger.from_crontab(line, timezone=UTC)


def _name_weekdays(field: str) -> str:
    if field == "*":
        return field
    days: set[int] = set()
    for part in field.split(","):
        days |= _read_weekdays(part)
    return ",".join(_WEEKDAYS[day] for day in sorted(days))


def _read_weekdays(part: str) -> set[int]:
    match = _WEEKDAY_PART.fullmatch(part)
    if match is None or match[4] in {"0", "00"}:
        raise ValueError(
            "has a weekday field that cannot be read: write mon-fri, sat,sun or 0-6 (0 is Sunday)"
        )
    first = 0 if match[1] else _read_weekday(match[2])
    last = 6 if match[1] or (match[4] and not match[3]) else _read_weekday(match[3] or match[2])
    last += 7 if last < first else 0
    return {day % 7 for day in range(first, last + 1, int(match[4] or 1))}


def _read_weekday(text: str) -> int:
    if text in _WEEKDAYS:
        return _WEEKDAYS.index(text)
    if text in {"0", "1", "2", "3", "4", "5", "6", "7"}:
        return int(text)
    raise ValueError("has a weekday that is neither 0-7 nor sun-sat")
