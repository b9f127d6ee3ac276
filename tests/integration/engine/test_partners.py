"""Answers of one API that come from several servers: what one of them does not tell is not sold."""

from typing import Final

import pytest

from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.stage import Fault, Stage, outcomes
from tests.integration.keeping import replay_stage, rules, verify_stage

_FUNGIBLE: Final = "SELECT count(*) FROM report.holdings WHERE kind = 'fungible'"


def _crawl_with(stage: Stage, revision: str) -> list[str]:
    stage.sim.switches.das_revision = revision
    return [found.outcome for found in stage.crawl("solana_das")]


def test_a_partner_that_lists_no_fungibles_sells_none(open_stage: OpenStage) -> None:
    """However often it answers in a row. They are carried, and fresh again when the other partner answers."""
    stage = open_stage({"solana_das": (24,)}, pages=5)
    assert _crawl_with(stage, "T") == ["published"]
    fungible = stage.value(_FUNGIBLE)
    assert fungible > 3

    for _ in range(3):
        assert _crawl_with(stage, "M") in (["published"], ["unchanged"])
        assert stage.value(_FUNGIBLE) == fungible
        assert stage.value(f"{_FUNGIBLE} AND status = 'carried'") == fungible
    _crawl_with(stage, "T")
    _crawl_with(stage, "T")

    assert stage.value(f"{_FUNGIBLE} AND status = 'fresh'") == fungible
    assert stage.differences() == {}
    assert stage.value("SELECT count(*) FROM ledger.holding_version WHERE valid_to IS NOT NULL") == 0
    assert rules(verify_stage(stage)) == set()
    assert not replay_stage(stage).found


def test_a_provider_that_never_told_balances_proves_absences(open_stage: OpenStage) -> None:
    """Where no fungibles are listed by anybody, what is missing twice is gone."""
    stage = open_stage({"solana_das": (24,)})
    _crawl_with(stage, "M")
    held = stage.value("SELECT count(*) FROM report.holdings")
    gone = stage.rows("SELECT asset_ref, sub_key FROM report.holdings LIMIT 2")
    stage.sim.faults.add(
        Fault("solana_das", "hidden", times=None, value=[tuple(row.values()) for row in gone])
    )

    _crawl_with(stage, "M")
    assert stage.value("SELECT count(*) FROM report.holdings") == held
    _crawl_with(stage, "M")

    assert stage.value("SELECT count(*) FROM report.holdings") == held - 2


def test_numbered_pages_are_read_again_as_they_were(open_stage: OpenStage) -> None:
    """One of them was too big, so that the later ones are smaller: verify and replay still find every row."""
    stage = open_stage({"solana_das": (24,)}, pages=5)
    refuse = b'{"jsonrpc":"2.0","error":{"code":-32000,"message":"Pagination Error. No Pagination"},"id":1}'
    big = b'{"jsonrpc":"2.0","error":{"code":-32702,"message":"Response is too big"},"id":1}'
    stage.sim.faults.add(Fault("solana_das", "status", status=200, body=refuse, where="any"))
    stage.sim.faults.add(Fault("solana_das", "status", status=200, body=big, where="any", nth=4))

    assert outcomes(stage.crawl()) == {"published": 1}

    assert rules(verify_stage(stage)) == set()
    assert not replay_stage(stage).found


@pytest.mark.parametrize("page", [1, 2])
def test_another_accounts_page_behind_an_evm_address(open_stage: OpenStage, page: int) -> None:
    """Whom the address means was said by its rows before: others fail the crawl, and history stays."""
    stage = open_stage({"hedera": (6,)}, pages=3)
    (alias,) = stage.world.aliases
    stage.watchlist = f"addresses:\n  - {{source: hedera, address: '0x{alias}'}}\n"
    assert outcomes(stage.crawl()) == {"published": 1}
    before = stage.rows("SELECT * FROM report.holding_history")
    assert len(before) == 6
    stage.sim.faults.add(Fault("hedera", "other_account", page=page, times=None))

    (found,) = stage.crawl()

    assert found.outcome == "failed"
    assert "another account" in (found.error or "")
    assert stage.rows("SELECT * FROM report.holding_history") == before


def test_a_page_of_another_account_in_the_first_list(open_stage: OpenStage) -> None:
    """Nothing is known of the address yet: its own first page says whose the second must be."""
    stage = open_stage({"hedera": (6,)}, pages=3)
    (alias,) = stage.world.aliases
    stage.watchlist = f"addresses:\n  - {{source: hedera, address: '0x{alias}'}}\n"
    stage.sim.faults.add(Fault("hedera", "other_account", page=2, times=None))

    (found,) = stage.crawl()

    assert found.outcome == "failed"
    assert stage.versions() == 0


def test_a_total_beyond_any_number_is_kept_as_evidence(open_stage: OpenStage) -> None:
    """Loopring: the crawl fails like any other with a page nobody can believe, and its bytes are kept."""
    stage = open_stage({"loopring": (6,)})
    body = b'{"totalNum": 1180591620717411303484, "data": []}'
    stage.sim.faults.add(Fault("loopring", "status", status=200, body=body, times=None))

    (found,) = stage.crawl()

    assert found.outcome == "failed"
    assert "more than an account can have" in (found.error or "")
    assert stage.value("SELECT count(*) FROM ledger.raw_page WHERE kind = 'rejected'") > 0
