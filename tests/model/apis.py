"""Five APIs in memory, where the program has its HTTP client: they list a small world and may lie about it.

Every page is remembered by its bytes, so that the raw log says which rows a crawl was told.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qs, unquote

from indexer.client import Answer, Exchange
from indexer.records import Question, Request
from indexer.sources.base import Source
from tests.model import rows as wording
from tests.model.lists import Content, Key, Row, Served
from tests.model.rows import DIVISIBILITY, KEYS
from tests.model.weather import DRIFTS, FAIR, Lie, Weather, repeat, repeat_at_edges, shift

#: source, address, scope
WatchKey = tuple[str, str, str]

#: Blocks between two rounds of crawls: more than pages are asked for in one.
BLOCKS = 100


@dataclass
class World:
    """What is held where, and how the APIs tell it."""

    page_size: int = 4
    holdings: dict[WatchKey, dict[int, Content]] = field(default_factory=dict)
    lies: dict[WatchKey, Lie] = field(default_factory=dict)
    weather: Weather = FAIR
    height: int = 1_000
    served: dict[bytes, Served] = field(default_factory=dict)
    _asked: dict[str, int] = field(default_factory=dict)

    def begin_again(self, page_size: int) -> None:
        """A new world, of which nothing is known."""
        self.page_size = page_size
        self.holdings, self.lies, self.weather = {}, {}, FAIR
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
        weather, asked = self.weather, self._asked[asker]
        behind = weather.lag + self.is_other_node("algorand", asker, "heights")
        return self.height - behind + (asked if weather.moving else 0)

    def drifts(self, source: str) -> str:
        """How the lists of this source move."""
        drift, kinds = self.weather.drift, DRIFTS[source]
        return kinds[drift.kind % len(kinds)] if drift and kinds else ""

    def is_other_node(self, source: str, asker: str, kind: str) -> bool:
        """Whether another node answers, where nodes differ in this."""
        drift, asked = self.weather.drift, self._asked[asker]
        return (
            drift is not None
            and self.drifts(source) == kind != ""
            and asked % 2 == 0
            and asked <= drift.turns
        )

    def next_trouble(self, asker: str) -> str | None:
        """What is wrong with the next answer to this asker, None: nothing."""
        self._asked[asker] = self._asked.get(asker, 0) + 1
        trouble = self.weather.trouble
        if trouble is not None and trouble.request == self._asked[asker]:
            return trouble.kind
        return None

    def tell(self, body: object, served: Served) -> bytes:
        """The bytes of a page, remembered."""
        data = json.dumps(body, separators=(",", ":")).encode()
        self.served[data] = served
        return data

    def recall(self, body: bytes) -> Served:
        """What the page with these exact bytes said."""
        return self.served[body]


#: Behind the cursor of a page that comes again.
_ONCE_MORE = "!"


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
            case "loopring":
                return self._answer_loopring(asked)
        return self._answer_runes(path, asked)

    def _answer_loopring(self, asked: Mapping[str, str]) -> tuple[int, bytes]:
        if "owner" in asked:
            return self._find_account(asked["owner"])
        after = None if asked["offset"] == "0" else asked["offset"]
        return self._guarded(asked["accountId"], after, self._list_loopring)

    def _answer_runes(self, path: str, asked: Mapping[str, str]) -> tuple[int, bytes]:
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
        before = named[: len(named) - len(rest)]
        return repeat(self._world.drifts(self._source), before) + rest[:size] + first, len(rest) > size

    def _list_algorand(self, address: str, after: str | None) -> bytes:
        watch = ("algorand", address, "")
        rows, more = self._page(self._world.list_rows(watch), (after, "") if after else None)
        height = self._world.read_height(address)
        answer = {"asset-holdings": [wording.algorand_row(row) for row in rows], "round": height}
        if more:
            answer["next-token"] = _last_key(rows)[0]
        return self._world.tell(answer, Served(tuple(rows), height))

    def _list_hedera(self, address: str, after: str | None) -> bytes:
        start = (after.split("/")[0], after.split("/")[1]) if after else None
        rows, more = self._page(self._world.list_rows(("hedera", address, "")), start)
        link = None
        if more:
            token, serial = _last_key(rows)
            link = f"/api/v1/accounts/{address}/nfts?limit=100&order=asc&token.id=gte:{token}"
            link += f"&serialnumber=gt:{serial}"
        answer = {"nfts": [wording.hedera_row(address, row) for row in rows], "links": {"next": link}}
        return self._world.tell(answer, Served(tuple(rows)))

    def _list_solana(self, owner: str, after: str | None) -> bytes:
        listed = self._world.list_rows(("solana_das", owner, ""))
        rows, _ = self._page(listed, (after, "") if after else None)
        if all(row.key is None for row in rows):
            rows = []  # with no id on a page nobody could go on from it
        items = [wording.solana_row(owner, row) for row in rows if row.key is None or row.content is not None]
        errors = [{"id": row.key[0], "error": "?"} for row in rows if row.key and row.content is None]
        result = {"total": len(rows), "limit": 1000, "items": items, "errors": errors}
        return self._world.tell({"jsonrpc": "2.0", "id": 1, "result": result}, Served(tuple(rows)))

    def _list_runes(self, asker: str, after: str | None) -> bytes:
        """One list over all asked addresses; the cursor names the last row, so that no row shifts."""
        addresses, _, rune = asker.partition("|")
        rows = [
            (f"{place:02}.{number:02}", Row(row.key, row.content, address))
            for place, address in enumerate(addresses.split(","))
            for number, row in self._number_rows(("okx_runes", address, rune))
        ]
        told, cursor = self._page_runes(rows, after)
        data = {"cursor": cursor, "items": [wording.rune_row(rune, row) for row in told]}
        return self._world.tell({"code": 0, "data": data, "msg": ""}, Served(tuple(told)))

    def _page_runes(self, rows: Sequence[tuple[str, Row]], after: str | None) -> tuple[list[Row], str]:
        """The next rows, and the cursor behind them; at last a page may come again as a whole."""
        before = [row for place, row in rows if after is not None and place <= after.rstrip(_ONCE_MORE)]
        rest, size = rows[len(before) :], self._world.page_size
        if after is not None and after.endswith(_ONCE_MORE):
            return before[-size:], ""
        page = [row for _, row in rest[:size]]
        cursor = rest[size - 1][0] if len(rest) > size else ""
        if not cursor and page and self._world.drifts("okx_runes") == "page":
            cursor = rest[-1][0] + _ONCE_MORE
        return repeat(self._world.drifts(self._source), before) + page, cursor

    def _number_rows(self, watch: WatchKey) -> list[tuple[int, Row]]:
        """Rows with their place among everything that can be held; nameless ones come after that."""
        order = [key[1] for key in KEYS["okx_runes"]]
        rows = self._world.list_rows(watch)
        nameless = [row for row in rows if row.key is None]
        return [(order.index(row.key[1]), row) for row in rows if row.key is not None] + [
            (50 + number, row) for number, row in enumerate(nameless)
        ]

    def _find_account(self, owner: str) -> tuple[int, bytes]:
        """Who holds nothing has no account."""
        if not self._world.list_rows(("loopring", owner, "")):
            missing = {"resultInfo": {"code": 101002, "message": "user not found"}}
            return 400, self._world.tell(missing, Served(()))
        return 200, json.dumps({"owner": owner, "accountId": _number_account(owner)}).encode()

    def _list_loopring(self, account: str, after: str | None) -> bytes:
        """Paged by offset, so that rows shift when others come or go before them."""
        owners = [address for source, address, _ in self._world.holdings if source == "loopring"]
        (owner,) = {one for one in owners if str(_number_account(one)) == account}
        kind = self._world.drifts("loopring")
        listed = self._world.list_rows(("loopring", owner, ""))
        rows = shift(kind, listed, other=self._world.is_other_node("loopring", account, kind))
        rows = repeat_at_edges(kind, rows, self._world.page_size)
        start = int(after or 0)
        page = rows[start : start + self._world.page_size]
        held = tuple(row for row in page if row.content is None or row.content.amount != 0)
        total = len(rows) if page else 0
        answer = {"totalNum": total, "data": [wording.loopring_row(int(account), row) for row in page]}
        return self._world.tell(
            answer, Served(held, total=total if page else None, empty_rows=len(page) - len(held))
        )

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


def _number_account(owner: str) -> int:
    """The account number of an address."""
    return int(owner[2:9], 16) + 1
