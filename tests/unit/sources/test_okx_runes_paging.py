"""OKX Runes: where a list ends, what a loop is, and what an error means."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import (
    ApiError,
    BadPage,
    CursorRejected,
    RateLimited,
    Refused,
    RequestRejected,
    ServerTrouble,
)
from indexer.records import NO_FACTS, Cursor, Page
from tests.unit.sources.okx_answers import LEGACY, SOURCE, TAPROOT, listing, question, row


class TestTheEndOfAList:
    @pytest.mark.parametrize("cursor", ["", None])
    def test_it_ends_without_a_cursor(self, cursor: object) -> None:
        """Empty and null both mean that there is no more."""
        assert SOURCE.parse(question(), listing([row()], cursor)).next_cursor is None

    def test_it_ends_with_an_empty_page_whatever_the_cursor(self) -> None:
        """OKX gives a cursor even where nothing follows."""
        assert SOURCE.parse(question(), listing([], "1")).next_cursor is None

    def test_a_short_page_with_a_cursor_goes_on(self) -> None:
        """A short page proves nothing; OKX's cursor is asked as it was given."""
        page = SOURCE.parse(question(), listing([row()], "a|b%/=="))

        target = SOURCE.request(question(cursor=page.next_cursor)).target

        assert "&cursor=a%7Cb%25%2F%3D%3D&" in target

    @pytest.mark.parametrize("cursor", [5, [], {}, "x" * 2000, "\x00", "\ud800"])
    def test_a_cursor_that_cannot_be_one_is_not_believed(self, cursor: object) -> None:
        """Guessing here would repeat or skip rows."""
        with pytest.raises(BadPage, match="cursor"):
            SOURCE.parse(question(), listing([row()], cursor))

    @pytest.mark.parametrize("addresses", [(TAPROOT,), (TAPROOT, LEGACY)])
    def test_a_list_that_ends_at_exactly_1000_rows_is_suspect(self, addresses: tuple[str, ...]) -> None:
        """OKX may cut there; the missing rows would look sold."""
        with pytest.raises(BadPage, match="1,000"):
            crawl(addresses, [100] * 10)

    @pytest.mark.parametrize("sizes", [[100] * 9 + [99], [100] * 10 + [1], [100, 1]])
    def test_lists_of_other_lengths_are_complete(self, sizes: list[int]) -> None:
        """Also beyond 1,000: then nothing was cut there."""
        assert crawl((TAPROOT,), sizes) == sum(sizes)

    @given(st.integers(0, 6), st.integers(1, 9))
    def test_any_loop_of_cursors_is_met(self, lead: int, length: int) -> None:
        """Row counts make our cursors unique, so this file alone can see OKX going round."""
        turns = [place if place < lead else lead + (place - lead) % length for place in range(200)]

        with pytest.raises(BadPage, match=r"after page \d+ was given before: a loop") as caught:
            follow([f"c{turn}" for turn in turns])

        assert int(str(caught.value).split("after page ")[1].split()[0]) <= 3 * (lead + length) + 2

    @given(st.integers(0, 6), st.integers(1, 9))
    def test_pages_that_come_again_under_new_cursors_are_a_loop(self, lead: int, length: int) -> None:
        """A server that gives the same pages for ever, each time with a cursor of its own, is left soon."""
        turns = [place if place < lead else lead + (place - lead) % length for place in range(200)]

        with pytest.raises(BadPage, match=r"page \d+ ends as an earlier one did: a loop"):
            follow([f"c{place}" for place in range(200)], rows=turns)

    def test_an_empty_page_with_a_new_cursor_is_asked_past_once(self) -> None:
        """What comes after it is read; a second empty page, or a cursor seen before, is the end."""
        first = SOURCE.parse(question(), listing([row(1)], "a")).next_cursor
        second = SOURCE.parse(question(cursor=first), listing([], "b")).next_cursor

        assert second is not None
        assert "cursor=b" in SOURCE.request(question(cursor=second)).target
        assert SOURCE.parse(question(cursor=second), listing([row(2)], "c")).next_cursor is not None
        assert SOURCE.parse(question(cursor=second), listing([], "c")).next_cursor is None
        assert SOURCE.parse(question(cursor=first), listing([], "a")).next_cursor is None

    @pytest.mark.parametrize("transaction", ["half \ud800 a sign", "nul \x00", "a|b%7C", "x" * 5_000])
    def test_a_row_with_a_strange_name_is_still_a_place(self, transaction: str) -> None:
        """The row cannot be read, but the list goes on after it."""
        page = SOURCE.parse(question(), listing([row(utxoTxHash=transaction)], "a"))

        assert page.next_cursor is not None
        assert page.next_cursor.isprintable()
        assert "cursor=a" in SOURCE.request(question(cursor=page.next_cursor)).target

    def test_no_data_is_an_empty_list_only_at_its_start(self) -> None:
        """83000 after rows would prove that they are gone."""
        body = b'{"code":"83000","msg":"Data not found"}'

        assert SOURCE.read_error(question(), 200, body) is None
        assert SOURCE.parse(question(), body) == Page()
        with pytest.raises(BadPage, match="83000"):
            SOURCE.parse(question(cursor=Cursor("3|1|x|x")), body)


