"""Assets: their numbers, and today's description of each. Nothing here commits.

Descriptions are written only when their digest changes; numbers and digests are remembered, because the same
assets come again with every crawl.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Final

from indexer.records import Asset
from indexer.store import statements
from indexer.store.database import Connection

_SQL = statements.load("assets")

#: Entries remembered before forgetting everything; some 150 bytes each.
_REMEMBERED: Final = 300_000


class AssetBook:
    """Numbers and digests this worker has seen. A cache: the database is asked for what is not in it."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        self._digests: dict[int, bytes] = {}

    def unknown(self, network: str, refs: Iterable[str]) -> list[str]:
        """References without a remembered number, in key order."""
        return sorted(ref for ref in refs if (network, ref) not in self._numbers)

    def forget(self) -> None:
        """Start over: what a rolled-back transaction numbered must not be remembered."""
        self._numbers.clear()
        self._digests.clear()

    def numbers(self, network: str, refs: Iterable[str]) -> dict[str, int]:
        """Numbers of assets that were resolved before."""
        return {ref: self._numbers[network, ref] for ref in refs}

    def changed(self, network: str, assets: Iterable[Asset]) -> dict[int, tuple[Asset, bytes]]:
        """Descriptions that differ from what is remembered, by asset number."""
        found: dict[int, tuple[Asset, bytes]] = {}
        for asset in assets:
            number = self._numbers.get((network, asset.asset_ref), 0)
            digest = digest_of(asset)
            if number == 0 or self._digests.get(number) != digest:
                found[number] = (asset, digest)
        return found

    async def resolve(self, connection: Connection, network: str, refs: Iterable[str]) -> None:
        """Number every asset, inserting those that are new."""
        unknown = self.unknown(network, refs)
        if not unknown:
            return
        if len(self._numbers) > _REMEMBERED:
            self._numbers.clear()
            self._digests.clear()
        missing = await self._find(connection, network, unknown)
        if missing:
            await connection.execute(_SQL.insert_assets, {"network": network, "refs": missing})
            await self._find(connection, network, missing)

    async def _find(self, connection: Connection, network: str, refs: list[str]) -> list[str]:
        cursor = await connection.execute(_SQL.find_assets, {"network": network, "refs": refs})
        for ref, number in await cursor.fetchall():
            self._numbers[network, ref] = number
        return self.unknown(network, refs)

    async def describe(self, connection: Connection, network: str, assets: Iterable[Asset]) -> None:
        """Write the descriptions that are new or changed."""
        changed = self.changed(network, assets)
        if not changed:
            return
        cursor = await connection.execute(_SQL.find_details, {"assets": list(changed)})
        stored: Mapping[int, bytes] = dict(await cursor.fetchall())
        news = {number: entry for number, entry in changed.items() if stored.get(number) != entry[1]}
        if news:
            await connection.execute(_SQL.write_details, _columns(news))
        self._digests.update({number: digest for number, (_, digest) in changed.items()})


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
