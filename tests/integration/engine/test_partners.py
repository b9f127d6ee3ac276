"""Answers of one API that come from several servers: what one of them does not tell is not sold."""

from typing import Final

import pytest

from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.stage import Fault, Stage, outcomes
from tests.integration.keeping import replay_stage, rules, tamper, verify_stage

_FUNGIBLE: Final = "SELECT count(*) FROM report.holdings WHERE kind = 'fungible'"

_INSTANTS: Final = {
    "watch_period": ("watched_from",),
    "snapshot": ("judged_at", "snapshot_at", "fresh_until", "first_page_at", "last_page_at"),
    "holding_version": ("valid_from", "observed_at"),
    "carried_span": ("valid_from",),
}


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


def _let_days_go_by(stage: Stage, days: int) -> None:
    """All that is known, as if it had been learned so much earlier."""
    for table, columns in _INSTANTS.items():
        changes = ", ".join(f"{column} = {column} - make_interval(days => {days})" for column in columns)
        tamper(stage, table, f"UPDATE ledger.{table} SET {changes}")


def _leave_tokens(stage: Stage, kinds: frozenset[str]) -> None:
    """Of what the first account holds only these kinds stay: nothing on its list would tell a balance."""
    address = stage.world.watched[0].address
    catalogue = stage.world.catalogue["solana_das"]
    for item in stage.world.items("solana_das", address):
        if catalogue[item.asset_ref].kind not in kinds:
            stage.world.remove("solana_das", address, item.key)


def test_a_list_that_would_not_show_it_sells_no_fungibles_either(open_stage: OpenStage) -> None:
    """Only compressed assets are left on it: which partner answered cannot be told."""
    stage = open_stage({"solana_das": (60, 12)}, pages=25)
    stage.settings["GUARD__CONFIRM_AFTER"] = "0s"
    _leave_tokens(stage, frozenset({"compressed", "core", "token"}))
    _crawl_with(stage, "T")
    fungible = stage.value(_FUNGIBLE)
    assert fungible > 3

    for _ in range(4):
        _crawl_with(stage, "M")
        assert stage.value(_FUNGIBLE) == fungible
    assert rules(verify_stage(stage)) == set()
    assert not replay_stage(stage).found

    _crawl_with(stage, "T")
    assert stage.differences() == {}
    assert stage.value(f"{_FUNGIBLE} AND status = 'fresh'") == fungible


def test_what_is_not_listed_for_a_week_is_believed_to_be_gone(open_stage: OpenStage) -> None:
    """Whoever sells everything that would show on a list: it is carried for a week, and then no longer."""
    stage = open_stage({"solana_das": (60, 12)}, pages=25)
    stage.settings["GUARD__CONFIRM_AFTER"] = "0s"
    _leave_tokens(stage, frozenset({"compressed", "core", "token"}))
    _crawl_with(stage, "T")
    _leave_tokens(stage, frozenset({"compressed", "core"}))
    for _ in range(2):
        _crawl_with(stage, "T")
    assert stage.value("SELECT count(*) FROM report.holdings WHERE status = 'carried'") > 0

    _let_days_go_by(stage, 8)
    _crawl_with(stage, "T")
    _crawl_with(stage, "T")

    assert stage.differences() == {}
    assert stage.value("SELECT count(*) FROM report.holdings WHERE status = 'carried'") == 0


@pytest.mark.parametrize("was_read", [True, False], ids=["read before", "never read"])
def test_what_was_unreadable_for_a_week_is_not_missing_for_one(open_stage: OpenStage, was_read: bool) -> None:
    """It was on every list until now: that two do not show it, which would not, sells nothing."""
    stage = open_stage({"solana_das": (60, 12)}, pages=100)
    _leave_tokens(stage, frozenset({"compressed", "core", "token"}))
    address = stage.world.watched[0].address
    catalogue = stage.world.catalogue["solana_das"]
    items = stage.world.items("solana_das", address)
    token, *others = [item for item in items if catalogue[item.asset_ref].kind == "token"]
    for item in others:
        stage.world.remove("solana_das", address, item.key)
    if was_read:
        _crawl_with(stage, "T")
    stage.sim.faults.add(Fault("solana_das", "item_error", address=address, value="negative", times=None))
    _crawl_with(stage, "T")
    _let_days_go_by(stage, 8)
    _crawl_with(stage, "T")
    stage.sim.faults.clear()

    for _ in range(3):
        _crawl_with(stage, "M")

    balance = "SELECT answer FROM report.balance_as_of('solana_das', %(address)s, %(ref)s, now())"
    expected = "held" if was_read else "unknown"
    assert stage.value(balance, address=address, ref=token.asset_ref) == expected
    spans = "SELECT DISTINCT reason FROM ledger.carried_span WHERE valid_to IS NULL"
    assert stage.rows(spans) == [{"reason": "unkeyed"}]


def test_a_repeated_list_proves_no_more_than_it_did(open_stage: OpenStage) -> None:
    """An address that only the poor partner ever answered: what it leaves out stays unknown."""
    stage = open_stage({"solana_das": (24, 8)})
    first, second = (watched.address for watched in stage.world.watched)
    stage.watchlist = f"addresses:\n  - {{source: solana_das, address: {first}}}\n"
    _crawl_with(stage, "T")
    stage.watchlist = None

    for _ in range(3):
        _crawl_with(stage, "M")
        proofs = "SELECT count(*) FROM report.snapshots WHERE address = %(address)s AND proves_absence"
        assert stage.value(proofs, address=second) == 0
    assert not replay_stage(stage).found


def test_what_is_told_every_day_is_not_forgotten_after_a_week(open_stage: OpenStage) -> None:
    """Its age counts from the last list that told balances, be it a list that repeats the one before."""
    stage = open_stage({"solana_das": (24,)})
    _crawl_with(stage, "T")
    fungible = stage.value(_FUNGIBLE)
    stage.execute("UPDATE ledger.fact SET learned_at = learned_at - interval '6 days'")
    assert _crawl_with(stage, "T") == ["unchanged"]
    stage.execute("UPDATE ledger.fact SET learned_at = learned_at - interval '2 days'")

    for _ in range(3):
        _crawl_with(stage, "M")

    assert stage.value(_FUNGIBLE) == fungible


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