def follow(cursors: list[str], rows: list[int] | None = None) -> None:
    """Reads one row per page for as long as OKX gives these cursors; each page its own row, or these."""
    cursor: Cursor | None = None
    for theirs, index in zip(cursors, rows or range(len(cursors)), strict=True):
        cursor = SOURCE.parse(question(cursor=cursor), listing([row(index)], theirs)).next_cursor


def crawl(addresses: tuple[str, ...], sizes: list[int]) -> int:
    """Reads pages of these sizes to the end and counts their rows."""
    cursor: Cursor | None = None
    rows = 0
    for number, size in enumerate(sizes, 1):
        assert number == 1 or cursor is not None
        following = f"c{number}" if number < len(sizes) else ""
        items = [row(rows + place) for place in range(size)]
        page = SOURCE.parse(question(*addresses, cursor=cursor), listing(items, following))
        rows, cursor = rows + len(page.holdings), page.next_cursor
    assert cursor is None
    return rows


RESUMED = question(cursor=Cursor("1|1|x|x"))


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "code", "reaction"),
        [
            (429, None, RateLimited),
            (200, "50011", RateLimited),
            (429, 50011, RateLimited),
            (500, "50026", ServerTrouble),
            (502, None, ServerTrouble),
            (401, "50102", ServerTrouble),
            *((401, code, Refused) for code in ("50103", "50104", "50105", "50106", "50107")),
            *((401, code, Refused) for code in ("50101", "50110", "50111", "50112", "50113", "50116")),
            *((200, "50113", Refused), (401, None, Refused), (402, None, Refused), (403, None, Refused)),
            *((200, code, RequestRejected) for code in ("83001", "83002", "83003", "1", 1)),
            *((400, "50014", RequestRejected), (404, None, RequestRejected), (302, None, RequestRejected)),
        ],
    )
    def test_each_answer_has_its_reaction(self, status: int, code: object, reaction: type[ApiError]) -> None:
        """Codes arrive as text or number, with any HTTP status, or not at all."""
        body = b"<html>" if code is None else json.dumps({"code": code, "msg": "said"}).encode()

        assert type(SOURCE.read_error(question(), status, body)) is reaction

    @pytest.mark.parametrize(
        ("status", "code", "reaction"),
        [
            *((400, "50014", CursorRejected), (404, None, CursorRejected), (200, "83001", CursorRejected)),
            *((401, "50113", Refused), (429, None, RateLimited), (503, None, ServerTrouble)),
            (200, "83002", RequestRejected),
        ],
    )
    def test_on_a_resumed_cursor_the_cursor_is_to_blame(
        self, status: int, code: object, reaction: type[ApiError]
    ) -> None:
        """Page 1 had been accepted; keys and limits are still what they are."""
        body = json.dumps({"code": code, "msg": "said"} if code else {}).encode()

        assert type(SOURCE.read_error(RESUMED, status, body)) is reaction

    def test_a_lookup_in_the_middle_does_not_blame_the_cursor(self) -> None:
        """The look-up carried no cursor."""
        asked = question(cursor=Cursor("1|1|x|x"), facts=NO_FACTS)

        assert type(SOURCE.read_error(asked, 400, b"{}")) is RequestRejected

    @pytest.mark.parametrize("code", [0, "0"])
    def test_a_success_is_no_error(self, code: object) -> None:
        """The code is a number today and was text before."""
        assert SOURCE.read_error(question(), 200, listing([row()], code=code)) is None
        assert len(SOURCE.parse(question(), listing([row()], code=code)).holdings) == 1

    def test_the_message_is_short_clean_and_without_keys(self) -> None:
        """What the API said helps the operator; what it repeated of ours must not reach a log."""
        key = "a1b2c3d4-e5f6-4711-8899-00ff00ff00ff"
        said = f"Invalid\n\x1b[31m OK-ACCESS-KEY {key} of {TAPROOT} \u202e" + "very " * 100
        body = json.dumps({"code": "50111", "msg": said}).encode()

        message = str(SOURCE.read_error(question(), 401, body))

        assert message.startswith("401 for /api/v5/mktplace/nft/runes/get-owned-asserts?runesId={rune}")
        assert "code 50111: Invalid" in message
        assert "OK-ACCESS-KEY" in message
        assert key not in message
        assert TAPROOT not in message
        assert message.isprintable()
        assert len(message) < 300

    @given(
        st.integers(100, 599),
        st.binary(max_size=60) | st.from_regex(rb'\{"code": ?"?.{0,9}"?,"msg":.{0,9}\}'),
    )
    def test_reading_an_error_never_raises(self, status: int, body: bytes) -> None:
        """Whatever the wire carries becomes one of our errors or goes on to parse."""
        error = SOURCE.read_error(RESUMED, status, body)

        assert isinstance(error, ApiError) or (error is None and status == 200)
