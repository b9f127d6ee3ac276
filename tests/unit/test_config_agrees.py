"""What configuration and templates say about the sources is what the sources say themselves."""

from pathlib import Path

import pytest

from indexer import watchlist
from indexer.settings import SOURCES as CONFIGURED
from indexer.sources import SOURCES, build
from indexer.templates import read_template, write_template


def test_every_source_has_its_configuration() -> None:
    """A new source without a table of defaults could not be configured."""
    assert set(CONFIGURED) == set(SOURCES)


@pytest.mark.parametrize("name", SOURCES)
def test_the_secrets_are_those_the_source_asks_for(name: str) -> None:
    """The variables that may be set are the secrets that are used."""
    assert CONFIGURED[name].required_secrets == SOURCES[name].required_secrets
    assert CONFIGURED[name].optional_secrets == SOURCES[name].optional_secrets


def test_the_example_watchlists_follow_the_rules_of_the_sources(tmp_path: Path) -> None:
    """`indexer init && indexer watchlist check` works, also after the commented entries are enabled."""
    rules = {name: build(name, "", {}) for name in SOURCES}
    write_template(tmp_path)
    (tmp_path / "watchlist/all.yaml").write_text(read_template("watchlist.yaml").replace("  # - ", "  - "))

    written = watchlist.load(["watchlist/example.yaml"], tmp_path, rules)
    enabled = watchlist.load(["watchlist/all.yaml"], tmp_path, rules)
    shown = watchlist.load(
        ["watchlist/*.yaml", "watchlist/*.csv"], Path(__file__).parents[2] / "config", rules
    )

    assert not {entry.source for entry in written} & {
        name for name in SOURCES if SOURCES[name].required_secrets
    }
    assert {entry.source for entry in enabled} == set(SOURCES)
    assert {entry.address for entry in written} < {entry.address for entry in shown}
