"""Four APIs in memory, where the program has its HTTP client: they list a small world and may lie about it.

Every page is remembered by its bytes, so that the raw log says which rows a crawl was told.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qs, unquote

import base58

from indexer.client import Answer, Exchange
from indexer.records import Question, Request
from indexer.sources.base import Source
from indexer.sources.solana_das_asset import rank
from tests.model.oracle import Content, Key

#: source, address, scope
WatchKey = tuple[str, str, str]

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
}


#: Blocks between two rounds of crawls: more than pages are asked for in one.
BLOCKS = 100


@dataclass(frozen=True, slots=True)
class Row:
    """One listed item. No key: nobody can tell which holding it is. No content: it cannot be read."""

    key: Key | None
    content: Content | None
    #: Only where one list speaks of several addresses.
    address: str = ""


@dataclass(frozen=True, slots=True)
class Served:
    """What one answer said."""

    rows: tuple[Row, ...]
    height: int | None = None


@dataclass(frozen=True, slots=True)
class Lie:
    """How an API lists something else than the truth. Numbers are places in ``KEYS``."""

    hidden: frozenset[int] = frozenset()
    unreadable: frozenset[int] = frozenset()
    nameless: int = 0


@dataclass(frozen=True, slots=True)
class Trouble:
    """An answer that is no page: at which request of a list, and what comes instead."""

    request: int
    #: unavailable, nonsense or cursor_lost.
    kind: str


@dataclass
class World:
    """What is held where, and how the APIs tell it."""

    page_size: int = 4
    holdings: dict[WatchKey, dict[int, Content]] = field(default_factory=dict)
    lies: dict[WatchKey, Lie] = field(default_factory=dict)
    trouble: Trouble | None = None
    height: int = 1_000
    #: How many blocks behind the node is that answers.
    lag: int = 0
    #: The chain goes on while a list is paged.
    moving: bool = False
    served: dict[bytes, Served] = field(default_factory=dict)
    _asked: dict[str, int] = field(default_factory=dict)

    def begin_again(self, page_size: int) -> None:
        """A new world, of which nothing is known."""
        self.page_size = page_size
        self.holdings, self.lies, self.trouble, self.moving = {}, {}, None, False
        self.height, self.served = 1_000, {}

    def begin_round(self) -> None:
        """Another round of crawls begins."""
        self.height += BLOCKS
        self._asked.clear()

    def list_rows(self, watch: WatchKey) -> list[Row]:
        """What the API lists for a watch, in order; a nameless item comes first."""
        source, _, scope = watch
        lie = self.lies.get(watch, Lie())
        held = self.holdings.get(watch, {})
        named = [
            Row((KEYS[source][place][0] or scope, KEYS[source][place][1]), self._content(held, lie, place))
            for place in sorted(held.keys() - lie.hidden)
        ]
        return named + [Row(None, None)] * lie.nameless

    @staticmethod
    def _content(held: Mapping[int, Content], lie: Lie, place: int) -> Content | None:
        return None if place in lie.unreadable else held[place]

    def read_height(self, asker: str) -> int:
        """Chain height as the node sees it: it depends on nobody else who asks at the same time."""
        return self.height - self.lag + (self._asked[asker] if self.moving else 0)

    def next_trouble(self, asker: str) -> str | None:
        """What is wrong with the next answer to this asker, None: nothing."""
        self._asked[asker] = self._asked.get(asker, 0) + 1
        if self.trouble is not None and self.trouble.request == self._asked[asker]:
            return self.trouble.kind
        return None

    def tell(self, body: object, rows: Sequence[Row], height: int | None = None) -> bytes:
        """The bytes of a page, remembered."""
        data = json.dumps(body, separators=(",", ":")).encode()
        self.served[data] = Served(tuple(rows), height)
        return data

    def recall(self, body: bytes) -> Served:
        """What the page with these exact bytes said."""
        return self.served[body]


class _Lister(Protocol):
    """A method that lists."""

    def __call__(self, asker: str, after: str | None, /) -> bytes: ...


class ModelClient:
    """One API with the client in front of it: failures are read by the source itself, nothing is retried."""

    def __init__(self, world: World, source: Source) -> None:
        self._world = world
        self._reader = source
        self._source = source.name

    async def fetch(self, question: Question, request: Request, exchange: Exchange | None = None) -> Answer:
        """The answer to a request. Raises the error that the source reads in it."""
        path, _, query = request.target.partition("?")
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        status, body = self._answer(path, asked | {"call": request.body.decode()})
        if exchange is not None:
            exchange.requests += 1
        error = self._reader.read_error(question, status, body)
        if error is not None:
            raise error
        return Answer(status, body, 1)

    def _answer(self, path: str, asked: Mapping[str, str]) -> tuple[int, bytes]:
        match self._source:
            case "algorand":
                return self._guarded(path.split("/")[3], asked.get("next"), self._list_algorand)
            case "hedera":
                return self._guarded(path.split("/")[4], _hedera_after(asked), self._list_hedera)
            case "solana_das":
                call = json.loads(asked["call"])["params"]
                return self._guarded(call[0], call[5], self._list_solana)
        if path.endswith("/detail"):
            return 200, self._detail(asked["runesId"])
        addresses, after = asked["walletAddresses"], asked.get("cursor")
        return self._guarded(addresses + "|" + asked["runesId"], after, self._list_runes)

    def _guarded(self, asker: str, after: str | None, answer: _Lister) -> tuple[int, bytes]:
        kind = self._world.next_trouble(asker)
        if kind == "unavailable":
            return 503, b"{}"
        if kind == "nonsense":
            return 200, b"<html>"
        if kind == "cursor_lost" and after is not None:
            return 400, b'{"message":"cursor"}'
        return 200, answer(asker, after)

    def _page(self, rows: Sequence[Row], after: Key | None) -> tuple[list[Row], bool]:
        """The next rows, and whether more follow. Nameless ones stand on the first page."""
        order = {key: place for place, key in enumerate(KEYS[self._source])}
        named = [row for row in rows if row.key is not None]
        first = [row for row in rows if row.key is None] if after is None else []
        rest = [row for row in named if after is None or order[row.key or after] > order[after]]
        size = self._world.page_size
        return rest[:size] + first, len(rest) > size

    def _list_algorand(self, address: str, after: str | None) -> bytes:
        watch = ("algorand", address, "")
        rows, more = self._page(self._world.list_rows(watch), (after, "") if after else None)
        height = self._world.read_height(address)
        answer = {"asset-holdings": [_algorand_row(row) for row in rows], "round": height}
        if more:
            answer["next-token"] = _last_key(rows)[0]
        return self._world.tell(answer, rows, height)

    def _list_hedera(self, address: str, after: str | None) -> bytes:
        start = (after.split("/")[0], after.split("/")[1]) if after else None
        rows, more = self._page(self._world.list_rows(("hedera", address, "")), start)
        link = None
        if more:
            token, serial = _last_key(rows)
            link = f"/api/v1/accounts/{address}/nfts?limit=100&order=asc&token.id=gte:{token}"
            link += f"&serialnumber=gt:{serial}"
        answer = {"nfts": [_hedera_row(address, row) for row in rows], "links": {"next": link}}
        return self._world.tell(answer, rows)

    def _list_solana(self, owner: str, after: str | None) -> bytes:
        listed = self._world.list_rows(("solana_das", owner, ""))
        rows, _ = self._page(listed, (after, "") if after else None)
        if all(row.key is None for row in rows):
            rows = []  # with no id on a page nobody could go on from it
        items = [_solana_row(owner, row) for row in rows if row.key is None or row.content is not None]
        errors = [{"id": row.key[0], "error": "?"} for row in rows if row.key and row.content is None]
        result = {"total": len(rows), "limit": 1000, "items": items, "errors": errors}
        return self._world.tell({"jsonrpc": "2.0", "id": 1, "result": result}, rows)

    def _list_runes(self, asker: str, after: str | None) -> bytes:
        """One list over all asked addresses; the cursor names the last row, so that no row shifts."""
        addresses, _, rune = asker.partition("|")
        rows = [
            (f"{place:02}.{number:02}", Row(row.key, row.content, address))
            for place, address in enumerate(addresses.split(","))
            for number, row in self._number_rows(("okx_runes", address, rune))
        ]
        rest = [pair for pair in rows if after is None or pair[0] > after]
        page = rest[: self._world.page_size]
        cursor = page[-1][0] if len(rest) > len(page) else ""
        told = [row for _, row in page]
        data = {"cursor": cursor, "items": [_rune_row(rune, row) for row in told]}
        return self._world.tell({"code": 0, "data": data, "msg": ""}, told)

    def _number_rows(self, watch: WatchKey) -> list[tuple[int, Row]]:
        """Rows with their place among everything that can be held; nameless ones come after that."""
        order = [key[1] for key in KEYS["okx_runes"]]
        rows = self._world.list_rows(watch)
        nameless = [row for row in rows if row.key is None]
        return [(order.index(row.key[1]), row) for row in rows if row.key is not None] + [
            (50 + number, row) for number, row in enumerate(nameless)
        ]

    def _detail(self, rune: str) -> bytes:
        found = {"runesId": rune, "divisibility": DIVISIBILITY[rune], "name": "MODEL", "symbol": "M"}
        return json.dumps({"code": 0, "data": [found], "msg": ""}).encode()


def _last_key(rows: Sequence[Row]) -> Key:
    return [row.key for row in rows if row.key is not None][-1]


def _hedera_after(asked: Mapping[str, str]) -> str | None:
    if "token.id" not in asked:
        return None
    token = re.sub("^gte:", "", unquote(asked["token.id"]))
    return token + "/" + re.sub("^gt:", "", unquote(asked["serialnumber"]))


def _algorand_row(row: Row) -> dict[str, object]:
    if row.key is None:
        return {"asset-holding": {"amount": 1, "asset-id": "?", "is-frozen": False}}
    content = row.content or Content(None, frozen=False)
    holding = {"amount": content.amount, "asset-id": int(row.key[0]), "is-frozen": content.frozen}
    if row.content is None:
        return {"asset-holding": holding | {"amount": "many"}}
    if content.decimals is None:
        return {"asset-holding": holding}
    return {"asset-holding": holding, "asset-params": {"decimals": content.decimals, "total": 1}}


def _hedera_row(account: str, row: Row) -> dict[str, object]:
    token, serial = row.key or ("0.0.500", "0")
    return {
        "account_id": account,
        "token_id": token,
        "serial_number": int(serial) if row.key else "?",
        "deleted": False if row.content or row.key is None else "?",
        "spender": row.content.delegate if row.content else None,
    }


def _solana_row(owner: str, row: Row) -> dict[str, object]:
    content = row.content or Content(1)
    ownership = {"owner": owner, "ownership_model": "token", "frozen": content.frozen}
    return {
        "id": row.key[0] if row.key else "?",
        "burnt": False,
        "ownership": ownership | {"delegate": content.delegate},
        "token_info": {"balance": content.amount, "decimals": content.decimals},
    }


def _rune_row(rune: str, row: Row) -> dict[str, object]:
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
