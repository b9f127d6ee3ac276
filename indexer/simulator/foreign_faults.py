"""Answers that are not ours: another vendor's, another account's, another page's, or in another writing."""

import codecs
import re
from collections.abc import Callable
from typing import Any, Final

from indexer.simulator.answer_faults import Exchange
from indexer.simulator.odd_faults import change_answer
from indexer.simulator.shapes import SHAPES, get, put, raw, read
from indexer.simulator.wire import Answer, json_answer

#: Somebody else, in words each API would use.
_STRANGERS: Final[dict[str, tuple[tuple[str, ...], object]]] = {
    "okx_runes": (("ownerAddress",), "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
    "solana_das": (("ownership", "owner"), "11111111111111111111111111111111"),
    "loopring": (("accountId",), 4_000_000),
    "hedera": (("account_id",), "0.0.98"),
}
STRANGERS: Final = tuple(_STRANGERS)
#: Where hexadecimal digits stand, which mean the same in either case.
_HEXADECIMAL: Final = {"okx_runes": ("utxoTxHash",), "loopring": ("nftData",)}
HEXADECIMAL: Final = tuple(_HEXADECIMAL)


def other_vendor(_exchange: Exchange) -> Answer:
    """A gateway's error in its own words, under 200."""
    return json_answer(200, {"status": "error", "fault": {"faultstring": "Spike arrest violation"}})


def byte_order_mark(exchange: Exchange) -> Answer:
    """The honest body behind a mark that JSON does not have."""
    return Answer(200, codecs.BOM_UTF8 + exchange.answer.body, exchange.answer.headers)


def utf16(exchange: Exchange) -> Answer:
    """The honest body in another encoding."""
    return Answer(200, exchange.answer.body.decode().encode("utf-16"), exchange.answer.headers)


def empty_body(exchange: Exchange) -> Answer:
    """200 and not a byte."""
    return Answer(200, b"", exchange.answer.headers)


def status_206(exchange: Exchange) -> Answer:
    """A part nobody asked for; what it holds happens to be sound JSON."""
    return Answer(206, exchange.answer.body, exchange.answer.headers)


def other_owner(exchange: Exchange) -> Answer:
    """One row is of somebody else."""
    path, stranger = _STRANGERS[exchange.inquiry.source]
    return change_answer(exchange, lambda _document, rows: put(rows[-1], path, stranger))


def other_account(exchange: Exchange) -> Answer:
    """As many holdings as there are, in the same places of the list, and all of somebody else."""
    source = exchange.inquiry.source

    def change(document: dict[str, Any], rows: list[Any]) -> None:
        for row in rows:
            if source == "algorand":
                row["asset-holding"]["asset-id"] += 1
            else:
                put(row, *_STRANGERS[source])
        if "next-token" in document:
            document["next-token"] = str(int(document["next-token"]) + 1)

    return change_answer(exchange, change)


def link_skips(exchange: Exchange) -> Answer:
    """A link to a place far behind the last row of the page."""
    return _relink(exchange, lambda link: re.sub(r"(token\.id=\w+:0\.0\.)", r"\g<1>9", link))


def link_filters(exchange: Exchange) -> Answer:
    """A link to what comes next, of a list that is narrower than ours."""
    return _relink(exchange, lambda link: f"{link}&spender.id=0.0.98")


def _relink(exchange: Exchange, change: Callable[[str], str]) -> Answer:
    def relink(document: dict[str, Any], _rows: list[Any]) -> None:
        if document["links"]["next"]:
            document["links"]["next"] = change(document["links"]["next"])

    return change_answer(exchange, relink)


def upper_hex(exchange: Exchange) -> Answer:
    """Hexadecimal digits in upper case from today on."""
    path = _HEXADECIMAL[exchange.inquiry.source]

    def change(_document: dict[str, Any], rows: list[Any]) -> None:
        for row in rows:
            put(row, path, get(row, path).upper().replace("0X", "0x"))

    return change_answer(exchange, change)


def leading_zeros(exchange: Exchange) -> Answer:
    """The key of one row with more zeros in front than it has."""
    write = _ZEROS[exchange.inquiry.source]
    return change_answer(exchange, lambda _document, rows: write(rows[0]))


_ZEROS: Final[dict[str, Callable[[dict[str, Any]], None]]] = {
    "okx_runes": lambda row: put(row, ("tickerId",), f"0{row['tickerId']}"),
    "solana_das": lambda row: put(row, ("id",), f"1{row['id']}"),
    "algorand": lambda row: put(
        row, ("asset-holding", "asset-id"), raw(f"0{row['asset-holding']['asset-id']}")
    ),
    "loopring": lambda row: put(row, ("nftData",), row["nftData"].replace("0x", "0x00")),
    "hedera": lambda row: put(row, ("token_id",), row["token_id"].replace("0.0.", "0.0.00")),
}


def empty_middle(exchange: Exchange) -> Answer:
    """A page with nothing on it, and the honest cursor to the next one."""

    def change(document: dict[str, Any], rows: list[Any]) -> None:
        rows.clear()
        if exchange.inquiry.source == "solana_das":
            document["result"]["total"] = 0

    return change_answer(exchange, change)


def circling_link(exchange: Exchange) -> Answer:
    """Nothing on the page, and a link back to it that spells its parameters in another order."""
    parts = exchange.inquiry.target.removeprefix("/hedera").partition("?")
    link = f"{parts[0]}?{'&'.join(reversed(parts[2].split('&')))}"

    def change(document: dict[str, Any], rows: list[Any]) -> None:
        rows.clear()
        put(document, ("links", "next"), link)

    return change_answer(exchange, change)


def older_round(exchange: Exchange) -> Answer:
    """A page from a node that lags behind the one before (``value`` rounds, default 1000)."""
    lag = int(exchange.value or 1_000)
    return change_answer(
        exchange, lambda document, _rows: put(document, ("round",), max(document["round"] - lag, 0))
    )


def lagging_node(exchange: Exchange) -> Answer:
    """A page from a node that has followed the chain up to round ``value`` (default 0) and no further."""
    seen = int(exchange.value or 0)
    return change_answer(exchange, lambda document, _rows: put(document, ("round",), seen))


def bigger_page(exchange: Exchange) -> Answer:
    """The rows of the page before and its own: more than any page may have."""
    if exchange.previous is None:
        return exchange.answer
    shape = SHAPES[exchange.inquiry.source]
    before = get(read(exchange.previous), shape.rows)
    return change_answer(exchange, lambda _document, rows: rows.__setitem__(slice(0, 0), before))


KINDS: Final = {
    "other_vendor": other_vendor,
    "byte_order_mark": byte_order_mark,
    "utf16": utf16,
    "empty_body": empty_body,
    "status_206": status_206,
    "other_owner": other_owner,
    "other_account": other_account,
    "link_skips": link_skips,
    "link_filters": link_filters,
    "upper_hex": upper_hex,
    "leading_zeros": leading_zeros,
    "empty_middle": empty_middle,
    "circling_link": circling_link,
    "older_round": older_round,
    "lagging_node": lagging_node,
    "bigger_page": bigger_page,
}
