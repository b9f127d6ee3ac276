"""Asks a simulated API directly, without a socket, as its own clients would."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from indexer.simulator.server import APIS, DEFAULT_SECRETS
from indexer.simulator.wire import Answer, Inquiry, Switches, read_query
from indexer.simulator.world import World

OKX_PATH = "/api/v5/mktplace/nft/runes/get-owned-asserts"
DAS_KEY = DEFAULT_SECRETS["solana_das"]["api_key"]
LOOPRING_KEY = {"x-api-key": DEFAULT_SECRETS["loopring"]["api_key"]}


def ask(
    world: World,
    source: str,
    path: str,
    *,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    switches: Switches | None = None,
) -> Answer:
    """The answer to one request; a body makes it a POST."""
    target = f"/{source}{path}"
    plain, query = read_query(path)
    method = "POST" if body else "GET"
    secrets = DEFAULT_SECRETS[source]
    given, chosen = headers or {}, switches or Switches()
    inquiry = Inquiry(source, method, target, plain, query, given, body, chosen, secrets)
    return APIS[source].answer(world, inquiry)


def read(answer: Answer) -> Any:
    """The JSON of an answer."""
    return json.loads(answer.body)


def sign(target: str, **changed: str) -> dict[str, str]:
    """The four headers OKX wants; ``changed`` may give key, passphrase, timestamp or secret."""
    secrets = DEFAULT_SECRETS["okx_runes"]
    timestamp = changed.get("timestamp", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"))
    secret = changed.get("secret", secrets["secret_key"])
    digest = hmac.new(secret.encode(), f"{timestamp}GET{target}".encode(), hashlib.sha256).digest()
    return {
        "ok-access-key": changed.get("key", secrets["api_key"]),
        "ok-access-passphrase": changed.get("passphrase", secrets["passphrase"]),
        "ok-access-timestamp": timestamp,
        "ok-access-sign": base64.b64encode(digest).decode(),
    }


def okx(world: World, query: str, switches: Switches | None = None) -> Answer:
    """Ask for owned runes with a right signature."""
    path = f"{OKX_PATH}?{query}"
    return ask(world, "okx_runes", path, headers=sign(f"/okx_runes{path}"), switches=switches)


def walk_okx(world: World, rune: str, addresses: str, limit: int) -> list[dict[str, Any]]:
    """Every row, page by page, until a page without rows."""
    rows: list[dict[str, Any]] = []
    cursor = ""
    while True:
        following = f"&cursor={quote(cursor, safe='')}" if cursor else ""
        asked = f"runesId={quote(rune, safe='')}&walletAddresses={quote(addresses, safe='')}{following}"
        data = read(okx(world, f"{asked}&limit={limit}"))["data"]
        if not data["items"]:
            return rows
        rows += data["items"]
        cursor = data["cursor"]


def das(world: World, *parameters: Any, switches: Switches | None = None) -> Any:
    """The JSON-RPC answer to getAssetsByOwner with these positional parameters."""
    call = {"jsonrpc": "2.0", "id": "t", "method": "getAssetsByOwner", "params": list(parameters)}
    body = json.dumps(call).encode()
    return read(ask(world, "solana_das", f"/v3/{DAS_KEY}", body=body, switches=switches))


def walk_das(world: World, owner: str, limit: int) -> list[dict[str, Any]]:
    """Every row ascending by id: the first page without a bound, the others after the last id."""
    rows: list[dict[str, Any]] = []
    after = None
    ascending, options = {"sortBy": "id", "sortDirection": "asc"}, {"showFungible": True}
    while True:
        result = das(world, owner, ascending, limit, None, None, after, options)["result"]
        if not result["items"]:
            return rows
        rows += result["items"]
        after = rows[-1]["id"]
