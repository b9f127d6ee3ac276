"""``python -m indexer.simulator``: the five APIs in a process of their own, until Ctrl-C.

Prints the environment that points the program at it, ready for a shell. SIGUSR1 moves the world
by one round (or by ``--churn``), and the new state of affairs is acknowledged on stdout.
"""

import argparse
import shlex
import signal
import sys
from pathlib import Path

from indexer.simulator import Simulator, World
from indexer.simulator.positions import SOURCES

_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGUSR1}


def read_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; for by-hand use and benchmarks only."""
    parser = argparse.ArgumentParser(
        prog="python -m indexer.simulator", description="The five APIs on loopback."
    )
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    parser.add_argument("--seed", type=int, default=7, help="another seed gives another world")
    parser.add_argument("--watchlist", type=Path, help="also write the world's watchlist to this YAML file")
    parser.add_argument("--unlimited", action="store_true", help="no rate limits")
    parser.add_argument("--max-page", type=int, help="rows per page at most, at every source")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds added to every answer")
    parser.add_argument("--churn", type=float, help="SIGUSR1 changes this share of every account")
    parser.add_argument(
        "--size",
        type=_read_size,
        action="append",
        metavar="SOURCE=N,N,…",
        help="instead of the demo world: accounts with this many items; may be repeated",
    )
    return parser.parse_args(arguments)


def _read_size(text: str) -> tuple[str, tuple[int, ...]]:
    source, _, counts = text.partition("=")
    if source not in SOURCES:
        raise argparse.ArgumentTypeError(f"{source!r} is not one of {', '.join(SOURCES)}")
    return source, tuple(int(count) for count in counts.split(","))


def main() -> None:
    """Run a world until interrupted."""
    options = read_options()
    world = World.build(options.seed, dict(options.size)) if options.size else World.demo(options.seed)
    if options.watchlist:
        options.watchlist.write_text(world.watchlist_yaml(), encoding="utf-8")
    limits = dict.fromkeys(SOURCES) if options.unlimited else None
    pages = dict.fromkeys(SOURCES, options.max_page) if options.max_page else None
    with Simulator(world, limits=limits, max_page=pages, port=options.port) as simulator:
        simulator.switches.latency_seconds = options.latency
        for name, value in simulator.environment().items():
            _say(f"export {name}={shlex.quote(value)}")
        _move_until_stopped(world, options.churn)


def _move_until_stopped(world: World, churn: float | None) -> None:
    step = 0
    while signal.sigwait(_SIGNALS) == signal.SIGUSR1:
        if churn is None:
            world.change(step)
        else:
            world.churn(churn, step)
        step += 1
        _say(f"# round {step}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # Before any thread starts: the signals are waited for, never delivered.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    main()
