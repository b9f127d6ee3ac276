"""Where the migrations are."""

from pathlib import Path


def folder() -> Path:
    """The migrations: inside the installed wheel, or at the top of the checkout."""
    packaged = Path(__file__).resolve().parent.parent / "_migrations"
    return packaged if packaged.is_dir() else packaged.parent.parent / "migrations"
