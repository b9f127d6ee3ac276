"""`indexer export` where it cannot be done: said before anything is started."""

import sys
from pathlib import Path

import pytest

from indexer.cli import export
from indexer.errors import UsageError
from indexer.export import require_room


def test_what_to_install_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the interpreter that runs: a service's is seldom the one of the shell."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(UsageError) as raised:
        export.export(tmp_path / "lake")

    assert str(raised.value).endswith(f"{sys.executable} -m pip install pyarrow")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_looked_into_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the folder that must be another, not the program."""

    def refuse(_path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", refuse)

    with pytest.raises(UsageError) as raised:
        require_room(tmp_path / "lake", replaces=False)

    assert (
        str(raised.value) == f"{tmp_path / 'lake'} cannot be looked into (Permission denied): name another."
    )
