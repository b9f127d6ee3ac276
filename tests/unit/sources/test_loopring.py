"""Loopring: exact balances, rows and their details, NFTs, and answers that were damaged."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import BadPage
from indexer.records import NO_FACTS, Facts, Holding, Page
from tests.unit.sources.loopring_answers import (
    ACCOUNT,
    ADDRESS,
    FACTS,
    LARGEST,
    SOURCE,
    TOKEN,
    listing,
    question,
    row,
)


def only(page: Page) -> Holding:
    (holding,) = page.holdings
    return holding


class TestRows:
    @given(st.integers(1, LARGEST), st.integers(0, LARGEST), st.booleans())
    def test_every_balance_is_exact(self, total: int, other: int, as_text: bool) -> None:
        """Text or number, up to the uint96 of the chain."""
        locked, total = sorted((total, other or total))
        told: list[object] = [str(total), str(locked)] if as_text else [total, locked]

        holding = only(SOURCE.parse(question(), listing([row(total=told[0], locked=told[1])], 1)))

        assert (holding.amount, holding.locked, holding.decimals) == (total, locked, 0)

    @pytest.mark.parametrize("total", [None, "", "1.0", 1.0, "-1", -1, "NaN", True, str(2**96), "1e3", []])
    def test_an_unreadable_total_keeps_its_key(self, total: object) -> None:
        """Listed but unreadable is not absent."""
        page = SOURCE.parse(question(), listing([row(7, total=total)], 1))

        assert [(u.address, u.asset_ref) for u in page.unreadable] == [(ADDRESS, f"0x{7:064x}")]
        assert (page.holdings, page.not_held) == ((), 0)

    @pytest.mark.parametrize("locked", ["x", 0.5, -1, [], {}, False, str(2**96), 11])
    def test_an_unreadable_lock_makes_the_row_unreadable(self, locked: object) -> None:
        """What cannot move is part of the answer."""
        page = SOURCE.parse(question(), listing([row(locked=locked)], 1))

        assert (len(page.unreadable), page.holdings) == (1, ())

    @pytest.mark.parametrize("change", [{"locked": None}, {"locked": "0"}, {"locked": 0}])
    def test_no_lock_is_nothing_locked(self, change: dict[str, Any]) -> None:
        """The field is optional in Loopring's own client."""
        assert only(SOURCE.parse(question(), listing([row(**change)], 1))).locked == 0

    @pytest.mark.parametrize("total", ["0", 0, "00"])
    def test_a_balance_of_zero_is_listed_but_not_held(self, total: object) -> None:
        """We ask for emptied rows; what is locked or on its way changes nothing."""
        sent = row(1, total=total, locked="3", pending={"withdraw": "3", "deposit": "0"})

        page = SOURCE.parse(question(), listing([sent, row(2)], 2))

        assert (page.not_held, only(page).asset_ref) == (1, f"0x{2:064x}")

    def test_short_upper_case_nft_data_is_the_same_nft(self) -> None:
        """The server drops leading zeros at times."""
        assert only(SOURCE.parse(question(), listing([row(nftData="0xAB")], 1))).asset_ref == f"0x{0xAB:064x}"

    @pytest.mark.parametrize(
        "item", [row(nftData=v) for v in (None, "", "ab", 7, "0x", "0x" + "1" * 65)] + [5, None]
    )
    def test_a_row_without_key_is_unreadable_for_the_address(self, item: object) -> None:
        """Nobody knows which NFT it was, so none is proved absent."""
        page = SOURCE.parse(question(), listing([item], 1))

        assert [(u.address, u.asset_ref) for u in page.unreadable] == [(ADDRESS, None)]

    @pytest.mark.parametrize("account", [ACCOUNT + 1, None, str(ACCOUNT) + "0", float(ACCOUNT)])
    def test_rows_of_another_account_are_not_believed(self, account: object) -> None:
        """The API ignored what was asked."""
        with pytest.raises(BadPage, match="another account"):
            SOURCE.parse(question(), listing([row(accountId=account)], 1))

    def test_details_tell_the_position(self) -> None:
        """Padded ids, lower-case contract, only choices that were made; row id and times are noise."""
        item = row(
            1, tokenAddress=TOKEN.upper().replace("X", "x"), preference={"favourite": True, "hide": False}
        )

        details = json.loads(only(SOURCE.parse(question(), listing([item], 1))).details)

        assert details == {
            "token_address": TOKEN,
            "nft_id": f"0x{4097:064x}",
            "nft_type": "ERC1155",
            "slot": 32769,
            "deployment_status": "DEPLOYED",
            "is_counterfactual": True,
            "preference": {"favourite": True},
        }

    @pytest.mark.parametrize(
        ("pending", "told"),
        [
            ({"withdraw": "4", "deposit": "0"}, {"pending_withdraw": "4"}),
            ({"withdraw": 0, "deposit": 5}, {"pending_deposit": "5"}),
            ("{withdraw:0, deposit:0}", {}),
            ("{withdraw: 6, deposit:7}", {"pending_withdraw": "6", "pending_deposit": "7"}),
            ('{"withdraw":"8","deposit":"0"}', {"pending_withdraw": "8"}),
            (None, {}),
            ({}, {}),
            ("", {}),
            (3, {}),
        ],
    )
    def test_amounts_on_their_way_are_told_where_there_are_any(
        self, pending: object, told: dict[str, str]
    ) -> None:
        """An object in answers, text in the documents; silence and zero are the same."""
        details = json.loads(only(SOURCE.parse(question(), listing([row(pending=pending)], 1))).details)

        assert {key: value for key, value in details.items() if key.startswith("pending")} == told

    @pytest.mark.parametrize(("nft_id", "padded"), [("0x2a", 42), ("42", 42), ("0X2A", 42)])
    def test_an_nft_id_has_one_spelling(self, nft_id: str, padded: int) -> None:
        """Hexadecimal behind 0x, decimal without."""
        details = json.loads(only(SOURCE.parse(question(), listing([row(nftId=nft_id)], 1))).details)

        assert details["nft_id"] == f"0x{padded:064x}"

    @pytest.mark.parametrize("nft_id", ["4.2", "-42", "0x", "", None, 42.0, str(2**256)])
    def test_an_nft_id_that_is_none_is_left_out(self, nft_id: object) -> None:
        """It describes the position and names nothing: the holding is told without it."""
        details = json.loads(only(SOURCE.parse(question(), listing([row(nftId=nft_id)], 1))).details)

        assert "nft_id" not in details

    def test_one_nft_may_be_held_under_two_keys(self) -> None:
        """After a round trip to L1 the minter, and so nftData, is another one."""
        page = SOURCE.parse(question(), listing([row(1, nftId="0x9"), row(2, nftId="9")], 2))

        assert [holding.asset_ref for holding in page.holdings] == [f"0x{1:064x}", f"0x{2:064x}"]


