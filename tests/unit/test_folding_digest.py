"""The digest of a list: what it tells apart, and what it must not depend on."""

from hypothesis import given
from hypothesis import strategies as st

from indexer.folding import Fold
from indexer.records import Holding, Page, Unreadable

ASSETS = {"a": 1, "b": 2}

delegates = st.none() | st.sampled_from(["None", "null", "", '"', "x\x1f{}\na\x1f\x1f1", "\n", "\x1f"])
holdings = st.builds(
    Holding, st.just("alice"), st.sampled_from(["a", "b"]), amount=st.just(1), delegate=delegates
)
doubts = st.builds(
    Unreadable, st.just("r"), st.just("alice"), st.sampled_from([None, "a", "b"]), st.sampled_from(["", "1"])
)
items = st.lists(holdings | doubts, max_size=6)


def page_of(listed: list[Holding | Unreadable]) -> Page:
    return Page(
        holdings=tuple(item for item in listed if isinstance(item, Holding)),
        unreadable=tuple(item for item in listed if isinstance(item, Unreadable)),
    )


def sorted_items(listed: list[Holding | Unreadable]) -> list[str]:
    """The order is no part of a list: every item is found by its key."""
    return sorted(map(repr, listed))


def digest_of(*pages: list[Holding | Unreadable]) -> bytes:
    fold = Fold({"alice": 9})
    for number, listed in enumerate(pages, start=1):
        fold.add(number, page_of(listed), ASSETS)
    return fold.summaries[9].digest


@given(items, st.integers(0, 6))
def test_cutting_a_list_with_doubts_elsewhere_changes_nothing(
    listed: list[Holding | Unreadable], cut: int
) -> None:
    """Readable and unreadable items in any mix: where a page ends is no part of the digest."""
    assert digest_of(listed[:cut], listed[cut:]) == digest_of(listed)


@given(items, items)
def test_equal_digests_mean_equal_pages(
    first: list[Holding | Unreadable], second: list[Holding | Unreadable]
) -> None:
    """No delegate passes for none, for another field or for another row; no doubt passes for a holding."""
    assert (digest_of(first) == digest_of(second)) == (sorted_items(first) == sorted_items(second))


def test_no_delegate_is_not_the_delegate_none() -> None:
    """A text that looks like nothing is still a text."""
    without, spelled = (Holding("alice", "a", amount=1, delegate=delegate) for delegate in (None, "None"))

    assert digest_of([without]) != digest_of([spelled])


def test_every_doubt_counts() -> None:
    """The second unreadable item is as much a part of the list as the first; their order is none."""
    one, other = Unreadable("r", "alice", "a"), Unreadable("r", "alice", "b")

    assert digest_of([one, other]) not in (digest_of([other]), digest_of([one]), digest_of([one, one]))
    assert digest_of([one], [other]) == digest_of([other], [one])
