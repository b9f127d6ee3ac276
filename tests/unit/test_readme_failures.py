"""The README's table of failures is the one the program is built from."""

from pathlib import Path
from typing import Final

from indexer.sources.reactions import CONDITIONS, FAMILIES, Reaction

README: Final = Path(__file__).parents[2] / "README.md"


def test_every_row_of_the_failure_table_is_told() -> None:
    """What an operator reads is what the tests hold the program to, word for word."""
    told = README.read_text(encoding="utf-8")

    assert [row for row in FAMILIES if f"| {row.failure} | {row.reaction} |" not in told] == []


def test_every_row_has_conditions_and_every_reaction_is_in_use() -> None:
    """No promise without a fault that tries it."""
    declared = [one for condition in CONDITIONS.values() for one in condition.declared("algorand")]
    declared += [one for condition in CONDITIONS.values() for one in condition.declared("loopring")]

    assert {condition.family for condition in CONDITIONS.values()} == set(FAMILIES)
    assert set(declared) == set(Reaction)


def test_there_are_more_than_eighty_conditions() -> None:
    """Forty were promised; a row that is lost in an edit is missed here."""
    assert len(CONDITIONS) >= 80
