"""Makes the items of each source, and the assets they are items of, from numbers alone.

Deterministic: the same seed and numbers give the same item. Built for speed, since benchmarks
make worlds of a million items.
"""

from typing import Final

import base58

from indexer.simulator.positions import Description, Item, Kind, digest_of, number_of

LARGEST_64: Final = 2**64 - 1
LARGEST_96: Final = 2**96 - 1
LARGEST_128: Final = 2**128 - 1
#: The field Loopring's hashes live in: every nftData is below it.
FIELD: Final = 21888242871839275222246405745257275088548364400416034343698204186575808495617

RUNES: Final = ("840000:3", "845764:84", "841012:7")

_RUNE_FACTS: Final = {
    "840000:3": ("DOG•GO•TO•THE•MOON", "🐕", 5),
    "845764:84": ("SMALL•ORANGE•PEBBLES", "🪨", 0),
    "841012:7": ("LONG•FRACTION•COIN", "🧮", 38),
}
_WORDS: Final = ("Amber", "Birch", "Cobalt", "Dune", "Ember", "Fjord", "Grove", "Harbor")
_SIGNS: Final = ("🌊", "🦊", "👩‍🚀", "★", "", "<&>", "ünï", "🇮🇸")
_KINDS: Final[tuple[Kind, ...]] = (
    "compressed",
    "token",
    "nft",
    "core",
    "programmable",
    "token",
    "compressed",
    "custom",
)


def mint(source: str, seed: int, index: int, number: int, scope: str = "") -> tuple[Item, Description]:
    """The ``index``-th item of an account, the ``number``-th that ever arrived at this source.

    Amounts and shared assets follow the index, so two accounts can hold the same asset.
    """
    return _MINTS[source](seed, index, number, scope or RUNES[0])


def describe_rune(rune: str) -> Description:
    """What is known of a rune; unknown ids get plausible facts."""
    name, symbol, decimals = _RUNE_FACTS.get(rune, (f"RUNE•{rune.replace(':', '•')}", "¤", 2))
    return Description(rune, "rune", name, symbol, decimals)


def _amount(seed: int, index: int, largest: int) -> int:
    """Mostly small, sometimes the largest there is: every account of six items has one."""
    return largest if index % 97 == 5 else 1 + number_of("amount", seed, index) % 10**12


def _name(index: int) -> str:
    return f"{_WORDS[index % 8]} {_SIGNS[index // 8 % 8]}{index}"


def _mint_rune(seed: int, index: int, number: int, rune: str) -> tuple[Item, Description]:
    # The output's key follows the number: an output exists once on the whole chain.
    key = f"{digest_of('utxo', seed, number).hex()}:{number % 3}"
    amount = _amount(seed, index, LARGEST_128)
    return Item(rune, key, amount, number, listing=(0, 0, 1, 0, 2)[index % 5]), describe_rune(rune)


def _mint_algorand(seed: int, index: int, number: int, _scope: str) -> tuple[Item, Description]:
    identifier = 31_566_704 + 7 * index + index % 5
    deleted = index % 41 == 17
    amount = 0 if deleted or index % 13 == 4 else _amount(seed, index, LARGEST_64)
    asset = Description(
        str(identifier), "standard", _name(index)[:24], f"A{index % 1000}", index % 20, deleted=deleted
    )
    return Item(str(identifier), "", amount, number, frozen=index % 11 == 3), asset


def _mint_loopring(seed: int, index: int, number: int, _scope: str) -> tuple[Item, Description]:
    reference = f"0x{int.from_bytes(digest_of('nft', seed, index), 'big') % FIELD:064x}"
    amount = 0 if index % 17 == 9 else _amount(seed, index, LARGEST_96)
    # Every tenth shares contract and id with its neighbour: minted twice, with another royalty.
    family = str(index - 1 if index % 10 == 7 else index)
    asset = Description(reference, "nft", _name(index), "", 0, family=f"{seed}:{family}")
    return Item(reference, "", amount, number, locked=amount // 4 if index % 6 == 1 else 0), asset


def _mint_hedera(seed: int, index: int, number: int, _scope: str) -> tuple[Item, Description]:
    # Serials are unique on the chain, so token and serial follow the number.
    collection, serial = divmod(number, 40)
    token = f"0.0.{5000 + collection * 3}"
    largest = 2**63 - 1 - number if index % 97 == 5 else serial + 1
    spender = f"0.0.{7000 + seed % 10}" if index % 9 == 4 else None
    asset = Description(
        token, "nft", f"{_WORDS[collection % 8]} Club", f"CLUB{collection}", 0, deleted=collection % 7 == 1
    )
    return Item(token, str(largest), 1, number, delegate=spender), asset


def _mint_solana(seed: int, index: int, number: int, _scope: str) -> tuple[Item, Description]:
    kind: Kind = "collection" if index % 29 == 11 else _KINDS[index % 8]
    fungible = kind in ("token", "custom")
    # A mint is shared between its owners; everything else exists once.
    raw = digest_of("mint", seed, index) if fungible else digest_of("single", seed, number)
    reference = base58.b58encode(raw).decode()
    amount = _amount(seed, index, LARGEST_64) if fungible else 1
    item = Item(
        reference, "", None if kind == "custom" and index % 32 == 31 else amount, number,
        frozen=kind == "programmable", delegate=_delegate(seed, index), burnt=index % 16 == 6,
    )  # fmt: skip
    asset = Description(
        reference, kind, _name(index), f"S{index % 500}", index % 10 if fungible else 0, family=str(index % 3)
    )
    return item, asset


def _delegate(seed: int, index: int) -> str | None:
    return base58.b58encode(digest_of("delegate", seed, index)).decode() if index % 10 == 4 else None


_MINTS: Final = {
    "okx_runes": _mint_rune,
    "solana_das": _mint_solana,
    "algorand": _mint_algorand,
    "loopring": _mint_loopring,
    "hedera": _mint_hedera,
}
