"""A Singer tap: the holdings as SCHEMA, RECORD and STATE messages on stdout, for target-postgres."""

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import requests  # type: ignore[import-untyped,unused-ignore]

Record = dict[str, Any]

_TEXT: Final = {"type": ["string", "null"]}
_NUMBER: Final = {"type": ["integer", "null"]}
_SCHEMA: Final[Record] = {
    "type": "SCHEMA",
    "stream": "holdings",
    "key_properties": ["address", "asset", "serial"],
    "schema": {
        "type": "object",
        "properties": {
            "address": {"type": "string"},
            "asset": {"type": "string"},
            "serial": {"type": "string"},
            "amount": _NUMBER,
            "decimals": _NUMBER,
            "name": _TEXT,
            "frozen": {"type": ["boolean", "null"]},
            "spender": _TEXT,
            "metadata": _TEXT,
            "modified": _TEXT,
        },
    },
}


def fetch_algorand(session: requests.Session, base_url: str, address: str) -> Iterator[Record]:
    """Every asset of an account."""
    parameters = {"limit": "1000"}
    while True:
        answer = session.get(f"{base_url}/v2/accounts/{address}/assets", params=parameters).json()
        for row in answer["asset-holdings"]:
            holding, asset = row["asset-holding"], row["asset-params"]
            yield {
                "address": address,
                "asset": str(holding["asset-id"]),
                "serial": "",
                "amount": holding["amount"],
                "decimals": asset["decimals"],
                "name": asset["name"],
                "frozen": holding["is-frozen"],
            }
        if "next-token" not in answer:
            return
        parameters["next"] = answer["next-token"]


def fetch_hedera(session: requests.Session, base_url: str, address: str) -> Iterator[Record]:
    """Every NFT of an account."""
    target: str | None = f"/api/v1/accounts/{address}/nfts?limit=100&order=asc"
    while target:
        answer = session.get(base_url + target).json()
        for row in answer["nfts"]:
            yield {
                "address": address,
                "asset": row["token_id"],
                "serial": str(row["serial_number"]),
                "amount": 1,
                "decimals": 0,
                "spender": row["spender"],
                "metadata": row["metadata"],
                "modified": row["modified_timestamp"],
            }
        target = answer["links"]["next"]


def main() -> None:
    """Write every account's records, four accounts fetched at a time."""
    given = json.loads(sys.argv[1])
    fetch = {"algorand": fetch_algorand, "hedera": fetch_hedera}[given["shape"]]
    addresses = Path(given["addresses"]).read_text(encoding="utf-8").split()
    session = requests.Session()
    write = sys.stdout.write
    write(json.dumps(_SCHEMA) + "\n")
    with ThreadPoolExecutor(4) as pool:
        for records in pool.map(lambda a: list(fetch(session, given["base_url"], a)), addresses):
            for record in records:
                write(json.dumps({"type": "RECORD", "stream": "holdings", "record": record}) + "\n")
    write(json.dumps({"type": "STATE", "value": {}}) + "\n")


if __name__ == "__main__":
    main()
