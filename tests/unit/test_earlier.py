"""Earlier bodies are read together for all who wait, and nobody gets another one's or waits for ever."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date

import pytest

from indexer.earlier import TOGETHER_BYTES, EarlierBodies
from indexer.recognition import KnownList, KnownPage
from indexer.store.bodies import StoredBody
from indexer.store.pages import EarlierBody


def known(crawl_id: int, size: int = 100) -> KnownList:
    """A list of one page with a body of that size."""
    page = KnownPage(1, None, None, 1, b"", None, b"", size)
    return KnownList(crawl_id, date(2026, 11, 1), {}, [page])


def bodies(crawl_id: int) -> list[EarlierBody]:
    """What is stored of such a list."""
    body = str(crawl_id).encode()
    return [EarlierBody(StoredBody("none", len(body), body), body)]


class Store:
    """Answers when it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.open = asyncio.Event()
        self.broken = False

    async def read(self, lists: Sequence[KnownList]) -> Mapping[int, Sequence[EarlierBody]]:
        """The bodies of these lists."""
        self.asked.append([one.crawl_id for one in lists])
        await self.open.wait()
        if self.broken:
            self.broken = False
            raise OSError("the database is away")
        return {one.crawl_id: bodies(one.crawl_id) for one in lists}


async def ask(store: Store, *lists: KnownList) -> list[Sequence[EarlierBody] | BaseException]:
    """What comes of asking for all of them at once."""
    earlier = EarlierBodies(store.read)
    tasks = [asyncio.create_task(earlier.read(one)) for one in lists]
    await asyncio.sleep(0)
    store.open.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_those_who_wait_are_served_together_each_with_its_own() -> None:
    """The first is read at once, all who came meanwhile after it."""

    async def test() -> None:
        store = Store()
        assert await ask(store, *map(known, range(1, 6))) == [bodies(number) for number in range(1, 6)]
        assert store.asked == [[1], [2, 3, 4, 5]]

    asyncio.run(test())


def test_no_more_than_fits_is_read_together() -> None:
    """Large lists are read one after another, and one that is too large alone is read too."""

    async def test() -> None:
        store = Store()
        sizes = [1, TOGETHER_BYTES // 2, TOGETHER_BYTES // 2, 1, 2 * TOGETHER_BYTES, 1]
        found = await ask(store, *(known(number, size) for number, size in enumerate(sizes)))
        assert found == [bodies(number) for number in range(6)]
        assert store.asked == [[0], [1, 2], [3], [4], [5]]

    asyncio.run(test())


def test_a_failure_is_told_to_one_and_the_others_are_read_again() -> None:
    """Each of them has its own patience."""

    async def test() -> None:
        store = Store()
        store.broken = True
        first, *others = await ask(store, *map(known, range(1, 4)))
        assert isinstance(first, OSError)
        assert others == [bodies(2), bodies(3)]

    asyncio.run(test())


@pytest.mark.parametrize("leaver", [0, 1, 2])
def test_one_who_leaves_keeps_nobody_waiting(leaver: int) -> None:
    """Cancelled while it reads for others, or while it waits."""

    async def test() -> None:
        store = Store()
        earlier = EarlierBodies(store.read)
        tasks = [asyncio.create_task(earlier.read(known(number))) for number in range(3)]
        await asyncio.sleep(0)
        tasks[leaver].cancel()
        await asyncio.sleep(0)
        store.open.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        for number, one in enumerate(found):
            if number == leaver:
                assert isinstance(one, asyncio.CancelledError)
            else:
                assert one == bodies(number)

    asyncio.run(test())
