"""OKX lists 1,000 rows at most: a list that ends there is asked for again in halves, never believed."""

from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.stage import outcomes


def test_a_cut_list_is_asked_for_in_halves(open_stage: OpenStage) -> None:
    """Two addresses with 1,000 rows together: the batch may be cut, so each is asked for alone."""
    stage = open_stage({"okx_runes": (600, 400)})

    found = stage.crawl()

    assert outcomes(found) == {"published": 2}
    assert stage.differences() == {}
    assert stage.value("SELECT count(*) FROM ledger.crawl WHERE error_class = 'ListCut'") == 1


def test_one_address_that_may_be_cut_fails(open_stage: OpenStage) -> None:
    """There is nothing left to halve: no answer is better than a wrong one."""
    stage = open_stage({"okx_runes": (1000,)})

    found = stage.crawl()

    assert outcomes(found) == {"failed": 1}
    assert stage.held() == {}
