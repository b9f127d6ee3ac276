"""Loopring: addresses, account look-ups, a list that moves under its offset, and what an error means."""

import json
import string
from datetime import UTC, datetime
from typing import Any

import pytest
from eth_utils.address import to_checksum_address
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
from indexer.records import NO_FACTS, Page
from indexer.sources.loopring import Loopring
from tests.unit.sources.loopring_answers import (
    ACCOUNT,
    ADDRESS,
    CHECKSUMMED,
    FACTS,
    SOURCE,
    TOKEN,
    failure,
    listing,
    question,
    row,
)


@pytest.mark.parametrize("cursor", [None, "50|80"])
def test_a_total_no_account_can_have_is_no_page(cursor: str | None) -> None:
    """Above 2^63 no column could hold it, and above what the contract allows it is no number of rows."""
    with pytest.raises(BadPage, match="more than an account can have"):
        SOURCE.parse(question(cursor), listing([row()], 2**70))


class TestAddresses:
    @pytest.mark.parametrize("text", [ADDRESS, CHECKSUMMED, "0x" + ADDRESS[2:].upper()])
    def test_every_spelling_is_stored_in_lower_case(self, text: str) -> None:
        """Checksummed, all lower and all upper case are the same account."""
        assert SOURCE.canonical_address(text) == ADDRESS

    @pytest.mark.parametrize(
        "text",
        [
            *("", "0x", ADDRESS[:-1], ADDRESS + "0", "0X" + ADDRESS[2:], ADDRESS[2:], ADDRESS + "\n"),
            *(" " + ADDRESS, ADDRESS[:-1] + "g", ADDRESS[:-1] + "١", "wallet.loopring.eth"),
        ],
    )
    def test_anything_else_is_refused(self, text: str) -> None:
        """Names are resolved elsewhere; a stray character is a typo."""
        with pytest.raises(ValueError, match="40 hexadecimal digits"):
            SOURCE.canonical_address(text)

    def test_one_wrong_character_of_a_checksummed_address_is_noticed(self) -> None:
        """Every position with every other character, so also every flipped letter case."""
        wrong = [
            CHECKSUMMED[:place] + letter + CHECKSUMMED[place + 1 :]
            for place in range(len(CHECKSUMMED))
            for letter in string.hexdigits + "xX"
            if letter != CHECKSUMMED[place]
        ]

        assert [text for text in wrong if accepted(text)] == []

    @given(st.binary(min_size=20, max_size=20))
    def test_any_checksummed_address_round_trips(self, digest: bytes) -> None:
        """EIP-55 in, lower case out."""
        assert SOURCE.canonical_address(to_checksum_address(digest)) == f"0x{digest.hex()}"

    def test_there_is_no_scope(self) -> None:
        """Only runes have one."""
        assert SOURCE.canonical_scope("") == ""
        with pytest.raises(ValueError, match="no scope"):
            SOURCE.canonical_scope("840000:3")


def accepted(text: str) -> bool:
    try:
        SOURCE.canonical_address(text)
    except ValueError:
        return False
    return True


class TestRequests:
    def test_the_first_question_is_for_the_account(self) -> None:
        """Balances are asked by account number only."""
        request = Loopring(prefix="/relay").request(question(facts=NO_FACTS))

        assert (request.kind, request.target) == ("lookup", f"/relay/api/v3/account?owner={ADDRESS}")
        assert request.template == "/api/v3/account?owner={address}"
        assert SOURCE.fact_names(question()) == (f"account:{ADDRESS}",)

    @pytest.mark.parametrize(("cursor", "offset"), [(None, 0), ("50|120", 50), ("53|120", 53)])
    def test_pages_are_asked_by_offset(self, cursor: str | None, offset: int) -> None:
        """The largest page there is, emptied rows included, so that they do not shift the list."""
        request = SOURCE.request(question(cursor))

        assert request.target == (
            f"/api/v3/user/nft/balances?accountId={ACCOUNT}&offset={offset}&limit=50&nonZero=false&metadata=true"
        )
        assert (request.kind, request.method) == ("page", "GET")
        assert str(ACCOUNT) not in request.template

    def test_the_key_is_one_header(self) -> None:
        """Nothing is signed."""
        headers = SOURCE.headers(
            SOURCE.request(question()), {"api_key": "k"}, datetime(2026, 1, 1, tzinfo=UTC)
        )

        assert headers == {"X-API-KEY": "k"}
        assert SOURCE.secret_path({"api_key": "k"}) == ""


