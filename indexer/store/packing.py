"""How a page's bytes are kept: what is new in them, where the same page is known from the same month."""

from collections.abc import Sequence
from datetime import date

import msgspec

from indexer.recognition import KnownPage, Steady
from indexer.row_runs import Run
from indexer.store import bodies, pages
from indexer.store.bodies import Body, StoredBody
from indexer.store.database import Database
from indexer.store.patches import CutBody


class AtHand(msgspec.Struct, frozen=True):
    """The earlier body as it is in memory."""

    stored: StoredBody
    #: That body and the new one with their rows, where they were compared, and which of them are equal.
    cut: tuple[CutBody, CutBody, Sequence[Run]] | None = None


async def pack_page(
    database: Database,
    part_on: date,
    body: bytes,
    steady: Steady,
    earlier: KnownPage | None,
    at_hand: AtHand | None,
) -> Body:
    """Pack a page; ``earlier`` is the page of its number in the last published list, ``at_hand`` its body."""
    sha256 = steady.whole_sha256
    if earlier is None:
        return bodies.pack(body, sha256)
    same_but_for_a_number = steady.sha256 is not None and steady.sha256 == earlier.steady_sha256
    if sha256 == earlier.body_sha256 or same_but_for_a_number:
        return bodies.pack_known(body, sha256, steady, earlier)

    async def read() -> StoredBody | None:
        async with database.connection() as connection:
            return await pages.read_body(connection, part_on, earlier.body_sha256)

    if at_hand is not None:
        return bodies.pack_changed(body, sha256, at_hand.stored, earlier.body_sha256, at_hand.cut)
    return bodies.pack_changed(body, sha256, await database.steadily(read), earlier.body_sha256)
