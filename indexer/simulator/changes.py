"""One deterministic round of change in a world: what a busy hour looks like on five chains.

Fewer than half of any account's items disappear, so an honest round never looks like an outage.
"""

import random

from indexer.simulator.positions import Item, WatchRow, digest_of
from indexer.simulator.state import State

#: An account that can give one item away after it lost an eighth, and still keeps more than half.
_RICH = 10
_FUNGIBLE = ("token", "custom", "standard")


def change_world(state: State, step: int) -> None:
    """Apply round ``step``. The same world, seed and step always give the same result."""
    # Not for secrets: the same seed must give the same world everywhere.
    dice = random.Random(digest_of("change", state.seed, step))
    with state.lock:
        state.advance(dice.randint(1_000, 1_400))
        for row in state.watched:
            for scope in row.runes or ("",):
                _change_account(state, row, scope, dice)
        for source in state.accounts:
            _transfer_one(state, source, dice)
            _refresh_some(state, source, dice)


def _change_account(state: State, row: WatchRow, scope: str, dice: random.Random) -> None:
    items = state.items(row.source, row.address, scope)
    if not items:
        return
    dice.shuffle(items)
    # Different ones are moved and removed, so that what is gone can be counted: see below.
    moved, removed = 1 + len(items) // 8, len(items) // 8 + (6 <= len(items) < 8)
    for item in items[:moved] if row.source != "okx_runes" or len(items) >= 4 else ():
        _move_amount(state, row, item, dice)
    for item in items[moved : moved + removed]:
        state.remove(row.source, row.address, item.key)
    for _ in range(1 + len(items) // 12):
        state.mint(row.source, row.address, index=len(items) + dice.randrange(64), scope=scope)
    _change_state(state, row, dice.choice(state.items(row.source, row.address, scope)))


def _move_amount(state: State, row: WatchRow, item: Item, dice: random.Random) -> None:
    """Up or down by up to a tenth; an output is spent and comes back as another one."""
    if not item.amount or item.amount < 20 or item.burnt:
        return
    tenth = max(1, item.amount // 10)
    amount = item.amount - dice.randint(1, tenth)
    amount += dice.randint(0, 2 * tenth) if item.amount < 2**62 else 0
    if row.source == "okx_runes":
        state.remove(row.source, row.address, item.key)
        fresh = state.mint(row.source, row.address, scope=item.asset_ref)
        state.update(row.source, row.address, fresh.key, amount=amount, listing=0)
    elif row.source == "loopring" or state.catalogue[row.source][item.asset_ref].kind in _FUNGIBLE:
        state.update(row.source, row.address, item.key, amount=amount, locked=min(item.locked, amount))


def _change_state(state: State, row: WatchRow, item: Item) -> None:
    """Something that moves nothing: a listing, a freeze, a lock."""
    if row.source == "okx_runes":
        state.update(row.source, row.address, item.key, listing=(item.listing + 1) % 3)
    elif row.source in ("algorand", "solana_das"):
        state.update(row.source, row.address, item.key, frozen=not item.frozen)
    elif row.source == "loopring":
        state.update(row.source, row.address, item.key, locked=0 if item.locked else (item.amount or 0) // 2)


def _transfer_one(state: State, source: str, dice: random.Random) -> None:
    """One item moves between two watched accounts, the richer to the next."""
    rows = [row for row in state.watched if row.source == source]
    rich = [row for row in rows if len(state.items(source, row.address)) >= _RICH]
    if not rich or len(rows) < 2:
        return
    sender = dice.choice(rich)
    receiver = dice.choice(
        [row for row in rows if row is not sender and state.items(source, row.address)] or rows[:1]
    )
    held = state.account(source, receiver.address).items
    items = [i for i in state.items(source, sender.address) if not i.burnt and _fits(held.get(i.key), i)]
    movable = [item for item in items if not receiver.runes or _is_spare(items, item, receiver)]
    if movable and receiver is not sender:
        state.transfer(source, sender.address, receiver.address, dice.choice(movable).key)


def _fits(held: Item | None, item: Item) -> bool:
    """Whether both amounts together are one that every chain can hold."""
    return held is None or (held.amount or 0) + (item.amount or 0) < 2**63


def _is_spare(items: list[Item], item: Item, receiver: WatchRow) -> bool:
    """Whether the receiver is watched for this rune and the sender keeps enough of it."""
    same = [other for other in items if other.asset_ref == item.asset_ref]
    return item.asset_ref in receiver.runes and len(same) >= _RICH


def _refresh_some(state: State, source: str, dice: random.Random) -> None:
    if source in ("solana_das", "loopring") and state.catalogue[source]:
        for reference in dice.sample(sorted(state.catalogue[source]), min(3, len(state.catalogue[source]))):
            state.refresh(source, reference)


def churn_world(state: State, share: float, step: int) -> int:
    """Change this share of every watched account's items and nothing else. Returns how many.

    Amounts move by one; what has no amount to move is replaced by another of its kind.
    """
    changed = 0
    with state.lock:
        state.advance()
        for row in state.watched:
            items = state.items(row.source, row.address)
            count = round(len(items) * share)
            for place in range(count):
                _churn_item(state, row, items[(place * len(items) // count + step) % len(items)])
            changed += count
    return changed


def _churn_item(state: State, row: WatchRow, item: Item) -> None:
    kind = state.catalogue[row.source][item.asset_ref].kind
    if item.amount and (row.source == "loopring" or kind in _FUNGIBLE):
        # The largest amount of a chain is odd, so this never leaves its range.
        state.set_amount(
            row.source, row.address, item.key, item.amount - 1 if item.amount % 2 else item.amount + 1
        )
        return
    state.remove(row.source, row.address, item.key)
    index = len(state.account(row.source, row.address).items) + item.number
    state.mint(
        row.source, row.address, index=index, scope=item.asset_ref if row.source == "okx_runes" else ""
    )