class TestLookups:
    def test_the_account_number_is_learned_for_good(self) -> None:
        """It never changes; the server may spell the owner with a checksum."""
        body = json.dumps({"accountId": ACCOUNT, "owner": CHECKSUMMED, "frozen": False}).encode()

        page = SOURCE.parse(question(facts=NO_FACTS), body)

        assert page.facts == FACTS
        assert (page.teaches_only, page.lasting) == (True, frozenset(FACTS))

    @pytest.mark.parametrize("status", [200, 400])
    def test_no_account_is_a_complete_empty_list(self, status: int) -> None:
        """Whoever never used Loopring holds nothing there. Tomorrow it is asked again."""
        asked, body = question(facts=NO_FACTS), failure(101002, "account not found")

        assert SOURCE.read_error(asked, status, body) is None
        assert SOURCE.parse(asked, body) == Page()

    @pytest.mark.parametrize(
        "answer",
        [
            {"accountId": ACCOUNT, "owner": TOKEN},
            {"accountId": ACCOUNT},
            {"owner": ADDRESS},
            *({"accountId": number, "owner": ADDRESS} for number in (0, -1, 2**32, "7", True, 7.0)),
            {"resultInfo": {"code": 100001}, "accountId": ACCOUNT, "owner": ADDRESS},
        ],
    )
    def test_an_answer_about_something_else_is_not_believed(self, answer: dict[str, object]) -> None:
        """A wrong account number would show somebody else's NFTs."""
        with pytest.raises(BadPage):
            SOURCE.parse(question(facts=NO_FACTS), json.dumps(answer).encode())


