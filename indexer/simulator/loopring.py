"""Loopring's relayer as it answered the account look-up and ``/api/v3/user/nft/balances``.

Offset paging over a list with the newest row first: limit 20, silently clamped to 50, totalNum
counts rows on every page with rows and is 0 past the end. Business errors are 400 + resultInfo.
"""

from functools import lru_cache
from typing import Any, Final

from indexer.simulator.addresses import ethereum_address
from indexer.simulator.positions import Description, Item, digest_of
from indexer.simulator.state import Account
from indexer.simulator.wire import Answer, Inquiry, Question, dump, json_answer
from indexer.simulator.world import World

_ACCOUNT: Final = "/api/v3/account"
_BALANCES: Final = "/api/v3/user/nft/balances"
_FIRST_SLOT: Final = 32_768


class Rejected(Exception):
    """The relayer refuses a request with one of its codes."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def ask(world: World, inquiry: Inquiry) -> Question:
    """What this request asks for. The cursor is the offset, '' for the first page."""
    if inquiry.path != _BALANCES:
        return Question((inquiry.first("owner").lower(),) if inquiry.path == _ACCOUNT else ())
    account = _by_number(world, inquiry.first("accountId"))
    address = account.address if account else inquiry.first("address").lower()
    offset = inquiry.first("offset")
    return Question((address,), "", "" if offset == "0" else offset, is_page=True)


def answer(world: World, inquiry: Inquiry) -> Answer:
    """What the relayer answers."""
    if inquiry.path not in (_ACCOUNT, _BALANCES) or inquiry.method != "GET":
        return Answer(404, b"", ())
    try:
        if inquiry.path == _ACCOUNT:
            return json_answer(200, _describe_account(_find_owner(world, inquiry.first("owner"))))
        _check_key(inquiry)
        return _page(world, inquiry, _find_account(world, inquiry))
    except Rejected as error:
        return json_answer(400, {"resultInfo": {"code": error.code, "message": str(error)}})


def _find_owner(world: World, owner: str) -> Account:
    account = world.find("loopring", owner)
    if account is None:
        raise Rejected(101002, "account not found")
    return account


def _describe_account(account: Account) -> dict[str, Any]:
    key = {axis: f"0x{digest_of(axis, account.address).hex()}" for axis in "xy"}
    return {
        "accountId": account.number,
        "owner": ethereum_address(bytes.fromhex(account.address[2:])),
        "frozen": False,
        "publicKey": key,
        "tags": "",
        "nonce": 1,
        "keyNonce": 1,
        "keySeed": "",
    }


def _check_key(inquiry: Inquiry) -> None:
    given = inquiry.headers.get("x-api-key", "")
    if not given:
        raise Rejected(104001, "empty ApiKey")
    if given != inquiry.secrets["api_key"]:
        raise Rejected(104002, "invalid ApiKey")


def _by_number(world: World, text: str) -> Account | None:
    accounts = world.accounts["loopring"].values()
    return next((account for account in accounts if str(account.number) == text), None)


def _find_account(world: World, inquiry: Inquiry) -> Account:
    account = _by_number(world, inquiry.first("accountId")) or world.find(
        "loopring", inquiry.first("address")
    )
    if account is None:
        raise Rejected(104003, "invalid account id")
    return account


def _whole(inquiry: Inquiry, name: str, default: int) -> int:
    text = inquiry.first(name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise Rejected(100001, f"invalid argument: {name}")
    return int(text)


def _flag(inquiry: Inquiry, name: str, default: str) -> bool:
    text = inquiry.first(name, default).lower()
    if text not in ("true", "false"):
        raise Rejected(100001, f"invalid argument: {name}")
    return text == "true"


def _page(world: World, inquiry: Inquiry, account: Account) -> Answer:
    offset = _whole(inquiry, "offset", 0)
    limit = inquiry.page_size(min(50, _whole(inquiry, "limit", 20) or 20))
    wanted = frozenset(part.strip().lower() for part in inquiry.first("nftDatas").split(",") if part)
    flags = _flag(inquiry, "nonZero", "true"), _flag(inquiry, "metadata", "false")
    key = ("loopring", account.address, account.version, offset, limit, flags, wanted)
    known: bytes | None = None if inquiry.hide else world.pages.get(key)
    if known is None:
        rows = _select(account, inquiry, flags[0], wanted)
        known = _render(world, account, rows, offset, limit, metadata=flags[1])
        if inquiry.hide is None:
            world.pages.keep(key, known, len(known))
    return Answer(200, known)


def _newest_first(item: Item) -> int:
    return -item.number


def _select(account: Account, inquiry: Inquiry, non_zero: bool, wanted: frozenset[str]) -> list[Item]:
    _, items = account.ordered("newest", _newest_first, inquiry.hide)
    return [i for i in items if (i.amount or not non_zero) and (not wanted or i.asset_ref in wanted)]


def _render(
    world: World, account: Account, rows: list[Item], offset: int, limit: int, *, metadata: bool
) -> bytes:
    """The page. Past the end the relayer forgets even its total."""
    chosen = rows[offset : offset + limit]
    data = []
    for item in chosen:
        asset = world.catalogue["loopring"][item.asset_ref]
        row = _row(account, asset, item)
        data.append(row | _described(asset, item) if metadata else row)
    return dump({"totalNum": len(rows) if chosen else 0, "data": data})


@lru_cache(maxsize=50_000)
def _contract(family: str) -> tuple[str, int]:
    """Token address and NFT id; some ids are short, as the relayer drops leading zeros."""
    raw = digest_of("contract", family)
    identifier = int.from_bytes(digest_of("nftId", family)[: 30 if raw[0] % 5 == 0 else 32], "big")
    return ethereum_address(digest_of("token", raw[1] % 12)), identifier


def _row(account: Account, asset: Description, item: Item) -> dict[str, Any]:
    token, identifier = _contract(asset.family)
    return {
        "accountId": account.number,
        # A storage slot: the item's while it is held, used again by somebody else afterwards. No key.
        "tokenId": _FIRST_SLOT + item.number % _FIRST_SLOT,
        "nftData": asset.asset_ref,
        "tokenAddress": token if item.number % 3 else token.lower(),
        "nftId": f"0x{identifier:x}",
        "nftType": "ERC721" if item.amount == 1 else "ERC1155",
        "total": str(item.amount),
        "locked": str(item.locked),
        "pending": {"withdraw": str(item.number % 2), "deposit": "0"},
        "deploymentStatus": "DEPLOYED" if item.number % 4 else "NOT_DEPLOYED",
        "isCounterFactualNFT": True,
        "id": item.number,
    }


def _described(asset: Description, item: Item) -> dict[str, Any]:
    """What ``metadata=true`` adds; while the relayer still fetches a file, parts are missing."""
    token, identifier = _contract(asset.family)
    extra: dict[str, Any] = {
        "minter": ethereum_address(digest_of("minter", asset.family)).lower(),
        "royaltyPercentage": 5 if item.number % 2 else 0,
        "preference": {"favourite": False, "hide": False},
        "updatedAt": 1_650_000_000_000 + item.number * 1000 + asset.revision,
    }
    if item.number % 7 == 0:
        return extra
    base = {} if item.number % 7 == 1 else _base(asset)
    metadata: dict[str, Any] = {
        "uri": f"ipfs://metadata/{asset.asset_ref[2:18]}",
        "base": base,
        "imageSize": {"240-240": "", "332-332": "", "original": ""},
        "extra": {"imageData": "", "externalUrl": "", "attributes": '[{"trait_type":"Tide","value":"Low"}]'},
        "status": 1,
        "nftType": 1,
        "network": 0,
        "tokenAddress": token.lower(),
        # The relayer's own slip: decimal digits behind 0x.
        "nftId": f"0x{identifier}",
    }
    return extra | {"metadata": metadata, "collectionInfo": None}


def _base(asset: Description) -> dict[str, Any]:
    return {
        "name": asset.name,
        "decimals": -1,
        "description": f"Edition {asset.revision}",
        "image": f"ipfs://image/{asset.asset_ref[2:18]}",
        "properties": "{}",
        "localization": "",
        "createdAt": 1_650_000_000_000,
        "updatedAt": 1_650_000_000_000 + asset.revision,
    }
