"""The mirror node's account NFTs: two-part keyset, clamped limits, links as cursors."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.simulator.wire import Switches
from indexer.simulator.world import World
from tests.unit.simulator.asking import ask, read


def _path(world: World, query: str = "") -> str:
    return f"/api/v1/accounts/{world.watchlist()[0].address}/nfts{query}"


def _walk(world: World, first: str) -> tuple[list[tuple[int, int]], int]:
    found, pages, target = [], 0, first
    while target:
        page = read(ask(world, "hedera", target))
        found += [(int(row["token_id"][4:]), row["serial_number"]) for row in page["nfts"]]
        target, pages = page["links"]["next"], pages + 1
    return found, pages


@settings(max_examples=30)
@given(count=st.integers(0, 90), limit=st.integers(1, 30), order=st.sampled_from(["asc", "desc", "DESC"]))
def test_links_lead_through_every_row_in_order(count: int, limit: int, order: str) -> None:
    """Either order shows each serial once; an exact multiple costs one empty page more."""
    world = World.build(1, {"hedera": [count]})

    found, pages = _walk(world, _path(world, f"?limit={limit}&order={order}"))

    held = world.truth("hedera", world.watchlist()[0].address)
    keys = [(int(position.asset_ref[4:]), int(position.sub_key)) for position in held]
    assert found == sorted(keys, reverse=order.lower() == "desc")
    assert pages == count // limit + 1


def test_the_link_is_relative_and_keeps_the_callers_parameters() -> None:
    """The next bound is appended with bare colons; what the caller asked stays in front."""
    world = World.build(1, {"hedera": [5]})

    page = ask(world, "hedera", _path(world, "?limit=2&order=desc"))
    last = read(page)["nfts"][-1]

    bound = f"token.id=lte:{last['token_id']}&serialnumber=lt:{last['serial_number']}"
    assert read(page)["links"]["next"] == _path(world, f"?limit=2&order=desc&{bound}")
    assert ("Link", f'<{read(page)["links"]["next"]}>; rel="next"') in page.headers


def test_a_limit_above_one_hundred_is_clamped_without_a_word() -> None:
    """Asking for 1000 gives 100 and a link."""
    world = World.build(1, {"hedera": [130]})

    page = read(ask(world, "hedera", _path(world, "?limit=1000")))

    assert len(page["nfts"]) == 100
    assert page["links"]["next"]


@pytest.mark.parametrize("prefix", ["1.0.", "0.7.", "5.7."])
def test_nobody_is_in_another_shard_or_realm(prefix: str) -> None:
    """An empty list, not an error, and not the account of the same number."""
    world = World.build(1, {"hedera": [5]})
    number = world.watchlist()[0].address.removeprefix("0.0.")

    answer = ask(world, "hedera", f"/api/v1/accounts/{prefix}{number}/nfts")

    assert (answer.status, read(answer)["nfts"]) == (200, [])


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("?timestamp=1", "Unknown query parameter: timestamp"),
        ("?limit=0", "Invalid parameter: limit"),
        ("?limit=", "Invalid parameter: limit"),
        ("?order=up", "Invalid parameter: order"),
        ("?serialnumber=1", "serialnumber without a token.id parameter filter"),
        ("?token.id=gte:5&serialnumber=lt:2", "token.id must have lte or eq operator"),
        ("?token.id=lte:5&serialnumber=gt:2", "token.id must have gte or eq operator"),
        ("?token.id=ne:5", "Not equal (ne) operator is not supported for token.id"),
        ("?token.id=5&token.id=6", "Only one equal (eq) operator is allowed for token.id"),
        ("?token.id=gt:5&token.id=gte:6", "Only one gt/gte operator is allowed for token.id"),
        ("?token.id=5&token.id=gte:6", "Can't support both range and equal for token.id"),
        ("?token.id=5&serialnumber=0", "Invalid parameter: serialnumber"),
    ],
)
def test_refuses_what_the_node_refuses(query: str, message: str) -> None:
    """Unknown and contradictory parameters are errors, never ignored."""
    world = World.build(1, {"hedera": [3]})

    answer = ask(world, "hedera", _path(world, query))

    assert (answer.status, read(answer)["_status"]["messages"][0]["message"]) == (400, message)


@pytest.mark.parametrize(
    ("identifier", "status"),
    [
        ("0.0.9", 200),
        ("9", 200),
        ("0x" + "0" * 39 + "9", 200),
        ("0x" + "ab" * 20, 404),
        ("A" * 52, 404),
        ("0.0.1001-abcde", 400),
        ("a" * 52, 400),
    ],
)
def test_unknown_accounts_answer_by_the_form_of_their_id(identifier: str, status: int) -> None:
    """A number nobody has is simply empty; an alias nobody has is not found."""
    assert ask(World(1), "hedera", f"/api/v1/accounts/{identifier}/nfts").status == status


def test_evm_address_shows_the_same_rows_as_the_entity_id() -> None:
    """Every form of an id leads to one account, whatever the case of its hex digits."""
    world = World.build(1, {"hedera": [5]})
    evm = next(iter(world.aliases))

    by_evm = read(ask(world, "hedera", f"/api/v1/accounts/0x{evm.upper()}/nfts"))

    assert by_evm == read(ask(world, "hedera", _path(world)))


def test_serials_beyond_double_precision_are_exact() -> None:
    """A serial near 2^63 is a bare integer and can be paged past."""
    world = World.build(1, {"hedera": [8]})

    found, _ = _walk(world, _path(world, "?limit=1"))

    assert max(serial for _, serial in found) > 2**62


def test_pages_can_be_shrunk_below_what_was_asked() -> None:
    """Tests get many pages from small accounts."""
    world = World.build(1, {"hedera": [10]})

    page = read(ask(world, "hedera", _path(world, "?limit=100"), switches=Switches({"hedera": 4})))

    assert len(page["nfts"]) == 4
    assert page["links"]["next"]
