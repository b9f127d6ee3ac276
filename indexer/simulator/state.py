"""The moving state behind the five APIs: accounts, their items, and how they change.

Every change takes the lock and advances the account's version, so answers rendered before it
are never served again. It knows no API and no wire format.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from indexer.simulator.minting import mint
from indexer.simulator.positions import SOURCES, Description, Item, ItemKey, WatchRow

#: Sorted keys beside the items they belong to, for bisecting.
Ordered = tuple[list[Any], list[Item]]
Hide = Callable[[Item], bool]

#: Rendered pages kept at most, in bytes; beyond it all are dropped and made again.
_CACHE_BYTES = 256 * 2**20


class Account:
    """The items of one address. ``version`` rises with every change."""

    __slots__ = ("_ordered", "address", "items", "number", "version")

    def __init__(self, address: str, number: int) -> None:
        self.address = address
        #: The API's own number for this account, where it has one (Loopring).
        self.number = number
        self.items: dict[ItemKey, Item] = {}
        self.version = 0
        self._ordered: dict[str, Ordered] = {}

    def touch(self) -> None:
        """Forget every order made of the items before this change."""
        self.version += 1
        self._ordered.clear()

    def ordered(self, name: str, key: Callable[[Item], Any], hide: Hide | None = None) -> Ordered:
        """The items sorted by ``key``, remembered under ``name`` until the next change."""
        if hide is not None:
            return _order([item for item in self.items.values() if not hide(item)], key)
        if name not in self._ordered:
            self._ordered[name] = _order(self.items.values(), key)
        return self._ordered[name]


def _order(items: Any, key: Callable[[Item], Any]) -> Ordered:
    chosen = sorted(items, key=key)
    return [key(item) for item in chosen], chosen


class PageCache:
    """Bytes already rendered, by everything they depend on."""

    def __init__(self) -> None:
        self._pages: dict[Any, Any] = {}
        self._bytes = 0

    def get(self, key: Any) -> Any:
        """What was kept under this key, or None."""
        return self._pages.get(key)

    def keep(self, key: Any, value: Any, size: int) -> None:
        """Keep a value of about this many bytes."""
        if self._bytes + size > _CACHE_BYTES:
            self.clear()
        self._pages[key] = value
        self._bytes += size

    def clear(self) -> None:
        """Drop everything."""
        self._pages.clear()
        self._bytes = 0


class State:
    """Accounts per source, asset descriptions, a height, and the changes tests make."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.lock = threading.RLock()
        #: The chain height every API shares; Algorand calls it round.
        self.round = 50_000_000
        self.accounts: dict[str, dict[str, Account]] = {source: {} for source in SOURCES}
        self.catalogue: dict[str, dict[str, Description]] = {source: {} for source in SOURCES}
        self.watched: list[WatchRow] = []
        #: Hedera aliases and EVM addresses, without ``0x`` and in the case the node stores.
        self.aliases: dict[str, str] = {}
        self.pages = PageCache()
        self._numbers = dict.fromkeys(SOURCES, 0)

    def canonical(self, source: str, address: str) -> str:
        """The form under which this world files an address."""
        if source == "loopring" or (source == "okx_runes" and address[:3].lower() == "bc1"):
            return address.lower()
        if source == "hedera":
            return self.aliases.get(address.removeprefix("0x"), address)
        return address

    def account(self, source: str, address: str) -> Account:
        """The account of this address. Raises KeyError when the world has none."""
        return self.accounts[source][self.canonical(source, address)]

    def find(self, source: str, address: str) -> Account | None:
        """The account of this address, or None."""
        return self.accounts[source].get(self.canonical(source, address))

    def open_account(self, source: str, address: str) -> Account:
        """A new empty account, or the one that is there."""
        with self.lock:
            known = self.accounts[source]
            number = 10_001 + len(known)
            return known.setdefault(
                self.canonical(source, address), Account(self.canonical(source, address), number)
            )

    def items(self, source: str, address: str, scope: str = "") -> list[Item]:
        """A copy of the items of an account, in order of arrival; of one rune with a scope."""
        with self.lock:
            chosen = self.account(source, address).items.values()
            return sorted((i for i in chosen if not scope or i.asset_ref == scope), key=lambda i: i.number)

    def mint(self, source: str, address: str, index: int | None = None, scope: str = "") -> Item:
        """A new item arrives. Without an index, the first one the account does not hold."""
        with self.lock:
            account = self.account(source, address)
            place = len(account.items) if index is None else index
            item, asset = self._next(source, place, scope)
            while item.key in account.items:
                place += 1
                item, asset = self._next(source, place, scope)
            self.catalogue[source].setdefault(asset.asset_ref, asset)
            self.put(source, address, item)
            return account.items[item.key]

    def _next(self, source: str, index: int, scope: str) -> tuple[Item, Description]:
        self._numbers[source] += 1
        return mint(source, self.seed, index, self._numbers[source], scope)

    def put(self, source: str, address: str, item: Item) -> None:
        """Add an item or replace the one with its key."""
        with self.lock:
            account = self.account(source, address)
            account.items[item.key] = replace(item, touched=self.round)
            account.touch()

    def fill(self, source: str, address: str, count: int, scope: str = "") -> None:
        """Add many items at once, much faster than one by one."""
        with self.lock:
            account = self.open_account(source, address)
            catalogue = self.catalogue[source]
            for index in range(len(account.items), len(account.items) + count):
                item, asset = self._next(source, index, scope)
                catalogue.setdefault(asset.asset_ref, asset)
                account.items[item.key] = item
            account.touch()

    def update(self, source: str, address: str, key: ItemKey, **fields: Any) -> Item:
        """Change fields of one item. Raises KeyError when the account does not hold it."""
        with self.lock:
            changed = replace(self.account(source, address).items[key], **fields)
            self.put(source, address, changed)
            return changed

    def set_amount(self, source: str, address: str, key: ItemKey, amount: int | None) -> None:
        """State another amount, in smallest units."""
        self.update(source, address, key, amount=amount)

    def remove(self, source: str, address: str, key: ItemKey) -> Item:
        """An item leaves the list: sold, burnt, opted out or spent."""
        with self.lock:
            account = self.account(source, address)
            gone = account.items.pop(key)
            account.touch()
            return gone

    def empty(self, source: str, address: str) -> None:
        """Every item leaves at once."""
        with self.lock:
            account = self.account(source, address)
            account.items.clear()
            account.touch()

    def transfer(self, source: str, sender: str, receiver: str, key: ItemKey) -> Item:
        """Move one item to another account; it arrives with a new number and without its approvals."""
        with self.lock:
            item = self.remove(source, sender, key)
            self._numbers[source] += 1
            number = self._numbers[source]
            moved = replace(item, number=number, frozen=False, delegate=None, listing=0, locked=0)
            held = self.account(source, receiver).items.get(key)
            if held is not None:
                moved = replace(held, amount=(held.amount or 0) + (item.amount or 0))
            self.put(source, receiver, moved)
            return moved

    def refresh(self, source: str, asset_ref: str) -> None:
        """Off-chain metadata is fetched again. No holding changes."""
        with self.lock:
            asset = self.catalogue[source][asset_ref]
            self.redescribe(source, replace(asset, revision=asset.revision + 1))

    def redescribe(self, source: str, asset: Description) -> None:
        """Replace what is known of an asset; pages that showed it are rendered again."""
        with self.lock:
            self.catalogue[source][asset.asset_ref] = asset
            self.pages.clear()

    def advance(self, rounds: int = 1) -> None:
        """The chain grows."""
        with self.lock:
            self.round += rounds

    def versions(self, source: str, addresses: Sequence[str]) -> tuple[int, ...]:
        """What rendered pages of these accounts depend on."""
        found = (self.find(source, address) for address in addresses)
        return tuple(-1 if account is None else account.version for account in found)
