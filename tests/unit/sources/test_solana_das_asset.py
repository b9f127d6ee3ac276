"""Solana DAS: one asset in every shape seen, from pNFTs to spam whose metadata is anything."""

import hashlib
import json
from decimal import Decimal
from typing import Any

import base58
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import BadPage
from indexer.records import Holding, Page, Question
from indexer.sources.solana_das import SolanaDas

SOURCE = SolanaDas("/v3")


def key(seed: str) -> str:
    return base58.b58encode(hashlib.sha256(seed.encode()).digest()).decode()


OWNER = key("owner")
IDS = sorted((key(f"id {number}") for number in range(6)), key=base58.b58decode)
QUESTION = Question((OWNER,))


def item(asset_id: object = IDS[1], **other: object) -> dict[str, Any]:
    owned = {
        "frozen": False,
        "delegated": False,
        "delegate": None,
        "ownership_model": "single",
        "owner": OWNER,
    }
    return {"interface": "V1_NFT", "id": asset_id, "ownership": owned, "burnt": False} | other


def token(**info: object) -> dict[str, Any]:
    made = item(interface="FungibleToken", token_info=info)
    made["ownership"]["ownership_model"] = "token"
    return made


def answer(items: list[Any], **other: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "result": {"items": items, **other}, "id": 1}).encode()


def parse(*items: Any, question: Question = QUESTION) -> Page:
    return SOURCE.parse(question, answer(list(items)))


def held(one: dict[str, Any]) -> Holding:
    (holding,) = parse(one).holdings
    return holding


def test_a_single_asset_is_one_nft() -> None:
    """What changes by itself is no detail of it, nor what only some servers tell."""
    one = item(token_info={"balance": 1, "decimals": 0, "associated_token_address": OWNER, "supply": 1})
    one["ownership"] |= {"frozen": True, "delegate": IDS[5], "delegated": True, "non_transferable": True}

    holding = held(one)

    assert (holding.amount, holding.decimals, holding.frozen, holding.delegate) == (1, 0, True, IDS[5])
    assert json.loads(holding.details) == {"non_transferable": True}


@given(balance=st.integers(0, 2**64 - 1), decimals=st.integers(0, 255))
def test_balances_are_exact(balance: int, decimals: int) -> None:
    """Every balance a token account can have comes back as it was, above 2^53 too."""
    holding = held(token(balance=balance, decimals=decimals))

    assert (holding.amount, holding.decimals) == (balance, decimals)


@pytest.mark.parametrize("info", [{"decimals": 6}, {"decimals": 6, "balance": None}])
def test_a_token_without_balance_is_held_in_an_unknown_amount(info: dict[str, object]) -> None:
    """Unknown is neither 0 nor 1, and the item is readable."""
    holding = held(token(**info))

    assert (holding.amount, holding.decimals) == (None, 6)


@pytest.mark.parametrize(
    "damaged",
    [
        token(balance=2**64),
        token(balance="5"),
        token(balance=True),
        token(balance=1, decimals=256),
        token(balance=1, decimals="6"),
        item(ownership=None),
        item(ownership={}),
        item(ownership={"ownership_model": "shared", "owner": OWNER}),
        item(ownership={"ownership_model": "single", "owner": 7}),
        item(token_info=[]),
        item(burnt="no"),
    ],
)
def test_a_damaged_item_is_unreadable_with_its_key(damaged: dict[str, Any]) -> None:
    """The asset id is known, so exactly its old version is carried."""
    page = parse(damaged, item(IDS[2]))

    assert [(u.address, u.asset_ref) for u in page.unreadable] == [(OWNER, IDS[1])]
    assert [h.asset_ref for h in page.holdings] == [IDS[2]]


def test_a_burnt_asset_is_counted_and_not_held() -> None:
    """It keeps its owner and its supply, yet nobody holds it; it still carries the walk forward."""
    page = parse(item(IDS[1], burnt=True))

    assert (page.holdings, page.unreadable, page.not_held) == ((), (), 1)
    assert page.next_cursor == f"after:{IDS[1]}"


