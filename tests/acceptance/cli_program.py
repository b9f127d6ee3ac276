"""`indexer …` as a process of its own, from any folder, with or without an installed package."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

PROGRAM: Final = (sys.executable, "-m", "indexer")

_CHECKOUT: Final = Path(__file__).resolve().parents[2]
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def build_environment(given: Mapping[str, str] = _NOTHING) -> dict[str, str]:
    """The environment of a process that finds this checkout's program; no setting of the developer's."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("INDEXER_")}
    return {**inherited, "PYTHONPATH": str(_CHECKOUT), **given}


def run_program(
    folder: Path, *arguments: str, environment: Mapping[str, str] = _NOTHING
) -> subprocess.CompletedProcess[str]:
    """Run it in ``folder`` to its end."""
    return subprocess.run(
        [*PROGRAM, *arguments],
        cwd=folder,
        env=build_environment(environment),
        capture_output=True,
        text=True,
        check=False,
    )
