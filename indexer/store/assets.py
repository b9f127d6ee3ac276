"""Assets: their numbers, and today's description of each. Nothing here commits.

Descriptions are written only when their digest changes; numbers and digests are remembered, because the same
assets come again with every crawl.
"""

import hashlib
import weakref
from collections.abc import Collection, Iterable, Mapping, Set
from typing import Final

import msgspec

from indexer import copying
from indexer.records import Asset
from indexer.store import statements
from indexer.store.database import Connection

_SQL = statements.load("assets")

#: A description and its digest.
Described = tuple[Asset, bytes]

#: Assets remembered before forgetting everything; some 400 bytes each.
_REMEMBERED: Final = 300_000


class AssetBook:
    """Numbers and digests that are committed. A cache: the database is asked for what is not in it."""

    def __init__(self) -> None:
        #: By network, then by reference.
        self._numbers: dict[str, dict[str, int]] = {}
        self._digests: dict[int, bytes] = {}
        #: By network and reference: the object last found to be what is stored, while anybody keeps it.
        self._recognised: dict[str, dict[str, weakref.ref[Asset]]] = {}
        #: And the object last found to be another, with its digest.
        self._unstored: dict[str, dict[str, tuple[weakref.ref[Asset], bytes]]] = {}

    def news(self, network: str, assets: Iterable[Asset]) -> dict[str, Described]:
        """The descriptions that are not known to be stored as they are, with their digests, by reference."""
        recognised = self._recognised.setdefault(network, {})
        # Nearly all are recognised, and there are as many as holdings.
        others = [
            asset
            for asset in assets
            if (seen := recognised.get(asset.asset_ref)) is None or seen() is not asset
        ]
        return self._digested(network, others) if others else {}

    def _digested(self, network: str, assets: Iterable[Asset]) -> dict[str, Described]:
        numbers, digests, news = self._numbers.get(network, {}), self._digests, dict[str, Described]()
        recognised, unstored = self._recognised[network], self._unstored.setdefault(network, {})
        for asset in assets:
            ref = asset.asset_ref
            seen = unstored.get(ref)
            digest = seen[1] if seen is not None and seen[0]() is asset else digest_of(asset)
            if digests.get(numbers.get(ref, 0)) == digest:
                recognised[ref] = weakref.ref(asset)
            else:
                unstored[ref] = (weakref.ref(asset), digest)
                news[ref] = (asset, digest)
        return news

    def still_news(self, network: str, described: Mapping[str, Described]) -> dict[str, Described]:
        """Those of them that nobody has learned since."""
        numbers, digests = self._numbers.get(network, {}), self._digests
        return {
            ref: entry for ref, entry in described.items() if digests.get(numbers.get(ref, 0)) != entry[1]
        }

    def numbers(self, network: str, refs: Set[str]) -> dict[str, int]:
        """The remembered numbers of these."""
        numbers = self._numbers.get(network, {})
        return {ref: numbers[ref] for ref in refs if ref in numbers}

    def numbers_of_all(self, network: str, refs: Set[str]) -> Mapping[str, int] | None:
        """The numbers of these, and of others too, where all of these are remembered."""
        numbers = self._numbers.get(network, {})
        # What is forgotten later stays in it: a new one is begun then.
        return numbers if numbers.keys() >= refs else None

    def remember(self, network: str, numbers: Mapping[str, int], digests: Mapping[int, bytes]) -> None:
        """What a committed transaction found or wrote. Before its commit nobody else may rely on it."""
        if sum(map(len, self._numbers.values())) > _REMEMBERED:
            self._numbers.clear()
            self._digests.clear()
            self._recognised.clear()
            self._unstored.clear()
        recognised, unstored = self._recognised.setdefault(network, {}), self._unstored.get(network, {})
        for ref, number in numbers.items():
            if number in digests and digests[number] != self._digests.get(number):
                recognised.pop(ref, None)  # it was recognised as what is stored no more
                seen, digest = unstored.pop(ref, (None, b""))
                if seen is not None and digest == digests[number]:
                    recognised[ref] = seen
        self._numbers.setdefault(network, {}).update(numbers)
        self._digests.update(digests)


async def resolve(connection: Connection, network: str, refs: Collection[str]) -> dict[str, int]:
    """The number of every asset, inserting those that are new."""
    return (await number(connection, network, refs)).all


class Numbered(msgspec.Struct, frozen=True):
    """Assets with their numbers."""

    found: Mapping[str, int]
    #: Inserted by this transaction: nobody else can have said anything about them.
    inserted: Mapping[str, int]

    @property
    def all(self) -> dict[str, int]:
        """Both."""
        return {**self.found, **self.inserted}


async def number(connection: Connection, network: str, refs: Collection[str]) -> Numbered:
    """The number of every asset, inserting those that are new."""
    if not refs:
        return Numbered({}, {})
    found = await find(connection, network, refs)
    missing = sorted(set(refs) - found.keys())
    if not missing:
        return Numbered(found, {})
    cursor = await connection.execute(_SQL.insert_assets, {"network": network, "refs": missing}, binary=True)
    inserted: dict[str, int] = dict(await cursor.fetchall())
    elsewhere = [ref for ref in missing if ref not in inserted]
    if elsewhere:
        found |= await find(connection, network, elsewhere)
    return Numbered(found, inserted)


async def find(connection: Connection, network: str, refs: Collection[str]) -> dict[str, int]:
    """The numbers of those assets that have one."""
    cursor = await connection.execute(_SQL.find_assets, {"network": network, "refs": list(refs)}, binary=True)
    return dict(await cursor.fetchall())


async def describe(
    connection: Connection, described: Mapping[str, Described], numbers: Numbered
) -> dict[int, bytes]:
    """Write the descriptions that are new or changed; returns the digests of all of them."""
    new = {ref: entry for ref, entry in described.items() if ref in numbers.inserted}
    await _describe_new(connection, new, numbers.inserted)
    known = {numbers.found[ref]: entry for ref, entry in described.items() if ref in numbers.found}
    if known:
        cursor = await connection.execute(_SQL.find_details, {"assets": list(known)}, binary=True)
        stored: dict[int, bytes] = dict(await cursor.fetchall())
        changed = {number: entry for number, entry in known.items() if stored.get(number) != entry[1]}
        if changed:
            await connection.execute(_SQL.write_details, _columns(changed))
    every = numbers.all
    return {every[ref]: digest for ref, (_, digest) in described.items()}


async def _describe_new(
    connection: Connection, described: Mapping[str, Described], inserted: Mapping[str, int]
) -> None:
    if not described:
        return
    lines = (
        copying.line((inserted[ref], one.kind, one.symbol, one.name, one.decimals, one.metadata, digest))
        for ref, (one, digest) in described.items()
    )
    async with connection.cursor() as cursor, cursor.copy(_SQL.copy_details) as copy:
        for block in copying.blocks(lines):
            await copy.write(block)


def _columns(news: Mapping[int, Described]) -> dict[str, list[object]]:
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
