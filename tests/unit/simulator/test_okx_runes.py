"""OKX's gateway: signatures over the received target, cursors that outlive the list, display units."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.simulator.minting import RUNES
from indexer.simulator.okx_runes import display
from indexer.simulator.wire import Switches
from indexer.simulator.world import World
from tests.unit.simulator.asking import OKX_PATH, ask, okx, read, sign, walk_okx


def _base_units(text: str, divisibility: int) -> Decimal:
    with localcontext() as context:
        context.prec = 120
        return Decimal(text).scaleb(divisibility)


@settings(max_examples=20)
@given(counts=st.lists(st.integers(0, 25), min_size=1, max_size=3), limit=st.integers(1, 12))
def test_cursors_lead_through_the_rows_of_all_addresses(counts: list[int], limit: int) -> None:
    """Several addresses are one list; each output appears once, with its owner and exact amount."""
    world = World.build(1, {"okx_runes": counts})
    addresses = [row.address for row in world.watchlist()]

    rows = walk_okx(world, RUNES[0], ",".join(addresses), limit)

    for address in addresses:
        shown = {
            (f"{row['utxoTxHash']}:{row['utxoVout']}", _base_units(row["amount"], 5))
            for row in rows
            if row["ownerAddress"] == address
        }
        held = world.truth("okx_runes", address)
        assert shown == {(position.sub_key, Decimal(position.amount or 0)) for position in held}
    assert len(rows) == sum(counts)


def test_a_short_page_still_has_a_cursor_and_the_end_has_none() -> None:
    """Neither a short page nor a cursor tells about the end: only a page without rows does."""
    world = World.build(1, {"okx_runes": [3, 0]})
    full, empty = (row.address for row in world.watchlist())

    first = read(okx(world, f"runesId={RUNES[0]}&walletAddresses={full}&limit=100"))
    last = read(okx(world, f"runesId={RUNES[0]}&walletAddresses={empty}"))

    assert len(first["data"]["items"]) == 3
    assert first["data"]["cursor"]
    assert last == {"code": 0, "data": {"cursor": "", "items": []}, "msg": ""}


@given(amount=st.integers(0, 2**128 - 1), divisibility=st.integers(0, 38))
def test_display_units_are_exact_and_plain(amount: int, divisibility: int) -> None:
    """No digit is lost and no exponent is written."""
    text = display(amount, divisibility)

    assert _base_units(text, divisibility) == amount
    assert set(text) <= set("0123456789.")


@pytest.mark.parametrize(
    ("changed", "missing", "code"),
    [
        ({}, "ok-access-key", "50116"),
        ({"key": "wrong"}, "", "50111"),
        ({}, "ok-access-passphrase", "50104"),
        ({"passphrase": "wrong"}, "", "50105"),
        ({}, "ok-access-timestamp", "50107"),
        ({"timestamp": "yesterday"}, "", "50112"),
        ({"timestamp": (datetime.now(UTC) - timedelta(minutes=2)).isoformat()}, "", "50102"),
        ({}, "ok-access-sign", "50106"),
        ({"secret": "wrong"}, "", "50113"),
        ({"key": "wrong", "passphrase": "wrong", "timestamp": "x"}, "", "50111"),
    ],
)
def test_authentication_is_checked_in_order(changed: dict[str, str], missing: str, code: str) -> None:
    """Key, passphrase, timestamp, sign: the first that fails is the one named, with a text code."""
    headers = sign(f"/okx_runes{OKX_PATH}", **changed)
    headers.pop(missing, None)

    answer = ask(World(1), "okx_runes", OKX_PATH, headers=headers)

    assert (answer.status, read(answer)["code"]) == (401, code)


def test_the_signature_covers_the_target_as_sent() -> None:
    """Signing a decoded query and sending an encoded one is refused."""
    world = World.build(1, {"okx_runes": [1]})
    sent = f"{OKX_PATH}?runesId=840000%3A3&walletAddresses={world.watchlist()[0].address}"

    wrong = ask(world, "okx_runes", sent, headers=sign("/okx_runes" + sent.replace("%3A", ":")))
    right = ask(world, "okx_runes", sent, headers=sign("/okx_runes" + sent))

    assert (wrong.status, right.status) == (401, 200)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("walletAddresses=a", 400, "50014"),
        ("runesId=1:1&walletAddresses=a&limit=101", 200, "83001"),
        (f"runesId=1:1&walletAddresses={','.join('a' * 21)}", 200, "83001"),
        ("runesId=1:1&walletAddresses=a&cursor=%21", 200, "83001"),
    ],
)
def test_bad_parameters_are_refused(query: str, status: int, code: str) -> None:
    """Some of OKX's errors come with HTTP 200."""
    answer = okx(World(1), query)

    assert (answer.status, read(answer)["code"]) == (status, code)


def test_nothing_owned_may_also_be_an_error_code() -> None:
    """With the switch, an empty list is 83000 instead of no items."""
    answer = okx(World(1), "runesId=1:1&walletAddresses=a", Switches(okx_not_found=True))

    assert (answer.status, read(answer)["code"]) == (200, "83000")


def test_the_documented_spelling_is_not_served() -> None:
    """Only OKX's own typo is a route."""
    path = OKX_PATH.replace("asserts", "assets")

    assert ask(World(1), "okx_runes", path, headers=sign(f"/okx_runes{path}")).status == 404


def test_detail_states_the_divisibility() -> None:
    """Rows have none; the look-up answers a list with one entry for each rune asked."""
    path = "/api/v5/mktplace/nft/runes/detail?runesId=840000:3,841012:7"

    data = read(ask(World(1), "okx_runes", path, headers=sign(f"/okx_runes{path}")))["data"]

    assert [(rune["runesId"], rune["divisibility"]) for rune in data] == [("840000:3", 5), ("841012:7", 38)]
