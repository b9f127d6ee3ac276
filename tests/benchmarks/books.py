"""What the benchmark's accounts hold, and the answers that list it: bytes, the same for every contender.

Rows are rendered by hand in the API's own key order, because a million of them is made per run. Every round
changes 1 % of each account: amounts at Algorand, one serial for another at Hedera.
"""

import base64
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final

from indexer.simulator.addresses import make_address

#: One holding in this many changes per round.
CHANGED_IN: Final = 100

#: Coprime to CHANGED_IN: each round changes other holdings.
_ROUND_STEP: Final = 37
_ACCOUNT_STEP: Final = 11


@dataclass(frozen=True, slots=True)
class Book:
    """Accounts of one shape (``algorand`` or ``hedera``), each with the same number of holdings."""

    shape: str
    accounts: int
    holdings: int

    @property
    def page_size(self) -> int:
        """Rows per page: the most the API gives."""
        return {"algorand": 1000, "hedera": 100}[self.shape]

    @property
    def pages_per_account(self) -> int:
        """Requests one account takes. A mirror node's full page has a link, even where nothing follows."""
        if self.shape == "hedera":
            return self.holdings // self.page_size + 1
        return max(1, -(-self.holdings // self.page_size))

    @property
    def total(self) -> int:
        """Holdings of all accounts."""
        return self.accounts * self.holdings

    def addresses(self) -> tuple[str, ...]:
        """The accounts, in the form the API knows them."""
        return tuple(make_address(self.shape, 1, index) for index in range(self.accounts))

    def watchlist(self) -> str:
        """The accounts as a watchlist file for `indexer`, in CSV."""
        rows = "".join(f"{self.shape},{address}\n" for address in self.addresses())
        return "source,address\n" + rows

    def first_targets(self) -> tuple[str, ...]:
        """What is asked first of each account."""
        make = _FIRST_TARGET[self.shape]
        return tuple(make(address) for address in self.addresses())


@dataclass(frozen=True, slots=True)
class PageKey:
    """Which page of which account."""

    account: int
    #: From 0.
    page: int


def generation(round_number: int, account: int, position: int) -> int:
    """How often this holding has changed up to this round."""
    start = position + _ACCOUNT_STEP * account
    return sum((start + _ROUND_STEP * number) % CHANGED_IN == 0 for number in range(1, round_number + 1))


class Answers:
    """The answers of one round. Bodies are rendered when asked for; `everything` renders them all.

    ``height`` is the chain's, which every Algorand page states: it grows though no holding changes.
    """

    def __init__(self, book: Book, round_number: int, height: int = 50_000_000) -> None:
        self._book = book
        self._round = round_number
        self._height = height
        self._addresses = book.addresses()
        self._shape: _Shape = _SHAPES[book.shape](book)
        self.index: Mapping[str, PageKey] = MappingProxyType(dict(self._find_targets()))

    def _find_targets(self) -> Iterator[tuple[str, PageKey]]:
        for account, first in enumerate(self._book.first_targets()):
            yield first, PageKey(account, 0)
            for page in range(1, self._book.pages_per_account):
                yield self._next_target(account, page), PageKey(account, page)

    def _next_target(self, account: int, page: int) -> str:
        edge = page * self._book.page_size - 1
        changed = generation(self._round, account, edge)
        return self._shape.next_target(self._addresses[account], account, edge, changed)

    def body(self, key: PageKey) -> bytes:
        """One page as the API sends it."""
        size, account = self._book.page_size, key.account
        positions = range(key.page * size, min((key.page + 1) * size, self._book.holdings))
        address = self._addresses[account]
        rows = ",".join(
            self._shape.row(address, account, position, generation(self._round, account, position))
            for position in positions
        )
        more = key.page + 1 < self._book.pages_per_account
        following = self._next_target(account, key.page + 1) if more else None
        return self._shape.page(rows, following, self._height).encode()

    def everything(self) -> dict[str, bytes]:
        """Every body by its target."""
        return {target: self.body(key) for target, key in self.index.items()}


class _Algorand:
    """Pages of 1000 with the description of every asset, as a node from v4.6 on gives them."""

    def __init__(self, book: Book) -> None:
        self._held = [
            sorted(random.Random(account).sample(range(max(20_000, book.holdings)), book.holdings))
            for account in range(book.accounts)
        ]

    def _asset(self, account: int, position: int) -> int:
        return 10_000_000 + 13 * self._held[account][position]

    def row(self, _address: str, account: int, position: int, changed: int) -> str:
        asset = self._asset(account, position)
        amount = 1_000_003 * (position + 1) + account + changed
        return (
            f'{{"asset-holding":{{"amount":{amount},"asset-id":{asset},"is-frozen":false}},'
            f'"asset-params":{_describe_asset(asset)}}}'
        )

    def next_target(self, address: str, account: int, edge: int, _changed: int) -> str:
        return f"/v2/accounts/{address}/assets?limit=1000&next={self._asset(account, edge)}"

    def page(self, rows: str, following: str | None, height: int) -> str:
        token = "" if following is None else f'"next-token":"{following.rpartition("=")[2]}",'
        return f'{{"asset-holdings":[{rows}],{token}"round":{height}}}\n'


@cache
def _describe_asset(asset: int) -> str:
    name, unit, url = f"Asset number {asset}", f"A{asset % 1_000_000}", f"https://example.org/a/{asset}"
    creator = make_address("algorand", 2, asset % 500)
    return (
        f'{{"clawback":"{creator}","creator":"{creator}","decimals":{asset % 10},"default-frozen":false,'
        f'"freeze":"{creator}","manager":"{creator}","name":"{name}","name-b64":"{_base64(name)}",'
        f'"reserve":"{creator}","total":{10**15},"unit-name":"{unit}","unit-name-b64":"{_base64(unit)}",'
        f'"url":"{url}","url-b64":"{_base64(url)}"}}'
    )


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class _Hedera:
    """Pages of 100 NFTs; a changed position holds another serial of the same token."""

    _SERIALS_PER_TOKEN: Final = 50

    def __init__(self, book: Book) -> None:
        tokens = -(-book.holdings // self._SERIALS_PER_TOKEN)
        self._tokens = [
            sorted(random.Random(account).sample(range(max(500, tokens)), tokens))
            for account in range(book.accounts)
        ]

    def _key(self, account: int, position: int, changed: int) -> tuple[str, int]:
        token = self._tokens[account][position // self._SERIALS_PER_TOKEN]
        place = position % self._SERIALS_PER_TOKEN
        return f"0.0.{2_000_000 + token}", (account * self._SERIALS_PER_TOKEN + place) * 1000 + changed + 1

    def row(self, address: str, account: int, position: int, changed: int) -> str:
        token, serial = self._key(account, position, changed)
        stamp = f"{1_600_000_000 + position + changed}.{serial:09d}"
        return (
            f'{{"account_id":"{address}","created_timestamp":"{stamp}","delegating_spender":null,'
            f'"deleted":false,"metadata":"{_base64(f"ipfs://bafybeih/{token}/{serial}.json")}",'
            f'"modified_timestamp":"{stamp}","serial_number":{serial},"spender":null,"token_id":"{token}"}}'
        )

    def next_target(self, address: str, account: int, edge: int, changed: int) -> str:
        token, serial = self._key(account, edge, changed)
        query = f"limit=100&order=asc&token.id=gte:{token}&serialnumber=gt:{serial}"
        return f"/api/v1/accounts/{address}/nfts?{query}"

    def page(self, rows: str, following: str | None, _height: int) -> str:
        link = "null" if following is None else f'"{following}"'
        return f'{{"nfts":[{rows}],"links":{{"next":{link}}}}}'


_Shape = _Algorand | _Hedera
_SHAPES: Final[Mapping[str, Callable[[Book], _Shape]]] = MappingProxyType(
    {"algorand": _Algorand, "hedera": _Hedera}
)
_FIRST_TARGET: Final[Mapping[str, Callable[[str], str]]] = MappingProxyType(
    {
        "algorand": lambda address: f"/v2/accounts/{address}/assets?limit=1000",
        "hedera": lambda address: f"/api/v1/accounts/{address}/nfts?limit=100&order=asc",
    }
)
