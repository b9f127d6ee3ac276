"""Questions to Loopring and answers in its shape, for the tests of `loopring`. Asserts nothing."""

import json
from typing import Any

from indexer.records import Cursor, Facts, Question
from indexer.sources.loopring import Loopring

SOURCE = Loopring()
ADDRESS = "0x8fb9f291c97f2739bf34ed665d2ea9b39a2ae1ed"
CHECKSUMMED = "0x8fB9f291C97f2739bF34ED665d2ea9B39A2AE1eD"
ACCOUNT = 48213
FACTS: Facts = {f"account:{ADDRESS}": str(ACCOUNT)}
TOKEN = "0x51b0b6ee7e1b9b1e0a0b3f4f0d5a1c2e3f405162"
LARGEST = 2**96 - 1


def question(cursor: str | None = None, facts: Facts = FACTS) -> Question:
    return Question((ADDRESS,), cursor=Cursor(cursor) if cursor else None, facts=facts)


def row(number: int = 1, **changes: Any) -> dict[str, Any]:
    """One NFT balance as Loopring lists it with metadata."""
    item: dict[str, Any] = {
        "id": 900000 + number,
        "accountId": ACCOUNT,
        "tokenId": 32768 + number,
        "nftData": f"0x{number:064x}",
        "tokenAddress": TOKEN,
        "nftId": f"0x{number + 4096:x}",
        "nftType": "ERC1155",
        "total": "10",
        "locked": "0",
        "pending": {"withdraw": "0", "deposit": "0"},
        "deploymentStatus": "DEPLOYED",
        "isCounterFactualNFT": True,
        "metadata": {
            "uri": "ipfs://QmLantern",
            "base": {"name": "Paper lantern", "decimals": -1, "image": "ipfs://QmImage"},
            "nftType": 1,
            "nftId": f"0x{number + 4096}",
        },
        "minter": "0x7c41a6d1b0c9d8e7f6a5b4c3d2e1f00112233445",
        "royaltyPercentage": 5,
        "preference": {"favourite": False, "hide": False},
        "collectionInfo": {"id": 61, "name": "Lanterns"},
        "updatedAt": 1690000200000,
    }
    return {**item, **changes}


def listing(items: list[Any], total: object) -> bytes:
    return json.dumps({"totalNum": total, "data": items}).encode()


def failure(code: object, message: str = "said") -> bytes:
    return json.dumps({"resultInfo": {"code": code, "message": message}}).encode()
