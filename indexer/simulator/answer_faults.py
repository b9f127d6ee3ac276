"""Faults that change what an answer says. Each takes the true answer and gives a worse one."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from indexer.simulator.refusals import html_answer, refuse
from indexer.simulator.shapes import SHAPES, drop, get, put, raw, read, write
from indexer.simulator.wire import Answer, Inquiry, Question, json_answer


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request, the answer so far, and the honest answer to the request before it."""

    inquiry: Inquiry
    question: Question
    answer: Answer
    previous: Answer | None
    #: What ``Fault.value`` says.
    value: Any = None
    #: Every cursor of this walk so far, the first page's '' included.
    walked: tuple[str, ...] = ()


Bend = Callable[[Exchange], Answer]


def _edit(exchange: Exchange, change: Callable[[dict[str, Any]], None]) -> Answer:
    """The answer after a change to its JSON; an answer that is an error stays as it is."""
    if exchange.answer.status != 200:
        return exchange.answer
    try:
        document = read(exchange.answer)
        change(document)
    except (KeyError, IndexError, TypeError, ValueError):
        return exchange.answer
    return write(exchange.answer, document)


def _rows(exchange: Exchange, document: dict[str, Any]) -> list[Any]:
    rows = get(document, SHAPES[exchange.inquiry.source].rows)
    assert isinstance(rows, list)
    return rows


def _show(exchange: Exchange, document: dict[str, Any], rows: list[Any]) -> None:
    """Put other rows in the list; a total that counts the page's own rows follows them."""
    shape = SHAPES[exchange.inquiry.source]
    put(document, shape.rows, rows)
    if exchange.inquiry.source == "solana_das" and shape.total is not None:
        put(document, shape.total, len(rows))


def empty_200(exchange: Exchange) -> Answer:
    """The API's own way of saying there is nothing."""
    return _edit(exchange, SHAPES[exchange.inquiry.source].finish)


def item_error(exchange: Exchange) -> Answer:
    """One row's amount cannot be read; ``value`` is a key of ``BAD_AMOUNTS``."""
    bad = str(exchange.value or "null")
    if exchange.inquiry.source == "solana_das":
        return _edit(exchange, lambda document: _spoil_das(document["result"], bad))
    shape = SHAPES[exchange.inquiry.source]

    def spoil(document: dict[str, Any]) -> None:
        row = _rows(exchange, document)[0]
        if bad == "missing":
            drop(row, shape.amount)
        else:
            put(row, shape.amount, BAD_AMOUNTS[bad][shape.textual])

    return _edit(exchange, spoil)


def _spoil_das(result: dict[str, Any], bad: str) -> None:
    """A balance where there is one to spoil, else the server's own list of rows it could not read."""
    tokens = [row for row in result["items"] if row["ownership"]["ownership_model"] == "token"]
    balances = [row["token_info"] for row in tokens if "balance" in row.get("token_info", {})]
    if bad != "missing" and balances:
        balances[0]["balance"] = BAD_AMOUNTS[bad][False]
        return
    gone = result["items"].pop(0)
    result["errors"] = [{"id": gone["id"], "error": "Custom Error: interface not found"}]


#: Name to (bare JSON value, the same where amounts are text).
BAD_AMOUNTS: Final[dict[str, tuple[Any, Any]]] = {
    "missing": (None, None),
    "null": (None, None),
    "float": (1.5, "0." + "1" * 40),
    "negative": (-1, "-1"),
    "2^256": (2**256, str(2**256)),
    "nan": (raw("NaN"), "NaN"),
    "1e400": (raw("1e400"), "1e400"),
    "1e3000000": (raw("1e3000000"), "1e3000000"),
    "text": ("many", "many"),
}


def item_key_unreadable(exchange: Exchange) -> Answer:
    """Nobody can say which holding one row is."""
    shape = SHAPES[exchange.inquiry.source]
    return _edit(exchange, lambda document: put(_rows(exchange, document)[0], shape.key, None))


def repeated_cursor(exchange: Exchange) -> Answer:
    """The next page starts where this one did; without a cursor to repeat, the same rows again."""
    repeat = SHAPES[exchange.inquiry.source].repeat
    if repeat is None:
        return duplicate_page(exchange)
    prefix = f"/{exchange.inquiry.source}"
    target = exchange.inquiry.target.removeprefix(prefix)
    return _edit(exchange, lambda document: repeat(document, exchange.question.cursor, target))


def duplicate_page(exchange: Exchange) -> Answer:
    """The rows of the page before, under this page's own cursor."""
    if exchange.previous is None:
        return exchange.answer
    before = _rows(exchange, read(exchange.previous))
    return _edit(exchange, lambda document: _show(exchange, document, before))


