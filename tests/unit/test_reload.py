"""Live configuration: what changed, what cannot change, and what is refused."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from indexer import bootstrap, config
from indexer.errors import UsageError
from indexer.reload import Changed, FileSeen, Fingerprint, Refused, Reloader, Setup, keep_fixed
from indexer.watchlist import WatchEntry

ENVIRONMENT = {"INDEXER_DATABASE__URL": "postgresql://somebody:password-one@127.0.0.1/one"}


def entry(address: str, label: str | None = None, every: timedelta | None = None) -> WatchEntry:
    """One line of a watchlist."""
    return WatchEntry("hedera", address, "", label, (), every, "w.yaml", 1)


def setup(*entries: WatchEntry) -> Setup:
    """Built-in values and these entries."""
    found = config.load(None, ENVIRONMENT)
    return Setup(found, bootstrap.build_sources(found), entries)


class Files:
    """What is on disk, with a fingerprint that changes whenever it does."""

    def __init__(self, first: Setup) -> None:
        self.content: Setup | UsageError = first
        self.version = 0
        self.reads = 0

    def write(self, content: Setup | UsageError) -> None:
        """Somebody edits."""
        self.content = content
        self.version += 1

    def look(self, _config: config.Config) -> Fingerprint:
        """Files differ when their number does."""
        return frozenset({FileSeen("w.yaml", 1, self.version, 1)})

    def read(self) -> Setup:
        """Read everything."""
        self.reads += 1
        if isinstance(self.content, UsageError):
            raise self.content
        return self.content

    def reloader(self) -> Reloader:
        """A process that has read the files as they are."""
        assert isinstance(self.content, Setup)
        return Reloader(self.content, self.look(self.content.config), self.read, self.look)


def check(reloader: Reloader, *, forced: bool = False) -> Changed | Refused | None:
    """One tick."""
    return asyncio.run(reloader.check(forced=forced))


def test_files_that_did_not_change_are_not_read() -> None:
    """A tick costs a look at names, sizes and times; SIGHUP reads all the same."""
    files = Files(setup(entry("0.0.1")))
    reloader = files.reloader()

    assert check(reloader) is None
    assert files.reads == 0
    assert isinstance(check(reloader, forced=True), Changed)
    assert files.reads == 1


def test_entries_are_held_until_they_are_applied() -> None:
    """Then the database has them; a change is read whole again."""
    files = Files(setup(entry("0.0.1"), entry("0.0.2")))
    reloader = files.reloader()

    reloader.forget_entries()
    unchanged, nothing_new = check(reloader), reloader.setup.entries
    files.write(setup(entry("0.0.2"), entry("0.0.4")))
    changed = check(reloader)

    assert (unchanged, nothing_new) == (None, None)
    assert changed == Changed((), ())
    assert reloader.setup.entries == (entry("0.0.2"), entry("0.0.4"))


def test_a_refused_set_leaves_the_old_one_and_is_read_once() -> None:
    """Refused whole; the next reading waits for the next edit."""
    files = Files(setup(entry("0.0.1")))
    reloader = files.reloader()

    files.write(UsageError("w.yaml:3: unknown source"))
    first, second = check(reloader), check(reloader)
    files.write(setup(entry("0.0.1")))
    third = check(reloader)

    assert first == Refused("w.yaml:3: unknown source")
    assert second is None
    assert reloader.setup.entries == (entry("0.0.1"),)
    assert isinstance(third, Changed)


def test_what_cannot_change_while_running_keeps_its_value() -> None:
    """The rest of the file counts; the names are told, never the values."""
    before = setup().config
    environment = ENVIRONMENT | {
        "INDEXER_DATABASE__URL": "postgresql://somebody:password-two@127.0.0.1/two",
        "INDEXER_DAEMON__LISTEN": "127.0.0.1:1",
        "INDEXER_DAEMON__TICK": "5s",
    }

    kept_config, kept = keep_fixed(before, config.load(None, environment))

    assert kept == ("database.url", "daemon.listen")
    assert kept_config.database == before.database
    assert kept_config.daemon == replace(before.daemon, tick=timedelta(seconds=5))


def test_keys_are_named_without_their_values() -> None:
    """A new key of an API shows as the name of its variable's place only."""
    files = Files(setup())
    reloader = files.reloader()
    secret = {"INDEXER_SOURCES__SOLANA_DAS__API_KEY": "a-key-nobody-may-see"}
    changed = config.load(None, ENVIRONMENT | secret | {"INDEXER_SOURCES__HEDERA__EVERY": "5m"})

    files.write(Setup(changed, bootstrap.build_sources(changed), ()))
    found = check(reloader)

    assert isinstance(found, Changed)
    assert found.keys == ("sources.hedera.every", "sources.solana_das.secrets.api_key")


def test_a_file_that_appears_or_changes_is_seen(tmp_path: Path) -> None:
    """By name, size and time; a missing configuration file is a state too."""
    path = tmp_path / "indexer.toml"
    path.write_text('watchlists = ["*.yaml"]\n')
    found = config.load(path, {})

    before = bootstrap.look_at_files(found)
    (tmp_path / "new.yaml").write_text("addresses: []\n")
    after = bootstrap.look_at_files(found)
    (tmp_path / "new.yaml").write_text("addresses: [ ]\n")
    again = bootstrap.look_at_files(found)
    path.unlink()

    assert len({before, after, again, bootstrap.look_at_files(found)}) == 4


def test_a_file_that_is_being_written_is_left_to_a_later_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half of a list is a list too: it would end the watches of the other half."""
    clock = [5_000_000_000]
    monkeypatch.setattr(time, "time_ns", lambda: clock[0])
    monkeypatch.setattr(time, "monotonic_ns", lambda: clock[0])
    files = Files(setup(entry("0.0.1"), entry("0.0.2")))
    reloader = files.reloader()

    def look(at: float, version: int) -> Changed | Refused | None:
        clock[0], files.version = round(at * 1e9), version
        return check(reloader)

    files.content = setup(entry("0.0.1"))
    half = look(5.2, round(5.1e9))
    files.content = setup(entry("0.0.1"), entry("0.0.2"), entry("0.0.3"))
    still = look(6.2, round(5.9e9))
    whole = look(7.2, round(5.9e9))

    assert (half, still, files.reads) == (None, None, 1)
    assert isinstance(whole, Changed)
    assert reloader.setup.entries == (entry("0.0.1"), entry("0.0.2"), entry("0.0.3"))


def test_a_file_that_is_gone_for_a_moment_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some programs replace a file by removing it first; one that stays away is believed."""
    clock = [5_000_000_000]
    monkeypatch.setattr(time, "monotonic_ns", lambda: clock[0])
    files = Files(setup(entry("0.0.1"), entry("0.0.2")))
    there = [FileSeen("a.yaml", 1, 1, 1), FileSeen("b.yaml", 1, 1, 2)]
    seen = [frozenset(there)]
    reloader = Reloader(setup(entry("0.0.1"), entry("0.0.2")), seen[0], files.read, lambda _config: seen[0])

    seen[0] = frozenset(there[:1])
    first = check(reloader)
    seen[0] = frozenset(there)
    back = check(reloader)
    seen[0] = frozenset(there[:1])
    again = check(reloader)
    clock[0] += 1_000_000_000
    gone = check(reloader)

    assert (first, back, again) == (None, None, None)
    assert isinstance(gone, Changed)
