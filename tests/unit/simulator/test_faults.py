"""Each fault does what its name says, to the requests it is meant for, as often as it was told."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import base58
import httpx
import pytest

from indexer.simulator import Fault, Simulator, World
from indexer.simulator.answer_faults import BAD_AMOUNTS
from indexer.simulator.faults import ANSWER_KINDS, FaultBook, kinds_of
from indexer.simulator.positions import SOURCES
from indexer.simulator.wire import Question
from tests.unit.simulator.asking import sign

#: Kinds that only show on a later page.
_LATER = {
    *("expired_cursor", "duplicate_page", "repeated_edge", "repeated_cursor", "alternating_cursors"),
    "bigger_page",
}


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """One account of twelve per source, in pages of four."""
    world = World.build(1, dict.fromkeys(SOURCES, (12,)))
    with Simulator(world, limits=dict.fromkeys(SOURCES), max_page=dict.fromkeys(SOURCES, 4)) as running:
        yield running


def _ask(sim: Simulator, source: str, page: int = 1) -> httpx.Response:
    """Page 1 or 2 of the only account of a source."""
    address = next(row.address for row in sim.world.watchlist() if row.source == source)
    base = sim.base_url(source)
    # Loading certificates would take most of the time, and loopback needs none.
    with httpx.Client(timeout=5, verify=False) as client:
        if source == "solana_das":
            return client.post(f"{base}/{sim.secrets[source]['api_key']}", content=_das(sim, address, page))
        target, headers = _target(sim, source, address, page)
        return client.get(f"http://127.0.0.1:{sim.port}/{source}{target}", headers=headers)


def _das(sim: Simulator, owner: str, page: int) -> bytes:
    ids = sorted((item.asset_ref for item in sim.world.items("solana_das", owner)), key=base58.b58decode)
    after = ids[3] if page == 2 else None
    parameters: list[Any] = [owner, {"sortBy": "id", "sortDirection": "asc"}, 4, None, None, after]
    parameters.append({"showFungible": True})
    call = {"jsonrpc": "2.0", "id": 1, "method": "getAssetsByOwner", "params": parameters}
    return json.dumps(call).encode()


def _target(sim: Simulator, source: str, address: str, page: int) -> tuple[str, dict[str, str]]:
    second = {"algorand": "&next=31566709", "loopring": "&offset=4", "okx_runes": "&cursor=NA%3D%3D"}
    second["hedera"] = "&token.id=lte:0.0.5000&serialnumber=lt:5"
    paths = {
        "algorand": f"/v2/accounts/{address}/assets?limit=1000",
        "loopring": "/api/v3/user/nft/balances?accountId=10001&limit=50&metadata=true",
        "hedera": f"/api/v1/accounts/{address}/nfts?limit=100",
        "okx_runes": "/api/v5/mktplace/nft/runes/get-owned-asserts"
        f"?runesId=840000%3A3&walletAddresses={address}&limit=100",
    }
    target = paths[source] + (second[source] if page == 2 else "")
    headers = {"X-API-KEY": sim.secrets["loopring"]["api_key"]} if source == "loopring" else {}
    return target, sign(f"/okx_runes{target}") if source == "okx_runes" else headers


@pytest.mark.parametrize(
    ("source", "kind"),
    [(source, kind) for source in SOURCES for kind in kinds_of(source) if kind in ANSWER_KINDS],
)
def test_every_kind_changes_the_answer_once(sim: Simulator, source: str, kind: str) -> None:
    """An answer with the fault differs from one without; afterwards everything is as before."""
    page = 2 if kind in _LATER else 1
    honest = _ask(sim, source, page)
    _ask(sim, source)

    sim.faults.add(Fault(source, kind))
    struck = _ask(sim, source, page)
    after = _ask(sim, source, page)

    assert (struck.status_code, struck.content) != (honest.status_code, honest.content)
    assert after.content == honest.content
    assert [fault.kind for fault in sim.faults.struck] == [kind]
    assert [entry.fault for entry in sim.log if entry.fault] == [kind]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("bad", sorted(BAD_AMOUNTS))
def test_one_item_becomes_unreadable_and_the_others_stay(sim: Simulator, source: str, bad: str) -> None:
    """Exactly one row differs from the honest page."""
    honest = _ask(sim, source).text
    sim.faults.add(Fault(source, "item_error", value=bad))

    struck = _ask(sim, source).text

    assert struck != honest
    if bad == "nan":
        assert "NaN" in struck or "errors" in struck


def test_status_uses_the_documented_body_unless_one_is_given(sim: Simulator) -> None:
    """Refusals look as the API's own."""
    sim.faults.add(Fault("okx_runes", "status", status=429, headers=(("Retry-After", "7"),)))
    documented = _ask(sim, "okx_runes")
    sim.faults.add(Fault("okx_runes", "status", status=418, body=b"tea"))
    own = _ask(sim, "okx_runes")

    assert (documented.status_code, documented.json()["code"]) == (429, "50011")
    assert documented.headers["retry-after"] == "7"
    assert (own.status_code, own.content) == (418, b"tea")


