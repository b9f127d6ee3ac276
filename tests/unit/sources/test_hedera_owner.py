"""Hedera: whose rows a page has, by account number and by alias."""

import pytest

from indexer.errors import BadPage
from indexer.records import Question
from tests.unit.sources.test_hedera import ALIAS, SOURCE, nft, parse


def test_rows_of_another_account_are_another_list() -> None:
    """A numeric watch says itself whose rows it wants."""
    with pytest.raises(BadPage, match="another account"):
        parse([nft(account_id="0.0.1")])


@pytest.mark.parametrize("address", ["0xabcdefabcdef0123456789abcdefabcdef012345", ALIAS])
@pytest.mark.parametrize("extra", [{}, {"unheard_of": 1}])
def test_whom_an_alias_means_is_learned_from_its_rows(address: str, extra: dict[str, object]) -> None:
    """Both ways of reading: the first row says it, and every later page must agree."""
    alias = Question((address,))
    first = parse([nft(account_id="0.0.97", **extra), nft(serial=2, account_id="0.0.97")], None, alias)
    assert dict(first.facts) == {SOURCE.fact_names(alias)[0]: "0.0.97"}
    assert first.lasting == first.facts.keys()
    known = Question((address,), facts=first.facts)

    assert parse([nft(account_id="0.0.97", **extra)], None, known).facts == first.facts
    assert dict(parse([], None, alias).facts) == {}
    assert len(parse([], None, known).holdings) == 0
    with pytest.raises(BadPage, match="another account"):
        parse([nft(account_id="0.0.98", **extra)], None, known)
    with pytest.raises(BadPage, match="another account"):
        parse([nft(account_id="0.0.97", **extra), nft(serial=2, account_id="0.0.98")], None, alias)


def test_an_account_number_needs_no_facts() -> None:
    """And so no look at what was learned."""
    assert SOURCE.fact_names(Question(("0.0.97",))) == ()
    assert dict(parse([nft()]).facts) == {}
