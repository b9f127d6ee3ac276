"""The files `indexer init` writes: a commented configuration and a watchlist that works without keys.

The files beside this one are the same, byte for byte, as `config/` in the repository (a test compares).
"""

import os
from importlib.resources import files
from pathlib import Path
from typing import Final

from indexer.errors import UsageError

#: Where each template goes, below the configuration folder.
PLACES: Final = {"indexer.toml": Path("indexer.toml"), "watchlist.yaml": Path("watchlist/example.yaml")}


def read_template(name: str) -> str:
    """The text of a file in this folder, also from inside an installed wheel."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def write_template(folder: Path) -> list[Path]:
    """Write the configuration into this folder. Where a file exists: UsageError, and nothing is written."""
    targets = {folder / place: read_template(name) for name, place in PLACES.items()}
    present = [str(target) for target in targets if os.path.lexists(target)]
    if present:
        raise UsageError(f"{', '.join(present)}: exists already, and init overwrites nothing")
    for target, text in targets.items():
        _write_new_file(target, text)
    return list(targets)


def _write_new_file(target: Path, text: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{target}: cannot be written ({error.strerror})") from None