@pytest.mark.parametrize("owner", ["", None])
def test_an_owner_left_out_is_ours(owner: str | None) -> None:
    """Revisions write "" or nothing; a differing owner means another list."""
    one = item()
    one["ownership"]["owner"] = owner
    assert held(one).address == OWNER

    one["ownership"]["owner"] = IDS[5]
    with pytest.raises(BadPage, match="another owner"):
        parse(one)


def test_metadata_is_the_same_for_every_owner_and_every_call() -> None:
    """What belongs to the owner is left out, and the order a hash map gave says nothing."""
    files = [{"uri": "b"}, {"uri": "a"}]
    group = [{"group_key": "group", "group_value": "g"}, {"group_key": "collection", "group_value": "c"}]
    one = item(content={"files": files, "metadata": {"name": "N"}}, grouping=group, compression={"seq": 1})
    same = item(content={"files": files[::-1], "metadata": {"name": "N"}}, grouping=group[::-1])
    same |= {"compression": {"seq": 2}, "token_info": {"balance": 1, "associated_token_address": OWNER}}
    one |= {"token_info": {"price_info": {"price_per_token": 1.5}}}
    same["ownership"]["frozen"] = True

    assert parse(one).assets == parse(same).assets
    assert json.loads(parse(one).assets[0].metadata)["content"]["files"] == files[::-1]


@pytest.mark.parametrize(
    ("named", "info", "symbol", "name"),
    [
        ({"name": "N", "symbol": "S"}, {}, "S", "N"),
        ({"name": 7, "symbol": []}, {"symbol": "T"}, "T", None),
        ({"name": "", "symbol": ""}, {}, None, None),
        (None, {"symbol": "T"}, "T", None),
        ("processing", {}, None, None),
    ],
)
def test_names_of_any_type(named: object, info: dict[str, str], symbol: str | None, name: str | None) -> None:
    """Off-chain metadata is whatever its author wrote: what is no text is no name."""
    (asset,) = parse(item(content={"metadata": named}, token_info=info)).assets

    assert (asset.symbol, asset.name) == (symbol, name)


@pytest.mark.parametrize(
    ("literal", "price"),
    [
        ("0.00337451", Decimal("0.00337451")),
        ("3", Decimal(3)),
        ("1e-9", Decimal("1e-9")),
        ("NaN", None),
        ("1e400", None),
        ("1e99999999999999999999", None),
        ("-1.5", None),
        ("0", None),
        ("0.0", None),
        ("true", None),
        ("0." + "1" * 60, None),
    ],
)
def test_a_market_price_is_exact_or_left_out(literal: str, price: Decimal | None) -> None:
    """The text of the number is kept to the last digit; what cannot be a price fails nothing."""
    one = token(balance=5, price_info={"price_per_token": "@@", "currency": "USDC"})

    page = SOURCE.parse(QUESTION, answer([one]).replace(b'"@@"', literal.encode()))

    assert [(p.kind, p.currency, p.price) for p in page.prices] == (
        [("market", "usdc", price)] if price else []
    )
    assert len(page.holdings) == 1


def test_a_server_that_tells_no_balances_lists_no_fungibles() -> None:
    """Beside others of the same provider that do: what its list leaves out is not sold."""
    told = item(IDS[1], token_info={"balance": 1, "decimals": 0})
    silent, core = item(IDS[2], token_info={"decimals": 0}), item(IDS[3], interface="MplCoreAsset")
    compressed = item(IDS[4], compression={"compressed": True})
    fungible = item(IDS[5], token_info={"decimals": 0})
    fungible["ownership"]["ownership_model"] = "token"

    assert parse(told, silent).facts["balances"] == "told"
    assert parse(told, silent).lacks == frozenset()
    assert parse(silent, core, compressed).lacks == {"balances"}
    assert "balances" not in parse(silent).facts
    assert parse(core, compressed, fungible).lacks == frozenset()
    assert parse().lacks == frozenset()
