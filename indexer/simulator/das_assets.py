"""One asset as a DAS server describes it, for each kind of asset and each revision of the server.

Optional fields are left out, not null. Order of links and files changes from round to round,
as a hash map's does.
"""

from functools import lru_cache
from typing import Any, Final

import base58

from indexer.simulator.positions import Description, Item, digest_of
from indexer.simulator.wire import Switches

_INTERFACES: Final = {
    "nft": "V1_NFT",
    "programmable": "ProgrammableNFT",
    "compressed": "V1_NFT",
    "core": "MplCoreAsset",
    "collection": "MplCoreCollection",
    "token": "FungibleToken",
    "custom": "Custom",
}
_STANDARDS: Final = {"nft": "NonFungible", "programmable": "ProgrammableNonFungible", "token": "Fungible"}
_PROGRAM: Final = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"


@lru_cache(maxsize=100_000)
def _key(*words: object) -> str:
    return base58.b58encode(digest_of(*words)).decode()


def render_asset(
    asset: Description, item: Item, owner: str, height: int, switches: Switches
) -> dict[str, Any]:
    """The item of ``items`` for this holding."""
    result: dict[str, Any] = {"interface": _INTERFACES[asset.kind], "id": asset.asset_ref}
    # A mint without metadata has no content at all.
    if asset.kind != "custom" or item.number % 2:
        result["content"] = _content(asset, height)
    result |= {
        "authorities": [{"address": _key("authority", asset.family), "scopes": ["full"]}],
        "compression": _compression(asset),
        "grouping": _grouping(asset),
        "royalty": _royalty(),
        "creators": [],
        "ownership": _ownership(asset, item, owner),
    }
    if asset.kind in ("nft", "programmable", "compressed"):
        result["supply"] = {"print_max_supply": 0, "print_current_supply": 0, "edition_nonce": None}
    elif switches.das_nulls:
        result["supply"] = None
    result |= {"mutable": True, "burnt": item.burnt}
    if asset.kind in ("nft", "programmable", "token", "custom") and switches.das_revision != "M":
        result["token_info"] = _token_info(asset, item)
    elif asset.kind in ("core", "collection"):
        result |= {"plugins": {}, "mpl_core_info": {"plugins_json_version": 1}, "external_plugins": []}
    return result


def _content(asset: Description, height: int) -> dict[str, Any]:
    links = {
        "image": f"https://images.example/{asset.asset_ref[:8]}.png",
        "external_url": "https://shop.example",
    }
    if height % 2:
        links = dict(reversed(links.items()))
    fetched = asset.revision > 0 or asset.family != "0"
    metadata: dict[str, Any] = {"name": asset.name, "symbol": asset.symbol}
    if asset.kind in _STANDARDS:
        metadata["token_standard"] = _STANDARDS[asset.kind]
    if fetched:
        metadata |= {"description": _text(asset), "attributes": _attributes(asset)}
    return {
        "$schema": "https://schema.metaplex.com/nft1.0.json",
        "json_uri": f"https://metadata.example/{asset.asset_ref[:8]}.json" if asset.kind != "custom" else "",
        "files": [{"uri": links["image"], "mime": "image/png"}] if fetched else [],
        "metadata": metadata,
        # Until the off-chain file is fetched there are no links.
        "links": links if fetched else {},
    }


def _text(asset: Description) -> str:
    """Some descriptions hold what PostgreSQL's text cannot: NUL and a lone surrogate."""
    awkward = "nul \x00 and half a sign \ud83d" if asset.asset_ref[-1] in "abc" else "plain"
    return f"{awkward}, told {asset.revision} times"


def _attributes(asset: Description) -> Any:
    if asset.asset_ref[-2] in "xyz":
        return {"Tide": "low", "Wind": 3}
    return [{"trait_type": "Tide", "value": "high"}, {"value": 7}]


def _compression(asset: Description) -> dict[str, Any]:
    compressed = asset.kind == "compressed"
    names = ("data_hash", "creator_hash", "asset_hash", "tree")
    hashes = {name: _key(name, asset.family) if compressed else "" for name in names}
    numbers = (
        {"seq": 1 + asset.revision, "leaf_id": len(asset.name)} if compressed else {"seq": 0, "leaf_id": 0}
    )
    return {"eligible": False, "compressed": compressed, **hashes, **numbers}


def _grouping(asset: Description) -> list[dict[str, Any]]:
    if asset.kind in ("token", "custom", "collection"):
        return []
    return [{"group_key": "collection", "group_value": _key("collection", asset.family)}]


def _royalty() -> dict[str, Any]:
    return {
        "royalty_model": "creators",
        "target": None,
        "percent": 0.05,
        "basis_points": 500,
        "primary_sale_happened": False,
        "locked": False,
    }


def _ownership(asset: Description, item: Item, owner: str) -> dict[str, Any]:
    return {
        "frozen": item.frozen,
        "delegated": item.delegate is not None,
        "delegate": item.delegate,
        "ownership_model": "token" if asset.kind in ("token", "custom") else "single",
        "owner": owner,
    }


def _token_info(asset: Description, item: Item) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "supply": 1 if asset.kind in ("nft", "programmable") else 2**64 - 1,
        "decimals": asset.decimals,
        "token_program": _PROGRAM,
    }
    if item.amount is None:
        return fields
    return fields | {
        "balance": item.amount,
        "associated_token_address": _key("token account", asset.asset_ref),
    }
