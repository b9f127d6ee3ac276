"""Where a list of OKX goes on, and where it ends or goes round in circles.

Beside `okx_runes.py` only because of its size. A short page is no proof of the end, nor is a cursor proof of
more: both were seen. Our cursor counts rows and pages and never repeats, so loops are seen here. Pure.
"""

from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote

from indexer.errors import BadPage, ListCut
from indexer.records import Cursor
from indexer.sources.base import clean_text

_WHAT: Final = "okx_runes"
_LONGEST: Final = 1024


class Place(NamedTuple):
    """What our cursor says: how far the list is, how to know a loop, and OKX's own cursor."""

    rows: int = 0
    pages: int = 0
    #: Cursor and last row of an earlier page: any loop meets it again (Brent).
    milestone: str = ""
    milestone_row: str = ""
    #: The last row of the page before, '' when nothing was on it.
    last_row: str = ""
    cursor: str = ""

    @property
    def text(self) -> Cursor:
        """As one text."""
        parts = (quote(part, safe=":") for part in (self.milestone, self.milestone_row, self.last_row))
        return Cursor("|".join((str(self.rows), str(self.pages), *parts, self.cursor)))


def read_place(text: Cursor | None) -> Place:
    """The place a cursor of ours stands for; None is the start."""
    if text is None:
        return Place()
    rows, pages, *marks, cursor = text.split("|", 5)
    milestone, milestone_row, last_row = (*map(unquote, marks), "", "", "")[:3]
    return Place(int(rows), int(pages), milestone, milestone_row, last_row, cursor)


def find_next(ours: Cursor | None, stated: object, items: list[Any]) -> Cursor | None:
    """The next place; None at the end of the list.

    Raises BadPage for a loop, ListCut for a list that may have been cut.
    """
    cursor = "" if stated is None else stated
    if not isinstance(cursor, str) or len(cursor) > _LONGEST or not cursor.isprintable():
        raise BadPage(f"{_WHAT}: `cursor` is not a short text")
    place = read_place(ours)
    rows = place.rows + len(items)
    if items and cursor:
        return _advance(place, cursor, _name_row(items[-1]), rows)
    if place.last_row and cursor not in ("", place.cursor, place.milestone):
        # Nothing on a page in the middle, and a new cursor: one more question tells whether it is the end.
        return place._replace(last_row="", cursor=cursor).text
    if rows == 1000:  # the documents speak of "maximum 1,000"
        raise ListCut(f"{_WHAT}: the list ends at exactly 1,000 rows and may be cut: ask fewer addresses")
    return None


def _advance(place: Place, cursor: str, row: str, rows: int) -> Cursor:
    pages = place.pages + 1
    if cursor in (place.cursor, place.milestone):
        raise BadPage(f"{_WHAT}: the cursor after page {pages} was given before: a loop")
    if row and row in (place.last_row, place.milestone_row):
        raise BadPage(f"{_WHAT}: page {pages} ends as an earlier one did: a loop")
    if pages & (pages - 1) == 0:
        place = place._replace(milestone=cursor, milestone_row=row)
    return place._replace(rows=rows, pages=pages, last_row=row or "?", cursor=cursor).text


def _name_row(item: Any) -> str:
    """The output a row is about, as it stands; '' where it does not say."""
    if not isinstance(item, dict) or not isinstance(item.get("utxoTxHash"), str):
        return ""
    return clean_text(f"{item['utxoTxHash'][:_LONGEST]}:{item.get('utxoVout')}"[:_LONGEST])
