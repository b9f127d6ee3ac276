"""What a DAS provider says when it refuses: its JSON-RPC error, read without ever being shown as it stands.

Beside `solana_das.py` only because of its size. Pure.
"""

import math
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from indexer.errors import BadPage
from indexer.sources.base import Inexact, clean_text, read_object

_WHAT: Final = "solana_das page"
_URL: Final = re.compile(r"\w+://\S+")
#: Infura's keys and ids look like this; some of its messages quote them.
_KEYLIKE: Final = re.compile(r"[0-9A-Fa-f]{24,}")


class Failure(NamedTuple):
    """An error of JSON-RPC; 0 and '' stand for what cannot be read."""

    code: int
    message: str
    backoff_seconds: float | None


def find_failure(body: bytes) -> Failure | None:
    """The JSON-RPC error in these bytes, if that is what they are."""
    if b'"error"' not in body:
        return None  # the usual page: megabytes that need not be decoded twice
    try:
        return read_failure(read_object(body, _WHAT))
    except BadPage:
        return None


def read_failure(answer: Mapping[str, Any]) -> Failure | None:
    """The error in an answer, None where there is none."""
    error = answer.get("error")
    if not isinstance(error, Mapping):
        return None
    code, message = error.get("code"), error.get("message")
    return Failure(
        code if type(code) is int else 0,
        message if type(message) is str else "",
        _read_backoff(error.get("data")),
    )


def _read_backoff(data: Any) -> float | None:
    """Infura's hint, flat as documented or nested as observed; 0 is no hint."""
    if not isinstance(data, Mapping):
        return None
    rate = data.get("rate")
    value = (rate if isinstance(rate, Mapping) else data).get("backoff_seconds")
    if type(value) is not int and not isinstance(value, Inexact):
        return None
    try:
        seconds = float(str(value))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def is_quota(failure: Failure) -> bool:
    """Whether the day's credits are used up, however that is put."""
    return failure.code == 402 or "daily request count exceeded" in failure.message.lower()


def show_failure(failure: Failure | None, plain: bytes) -> str:
    """The API's own words, cleaned and short, with a space in front; empty when there are none."""
    message = failure.message if failure is not None else plain[:1000].decode("utf-8", "replace")
    printable = "".join(c if c.isprintable() else " " for c in clean_text(message[:1000]))
    text = " ".join(_KEYLIKE.sub("[…]", _URL.sub("[url]", printable)).split())[:120]
    code = f" {failure.code}" if failure is not None else ""
    return f"{code} {text!r}" if text else code
