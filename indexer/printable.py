"""Text from strangers made safe to show: names on a chain may carry terminal codes.

Only changes what could move a cursor, reverse a line or break an encoder; everything else stays.
"""

import re
from typing import Final

#: C0, DEL, C1, line and paragraph separators, bidi overrides and isolates, lone surrogates.
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """``text`` on one line, with every unsafe character written as ``\\xNN`` or ``\\uNNNN``."""
    # What Python calls printable leaves out all of these and more, and is asked in a twentieth of the time.
    return text if text.isprintable() else _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
