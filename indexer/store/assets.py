"""Assets: their numbers, and today's description of each. Nothing here commits.

Descriptions are written only when their digest changes; numbers and digests are remembered, because the same
assets come again with every crawl.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from indexer.records import Asset
from indexer.store import statements
from indexer.store.database import Connection

_SQL = statements.load("assets")

#: Entries remembered before forgetting everything; some 150 bytes each.
_REMEMBERED: Final = 300_000


class AssetBook:
    """Numbers and digests that are committed. A cache: the database is asked for what is not in it."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        self._digests: dict[int, bytes] = {}

    def knows(self, network: str, refs: Iterable[str], assets: Iterable[Asset]) -> bool:
        """Whether nothing about these assets has to be asked or written."""
        numbers = self._numbers
        return all((network, ref) in numbers for ref in refs) and all(
            self._digests.get(numbers.get((network, asset.asset_ref), 0)) == digest_of(asset)
            for asset in assets
        )

    def numbers(self, network: str, refs: Iterable[str]) -> dict[str, int]:
        """The remembered numbers among these."""
        found = ((ref, self._numbers.get((network, ref))) for ref in refs)
        return {ref: number for ref, number in found if number is not None}

    def remember(self, network: str, numbers: Mapping[str, int], digests: Mapping[int, bytes]) -> None:
        """What a committed transaction found or wrote. Before its commit nobody else may rely on it."""
        if len(self._numbers) > _REMEMBERED:
            self._numbers.clear()
            self._digests.clear()
        self._numbers.update({(network, ref): number for ref, number in numbers.items()})
        self._digests.update(digests)


async def resolve(connection: Connection, network: str, refs: Collection[str]) -> dict[str, int]:
    """The number of every asset, inserting those that are new."""
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
    facts = json.dumps([asset.kind, asset.symbol, asset.name, asset.decimals, asset.metadata])
    return hashlib.sha256(facts.encode()).digest()
