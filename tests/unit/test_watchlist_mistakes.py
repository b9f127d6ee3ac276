"""Watchlist mistakes: all are named at once, each at its line, whatever the file holds."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from indexer.errors import UsageError
from indexer.watchlist import AddressRules, WatchEntry, load


class _Rules:
    """Rules small enough to see through: an address is letters, digits and dots; case does not count."""

    def __init__(self, *, scoped: bool = False) -> None:
        self.scoped = scoped

    def canonical_address(self, text: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9.]+", text):
            raise ValueError("is not letters, digits and dots")
        return text.lower()

    def canonical_scope(self, text: str) -> str:
        if not re.fullmatch(r"[0-9]+:[0-9]+", text):
            raise ValueError("is not block:index")
        return text


_SOURCES: Mapping[str, AddressRules] = {
    "okx_runes": _Rules(scoped=True),
    "solana_das": _Rules(),
    "algorand": _Rules(),
    "loopring": _Rules(),
    "hedera": _Rules(),
}


def _load(folder: Path, **files: str) -> tuple[WatchEntry, ...]:
    for name, text in files.items():
        stem, _, ending = name.rpartition("_")
        (folder / f"{stem}.{ending}").write_text(text, encoding="utf-8")
    return load(["*.yaml", "*.csv"], folder, _SOURCES)


def _mistakes(folder: Path, **files: str) -> list[str]:
    with pytest.raises(UsageError) as caught:
        _load(folder, **files)
    return str(caught.value).split("\n")


def _refusal(name: str, folder: Path) -> str | None:
    try:
        assert load([name], folder, _SOURCES)
    except UsageError as error:
        return str(error)
    return None


def test_all_mistakes_are_named_at_once_with_their_lines(tmp_path: Path) -> None:
    """Nobody has to run the check once per mistake."""
    yaml_text = """\
addresses:
  - {source: hedera, address: 0.0-1}
  - {source: Hedera, address: a, every: soon}
  - {source: hedera, address: b, lable: x}
  - {source: okx_runes, address: c}
  - {source: okx_runes, address: c, runes: [x, "1:0"]}
  - {source: hedera, address: d, runes: ["1:0"]}
  - {source: hedera}
  - {address: e}
  - {source: hedera, address: B}
  - {source: hedera, address: g, tags: "ops, hot"}
