"""The demo's folder: taken only when it is ours, never shared, and usable afterwards."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from indexer.cli.demo import choose_sample, open_folder
from indexer.errors import UsageError
from indexer.store.reading import ChangeRow


def test_a_folder_with_other_things_in_it_is_refused(tmp_path: Path) -> None:
    """`--folder ~` must not overwrite anything."""
    (tmp_path / "thesis.tex").write_text("x")

    with pytest.raises(UsageError, match="not empty"), open_folder(tmp_path):
        pass

    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_demos_own_folder_is_taken_again(tmp_path: Path) -> None:
    """A second demo starts again in the same place."""
    with open_folder(tmp_path / "new" / "demo") as first:
        (first / "indexer.toml").write_text("")

    with open_folder(first) as second:
        assert second == first


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    """The second would empty the database under the first."""
    with open_folder(tmp_path), pytest.raises(UsageError, match="Another demo"), open_folder(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    """A file in the way is said, not raised."""
    (tmp_path / "file").write_text("")

    with pytest.raises(UsageError, match="--folder"), open_folder(tmp_path / "file" / "demo"):
        pass


def change(source: str, number: int) -> ChangeRow:
    """A change of one asset."""
    at = datetime(2026, 11, 20, tzinfo=UTC)
    return ChangeRow(
        source=source,
        network=source,
        address="a",
        scope="",
        label=None,
        tags=[],
        asset_ref=str(number),
        sub_key="",
        kind="nft",
        symbol=None,
        name=None,
        changed_at=at,
        not_before=None,
        not_after=None,
        change="changed",
        old_amount=None,
        new_amount=None,
        old_quantity=None,
        new_quantity=None,
        crawl=1,
    )


@pytest.mark.parametrize("newest_first", [[], [("x", 9), ("x", 8), ("x", 7), ("x", 6), ("y", 1)]])
def test_a_sample_has_a_few_of_every_source_oldest_first(newest_first: Sequence[tuple[str, int]]) -> None:
    """One noisy source does not hide the others."""
    picked = choose_sample([change(source, number) for source, number in newest_first])

    assert [(row.source, int(row.asset_ref)) for row in picked] == (
        [("y", 1), ("x", 6), ("x", 7), ("x", 8)] if newest_first else []
    )
