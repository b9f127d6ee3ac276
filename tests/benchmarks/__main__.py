"""`python -m tests.benchmarks`: ours beside its peers and its limits. See README.md."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.benchmarks.books import Book
from tests.benchmarks.contenders import CACHE, PEERS, Contender, Ours, set_up
from tests.benchmarks.rounds import Plan, Run, run_all
from tests.benchmarks.tables import format_run, to_json

_SHAPES: Final = ("algorand", "hedera")


def tell(text: str) -> None:
    """Progress, beside the results."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201  a program of the terminal


def _read_arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--setup", action="store_true", help=f"install the peers in {CACHE}, then end")
    parser.add_argument("--quick", action="store_true", help="20 accounts instead of 200, 2 rounds, not 10")
    parser.add_argument("--shape", choices=_SHAPES, help="one API's shape instead of both")
    names = ", ".join(peer.name for peer in PEERS)
    parser.add_argument("--peers", help=f"of {names}, separated by commas; none: ours alone")
    parser.add_argument("--accounts", type=int)
    parser.add_argument("--holdings", type=int, default=1000)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--json", type=Path, help="write every number to this file")
    return parser.parse_args(words)


def _choose(peers: str | None) -> list[Contender]:
    names = {peer.name for peer in PEERS} if peers is None else set(peers.split(",")) - {"none", ""}
    unknown = names - {peer.name for peer in PEERS}
    if unknown:
        raise SystemExit(f"no peer is named {', '.join(sorted(unknown))}")
    return [Ours(), *(peer for peer in PEERS if peer.name in names)]


def measure(words: Sequence[str] | None = None) -> list[Run]:
    """Run what the arguments say and print the tables."""
    given = _read_arguments(words)
    if given.setup:
        for name, reason in set_up().items():
            tell(f"{name} will be skipped: {reason}")
        return []
    accounts = given.accounts or (20 if given.quick else 200)
    rounds = given.rounds if given.rounds is not None else (2 if given.quick else 10)
    runs: list[Run] = []
    for shape in [given.shape] if given.shape else _SHAPES:
        plan = Plan(Book(shape, accounts, given.holdings), given.repetitions, rounds)
        runs.append(run_all(plan, _choose(given.peers), tell))
        print(format_run(runs[-1]), end="\n\n\n", flush=True)  # noqa: T201  its result
        if given.json:
            given.json.write_text(json.dumps(to_json(runs), indent=1), encoding="utf-8")
    return runs


if __name__ == "__main__":
    measure()
