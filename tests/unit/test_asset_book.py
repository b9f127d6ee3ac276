"""The asset book: what is known of an asset without asking the database."""

import gc

from hypothesis import given
from hypothesis import strategies as st

from indexer.records import Asset
from indexer.store.assets import AssetBook, digest_of

texts = st.none() | st.sampled_from(["", "None", "=", "a", "a=b"])
assets = st.builds(
    Asset,
    st.just("7"),
    st.sampled_from(["fungible", "nft"]),
    symbol=texts,
    name=texts,
    decimals=st.none() | st.integers(0, 1),
    metadata=st.sampled_from(["{}", '{"a":1}']),
)


def described(name: str) -> Asset:
    return Asset("7", "fungible", name=name)


def learned(asset: Asset) -> AssetBook:
    book = AssetBook()
    book.remember("algorand", {"7": 1}, {1: digest_of(asset)})
    return book


def knows(book: AssetBook, network: str, refs: set[str], listed: list[Asset]) -> bool:
    """Whether nothing about these has to be asked or written."""
    numbers = book.numbers_of_all(network, refs)
    return numbers is not None and numbers.keys() >= refs and not book.news(network, listed)


def test_a_number_is_known_per_network() -> None:
    """References mean nothing outside of their network."""
    book = learned(described("x"))

    assert knows(book, "algorand", {"7"}, [])
    assert not knows(book, "algorand", {"7", "8"}, [])
    assert not knows(book, "hedera", {"7"}, [])
    assert book.numbers("algorand", {"7", "8"}) == {"7": 1}
    assert book.numbers("hedera", {"7"}) == {}


def test_an_asset_is_known_by_what_it_says() -> None:
    """An equal description is known, another one is not, whichever object carries it."""
    book = learned(described("x"))

    assert knows(book, "algorand", {"7"}, [described("x")])
    assert not knows(book, "algorand", {"7"}, [described("y")])
    assert not knows(book, "algorand", set(), [Asset("8", "nft")])


def test_recognising_one_object_vouches_for_no_other() -> None:
    """While the known object lives, another one of the same reference is still judged by what it says."""
    first = described("x")
    book = learned(first)
    assert knows(book, "algorand", {"7"}, [first])

    assert not knows(book, "algorand", {"7"}, [described("y")])
    assert knows(book, "algorand", {"7"}, [first])


def test_an_object_recognised_once_is_not_known_for_ever() -> None:
    """Once another description is stored, the object that carries the old one has to be written again."""
    first, second = described("x"), described("y")
    book = learned(first)
    assert knows(book, "algorand", {"7"}, [first])

    book.remember("algorand", {"7": 1}, {1: digest_of(second)})

    assert not knows(book, "algorand", {"7"}, [first])
    assert knows(book, "algorand", {"7"}, [second])


def test_an_object_is_known_once_it_was_learned() -> None:
    """What was news is none any more, until something else is stored in its place."""
    book, first, second = AssetBook(), described("x"), described("y")
    assert book.news("algorand", [first]).keys() == {"7"}

    book.remember("algorand", {"7": 1}, {1: digest_of(first)})
    assert knows(book, "algorand", {"7"}, [first])

    assert book.news("algorand", [second]).keys() == {"7"}
    book.remember("algorand", {"7": 1}, {1: digest_of(second)})
    assert knows(book, "algorand", {"7"}, [second])
    assert not knows(book, "algorand", {"7"}, [first])


def test_an_object_that_is_gone_recognises_nothing() -> None:
    """Memory that is used again for another description is not mistaken for the one before."""
    book = learned(described("x"))
    for _ in range(50):
        assert knows(book, "algorand", {"7"}, [described("x")])
        gc.collect(0)
        assert not knows(book, "algorand", {"7"}, [described("y")])


@given(assets, assets)
def test_equal_digests_mean_equal_descriptions(first: Asset, second: Asset) -> None:
    """Nothing stated is told from an empty text, and from the text None; no field passes for another."""
    assert (digest_of(first) == digest_of(second)) == (first == second)


def test_what_others_learned_meanwhile_is_no_news() -> None:
    """Two pages describe the same asset: the second to come finds it stored."""
    book, one = AssetBook(), described("x")
    news = book.news("algorand", [one])
    assert book.still_news("algorand", news) == news

    book.remember("algorand", {"7": 1}, {1: digest_of(one)})

    assert book.still_news("algorand", news) == {}
    other = book.news("algorand", [described("y")])
    assert book.still_news("algorand", other) == other
