"""The version is written twice, because looking it up takes longer than telling it."""

import tomllib
from pathlib import Path

from indexer import __version__


def test_the_program_knows_the_version_it_is_packaged_as() -> None:
    """`indexer --version` and the package agree."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))

    assert project["project"]["version"] == __version__
