"""The world the five simulated APIs look into, and the truth a correct reader must find there.

Deterministic from a seed. ``truth`` is an independent witness: it reads the state, never an
answer, and shares no code with the indexer's sources.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from indexer.simulator.addresses import make_address
from indexer.simulator.changes import change_world, churn_world
from indexer.simulator.minting import RUNES, describe_rune
from indexer.simulator.positions import Description, Item, Position, WatchRow, digest_of
from indexer.simulator.state import State

#: Holdings per demo account: many small pages, exactly one page, few, one, none.
_DEMO_SIZES: Final = {
    "okx_runes": (130, 100, 7, 0),
    "solana_das": (60, 24, 6, 1, 0),
    "algorand": (90, 40, 6, 1, 0),
    "loopring": (120, 53, 4, 0),
    "hedera": (230, 100, 9, 0),
}
_LABELS: Final = ("Treasury 🏦", "Market maker", "Cold storage", "Grants", "Fresh wallet")

Truth = frozenset[Position]


class World(State):
    """Accounts on five chains: built once, watched by a list, changing round by round."""

    @classmethod
    def demo(cls, seed: int = 7) -> "World":
        """A small believable world: every size of account, every kind of asset."""
        world = cls.build(seed, _DEMO_SIZES)
        world.watched = [_with_second_rune(row, place) for place, row in enumerate(world.watched)]
        for row in world.watched:
            if RUNES[1] in row.runes:
                world.fill(row.source, row.address, 12, scope=RUNES[1])
        return world

    @classmethod
    def build(cls, seed: int, sizes: Mapping[str, Sequence[int]]) -> "World":
        """One watched account per number, with that many items.

        A few items are listed without being held (burnt, total 0): ``truth`` knows which.
        """
        world = cls(seed)
        for source, counts in sizes.items():
            for index, count in enumerate(counts):
                world.watch(source, index, count)
        return world

    def watch(self, source: str, index: int, count: int) -> WatchRow:
        """Open, fill and watch one more account."""
        address = make_address(source, self.seed, index)
        self.fill(source, address, count)
        if source == "hedera":
            raw = digest_of("evm", self.seed, index)[:20].hex()
            self.aliases[raw] = address
        runes = RUNES[:1] if source == "okx_runes" else ()
        label, tags = _LABELS[index % len(_LABELS)], ("demo", "hot" if index % 2 else "cold")
        row = WatchRow(source, address, f"{label} {source} {index}", tags, runes)
        self.watched.append(row)
        return row

    def watchlist(self) -> list[WatchRow]:
        """Every address that is meant to be watched."""
        return list(self.watched)

    def watchlist_yaml(self) -> str:
        """The watchlist as the file an owner would write."""
        rows = [_yaml_row(row) for row in self.watched]
        return yaml.safe_dump({"addresses": rows}, allow_unicode=True, sort_keys=False)

    def truth(self, source: str, address: str, scope: str = "") -> Truth:
        """What is held at this address now. A scope narrows it to one rune."""
        with self.lock:
            account = self.find(source, address)
            items = list(account.items.values()) if account else []
            return frozenset(
                self._position(source, item)
                for item in items
                if (not scope or item.asset_ref == scope) and _is_held(source, item)
            )

    def truth_all(self) -> dict[tuple[str, str, str], Truth]:
        """The truth of every watch: (source, address in canonical form, scope)."""
        with self.lock:
            return {
                (row.source, self.canonical(row.source, row.address), scope): self.truth(
                    row.source, row.address, scope
                )
                for row in self.watched
                for scope in row.runes or ("",)
            }

    def change(self, step: int) -> None:
        """One deterministic round of change."""
        change_world(self, step)

    def churn(self, share: float, step: int) -> int:
        """Change exactly this share of every account, for benchmarks. Returns how many items."""
        return churn_world(self, share, step)

    def rune(self, rune: str) -> Description:
        """What is known of a rune, held or not."""
        return self.catalogue["okx_runes"].get(rune) or describe_rune(rune)

    def _position(self, source: str, item: Item) -> Position:
        asset = self.catalogue[source][item.asset_ref]
        frozen = item.frozen if source in ("algorand", "solana_das") else None
        delegate = item.delegate if source in ("solana_das", "hedera") else None
        return Position(
            item.asset_ref,
            item.sub_key,
            item.amount,
            decimals=_decimals(source, asset),
            frozen=frozen,
            locked=item.locked if source == "loopring" else None,
            delegate=delegate,
        )


def _is_held(source: str, item: Item) -> bool:
    """Listed means held, except what is burnt and Loopring rows without a balance."""
    return not item.burnt and not (source == "loopring" and item.amount == 0)


def _decimals(source: str, asset: Description) -> int | None:
    """NFTs are counted in whole pieces; of a destroyed Algorand asset nothing is said any more."""
    return None if source == "algorand" and asset.deleted else asset.decimals


def _with_second_rune(row: WatchRow, place: int) -> WatchRow:
    if row.source != "okx_runes" or place % 2:
        return row
    return WatchRow(row.source, row.address, row.label, row.tags, RUNES[:2])


def _yaml_row(row: WatchRow) -> dict[str, Any]:
    fields: dict[str, Any] = {"source": row.source, "address": row.address, "label": row.label}
    fields["tags"] = list(row.tags)
    return fields | ({"runes": list(row.runes)} if row.runes else {})