class TestAssets:
    def test_the_nft_is_described_without_the_lies_of_its_metadata(self) -> None:
        """`metadata.nftId` is decimal behind 0x and `metadata.nftType` is numbered differently."""
        (asset,) = SOURCE.parse(question(), listing([row(1)], 1)).assets

        told = json.loads(asset.metadata)
        assert (asset.kind, asset.name, asset.decimals) == ("nft", "Paper lantern", 0)
        assert told["metadata"].keys() == {"uri", "base"}
        assert (told["nft_id"], told["royalty_percentage"]) == (f"0x{4097:064x}", 5)
        assert "preference" not in told

    @pytest.mark.parametrize(
        "metadata", [None, {}, {"base": {}}, {"base": None}, {"base": {"name": ""}}, "", []]
    )
    def test_metadata_that_is_not_there_yet_erases_nothing(self, metadata: object) -> None:
        """The server fetches it from IPFS in its own time."""
        page = SOURCE.parse(question(), listing([row(metadata=metadata)], 1))

        assert (page.assets, len(page.holdings)) == ((), 1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


class TestMutations:
    @given(st.sampled_from(sorted(row())), JSON)
    def test_a_mutated_row_gives_a_page_or_bad_page(self, field: str, value: object) -> None:
        """No row, however odd, raises anything else, and none is lost."""
        try:
            page = SOURCE.parse(question(), listing([row(1), row(2, **{field: value})], 2))
        except BadPage:
            assert field == "accountId"
            return
        assert len(page.holdings) + len(page.unreadable) + page.not_held == 2

    @given(
        JSON, st.sampled_from([FACTS, NO_FACTS]), st.sampled_from(["data", "totalNum", "resultInfo", "owner"])
    )
    def test_a_mutated_envelope_gives_a_page_or_bad_page(
        self, value: object, facts: Facts, field: str
    ) -> None:
        """The same for what is around the rows, and for look-ups."""
        answer = {"totalNum": 1, "data": [row()], "accountId": ACCOUNT, "owner": ADDRESS, field: value}

        try:
            page = SOURCE.parse(question(facts=facts), json.dumps(answer).encode())
        except BadPage:
            return
        assert page.teaches_only == (facts is NO_FACTS)

    @given(st.integers(0, 4000))
    def test_a_cut_body_is_a_bad_page(self, length: int) -> None:
        """Half an answer must not look like a shorter list."""
        body = listing([row(1), row(2)], 2)

        with pytest.raises(BadPage):
            SOURCE.parse(question(), body[: min(length, len(body) - 1)])
