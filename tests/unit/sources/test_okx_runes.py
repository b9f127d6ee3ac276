"""OKX Runes: exact amounts, rows and their details, look-ups, and answers that were damaged."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import BadPage
from indexer.records import NO_FACTS
from indexer.sources.okx_runes import read_base_units
from tests.unit.sources.okx_answers import (
    FACTS,
    LEGACY,
    RUNE,
    SOURCE,
    TAPROOT,
    TRANSACTION,
    detail,
    listing,
    question,
    row,
)
from tests.unit.sources.recordings import paths_in, with_value


class TestAmounts:
    @given(st.integers(0, 2**128 - 1), st.integers(0, 38))
    def test_every_amount_survives_display_units(self, amount: int, divisibility: int) -> None:
        """No rune amount of any divisibility is ever rounded."""
        digits = str(amount).zfill(divisibility + 1)
        text = f"{digits[:-divisibility]}.{digits[-divisibility:]}" if divisibility else digits

        assert read_base_units(text, divisibility) == amount

    @given(st.integers(0, 2**128 - 1), st.integers(0, 38))
    def test_scientific_notation_means_the_same(self, amount: int, divisibility: int) -> None:
        """Not seen at OKX, but it would be exact."""
        assert read_base_units(f"{amount}e-{divisibility}", divisibility) == amount

    @pytest.mark.parametrize(
        "value",
        [
            *(None, "", "NaN", "Infinity", "-1", "+1", "1e400", " 1", "1 ", "1,5", "٣", "0x10", ".5", "5."),
            *(True, 1.5, [], "0.000001", str(2**128), "1e39", "3402823669209384634633746074317682.11456"),
        ],
    )
    def test_what_is_no_exact_amount_is_an_error(self, value: object) -> None:
        """Nothing is guessed: the row becomes unreadable."""
        with pytest.raises(ValueError, match="amount"):
            read_base_units(value, 5)

    def test_a_float_in_the_answer_makes_the_row_unreadable(self) -> None:
        """JSON floats are no exact amounts, and the other rows are still good."""
        page = SOURCE.parse(question(), listing([row(0, amount=1.5), row(1, amount=3)]))

        assert [holding.amount for holding in page.holdings] == [300000]
        assert [(item.asset_ref, item.sub_key) for item in page.unreadable] == [(RUNE, f"{TRANSACTION}:0")]


class TestRows:
    def test_an_output_listed_with_two_amounts_is_not_read(self) -> None:
        """It has one for ever, so one of the two is wrong, and nobody knows which."""
        priced = row(1, status=1, unitPrice={"satPrice": "3"})

        page = SOURCE.parse(question(), listing([row(0), priced, row(1, amount=7)]))

        assert [holding.sub_key for holding in page.holdings] == [f"{TRANSACTION}:0"]
        assert [(item.address, item.sub_key) for item in page.unreadable] == [
            (TAPROOT, f"{TRANSACTION}:1")
        ] * 2
        assert page.prices == ()

    def test_an_output_listed_twice_alike_is_read_twice(self) -> None:
        """At the edge of a page that is usual; who folds the list takes it once."""
        page = SOURCE.parse(question(), listing([row(1), row(1)]))

        assert (len(page.holdings), page.unreadable) == (2, ())

    def test_details_tell_the_position_and_nothing_that_moves_by_itself(self) -> None:
        """Confirmations, prices and icons change without anything happening to the holding."""
        page = SOURCE.parse(
            question(),
            listing([row(status=1, listTime=1717171717, orderId=7, confirmations=12, unavailable=1)]),
        )

        assert [json.loads(holding.details) for holding in page.holdings] == [
            {
                "assetId": "41170283305518221",
                "listTime": 1717171717,
                "orderId": 7,
                "status": 1,
                "tickerType": 4,
                "unavailable": 1,
                "utxoValue": "546",
            }
        ]

    @given(
        st.fixed_dictionaries(
            {},
            optional={
                key: st.sampled_from([None, 0, ""])
                for key in ("listTime", "orderId", "unavailable", "txHash", "inscriptionNum", "chain")
            },
        )
    )
    def test_null_zero_empty_and_absent_are_the_same_details(self, noise: Mapping[str, object]) -> None:
        """Otherwise an unlisted output would get a new version whenever OKX changes its mind."""
        silent = {key: value for key, value in row().items() if value not in (None, "", 0) or key == "status"}
        silent["utxoVout"] = 0

        pages = [SOURCE.parse(question(), listing([item])) for item in (row(), silent, {**silent, **noise})]

        assert len({page.holdings[0].details for page in pages}) == 1

    def test_asks_are_told_per_display_unit_for_listed_rows_only(self) -> None:
        """A price of a row that is not for sale means nothing."""
        price = {"currency": "BTC", "price": "0.0000000325", "satPrice": "3.25", "usdPrice": "0.002179125"}
        rows = [row(0, status=1, unitPrice=price), row(1, unitPrice=price), row(2, status=1, unitPrice={})]

        page = SOURCE.parse(question(), listing(rows))

        assert [(ask.sub_key, ask.kind, ask.currency, ask.price) for ask in page.prices] == [
            (f"{TRANSACTION}:0", "ask", "sat", Decimal("3.25")),
            (f"{TRANSACTION}:0", "ask", "usd", Decimal("0.002179125")),
        ]

    @pytest.mark.parametrize("price", ["", "NaN", "1e999", "-1", "0", None, 5, []])
    def test_a_price_that_is_none_costs_no_holding(self, price: object) -> None:
        """The balance is what matters."""
        page = SOURCE.parse(
            question(), listing([row(status=1, unitPrice={"satPrice": price, "usdPrice": price})])
        )

        assert (len(page.holdings), page.prices) == (1, ())

    def test_the_rune_is_described_once_a_page(self) -> None:
        """Emoji and spacers survive; the icon belongs to the asset, not to the position."""
        (asset,) = SOURCE.parse(question(), listing([row(0), row(1)])).assets

        assert (asset.asset_ref, asset.symbol, asset.name) == (RUNE, "🏮", "QUIET•PAPER•LANTERN")
        assert (asset.kind, asset.decimals) == ("fungible", 5)
        assert json.loads(asset.metadata)["tickerIcon"] == "https://static.example.com/lantern.png"

    def test_a_nameless_row_says_nothing_about_the_rune(self) -> None:
        """Silence must not erase a name that is known."""
        assert SOURCE.parse(question(), listing([row(name="", symbol=None)])).assets == ()

    @pytest.mark.parametrize("owner", [None, "", 7, TAPROOT[:-1], {}])
    def test_an_unreadable_owner_concerns_every_address(self, owner: object) -> None:
        """The row belongs to one of those asked, and nobody knows to which."""
        page = SOURCE.parse(question(TAPROOT, LEGACY), listing([row(ownerAddress=owner)]))

        assert [(item.address, item.asset_ref) for item in page.unreadable] == [(None, None)]

    @pytest.mark.parametrize(
        "change",
        [
            {"utxoTxHash": "5c"},
            {"utxoTxHash": None},
            {"utxoVout": -1},
            {"utxoVout": 2**32},
            {"utxoVout": True},
        ],
    )
    def test_an_unreadable_output_has_an_owner_but_no_key(self, change: dict[str, Any]) -> None:
        """Whichever holding it was, it is not proved absent."""
        page = SOURCE.parse(question(), listing([row(**change)]))

        assert [(item.address, item.asset_ref, item.sub_key) for item in page.unreadable] == [
            (TAPROOT, None, "")
        ]

    @pytest.mark.parametrize(
        "change", [{"ownerAddress": LEGACY}, {"tickerId": "845764:85"}, {"tickerId": None}]
    )
    def test_rows_that_were_not_asked_for_are_not_believed(self, change: dict[str, Any]) -> None:
        """An API that ignores the filter would also prove absences that are none."""
        with pytest.raises(BadPage, match="ignored"):
            SOURCE.parse(question(), listing([row(0), row(1, **change)]))


class TestLookups:
    def test_the_divisibility_is_learned_for_good(self) -> None:
        """It can never change on chain, so later crawls may rely on it."""
        page = SOURCE.parse(question(facts=NO_FACTS), detail())

        assert page.facts == {f"divisibility:{RUNE}": "5"}
        assert (page.teaches_only, page.lasting) == (True, frozenset({f"divisibility:{RUNE}"}))
        assert page.next_cursor is None
        assert "marketData" not in json.loads(page.assets[0].metadata)

    @pytest.mark.parametrize("divisibility", [None, "5", -1, 39, 5.0, True])
    def test_an_impossible_divisibility_is_not_believed(self, divisibility: object) -> None:
        """A wrong power of ten would be a plausible wrong number."""
        with pytest.raises(BadPage, match="divisibility"):
            SOURCE.parse(question(facts=NO_FACTS), detail(divisibility=divisibility))

    def test_another_rune_teaches_nothing(self) -> None:
        """Only the entry with our rune's id counts."""
        with pytest.raises(BadPage, match="does not contain"):
            SOURCE.parse(question(facts=NO_FACTS), detail(runesId="845764:85"))

    def test_no_data_is_no_divisibility(self) -> None:
        """83000 on a look-up is a failure, not an empty list."""
        with pytest.raises(BadPage, match="83000"):
            SOURCE.parse(question(facts=NO_FACTS), b'{"code":"83000","msg":"Data not found"}')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


class TestMutations:
    @given(st.data())
    def test_a_mutated_answer_gives_a_page_or_bad_page(self, data: st.DataObject) -> None:
        """No answer, however odd, raises anything else."""
        facts = data.draw(st.sampled_from([FACTS, NO_FACTS]))
        body = listing([row(0), row(1, status=1, unitPrice={"satPrice": "1"})], "Mg==")
        answer = json.loads(body if facts else detail())
        path = data.draw(st.sampled_from(list(paths_in(answer))))

        mutated = json.dumps(with_value(answer, path, data.draw(JSON))).encode()

        try:
            page = SOURCE.parse(question(facts=facts), mutated)
        except BadPage:
            return
        assert len(page.holdings) + len(page.unreadable) <= 3
        assert all(holding.amount is not None for holding in page.holdings)

    @given(st.integers(0, 2000))
    def test_a_cut_body_is_a_bad_page(self, length: int) -> None:
        """Half an answer must not look like a shorter list."""
        body = listing([row(0), row(1)])

        with pytest.raises(BadPage):
            SOURCE.parse(question(), body[: min(length, len(body) - 1)])
