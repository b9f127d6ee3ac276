"""Faults of the finer sort: JSON that parses, from a server that is careless, changed or up to something.

Each takes the true answer and gives an odd one; `answer_faults.py` has the plain ones.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from indexer.simulator.answer_faults import Exchange, duplicate_page
from indexer.simulator.shapes import SHAPES, Path, get, put, read, write
from indexer.simulator.wire import Answer

#: Where rows carry text that is shown to people and decides nothing.
_DISPLAY: Final[dict[str, tuple[Path, ...]]] = {
    "okx_runes": (("name",), ("ticker",), ("symbol",), ("tickerIcon",)),
    "solana_das": (("content", "metadata", "name"), ("content", "metadata", "symbol")),
    "algorand": (("asset-params", "name"), ("asset-params", "unit-name"), ("asset-params", "url")),
    "loopring": (("metadata", "base", "name"), ("metadata", "base", "description")),
    "hedera": (("metadata",),),
}
#: Words of a closed list that may get a member tomorrow.
ENUMS: Final[dict[str, tuple[Path, ...]]] = {
    "okx_runes": (("status",), ("tickerType",)),
    "solana_das": (("interface",), ("content", "metadata", "token_standard")),
    "loopring": (("nftType",), ("deploymentStatus",)),
}
#: A number or object of the envelope that no honest answer leaves out.
_ENVELOPE: Final[dict[str, Path]] = {
    "okx_runes": ("code",),
    "solana_das": ("result",),
    "algorand": ("round",),
    "loopring": ("totalNum",),
    "hedera": ("links",),
}


def change_answer(exchange: Exchange, change: Callable[[dict[str, Any], list[Any]], None]) -> Answer:
    """The answer after a change to its document and rows; an answer that is an error stays as it is."""
    if exchange.answer.status != 200:
        return exchange.answer
    try:
        document = read(exchange.answer)
        change(document, get(document, SHAPES[exchange.inquiry.source].rows))
    except (KeyError, IndexError, TypeError, ValueError):
        return exchange.answer
    return write(exchange.answer, document)


def _present(row: Any, paths: tuple[Path, ...]) -> Iterator[Path]:
    for path in paths:
        try:
            get(row, path)
        except (KeyError, TypeError):
            continue
        yield path


def _write_texts(exchange: Exchange, text: str) -> Answer:
    paths = _DISPLAY[exchange.inquiry.source]

    def change(_document: dict[str, Any], rows: list[Any]) -> None:
        for row in rows:
            for path in _present(row, paths):
                put(row, path, text)
                # Algorand says every name twice; the exact twin would win.
                get(row, path[:-1]).pop(f"{path[-1]}-b64", None)

    return change_answer(exchange, change)


def nul_names(exchange: Exchange) -> Answer:
    """Names with a NUL in them, which PostgreSQL's text cannot hold."""
    return _write_texts(exchange, "free \x00 airdrop")


def lone_surrogates(exchange: Exchange) -> Answer:
    """Names with half a character, which UTF-8 cannot hold."""
    return _write_texts(exchange, "half \ud83d a sign")


def unknown_enum(exchange: Exchange) -> Answer:
    """A word no document mentions yet."""
    paths = ENUMS[exchange.inquiry.source]

    def change(_document: dict[str, Any], rows: list[Any]) -> None:
        for row in rows:
            for path in _present(row, paths):
                put(row, path, "SOMETHING_OF_TOMORROW")

    return change_answer(exchange, change)


def extra_fields(exchange: Exchange) -> Answer:
    """Fields no document mentions, in the envelope and in every row."""

    def change(document: dict[str, Any], rows: list[Any]) -> None:
        document["apiVersion"] = {"major": 9, "minor": [1, None]}
        for row in rows:
            row["spamScore"] = 0.93

    return change_answer(exchange, change)


def duplicate_keys(exchange: Exchange) -> Answer:
    """Every member of the envelope twice, which JSON leaves open."""
    inner = exchange.answer.body.strip()[1:-1]
    body = b"{" + inner + b"," + inner + b"}"
    return Answer(exchange.answer.status, body, exchange.answer.headers)


def out_of_order(exchange: Exchange) -> Answer:
    """The rows of the page backwards."""
    return change_answer(exchange, lambda _document, rows: rows.reverse())


def null_item(exchange: Exchange) -> Answer:
    """A null where a row belongs."""
    return change_answer(exchange, lambda _document, rows: rows.__setitem__(slice(0, 1), [None]))


def null_envelope(exchange: Exchange) -> Answer:
    """A null where the envelope has its number (the round, the total, the code) or its object."""
    path = _ENVELOPE[exchange.inquiry.source]
    return change_answer(exchange, lambda document, _rows: put(document, path, None))


def not_an_object(exchange: Exchange) -> Answer:
    """Sound JSON of a shape nobody documented."""
    document = [json.loads(exchange.answer.body)] if exchange.answer.body else []
    return write(exchange.answer, document)


def alternating_cursors(exchange: Exchange) -> Answer:
    """The cursor of page 2 again: from page 3 on a loop that no two neighbours show."""
    if len(exchange.walked) < 2:
        return exchange.answer
    source, cursor = exchange.inquiry.source, exchange.walked[1]
    repeat = SHAPES[source].repeat
    if repeat is None:
        return duplicate_page(exchange)
    target = f"{exchange.inquiry.path}?limit=100&order=asc&{cursor}"
    return change_answer(exchange, lambda document, _rows: repeat(document, cursor, target))


def absolute_next(exchange: Exchange) -> Answer:
    """The next page is at another host: ``value`` is its URL, without path and query."""
    host = str(exchange.value or "http://127.0.0.1:9")
    source = exchange.inquiry.source

    def change(document: dict[str, Any], _rows: list[Any]) -> None:
        if source == "hedera":
            following = document["links"]["next"]
            document["links"]["next"] = following if following is None else f"{host}{following}"
        elif source == "algorand":
            document["next-token"] = f"{host}/v2/accounts"
        elif source == "okx_runes":
            document["data"]["cursor"] = f"{host}/api/v5"
        else:
            document["next"] = f"{host}/next"

    return change_answer(exchange, change)


KINDS: Final = {
    "nul_names": nul_names,
    "lone_surrogates": lone_surrogates,
    "unknown_enum": unknown_enum,
    "extra_fields": extra_fields,
    "duplicate_keys": duplicate_keys,
    "out_of_order": out_of_order,
    "null_item": null_item,
    "null_envelope": null_envelope,
    "not_an_object": not_an_object,
    "alternating_cursors": alternating_cursors,
    "absolute_next": absolute_next,
}
