"""`indexer status`: what it tells to type works as it stands."""

from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path

import pytest

from indexer.cli import status
from indexer.store.reading import QuarantineRow
from indexer.store.schedule import Queue

NOW = datetime(2026, 11, 20, tzinfo=UTC)
DISBELIEVED = QuarantineRow(
    snapshot_id=7,
    source="hedera",
    address="0.0.1001",
    scope="",
    label=None,
    judged_at=NOW,
    reason="lists nothing where 6 holdings are known",
    holdings=0,
    held=6,
    missing=6,
    release_command="indexer release 7",
    reject_command="indexer reject 7",
    crawl_id=5,
    raw_command="indexer raw 5",
)
SEEN = status.Status(
    now=NOW,
    workers=1,
    queue=Queue(0, 0),
    sources=[],
    outlook={},
    quarantine=[DISBELIEVED],
    crawls=[],
    troubles={},
    failures=[],
    retries={},
    notices=[],
    upkeep=[],
)


@pytest.mark.parametrize(
    ("named", "told"), [(Path("a b.toml"), "indexer release 7 --config 'a b.toml' ·"), (None, "release 7 ·")]
)
def test_what_to_type_names_the_same_configuration(
    named: Path | None, told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Typed without it, the number would be looked for in another database, and may be there."""

    def read(work: Coroutine[object, object, status.Status]) -> status.Status:
        work.close()
        return SEEN

    monkeypatch.setattr(status, "open_config", lambda *_: None)
    monkeypatch.setattr(status, "run", read)

    status.status(config=named)

    assert told in capsys.readouterr().out
