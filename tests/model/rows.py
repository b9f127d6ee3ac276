"""What can be held at each source, and a row of it as its API words it."""

import hashlib
from collections.abc import Mapping, Sequence

import base58

from indexer.sources.solana_das_asset import rank
from tests.model.lists import Content, Key, Row

RUNES = ("840000:1", "840000:22")
DIVISIBILITY = {"840000:1": 2, "840000:22": 0}

_MINTS = sorted(
    (base58.b58encode(hashlib.sha256(b"mint %d" % number).digest()).decode() for number in range(12)),
    key=rank,
)

#: Everything that can be held at a watch of a source (and scope), in the order in which its API lists.
KEYS: Mapping[str, Sequence[Key]] = {
    "algorand": [(str(number), "") for number in range(101, 113)],
    "hedera": [(f"0.0.{token}", str(serial)) for token in (501, 502, 503) for serial in (1, 2, 3, 4)],
    "solana_das": [(mint, "") for mint in _MINTS],
    "okx_runes": [("", f"{number:064x}:{number % 3}") for number in range(1, 13)],
    "loopring": [(f"0x{number:064x}", "") for number in range(1, 13)],
}


def algorand_row(row: Row) -> dict[str, object]:
    if row.key is None:
        return {"asset-holding": {"amount": 1, "asset-id": "?", "is-frozen": False}}
    content = row.content or Content(None, frozen=False)
    holding = {"amount": content.amount, "asset-id": int(row.key[0]), "is-frozen": content.frozen}
    if row.content is None:
        return {"asset-holding": holding | {"amount": "many"}}
    if content.decimals is None:
        return {"asset-holding": holding}
    return {"asset-holding": holding, "asset-params": {"decimals": content.decimals, "total": 1}}


def hedera_row(account: str, row: Row) -> dict[str, object]:
    token, serial = row.key or ("0.0.500", "0")
    return {
        "account_id": account,
        "token_id": token,
        "serial_number": int(serial) if row.key else "?",
        "deleted": False if row.content or row.key is None else "?",
        "spender": row.content.delegate if row.content else None,
    }


def solana_row(owner: str, row: Row) -> dict[str, object]:
    content = row.content or Content(1)
    ownership = {"owner": owner, "ownership_model": "token", "frozen": content.frozen}
    return {
        "id": row.key[0] if row.key else "?",
        "burnt": False,
        "ownership": ownership | {"delegate": content.delegate},
        "token_info": {"balance": content.amount, "decimals": content.decimals},
    }


def loopring_row(account: int, row: Row) -> dict[str, object]:
    return {
        "accountId": account,
        "nftData": row.key[0] if row.key else "?",
        "total": str(row.content.amount) if row.content else "many",
        "locked": "0",
    }


def rune_row(rune: str, row: Row) -> dict[str, object]:
    """Amounts are display units: with the divisibility's fraction digits."""
    output = row.key[1] if row.key else "?:0"
    amount = row.content.amount if row.content else None
    digits = DIVISIBILITY[rune]
    whole = None if amount is None else f"{amount // 10**digits}.{amount % 10**digits:0{digits}d}"
    return {
        "tickerId": rune,
        "ownerAddress": row.address,
        "utxoTxHash": output.split(":")[0],
        "utxoVout": int(output.split(":")[1]),
        "amount": whole.rstrip(".") if whole and digits else str(amount) if amount is not None else "?",
    }
