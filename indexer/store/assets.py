"""Assets: their numbers, and today's description of each. Nothing here commits.

Descriptions are written only when their digest changes; numbers and digests are remembered, because the same
assets come again with every crawl.
"""

import hashlib
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from typing import Final

from indexer.records import Asset
from indexer.store import statements
from indexer.store.database import Connection

_SQL = statements.load("assets")

#: Assets remembered before forgetting everything; some 400 bytes each.
_REMEMBERED: Final = 300_000


class AssetBook:
    """Numbers and digests that are committed. A cache: the database is asked for what is not in it."""

    def __init__(self) -> None:
        #: By network, then by reference.
        self._numbers: dict[str, dict[str, int]] = {}
        self._digests: dict[int, bytes] = {}
        #: The very object whose digest was last found to be the stored one, while anybody keeps it.
        self._recognised: dict[str, dict[str, weakref.ref[Asset]]] = {}

    def knows(self, network: str, refs: Set[str], assets: Iterable[Asset]) -> bool:
        """Whether nothing about these assets has to be asked or written."""
        if not self._numbers.get(network, {}).keys() >= refs:
            return False
        return next(self.news(network, assets), None) is None

    def news(self, network: str, assets: Iterable[Asset]) -> Iterator[Asset]:
        """The descriptions that are not known to be stored as they are."""
        numbers = self._numbers.get(network, {})
        recognised = self._recognised.setdefault(network, {})
        for asset in assets:
            seen = recognised.get(asset.asset_ref)
            if seen is not None and seen() is asset:
                continue
            if self._digests.get(numbers.get(asset.asset_ref, 0)) != digest_of(asset):
                yield asset
            else:
                recognised[asset.asset_ref] = weakref.ref(asset)

    def numbers(self, network: str, refs: Iterable[str]) -> dict[str, int]:
        """The remembered numbers among these."""
        numbers = self._numbers.get(network, {})
        return {ref: numbers[ref] for ref in refs if ref in numbers}

    def remember(self, network: str, numbers: Mapping[str, int], digests: Mapping[int, bytes]) -> None:
        """What a committed transaction found or wrote. Before its commit nobody else may rely on it."""
        if sum(map(len, self._numbers.values())) > _REMEMBERED:
            self._numbers.clear()
            self._digests.clear()
            self._recognised.clear()
        recognised = self._recognised.setdefault(network, {})
        for ref, number in numbers.items():
            if number in digests and digests[number] != self._digests.get(number):
                recognised.pop(ref, None)  # it was recognised as what is stored no more
        self._numbers.setdefault(network, {}).update(numbers)
        self._digests.update(digests)


async def resolve(connection: Connection, network: str, refs: Collection[str]) -> dict[str, int]:
    """The number of every asset, inserting those that are new."""
    if not refs:
        return {}
    numbers = await find(connection, network, refs)
    missing = sorted(set(refs) - set(numbers))
    if missing:
        await connection.execute(_SQL.insert_assets, {"network": network, "refs": missing})
        numbers |= await find(connection, network, missing)
    return numbers


async def find(connection: Connection, network: str, refs: Collection[str]) -> dict[str, int]:
    """The numbers of those assets that have one."""
    cursor = await connection.execute(_SQL.find_assets, {"network": network, "refs": list(refs)})
    return dict(await cursor.fetchall())


async def describe(
    connection: Connection, assets: Iterable[Asset], numbers: Mapping[str, int]
) -> dict[int, bytes]:
    """Write the descriptions that are new or changed; returns the digests of all of them."""
    described = {numbers[asset.asset_ref]: (asset, digest_of(asset)) for asset in assets}
    if not described:
        return {}
    cursor = await connection.execute(_SQL.find_details, {"assets": list(described)})
    stored: dict[int, bytes] = dict(await cursor.fetchall())
    news = {number: entry for number, entry in described.items() if stored.get(number) != entry[1]}
    if news:
        await connection.execute(_SQL.write_details, _columns(news))
    return {number: digest for number, (_, digest) in described.items()}


def _columns(news: Mapping[int, tuple[Asset, bytes]]) -> dict[str, list[object]]:
    assets = [asset for asset, _ in news.values()]
    return {
        "assets": list(news),
        "kinds": [asset.kind for asset in assets],
        "symbols": [asset.symbol for asset in assets],
        "names": [asset.name for asset in assets],
        "decimals": [asset.decimals for asset in assets],
        "metadata": [asset.metadata for asset in assets],
        "digests": [digest for _, digest in news.values()],
    }


def digest_of(asset: Asset) -> bytes:
    """SHA-256 of a description: equal descriptions, equal digests."""
    facts = (asset.kind, asset.symbol, asset.name, asset.decimals, asset.metadata)
    # No text has a NUL in it (`sources.base.clean_text`), and nothing at all is not the text "None".
    told = "\0".join(["" if fact is None else f"={fact}" for fact in facts])
    return hashlib.sha256(told.encode()).digest()
