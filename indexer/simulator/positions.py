"""What the simulated world is made of: items, the things they are items of, and what is true.

Plain frozen values. ``Position`` is the witness's statement and uses no code of the indexer.
"""

import hashlib
from dataclasses import dataclass
from typing import Final, Literal

SOURCES: Final = ("okx_runes", "solana_das", "algorand", "loopring", "hedera")

#: What one simulated asset is; the API files turn it into their own words.
Kind = Literal[
    "rune", "standard", "nft", "programmable", "compressed", "core", "collection", "token", "custom"
]

#: The key of an item inside its account.
ItemKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Item:
    """One position as its API would store it, held or not (burnt, total 0)."""

    asset_ref: str
    sub_key: str
    #: Smallest units. ``None``: the API lists it and does not say how much.
    amount: int | None
    #: Rises with every item that arrives at this source: row ids, slots and creation times come from it.
    number: int
    #: The round of the last change.
    touched: int = 0
    frozen: bool = False
    locked: int = 0
    delegate: str | None = None
    #: 0 not listed for sale, 1 listed, 2 pending.
    listing: int = 0
    burnt: bool = False

    @property
    def key(self) -> ItemKey:
        """What makes it this item and no other of the account."""
        return (self.asset_ref, self.sub_key)


@dataclass(frozen=True, slots=True)
class Description:
    """An asset itself: the same for every owner."""

    asset_ref: str
    kind: Kind
    name: str
    symbol: str
    decimals: int
    #: What several assets have in common: a collection, or one (contract, id) under two nftData.
    family: str = ""
    #: Counts refreshes of off-chain metadata, which change no holding.
    revision: int = 0
    #: Destroyed (Algorand) or deleted (Hedera).
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Position:
    """What a correct reader must report as held. ``None``: this API does not say."""

    asset_ref: str
    sub_key: str
    amount: int | None
    decimals: int | None = None
    frozen: bool | None = None
    locked: int | None = None
    delegate: str | None = None


@dataclass(frozen=True, slots=True)
class WatchRow:
    """One line of the watchlist that belongs to a world."""

    source: str
    address: str
    label: str
    tags: tuple[str, ...] = ()
    runes: tuple[str, ...] = ()


def digest_of(*words: object) -> bytes:
    """32 bytes that depend on these words and on nothing else."""
    return hashlib.blake2b("\x1f".join(map(str, words)).encode(), digest_size=32).digest()


def number_of(*words: object) -> int:
    """A 64-bit number that depends on these words and on nothing else."""
    return int.from_bytes(digest_of(*words)[:8], "big")