"""
    csv_text = 'source,address,tags\nhedera,b,\nhedera,f,a;;b\nhedera,h,"a,b"\n'

    assert _mistakes(tmp_path, a_yaml=yaml_text, b_csv=csv_text) == [
        "a.yaml:2: hedera: address '0.0-1': is not letters, digits and dots",
        "a.yaml:3: every 'soon': must be a duration such as 15m, 1h30m, 2d, or seconds",
        "a.yaml:3: unknown source 'Hedera'; did you mean hedera?",
        "a.yaml:4: unknown key 'lable'; did you mean label?",
        'a.yaml:5: okx_runes: runes are missing: name each rune id, such as "840000:3"',
        "a.yaml:6: okx_runes: rune 'x': is not block:index",
        "a.yaml:7: hedera: runes belong to okx_runes only",
        "a.yaml:8: hedera: address is missing",
        "a.yaml:9: source is missing",
        "a.yaml:10: hedera: address 'b' is already in a.yaml:4",
        "a.yaml:11: the tag 'ops, hot' holds a separator: in YAML write [one, other], in CSV one;other",
        "b.csv:2: hedera: address 'b' is already in a.yaml:4",
        "b.csv:3: a tag is empty",
        "b.csv:4: the tag 'a,b' holds a separator: in YAML write [one, other], in CSV one;other",
    ]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "1: the file is empty"),
        ("# only this\n", "1: has no entries"),
        ("addresses:\n", "1: `addresses:` must be a list"),
        ("adresses: []\n", "1: unknown key 'adresses'"),
        ("{}", "1: has no list named `addresses:`"),
        ("- {source: hedera, address: a}", "1: the file must be keys and values"),
        ("addresses:\n- hedera\n", "2: an entry must be keys and values"),
        ("addresses:\n- {source: hedera, address: [a]}\n", "2: `address` must be a single word"),
        ("addresses:\n- {source: hedera, address: a, address: b}\n", "2: key 'address' is there twice"),
        ("addresses: []\naddresses: []\n", "2: key 'addresses' is there twice"),
        ("addresses:\n- {source: hedera, address: a, [b]: c}\n", "2: a key must be a word"),
        ("addresses:\n- &x {source: hedera, address: a}\n- *x\n", "2: anchors and aliases"),
        ("addresses:\n- {source: !!python/name:os.system hedera, address: a}\n", "2: tags"),
        ("addresses: []\n---\naddresses: []\n", "2: a second document"),
        ("addresses:\n- {source: hedera\n  address: a}\n", "3: is not YAML: "),
        ("addresses: [\n", "2: is not YAML: "),
        ("addresses:\n\t- a\n", "2: is not YAML: "),
        ("a: [[[[[[[[[[", "1: is nested too deeply"),
        ("addresses: []\n\x00", "2: contains a control character"),
        ("addresses:\n- {source: hedera, address: a, tags: {x: y}}\n", "2: `tags` must be a word or a list"),
        ('addresses:\n- {source: hedera, address: a, label: "x\\ny"}\n', "2: the label must be one line"),
        (
            f"addresses:\n- {{source: hedera, address: a, label: {'x' * 201}}}\n",
            "2: the label has 201 characters",
        ),
    ],
)
def test_a_yaml_mistake_is_named_at_its_line(tmp_path: Path, text: str, mistake: str) -> None:
    """What a person can write wrong in YAML, and what an attacker would."""
    (found,) = _mistakes(tmp_path, a_yaml=text)
    assert found.startswith(f"a.yaml:{mistake}")


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("\n\n", "1: the file is empty"),
        ("# only this\n", "1: has no header"),
        ("hedera,0.0.1\n", "1: unknown column 'hedera'"),
        ("source;address\n", "1: its columns are separated by semicolons: save it with commas"),
        ("source\taddress\n", "1: its columns are separated by tabs: save it with commas"),
        ("source,adress\n", "1: unknown column 'adress'; did you mean address?"),
        ("#\nsource,label\n", "2: column 'address' is missing"),
        (" \n,,\nsource,label\n", "3: column 'address' is missing"),
        ("source,address,source\n", "1: column 'source' is there twice"),
        ("source,address\nhedera,a,b\n", "2: has 3 cells"),
        ('source,address\nhedera,a\nhedera,"b\nhedera,c\n', "3: is not CSV from here on"),
        ('source,address\nhedera,"a"b\n', "2: is not CSV from here on"),
        ('source,address,label\nhedera,a,"x\ny"\n', "2: the label must be one line"),
        ("source,address\nhedera\n", "2: hedera: address is missing"),
        ("source,address\nhedera,a\n\x07", "3: contains a control character"),
        (f"source,address\nhedera,{'a' * 140_000}\n", "2: is not CSV from here on"),
    ],
)
def test_a_csv_mistake_is_named_at_its_line(tmp_path: Path, text: str, mistake: str) -> None:
    """What a person, or a spreadsheet, can write wrong in CSV; an open quote swallows no rows in silence."""
    (found,) = _mistakes(tmp_path, a_csv=text)
    assert found.startswith(f"a.csv:{mistake}")


@given(st.integers(0, 30), st.integers(0, 5), st.sampled_from(["yaml", "csv"]))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_line_of_a_mistake_is_exact(tmp_path: Path, good: int, comments: int, kind: str) -> None:
    """However much stands above it."""
    if kind == "yaml":
        lines = ["addresses:", *(f"- {{source: hedera, address: a{number}}}" for number in range(good))]
        lines += ["# c"] * comments + ["- {source: hedera, address: '-'}"]
    else:
        lines = ["source,address", *(f"hedera,a{number}" for number in range(good))]
        lines += ["# c"] * comments + ["hedera,-"]
    (tmp_path / f"a.{kind}").write_text("\n".join(lines))

    with pytest.raises(UsageError) as caught:
        load([f"a.{kind}"], tmp_path, _SOURCES)

    place = f"a.{kind}:{good + comments + 2}: "
    assert str(caught.value) == place + "hedera: address '-': is not letters, digits and dots"


def test_a_flood_of_mistakes_is_cut(tmp_path: Path) -> None:
    """The wrong file in the wrong place does not print a million lines."""
    mistakes = _mistakes(tmp_path, a_csv="source,address\n" + "x,y\n" * 5000)
    assert len(mistakes) == 1001
    assert mistakes[-1] == "… and 4000 more mistakes"


_FRAGMENT = st.sampled_from(
    [
        "addresses:",
        "\n",
        "- ",
        "{",
        "}",
        "[",
        "]",
        "source: hedera",
        "address: a",
        ", ",
        ": ",
        "&a",
        "*a",
        "!t",
        "'",
        '"',
        "|",
        ">",
        "? ",
        "%",
        "---",
        "#",
        "\t",
        "  ",
        "source,address",
        "hedera,a",
        ",",
        ";",
        "\r",
        "<<: ",
    ]
)


@given(
    st.one_of(
        st.binary(max_size=60), st.lists(_FRAGMENT, max_size=14).map(lambda parts: "".join(parts).encode())
    )
)
@example(b"%YAML 9.9\n---\n")
@example("addresses: [{source: hedera, address: \u2028}]".encode())
@example(b'addresses: [{source: hedera, address: a, label: "\\ud800"}]')
@example(b"? [a]\n: b")
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused(tmp_path: Path, body: bytes) -> None:
    """Whatever a file holds, the answer is entries or a UsageError with its place."""
    for name in ("a.yaml", "a.csv"):
        (tmp_path / name).write_bytes(body)
        refusal = _refusal(name, tmp_path)
        assert refusal is None or refusal.startswith((f"{name}:", "the watchlist is empty"))