def repeated_edge(exchange: Exchange) -> Answer:
    """The last row of the page before comes first once more: what a moving list shows."""
    if exchange.previous is None:
        return exchange.answer
    edge = _rows(exchange, read(exchange.previous))[-1:]
    return _edit(exchange, lambda document: _show(exchange, document, edge + _rows(exchange, document)))


def skipped_rows(exchange: Exchange) -> Answer:
    """The list moved up between two pages: the first ``value`` rows (default 2) are never shown."""
    count = int(exchange.value or 2)
    return _edit(exchange, lambda document: _show(exchange, document, _rows(exchange, document)[count:]))


def totals_disagree(exchange: Exchange) -> Answer:
    """The total counts rows that are not there (or, with a negative ``value``, too few)."""
    total = SHAPES[exchange.inquiry.source].total
    if total is None:
        return exchange.answer
    more = int(exchange.value or 7)
    return _edit(exchange, lambda document: put(document, total, get(document, total) + more))


def wrong_type(exchange: Exchange) -> Answer:
    """The list is not a list."""
    rows = SHAPES[exchange.inquiry.source].rows
    return _edit(exchange, lambda document: put(document, rows, {"0": "not a list"}))


def missing_field(exchange: Exchange) -> Answer:
    """The envelope comes without its list."""
    return _edit(exchange, lambda document: drop(document, SHAPES[exchange.inquiry.source].rows))


def expired_cursor(exchange: Exchange) -> Answer:
    """The API no longer knows the cursor; a first page is answered as ever."""
    cursor = exchange.question.cursor
    if not cursor:
        return exchange.answer
    return {
        "okx_runes": json_answer(200, {"code": 83001, "msg": "Wrong parameters", "data": None}),
        "solana_das": _das_error(exchange, -32000, f"Pubkey Validation Err: {cursor} is invalid"),
        "algorand": json_answer(
            400,
            {"message": f'unable to parse next token: strconv.ParseUint: parsing "{cursor}": invalid syntax'},
        ),
        "loopring": json_answer(400, {"resultInfo": {"code": 100001, "message": "invalid argument: offset"}}),
        "hedera": json_answer(400, {"_status": {"messages": [{"message": "Invalid parameter: token.id"}]}}),
    }[exchange.inquiry.source]


def api_error(exchange: Exchange) -> Answer:
    """Trouble inside an answer that HTTP calls fine, where the API has such a thing."""
    return {
        "okx_runes": json_answer(200, {"code": "50026", "msg": "System error"}),
        "solana_das": _das_error(exchange, -32000, "Database Error: connection timed out"),
        "loopring": json_answer(200, {"resultInfo": {"code": 100000, "message": "unknown error"}}),
    }.get(exchange.inquiry.source) or refuse(exchange.inquiry.source, 500)


def _das_error(exchange: Exchange, code: int, message: str) -> Answer:
    call = json.loads(exchange.inquiry.body) if exchange.inquiry.source == "solana_das" else {"id": 1}
    error = {"code": code, "message": message}
    return json_answer(200, {"jsonrpc": "2.0", "error": error, "id": call.get("id")})


def truncated_json(exchange: Exchange) -> Answer:
    """A body that stops in the middle, with a length that agrees."""
    body = exchange.answer.body
    return Answer(exchange.answer.status, body[: len(body) // 2], exchange.answer.headers)


def html_200(_exchange: Exchange) -> Answer:
    """A captive portal's idea of success."""
    return html_answer(200, "Sign in to continue")


def invalid_utf8(exchange: Exchange) -> Answer:
    """A byte in the middle of a text that no UTF-8 has."""
    middle = exchange.answer.body.rfind(b'"')
    body = exchange.answer.body[:middle] + b"\xff\xfe" + exchange.answer.body[middle:]
    return Answer(exchange.answer.status, body, exchange.answer.headers)


def deep_nesting(exchange: Exchange) -> Answer:
    """JSON that is one hundred thousand lists deep."""
    return Answer(200, b"[" * 100_000 + b"]" * 100_000, exchange.answer.headers)


def redirect(exchange: Exchange) -> Answer:
    """Elsewhere: ``value`` is the location."""
    return Answer(302, b"", (("Location", str(exchange.value or "http://127.0.0.1:9/elsewhere")),))


def wrong_id(exchange: Exchange) -> Answer:
    """The answer to somebody else's call (JSON-RPC only)."""
    return _edit(exchange, lambda document: document.__setitem__("id", "another"))
