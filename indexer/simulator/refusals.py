"""What each API says when it refuses: too many requests, no access, trouble of its own."""

from typing import Any, Final

from indexer.simulator.wire import Answer, json_answer

_HTML: Final = (("Content-Type", "text/html; charset=UTF-8"),)
_PLAIN: Final = (("Content-Type", "text/plain; charset=utf-8"),)


def html_answer(status: int, title: str) -> Answer:
    """What a proxy or a portal in front of an API answers in its place."""
    body = f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return Answer(status, body.encode(), _HTML)


def _infura(code: int, event: int, message: str) -> Answer:
    error: dict[str, Any] = {
        "code": code,
        "event": event,
        "message": message,
        "details": "See your dashboard.",
    }
    return json_answer(code, {"jsonrpc": "2.0", "id": 1, "error": error})


def _okx(status: int, code: str, message: str) -> Answer:
    return json_answer(status, {"msg": message, "code": code})


def _loopring(code: int, message: str) -> Answer:
    return json_answer(400, {"resultInfo": {"code": code, "message": message}})


#: (source, status) to the documented answer; for anything else there is no body.
DOCUMENTED: Final[dict[tuple[str, int], Answer]] = {
    ("okx_runes", 401): _okx(401, "50111", "Invalid OK-ACCESS-KEY"),
    ("okx_runes", 403): html_answer(403, "Access denied"),
    ("okx_runes", 429): _okx(429, "50011", "Too Many Requests"),
    ("okx_runes", 500): _okx(500, "50026", "System error"),
    ("okx_runes", 503): html_answer(503, "Service unavailable"),
    ("solana_das", 401): Answer(401, b"invalid project id\n", _PLAIN),
    ("solana_das", 402): _infura(402, -33000, "Payment Required"),
    ("solana_das", 429): _infura(429, -33200, "Too Many Requests"),
    ("solana_das", 502): html_answer(502, "Bad Gateway"),
    ("algorand", 401): json_answer(401, {"message": "Invalid API Token"}),
    ("algorand", 404): json_answer(404, {"message": "Not Found"}),
    ("algorand", 429): Answer(429, b"", ()),
    ("algorand", 500): json_answer(500, {"message": "failed to retrieve information from the ledger"}),
    ("loopring", 400): _loopring(101002, "user not found"),
    ("loopring", 401): _loopring(104002, "invalid ApiKey"),
    ("loopring", 429): Answer(429, b"", ()),
    ("loopring", 503): Answer(503, b"", ()),
    ("hedera", 403): html_answer(403, "Forbidden"),
    ("hedera", 404): json_answer(404, {"_status": {"messages": [{"message": "Not found"}]}}),
    ("hedera", 429): html_answer(429, "Too Many Requests"),
    ("hedera", 500): json_answer(500, {"_status": {"messages": [{"message": "Internal error"}]}}),
    ("hedera", 503): json_answer(503, {"_status": {"messages": [{"message": "Service unavailable"}]}}),
}


def refuse(source: str, status: int) -> Answer:
    """The documented answer of this source for this status."""
    return DOCUMENTED.get((source, status), Answer(status, b"", ()))