class TestPaging:
    def test_the_list_ends_where_page_one_said(self) -> None:
        """No request is spent on finding an empty page."""
        first = SOURCE.parse(question(), listing([row(n) for n in range(50)], 52))
        second = SOURCE.parse(question(first.next_cursor), listing([row(n) for n in (50, 51)], 52))

        assert (first.next_cursor, first.reported_total, first.moved) == ("50|52", 52, False)
        assert (second.next_cursor, second.reported_total, second.moved) == (None, 52, False)

    def test_the_offset_counts_the_rows_that_came(self) -> None:
        """The server cuts pages at will; a fixed step would skip rows."""
        page = SOURCE.parse(question("50|120"), listing([row(n) for n in range(20)], 120))

        assert page.next_cursor == "70|120"

    def test_an_empty_account_is_complete(self) -> None:
        """The only way to say that nothing is held."""
        assert SOURCE.parse(question(), listing([], 0)) == Page(reported_total=0)

    def test_a_list_that_grew_is_read_to_its_new_end_and_called_moved(self) -> None:
        """Rows are inserted at the head: stopping at the old total would lose the tail."""
        page = SOURCE.parse(question("50|52"), listing([row(1), row(2)], 53))

        assert (page.next_cursor, page.moved) == ("52|52", True)

    def test_a_list_that_shrank_ends_with_an_empty_page_and_is_called_moved(self) -> None:
        """Past its end the API states a total of 0, which is not its length."""
        page = SOURCE.parse(question("50|52"), listing([], 0))

        assert (page.next_cursor, page.moved, page.reported_total) == (None, True, None)

    def test_the_empty_page_at_the_stated_end_is_no_movement(self) -> None:
        """A list that had grown for a moment may end like this."""
        assert not SOURCE.parse(question("52|52"), listing([], 0)).moved

    @pytest.mark.parametrize(("items", "total"), [(0, 7), (2, 1), (1, 0)])
    def test_a_first_page_that_contradicts_itself_is_not_believed(self, items: int, total: int) -> None:
        """Nothing can have moved yet."""
        with pytest.raises(BadPage, match="page 1"):
            SOURCE.parse(question(), listing([row(n) for n in range(items)], total))

    @pytest.mark.parametrize(
        "error",
        [
            {"resultInfo": {"code": 100000}},
            {"resultInfo": {"code": 100000.0}},
            {"resultInfo": {"code": 0}, "code": 100000},
            {"resultInfo": {"code": 100000}, "code": 0},
            {"resultInfo": {"code": [100000]}},
        ],
    )
    def test_a_list_beside_an_error_is_not_believed(self, error: dict[str, Any]) -> None:
        """Rows and a code that says trouble: half of this answer is wrong, and nobody knows which."""
        answer = {"totalNum": 1, "data": [row()], **error}

        with pytest.raises(BadPage, match="100000"):
            SOURCE.parse(question(), json.dumps(answer).encode())

    @pytest.mark.parametrize("total", [None, "3", 3.0, True, [], -1])
    def test_a_total_that_is_no_count_is_not_believed(self, total: object) -> None:
        """The end of the list hangs on it."""
        with pytest.raises(BadPage):
            SOURCE.parse(question(), listing([row()], total))

    def test_a_list_without_end_is_not_followed_for_ever(self) -> None:
        """An account has 32768 slots; a server that always has one more row is broken."""
        with pytest.raises(BadPage, match="more than an account can have"):
            SOURCE.parse(question("65530|9"), listing([row(n) for n in range(50)], 10**9))


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "body", "reaction"),
        [
            *((400, failure(code), Refused) for code in (104001, "104002")),
            (200, b'{"code":104002,"msg":"Invalid ApiKey"}', Refused),
            *((status, b"", Refused) for status in (401, 402, 403)),
            *((400, failure(code), RequestRejected) for code in (101001, 101002, 104003, 100001)),
            (200, failure(101002), RequestRejected),
            *((status, failure(100000), ServerTrouble) for status in (200, 400)),
            (404, b"<html>", RequestRejected),
            (429, b"", RateLimited),
            *((status, b"", ServerTrouble) for status in (500, 502, 503, 504)),
        ],
    )
    def test_each_answer_has_its_reaction(self, status: int, body: bytes, reaction: type[ApiError]) -> None:
        """Errors come with 400 or 200, in two shapes, or without a body."""
        assert type(SOURCE.read_error(question(), status, body)) is reaction

    def test_an_unknown_user_on_the_balances_call_hints_at_the_key(self) -> None:
        """The account was found before: it never means "no NFTs"."""
        assert "API key" in str(SOURCE.read_error(question(), 400, failure(101002)))

    @pytest.mark.parametrize(
        ("status", "body", "reaction"),
        [
            (400, failure(104007), CursorRejected),
            (404, b"", CursorRejected),
            (400, failure(101002), RequestRejected),
            (400, failure(104002), Refused),
            (503, b"", ServerTrouble),
        ],
    )
    def test_on_a_resumed_cursor_the_cursor_is_to_blame(
        self, status: int, body: bytes, reaction: type[ApiError]
    ) -> None:
        """Unless it is the key, the account or the server."""
        assert type(SOURCE.read_error(question("50|52"), status, body)) is reaction

    @pytest.mark.parametrize(("status", "code"), [(200, 101001), (400, 101001), (400, 100001), (401, 101002)])
    def test_only_one_code_means_no_account(self, status: int, code: int) -> None:
        """Any other error on the look-up proves nothing."""
        assert SOURCE.read_error(question(facts=NO_FACTS), status, failure(code)) is not None

    @pytest.mark.parametrize("extra", [{}, {"resultInfo": {"code": 0}}, {"resultInfo": None}, {"code": "0"}])
    def test_code_zero_is_a_success(self, extra: dict[str, object]) -> None:
        """Older answers carried one."""
        body = json.dumps({"totalNum": 0, "data": [], **extra}).encode()

        assert SOURCE.read_error(question(), 200, body) is None
        assert SOURCE.parse(question(), body).holdings == ()

    def test_the_message_is_short_clean_and_without_keys(self) -> None:
        """What the API repeated of ours must not reach a log."""
        key = "QmxhY2sgbGFudGVybnMgb24gYSByaXZlcg0123456789"
        body = failure(104002, f"Invalid ApiKey\r\n{key} for {ADDRESS} " + "very " * 100)

        message = str(SOURCE.read_error(question(), 400, body))

        assert "code 104002: Invalid ApiKey" in message
        assert key not in message
        assert ADDRESS not in message
        assert message.isprintable()
        assert len(message) < 300

    @given(
        st.integers(100, 599),
        st.binary(max_size=60) | st.from_regex(rb'\{"code": ?"?.{0,9}"?,"msg":.{0,9}\}'),
    )
    def test_reading_an_error_never_raises(self, status: int, body: bytes) -> None:
        """Whatever the wire carries becomes one of our errors or goes on to parse."""
        error = SOURCE.read_error(question("50|52"), status, body)

        assert isinstance(error, ApiError) or (error is None and status == 200)
