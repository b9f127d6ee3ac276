"""The bodies of the last published lists, read for all walks that want theirs at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import msgspec

from indexer.recognition import KnownList
from indexer.store.pages import EarlierBody

#: Lists whose bodies are larger together are read one after another.
TOGETHER_BYTES: Final = 8 * 1024 * 1024

#: Reads the bodies of these lists, by crawl.
Read = Callable[[Sequence[KnownList]], Awaitable[Mapping[int, Sequence[EarlierBody]]]]


class _Wish(msgspec.Struct, eq=False):
    """A list somebody waits for, until its bodies are there."""

    known: KnownList
    bodies: Sequence[EarlierBody] | None = None


class EarlierBodies:
    """Reads lists in the order they were asked for, many at a time. For the tasks of one event loop."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._reading = asyncio.Lock()
        self._wishes: list[_Wish] = []

    async def read(self, known: KnownList) -> Sequence[EarlierBody]:
        """The bodies of all pages of this list, in order; none where they were pruned.

        Raises what reading raises.
        """
        wish = _Wish(known)
        self._wishes.append(wish)
        try:
            # While one reads the others gather; whoever is first then reads for all of them.
            async with self._reading:
                if wish.bodies is None:
                    await self._read_first()
        finally:
            # It failed, or nobody waits for it any more.
            if wish in self._wishes:
                self._wishes.remove(wish)
        assert wish.bodies is not None
        return wish.bodies

    async def _read_first(self) -> None:
        """Read for the first that waits, whatever its list weighs, and for those that fit in beside it."""
        batch: list[_Wish] = []
        size = 0
        for wish in self._wishes:
            size += wish.known.body_bytes
            if batch and size > TOGETHER_BYTES:
                break
            batch.append(wish)
        found = await self._read([wish.known for wish in batch])
        for wish in batch:
            wish.bodies = found[wish.known.crawl_id]
        self._wishes = [wish for wish in self._wishes if wish.bodies is None]
