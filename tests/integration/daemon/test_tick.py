"""One tick: what cannot be applied of a watchlist keeps nobody else from being crawled."""

from indexer.jobs import Engine
from indexer.metrics import Metrics
from indexer.reload import Reloader, Setup
from indexer.shift import Shift
from indexer.standing import Standing
from indexer.ticker import Follower, Ticker
from indexer.upkeep import NoticeBoard
from tests.integration.daemon.working import always, begin
from tests.integration.engine.conftest import OpenStage

_REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN RAISE EXCEPTION ''nothing can be removed''; END';
CREATE TRIGGER refuse BEFORE UPDATE ON ledger.watch_period FOR EACH ROW EXECUTE FUNCTION refuse()
"""

#: Addresses with a crawl that waits for a worker.
_DUE = """
SELECT a.address
FROM ledger.crawl_watch AS cw JOIN ledger.watch USING (watch_id) JOIN ledger.address AS a USING (address_id)
WHERE cw.open
ORDER BY a.address_id
"""


def _ticker(engine: Engine) -> Ticker:
    """What a daemon has that has read its files."""
    setup = Setup(engine.config, engine.sources, tuple(engine.entries))
    reloader = Reloader(setup, frozenset(), lambda: setup, lambda _config: frozenset())
    metrics = Metrics()
    board = NoticeBoard(engine.database, "here", ())
    follower = Follower(
        engine, reloader, Shift(engine, metrics, always), board, metrics, debug=False, known=engine.config
    )
    return Ticker(follower, Standing(metrics))


def _ticks(ticker: Ticker) -> dict[str, float]:
    """How many ticks ended how."""
    samples = next(iter(ticker.follower.metrics.ticks.collect())).samples
    return {one.labels["outcome"]: one.value for one in samples if one.name.endswith("_total") and one.value}


def test_a_removal_that_fails_keeps_nobody_from_being_crawled(open_stage: OpenStage) -> None:
    """What stays, what is new and what is still watched is crawled; the tick failed, and the next does it."""
    stage = open_stage({"hedera": (6, 4, 5)})
    off, stays, new = stage.world.watched
    addresses = [stage.world.canonical("hedera", row.address) for row in (off, stays, new)]
    stage.world.watched = [off, stays]
    stage.run(begin)
    stage.execute(_REFUSE)
    stage.world.watched = [stays, new]

    async def tick_twice(engine: Engine) -> None:
        ticker = _ticker(engine)
        await ticker.tick()
        assert [row["address"] for row in stage.rows(_DUE)] == addresses
        assert _ticks(ticker) == {"database": 1}
        assert ticker.follower.reloader.setup.entries is not None
        stage.execute("DROP TRIGGER refuse ON ledger.watch_period")
        await ticker.tick()
        assert _ticks(ticker) == {"database": 1, "done": 1}
        assert ticker.follower.reloader.setup.entries is None

    stage.run(tick_twice)

    assert [row["address"] for row in stage.rows(_DUE)] == addresses[1:]
    assert stage.value("SELECT count(*) FROM ledger.schedule") == 2
