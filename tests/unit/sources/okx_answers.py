"""Questions to OKX and answers in its shape, for the tests of `okx_runes`. Asserts nothing."""

import json
from typing import Any

from indexer.records import Cursor, Facts, Question
from indexer.sources.okx_runes import OkxRunes

SOURCE = OkxRunes()
RUNE = "845764:84"
FACTS: Facts = {f"divisibility:{RUNE}": "5"}
TAPROOT = "bc1par4yzy4l0rpm42ndvvszm6u2zyrtqcaasgccz9sh5r0rar8lqgpqmqlppa"
KEY_HASH = "bc1qamjh73a7ha7vaqne8uhskvzpsejn6lrqldm28v"
SCRIPT_HASH = "bc1qrn6tudf4vjm8fmzmxr5can0hpalw0h60phl0j4dlyqn9v85gmmkqnxnkex"
LEGACY = "1Jvf1kFieaUA4iCu5xfQxdNcora2C3xRCx"
NESTED = "34uBXbXdMxb7f4UkpeoCAouaCdNQfvEdJU"
TRANSACTION = "5c" * 32


def question(
    *addresses: str, cursor: Cursor | None = None, facts: Facts = FACTS, rune: str = RUNE
) -> Question:
    return Question(addresses=addresses or (TAPROOT,), scope=rune, cursor=cursor, facts=facts)


def row(index: int = 0, **changes: Any) -> dict[str, Any]:
    """One unlisted output as OKX lists it."""
    item: dict[str, Any] = {
        "amount": "1.5",
        "assetId": "41170283305518221",
        "chain": 0,
        "confirmations": None,
        "inscriptionNum": "",
        "listTime": None,
        "name": "QUIET•PAPER•LANTERN",
        "orderId": None,
        "ownerAddress": TAPROOT,
        "status": 0,
        "symbol": "🏮",
        "ticker": "QUIET•PAPER•LANTERN",
        "tickerIcon": "https://static.example.com/lantern.png",
        "tickerId": RUNE,
        "tickerType": 4,
        "totalPrice": None,
        "txHash": "",
        "unavailable": None,
        "unitPrice": None,
        "utxoTxHash": TRANSACTION,
        "utxoValue": "546",
        "utxoVout": index,
    }
    return {**item, **changes}


def listing(items: list[Any], cursor: object = "", code: object = 0) -> bytes:
    return json.dumps({"code": code, "data": {"cursor": cursor, "items": items}, "msg": ""}).encode()


def detail(**changes: object) -> bytes:
    rune = {"runesId": RUNE, "divisibility": 5, "name": "QUIET•PAPER•LANTERN", "symbol": "🏮"}
    rune |= {"marketData": {"holders": 4821}, "maxMintNumber": "1900000000", **changes}
    return json.dumps({"code": 0, "data": [rune], "msg": ""}).encode()
