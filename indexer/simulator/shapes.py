"""Where each API keeps its rows, cursor, keys and totals: what faults need to bend an answer."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from indexer.simulator.wire import Answer, dump

Path = tuple[str, ...]
#: ``"@raw(NaN)"`` becomes the bare word: JSON text that no encoder would write.
_RAW: Final = re.compile(rb'"@raw\(([^)]*)\)"')


@dataclass(frozen=True, slots=True)
class Shape:
    """The places in one API's answer."""

    rows: Path
    #: Inside a row: what tells which holding it is.
    key: Path
    #: Inside a row: what a reader must be able to read (an NFT without an amount has a flag).
    amount: Path
    total: Path | None
    #: Amounts are text.
    textual: bool
    #: Turn the answer into the end of the list.
    finish: Callable[[dict[str, Any]], None]
    #: Make the answer point back to where this request came from.
    repeat: Callable[[dict[str, Any], str, str], None] | None


def read(answer: Answer) -> Any:
    """The answer's JSON as objects that may be changed."""
    return json.loads(answer.body)


def write(answer: Answer, document: Any) -> Answer:
    """The answer with another body."""
    return Answer(answer.status, _RAW.sub(rb"\1", dump(document)), answer.headers)


def raw(text: str) -> str:
    """A marker that ``write`` turns into this bare text."""
    return f"@raw({text})"


def get(document: Any, path: Path) -> Any:
    """The value at a path."""
    for name in path:
        document = document[name]
    return document


def put(document: Any, path: Path, value: Any) -> None:
    """Replace the value at a path."""
    get(document, path[:-1])[path[-1]] = value


def drop(document: Any, path: Path) -> None:
    """Take the value at a path away."""
    get(document, path[:-1]).pop(path[-1], None)


def _finish_okx(document: dict[str, Any]) -> None:
    document["data"] = {"cursor": "", "items": []}


def _repeat_okx(document: dict[str, Any], cursor: str, _target: str) -> None:
    document["data"]["cursor"] = cursor or "MQ=="


def _finish_das(document: dict[str, Any]) -> None:
    document["result"] |= {"total": 0, "items": []}
    document["result"].pop("cursor", None)


def _finish_algorand(document: dict[str, Any]) -> None:
    document["asset-holdings"] = []
    document.pop("next-token", None)


def _repeat_algorand(document: dict[str, Any], cursor: str, _target: str) -> None:
    document["next-token"] = cursor or "0"


def _finish_loopring(document: dict[str, Any]) -> None:
    document |= {"totalNum": 0, "data": []}


def _finish_hedera(document: dict[str, Any]) -> None:
    document |= {"nfts": [], "links": {"next": None}}


def _repeat_hedera(document: dict[str, Any], _cursor: str, target: str) -> None:
    document["links"]["next"] = target


#: The two without ``repeat`` give no cursor of their own: they loop by giving the same rows again.
SHAPES: Final = {
    "okx_runes": Shape(("data", "items"), ("utxoTxHash",), ("amount",), None, True, _finish_okx, _repeat_okx),
    "solana_das": Shape(
        ("result", "items"), ("id",), ("token_info", "balance"), ("result", "total"), False, _finish_das, None
    ),
    "algorand": Shape(
        ("asset-holdings",),
        ("asset-holding", "asset-id"),
        ("asset-holding", "amount"),
        None,
        False,
        _finish_algorand,
        _repeat_algorand,
    ),
    "loopring": Shape(("data",), ("nftData",), ("total",), ("totalNum",), True, _finish_loopring, None),
    "hedera": Shape(("nfts",), ("token_id",), ("deleted",), None, False, _finish_hedera, _repeat_hedera),
}
