"""Recognition: a page is skipped only when its question and steady bytes are those of the last list."""

import hashlib
import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.recognition import KnownList, KnownPage, find_steady
from indexer.records import Question
from indexer.sources.algorand import Algorand
from indexer.store.bodies import StoredBody, apply_splice, pack, pack_known

ROUND = Algorand().volatile
MONTH = date(2026, 11, 1)

heads = st.binary(max_size=400).filter(lambda text: b'"round"' not in text)
rounds = st.integers(min_value=0, max_value=10**18 - 1)


def body_at(head: bytes, number: int, tail: bytes) -> bytes:
    """A body like Algorand's, whose round stands between two steady parts."""
    return head + b'"round":' + str(number).encode() + b"," + tail


def known_page(body: bytes, cursor_in: str | None = None) -> KnownPage:
    """The page as it is known once this body was published."""
    digest = hashlib.sha256(body).digest()
    return KnownPage(1, cursor_in, None, 3, digest, find_steady(body, ROUND).sha256, digest, len(body))


@given(head=heads, tail=heads, before=rounds, after=rounds)
def test_keeps_the_exact_bytes_of_a_recognised_page(
    head: bytes, tail: bytes, before: int, after: int
) -> None:
    """A splice of the earlier body gives back exactly the bytes that came, whatever the lengths."""
    old, new = body_at(head, before, tail), body_at(head, after, tail)
    steady = find_steady(new, ROUND)
    digest = hashlib.sha256(new).digest()
    first = pack(old)
    assert first.stored is not None

    packed = pack_known(new, digest, steady, known_page(old))

    body = StoredBody(first.codec, first.length, first.stored).unpack()
    assert apply_splice(body, packed.splice) == new
    assert packed.stored is None
    assert packed.sha256 == hashlib.sha256(old).digest()
    assert packed.exact_sha256 == (None if new == old else digest)


@given(head=heads, tail=heads, before=rounds, after=rounds)
def test_recognises_a_page_by_its_steady_part(head: bytes, tail: bytes, before: int, after: int) -> None:
    """Only the round differs: the list is the same. Its height is read all the same."""
    old, new = body_at(head, before, tail), body_at(head, after, tail)
    steady = find_steady(new, ROUND)
    known = KnownList(7, MONTH, {}, [known_page(old)])

    found = known.recognise(1, None, {}, hashlib.sha256(new).digest(), steady)

    assert found is known.pages[0]
    assert steady.height == after


@given(old=st.binary(max_size=200), new=st.binary(max_size=200))
def test_any_other_difference_is_parsed(old: bytes, new: bytes) -> None:
    """One byte outside of the round, and the page is not recognised."""
    old, new = body_at(old, 5, b"]"), body_at(new, 6, b"]")
    steady = find_steady(new, ROUND)
    known = KnownList(7, MONTH, {}, [known_page(old)])

    found = known.recognise(1, None, {}, hashlib.sha256(new).digest(), steady)

    assert (found is not None) == (find_steady(old, ROUND).sha256 == steady.sha256 or old == new)


def test_another_question_is_parsed() -> None:
    """Same bytes to another cursor, other facts or beyond the known list say something else."""
    body = body_at(b"[", 5, b"]")
    digest, steady = hashlib.sha256(body).digest(), find_steady(body, ROUND)
    known = KnownList(7, MONTH, {"mode": "a"}, [known_page(body, cursor_in="9")])

    assert known.recognise(1, "9", {"mode": "a"}, digest, steady) is known.pages[0]
    assert known.recognise(1, "8", {"mode": "a"}, digest, steady) is None
    assert known.recognise(1, "9", {"mode": "b"}, digest, steady) is None
    assert known.recognise(2, "9", {"mode": "a"}, digest, steady) is None


def test_a_number_that_is_there_twice_is_not_told_apart() -> None:
    """Two rounds in one body: nothing is left out, so nothing can be mistaken."""
    body = b'{"round":1,"x":{"round":2}}'

    assert find_steady(body, ROUND).sha256 is None
    assert find_steady(b"{}", ROUND).sha256 is None


@pytest.mark.parametrize("end", [b"}", b"}\n"])
def test_the_number_that_ends_the_object_is_the_one_that_counts(end: bytes) -> None:
    """Of a key that is there twice the last counts, for the parser too; what stands before it is compared."""
    body = b'{"asset-holdings":[],"round":1,"round":2' + end

    steady = find_steady(body, ROUND)

    assert steady.height == 2
    assert body[steady.start : steady.end] == b"2"
    assert Algorand().parse(Question(("A",)), body).height == 2
    assert steady.sha256 != find_steady(body.replace(b"1", b"3"), ROUND).sha256


def test_the_end_of_a_longer_name_is_not_the_round() -> None:
    """A key that ends in a quote and this text: only the true round is left out."""
    body = rb'{"round":9,"x\"round":7}'

    assert find_steady(body, ROUND).sha256 is None


_PAIRS = ['"round":1,', '"a":{"round":2},', r'"b":"\"round\":3",', r'"y\"round":4,', '"c":[{"round":5}],', ""]


@given(
    pairs=st.lists(st.sampled_from(_PAIRS), max_size=3),
    before=st.sampled_from(["", '"d":{', '"e":[{', '"x\\']),
    end=st.sampled_from(["}", "}}", "}]}", ',"z":1}', " }\n"]),
)
def test_never_a_number_that_a_parser_does_not_find(pairs: list[str], before: str, end: str) -> None:
    """Wherever it is told apart in a body that states a round, it is the round of the outermost object."""
    body = ("{" + "".join(pairs) + before + '"round":7' + end).encode()
    try:
        told = json.loads(body)
    except ValueError:
        return

    steady = find_steady(body, ROUND)

    if steady.sha256 is not None and "round" in told:
        assert steady.height == told["round"]


@pytest.mark.parametrize("text", [b"007", b"1000000000000000000", b"-1", b"1e9", b'"7"'])
def test_what_a_parser_might_refuse_is_not_told_apart(text: bytes) -> None:
    """A leading zero is no JSON, and more digits may be too large to be stored: such a page is parsed."""
    usual = find_steady(b'{"round":7}', ROUND)

    assert find_steady(b'{"round":' + text + b"}", ROUND).sha256 != usual.sha256


def test_a_number_in_another_place_is_another_body() -> None:
    """Spaces around it: without the number both are the same, and it would be put back where it was not."""
    bodies = [b'{"asset-holdings":[],"round": 77}', b'{"asset-holdings":[],"round":88 }']
    first, second = (find_steady(body, ROUND).sha256 for body in bodies)

    assert first != second


def test_a_name_cannot_pose_as_the_round() -> None:
    """Inside a JSON text the quotes are escaped, so the pattern does not match there."""
    body = rb'{"name":"\"round\":7","round":9}'

    steady = find_steady(body, ROUND)

    assert steady.height == 9
    assert body[steady.start : steady.end] == b"9"