@pytest.mark.parametrize("kind", ["reset_mid_body", "short_body", "no_answer"])
def test_broken_connections_break(sim: Simulator, kind: str) -> None:
    """The client sees a transport error, and the next request succeeds."""
    sim.faults.add(Fault("algorand", kind))

    with pytest.raises(httpx.TransportError):
        _ask(sim, "algorand")

    assert _ask(sim, "algorand").status_code == 200


@pytest.mark.parametrize(("kind", "enough"), [("hang", 1), ("slow_drip", 3), ("endless_body", 2**20)])
def test_answers_without_an_end_leave_the_server_well(sim: Simulator, kind: str, enough: int) -> None:
    """A client that gives up frees its place, and the others never noticed."""
    sim.faults.add(Fault("algorand", kind))

    with httpx.Client(timeout=0.3) as client:
        received = _read_some(client, _algorand(sim), enough)

    assert (received >= enough) == (kind != "hang")
    assert _ask(sim, "algorand").status_code == 200


def _algorand(sim: Simulator) -> str:
    address = next(row.address for row in sim.world.watchlist() if row.source == "algorand")
    return f"{sim.base_url('algorand')}/v2/accounts/{address}/assets"


def _read_some(client: httpx.Client, url: str, enough: int) -> int:
    """How many bytes came before enough had come or the time was up."""
    received = 0
    with contextlib.suppress(httpx.TimeoutException), client.stream("GET", url) as answer:
        for chunk in answer.iter_raw():
            received += len(chunk)
            if received >= enough:
                break
    return received


def test_a_small_bomb_becomes_large(sim: Simulator) -> None:
    """Two thousandths of the bytes on the wire, all of them zeros."""
    sim.faults.add(Fault("algorand", "gzip_bomb", value=8))
    wire = inflated = 0

    with httpx.stream("GET", _algorand(sim)) as answer:
        for piece in answer.iter_bytes():
            inflated += len(piece)
        wire = answer.num_bytes_downloaded

    assert inflated >= 8 * 2**20
    assert wire < inflated / 400


def test_half_the_holdings_can_be_gone(sim: Simulator) -> None:
    """On every page until removed, as an outage would have it."""
    number = sim.faults.add(Fault("hedera", "half_gone", times=None))
    sim.switches.max_page.clear()
    few = [len(_ask(sim, "hedera").json()["nfts"]) for _ in range(2)]

    sim.faults.remove(number)

    assert few[0] == few[1] < 6
    assert len(_ask(sim, "hedera").json()["nfts"]) == 12


def test_named_holdings_can_be_hidden(sim: Simulator) -> None:
    """One holding is missing from the list although it is held."""
    address = next(row.address for row in sim.world.watchlist() if row.source == "hedera")
    key = sim.world.items("hedera", address)[0].key
    sim.switches.max_page.clear()

    sim.faults.add(Fault("hedera", "hidden", value=[key]))

    shown = {(row["token_id"], str(row["serial_number"])) for row in _ask(sim, "hedera").json()["nfts"]}
    assert len(shown) == 11
    assert key not in shown


_FIRST = Question(("A",), is_page=True)
_LOOKUP = Question(("A",))


def test_a_fault_strikes_only_what_it_matches() -> None:
    """Address in any case, page of the walk, page or look-up, and the n-th time."""
    book = FaultBook()
    book.add(Fault("algorand", "html_200", address="a", page=2, nth=2, times=None))

    struck = [bool(book.take("algorand", _FIRST, page)) for page in (1, 2, 1, 2, 2)]

    assert struck == [False, False, False, True, False]
    assert not book.take("hedera", _FIRST, 2)


def test_look_ups_are_struck_only_when_meant() -> None:
    """A fault for pages passes a look-up by."""
    book = FaultBook()
    book.add(Fault("loopring", "html_200", times=None))
    book.add(Fault("loopring", "redirect", where="lookup", times=None))

    assert [fault.kind for fault in book.take("loopring", _LOOKUP, 0)] == ["redirect"]
    assert [fault.kind for fault in book.take("loopring", _FIRST, 1)] == ["html_200"]


def test_a_fault_ends_after_its_times() -> None:
    """Twice means twice."""
    book = FaultBook()
    book.add(Fault("algorand", "html_200", times=2))

    assert [len(book.take("algorand", _FIRST, 1)) for _ in range(4)] == [1, 1, 0, 0]


def test_unknown_kinds_and_sources_are_refused() -> None:
    """A typo in a test fails that test."""
    with pytest.raises(ValueError, match="no such fault"):
        Fault("algorand", "gremlin")
    with pytest.raises(ValueError, match="no such source"):
        Fault("dogecoin", "hang")
    with pytest.raises(ValueError, match="at hedera"):
        Fault("hedera", "totals_disagree")
