"""The running server: rates, log, shutdown, and the environment it hands out."""

import threading
from collections.abc import Iterator

import httpx
import pytest

from indexer.simulator import Simulator, World
from indexer.simulator.positions import SOURCES
from indexer.simulator.wire import Inquiry

FREE = dict.fromkeys(SOURCES)


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A small world without rate limits, in pages of four."""
    world = World.build(1, {"algorand": [10, 2], "hedera": [6]})
    with Simulator(world, limits=FREE, max_page={"algorand": 4}) as running:
        yield running


def _assets(sim: Simulator, index: int = 0) -> str:
    return f"{sim.base_url('algorand')}/v2/accounts/{sim.world.watchlist()[index].address}/assets"


def test_log_tells_which_pages_were_asked(sim: Simulator) -> None:
    """A repeated question is the same page; a walk begins again without a cursor."""
    with httpx.Client(verify=False) as client:
        token = client.get(_assets(sim)).json()["next-token"]
        for following in (token, token):
            client.get(_assets(sim), params={"next": following})
        client.get(_assets(sim))

    assert [entry.page for entry in sim.requests("algorand")] == [1, 2, 2, 1]
    assert [entry.cursor for entry in sim.log] == ["", token, token, ""]
    assert {entry.address for entry in sim.log} == {sim.world.watchlist()[0].address}


def test_more_than_the_limit_is_refused_and_counted(sim: Simulator) -> None:
    """The documented 429 for whatever exceeds the limit within one second."""
    sim.rate_limits["algorand"] = 2

    with httpx.Client(verify=False) as client:
        statuses = [client.get(_assets(sim)).status_code for _ in range(5)]

    assert statuses == [200, 200, 429, 429, 429]
    assert sim.refused("algorand") == 3


def test_limits_are_counted_per_source(sim: Simulator) -> None:
    """One busy API does not slow another."""
    sim.rate_limits |= {"algorand": 1, "hedera": 1}
    hedera = f"{sim.base_url('hedera')}/api/v1/accounts/0.0.5/nfts"

    with httpx.Client(verify=False) as client:
        statuses = [client.get(url).status_code for url in (_assets(sim), hedera, _assets(sim))]

    assert statuses == [200, 200, 429]


def test_before_answer_can_change_the_world_between_pages(sim: Simulator) -> None:
    """A holding that leaves just before page 2 is not on it."""
    row = sim.world.watchlist()[0]
    last = sim.world.items("algorand", row.address)[-1]

    def leave(source: str, inquiry: Inquiry) -> None:
        if source == "algorand" and inquiry.first("next"):
            sim.world.empty("algorand", row.address)

    sim.before_answer = leave
    with httpx.Client(verify=False) as client:
        first = client.get(_assets(sim)).json()
        second = client.get(_assets(sim), params={"next": first["next-token"]}).json()

    assert last.asset_ref not in str(second)
    assert (len(first["asset-holdings"]), second["asset-holdings"]) == (4, [])


def test_a_blocked_request_does_not_block_others(sim: Simulator) -> None:
    """While one answer waits, another is given, and the log shows both in flight."""
    arrived, release = threading.Event(), threading.Event()
    first, second = (row.address for row in sim.world.watchlist()[:2])

    def wait(_source: str, inquiry: Inquiry) -> None:
        if first in inquiry.path:
            arrived.set()
            assert release.wait(10)

    sim.before_answer = wait
    blocked = threading.Thread(target=httpx.get, args=[_assets(sim)])
    blocked.start()
    assert arrived.wait(10)
    answered = httpx.get(_assets(sim, 1))
    release.set()
    blocked.join()

    assert answered.status_code == 200
    assert [(entry.address, entry.in_flight) for entry in sim.log] == [(second, 2), (first, 1)]


def test_stops_cleanly_with_requests_still_open() -> None:
    """Leaving the block ends open connections, the thread and the port."""
    before = set(threading.enumerate())
    world = World.build(1, {"algorand": [1]})

    with Simulator(world, limits=FREE) as sim, httpx.Client(verify=False) as client:
        client.get(_assets(sim))
        url = _assets(sim)
        sim.__exit__()

        with pytest.raises(httpx.TransportError):
            client.get(url)

    assert set(threading.enumerate()) == before


def test_environment_names_every_base_url_and_secret(sim: Simulator) -> None:
    """What the program needs to be pointed here, and nothing else."""
    environment = sim.environment()

    assert environment["INDEXER_SOURCES__ALGORAND__BASE_URL"] == f"http://127.0.0.1:{sim.port}/algorand"
    names = [name.removeprefix("INDEXER_SOURCES__") for name in environment]
    assert sorted(name for name in names if not name.endswith("BASE_URL")) == [
        "LOOPRING__API_KEY",
        "OKX_RUNES__API_KEY",
        "OKX_RUNES__PASSPHRASE",
        "OKX_RUNES__SECRET_KEY",
        "SOLANA_DAS__API_KEY",
    ]


def test_secrets_of_ones_own_replace_the_fixed_ones() -> None:
    """Tests plant their canaries."""
    with Simulator(World(1), secrets={"loopring": {"api_key": "canary"}}, limits=FREE) as sim:
        url = f"{sim.base_url('loopring')}/api/v3/user/nft/balances"
        wrong = httpx.get(url, headers={"X-API-KEY": "simulated-loopring-key"}).json()
        right = httpx.get(url, headers={"X-API-KEY": "canary"}).json()

    assert wrong["resultInfo"]["code"] == 104002
    assert right["resultInfo"]["code"] == 104003


def test_key_in_the_path_stays_out_of_the_log() -> None:
    """The log may be printed by a failing test."""
    with Simulator(World(1), limits=FREE) as sim:
        httpx.post(f"{sim.base_url('solana_das')}/{sim.secrets['solana_das']['api_key']}", json={})

    assert sim.secrets["solana_das"]["api_key"] not in repr(sim.log)


def test_gzip_when_asked_and_switched_on(sim: Simulator) -> None:
    """The same bytes, compressed only for those who accept it."""
    plain = httpx.get(_assets(sim))
    sim.switches.compress = True

    packed = httpx.get(_assets(sim))
    unwilling = httpx.get(_assets(sim), headers={"Accept-Encoding": "identity"})

    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in unwilling.headers
    assert packed.content == plain.content == unwilling.content


def test_a_busy_port_is_an_error_not_a_hang(sim: Simulator) -> None:
    """A second server on the same port says so."""
    with pytest.raises(OSError, match="in use"), Simulator(World(1), port=sim.port):
        pass
