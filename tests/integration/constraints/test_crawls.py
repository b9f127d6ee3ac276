"""Crawls, raw pages and prices make sense, whoever writes."""

from decimal import Decimal

import pytest

from tests.integration.constraints.ledger import REFUSED, Ledger, at, is_accepted


def _crawl(ledger: Ledger) -> int:
    return int(ledger.insert("crawl", source_id="hedera")[0])


def test_one_open_crawl_per_watch(ledger: Ledger) -> None:
    """Two crawls of the same watch cannot both be open; after a verdict the next may be."""
    watch, first, second = ledger.watch(), _crawl(ledger), _crawl(ledger)
    ledger.insert("crawl_watch", crawl_id=first, watch_id=watch, place=0, open=True)
    again = {"crawl_id": second, "watch_id": watch, "place": 0, "open": True}

    assert not is_accepted(ledger.insert, "crawl_watch", **again)
    ledger.run("UPDATE ledger.crawl_watch SET open = NULL, verdict = 'failed'")
    assert is_accepted(ledger.insert, "crawl_watch", **again)


@pytest.mark.parametrize(
    "wrong",
    [
        "state = 'running'",
        "state = 'running', lease_owner = 1",
        "state = 'failed'",
        "state = 'failed', finished_at = now()",
        "state = 'lost'",
        "finished_at = now()",
        "first_page_at = now()",
        "first_page_at = now(), last_page_at = now() - interval '1 second'",
        "pages = -1",
        "lease_epoch = -1",
    ],
)
def test_a_crawl_makes_sense(ledger: Ledger, wrong: str) -> None:
    """State, owner, lease, end and error go together."""
    _crawl(ledger)

    with pytest.raises(REFUSED):
        ledger.run(f"UPDATE ledger.crawl SET {wrong}")


def test_a_page_is_written_once(ledger: Ledger) -> None:
    """The same page number, a cursor asked before, one that does not move on, a rewritten page or body."""
    ledger.page(1, cursor_out="a")
    ledger.page(2, cursor_in="a", cursor_out="b")

    assert not is_accepted(ledger.page, 2, cursor_in="x", cursor_out="y")
    assert not is_accepted(ledger.page, 3, cursor_in="a", cursor_out="c")
    assert not is_accepted(ledger.page, 3)
    assert not is_accepted(ledger.page, 3, cursor_in="b", cursor_out="b")
    assert not is_accepted(ledger.page, 0, cursor_in="z")
    assert not is_accepted(ledger.run, "UPDATE ledger.raw_page SET items = 5")
    assert not is_accepted(ledger.run, "UPDATE ledger.raw_body SET body = 'y'")
    assert is_accepted(ledger.page, 3, cursor_in="b")


def test_a_page_has_its_body(ledger: Ledger) -> None:
    """No page without the bytes it stands for, and no bytes taken away from under a page."""
    ledger.page(1)

    assert not is_accepted(ledger.page, 2, cursor_in="a", sha256=b"t" * 32)
    assert not is_accepted(ledger.run, "DELETE FROM ledger.raw_body")


@pytest.mark.parametrize("price", ["NaN", "Infinity", "-1"])
def test_a_price_is_a_number(ledger: Ledger, price: str) -> None:
    """Finite and not negative; and what was seen once is not rewritten."""
    given = {
        "watch_id": ledger.watch(),
        "asset_id": ledger.asset,
        "sub_key": "",
        "kind": "ask",
        "currency": "usd",
    }
    seen = given | {"observed_at": at(1), "crawl_id": 1}

    assert not is_accepted(ledger.insert, "price", **seen, price=Decimal(price))
    ledger.insert("price", **seen, price=Decimal("0.5"))
    assert not is_accepted(ledger.run, "UPDATE ledger.price SET price = 2")
