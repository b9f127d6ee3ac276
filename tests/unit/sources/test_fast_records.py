"""Records that a page has thousands of are light, and still values: frozen, hashable, equal by content."""

from decimal import Decimal

import msgspec
import pytest

from indexer.records import Asset, Holding, Price, Unreadable

RECORDS = (
    Holding("a", "b", amount=1),
    Unreadable("why", "a"),
    Asset("b", "nft"),
    Price("a", "b", "ask", "usd", Decimal("1.50")),
)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_never_changes(record: msgspec.Struct) -> None:
    """No field can be set, deleted or added."""
    for name in (*record.__struct_fields__, "new"):
        with pytest.raises(AttributeError):
            setattr(record, name, None)
        with pytest.raises((AttributeError, TypeError)):
            delattr(record, name)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_is_its_content(record: msgspec.Struct) -> None:
    """A copy is equal and has the same hash; a change of any field makes another value."""
    fields = msgspec.structs.asdict(record)

    assert type(record)(**fields) == record
    assert hash(type(record)(**fields)) == hash(record)
    for name in fields:
        assert type(record)(**{**fields, name: "other"}) != record


def test_records_of_different_kinds_are_never_equal() -> None:
    """An unreadable item is no asset, whatever their texts say."""
    assert len(set(RECORDS)) == len(RECORDS)
    assert Unreadable("b", "nft") != Asset("b", "nft")  # type: ignore[comparison-overlap]  # which is the point


def test_what_is_not_stated_is_none() -> None:
    """Unknown is not zero: nothing numeric has a default but None."""
    holding = Holding("a", "b")

    assert (holding.amount, holding.decimals, holding.locked, holding.frozen) == (None, None, None, None)
    assert (holding.sub_key, holding.delegate, holding.details) == ("", None, "{}")
