"""Processes that hear Ctrl-C; the long run is for those who ask: `pytest -m daemon_long tests/acceptance`."""

import signal
from collections.abc import Iterator

import pytest

_LONG = "daemon_long"


def pytest_configure(config: pytest.Config) -> None:
    """The mark of the long run."""
    config.addinivalue_line("markers", f"{_LONG}: twenty kills of a daemon among workers, some minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave it out unless the marks asked for name it."""
    if _LONG not in str(config.option.markexpr):
        items[:] = [item for item in items if item.get_closest_marker(_LONG) is None]


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> Iterator[None]:
    """A shell that runs us in the background ignores SIGINT, and what we start would inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
