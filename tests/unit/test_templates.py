"""The files `indexer init` writes: complete, documented, the same as in the repository."""

import dataclasses
from pathlib import Path

import pytest

from indexer.config import Config, load
from indexer.config_environment import KEYS, SECRETS, variable_name
from indexer.errors import UsageError
from indexer.templates import PLACES, read_template, write_template

_REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs where no configuration lies around."""
    monkeypatch.chdir(tmp_path)


def _write(text: str) -> Path:
    path = Path("indexer.toml")
    path.write_text(text, encoding="utf-8")
    return path


def _without_place(config: Config) -> Config:
    return dataclasses.replace(config, path=None)


def test_the_template_states_the_built_in_values() -> None:
    """What `config/indexer.toml` shows as default is the default."""
    assert _without_place(load(_write(read_template("indexer.toml")), {})) == load(None, {})


@pytest.mark.parametrize(("name", "place"), [(name, str(place)) for name, place in PLACES.items()])
def test_the_templates_are_the_files_in_config(name: str, place: str) -> None:
    """`indexer init` writes what the repository shows."""
    assert (_REPOSITORY / "config" / place).read_text(encoding="utf-8") == read_template(name)


@pytest.mark.parametrize("path", KEYS, ids=".".join)
def test_every_key_is_documented(path: tuple[str, ...]) -> None:
    """A knob nobody can find is a bug: it is in the template, at its source or for all of them."""
    lines = [line.removeprefix("# ") for line in read_template("indexer.toml").split("\n")]
    assert any(line.startswith((f"{path[-1]} = ", f"{path[-1]}  ")) for line in lines)


@pytest.mark.parametrize("path", SECRETS, ids=".".join)
def test_every_secret_is_documented(path: tuple[str, ...]) -> None:
    """The variable of a secret is named in the template and in the folder's README."""
    readme = (_REPOSITORY / "config/README.md").read_text(encoding="utf-8")
    assert variable_name(path) in read_template("indexer.toml")
    assert variable_name(path) in readme


def test_init_writes_a_configuration_that_loads() -> None:
    """What is written is in force at once."""
    written = write_template(Path("config"))

    assert written == [Path("config/indexer.toml"), Path("config/watchlist/example.yaml")]
    assert _without_place(load(None, {})) == _without_place(load(written[0], {}))


def test_init_overwrites_nothing() -> None:
    """One file in the way, and none is written."""
    Path("config/watchlist").mkdir(parents=True)
    Path("config/watchlist/example.yaml").write_text("mine")

    with pytest.raises(UsageError, match=r"example\.yaml: exists already"):
        write_template(Path("config"))

    assert not Path("config/indexer.toml").exists()
    assert Path("config/watchlist/example.yaml").read_text() == "mine"
