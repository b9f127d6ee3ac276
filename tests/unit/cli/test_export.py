"""`indexer export` where its library is missing: said before anything is started."""

import sys
from pathlib import Path

import pytest

from indexer.cli import export
from indexer.errors import UsageError


def test_what_to_install_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the interpreter that runs: a service's is seldom the one of the shell."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(UsageError) as raised:
        export.export(tmp_path / "lake")

    assert str(raised.value).endswith(f"{sys.executable} -m pip install pyarrow")
    assert list(tmp_path.iterdir()) == []
