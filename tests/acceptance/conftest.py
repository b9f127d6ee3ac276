"""The long run of the daemon is for those who ask for it: `pytest -m daemon_long tests/acceptance`."""

import pytest

_LONG = "daemon_long"


def pytest_configure(config: pytest.Config) -> None:
    """The mark of the long run."""
    config.addinivalue_line("markers", f"{_LONG}: twenty kills of a daemon among workers, some minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave it out unless the marks asked for name it."""
    if _LONG not in str(config.option.markexpr):
        items[:] = [item for item in items if item.get_closest_marker(_LONG) is None]
