"""What a run found, as text for a terminal and as JSON for a file."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from statistics import median
from typing import Final

from tests.benchmarks.rounds import MANY, Measure, Run

_MIB: Final = 1024 * 1024
_OURS: Final = "indexer"

_COLUMNS: Final = (
    f"  {'':<12}{'median s':>10}{'min':>9}{'max':>9}{'to ours':>9}{'cpu s':>9}{'db cpu s':>10}"
    f"{'peak MiB':>10}{'database MiB':>14}{'history MiB':>13}{'grown':>8}"
)


def format_run(run: Run) -> str:
    """The whole report of one shape."""
    book = run.plan.book
    head = (
        f"{book.shape}: {book.accounts} accounts x {book.holdings} holdings in pages of {book.page_size};"
        f" {run.plan.repetitions} repetitions, interleaved; {run.server}"
    )
    parts = [head, _ceiling(run), *_scenarios(run), _limits(run), _stages(run)]
    parts += [f"skipped {name}: {reason}" for name, reason in run.skipped.items()]
    return "\n\n".join(parts)


def _ceiling(run: Run) -> str:
    best = max((run.plan.book.total / measure.seconds for measure in _single(run)), default=0.0)
    share = run.ceiling / best if best else 0.0
    enough = "" if share >= 5 else "  (TOO CLOSE: the server is part of what is measured)"
    return (
        f"server ceiling {run.ceiling:,.0f} holdings/s over one raw connection,"
        f" {share:.1f} x the fastest contender{enough}"
    )


def _single(run: Run) -> list[Measure]:
    return [measure for measure in run.measures if measure.scenario != MANY]


def _scenarios(run: Run) -> Iterator[str]:
    for scenario in dict.fromkeys(measure.scenario for measure in run.measures):
        rows = [measure for measure in run.measures if measure.scenario == scenario]
        ours = _median_seconds(rows, _OURS)
        title = f"{scenario} ({run.plan.rounds} crawls)" if scenario == MANY else scenario
        lines = [
            title,
            _COLUMNS,
        ]
        lines += [
            _line(name, [one for one in rows if one.contender == name], ours)
            for name in dict.fromkeys(measure.contender for measure in rows)
        ]
        yield "\n".join(lines)


def _line(name: str, rows: Sequence[Measure], ours: float | None) -> str:
    seconds = [row.seconds for row in rows]
    ratio = f"{median(seconds) / ours:.2f} x" if ours else "-"
    last = rows[-1]
    before = last.history_bytes - last.grown_bytes
    grown = f"{100 * last.grown_bytes / before:.1f} %" if before else "-"
    return (
        f"  {name:<12}{median(seconds):>10.2f}{min(seconds):>9.2f}{max(seconds):>9.2f}{ratio:>9}"
        f"{median(row.cpu_seconds for row in rows):>9.2f}"
        f"{median(row.database_cpu_seconds for row in rows):>10.2f}"
        f"{max(row.peak_bytes for row in rows) / _MIB:>10.0f}"
        f"{last.database_bytes / _MIB:>14.1f}{last.history_bytes / _MIB:>13.1f}{grown:>8}"
    )


def _median_seconds(rows: Sequence[Measure], name: str) -> float | None:
    seconds = [row.seconds for row in rows if row.contender == name]
    return median(seconds) if seconds else None


def _limits(run: Run) -> str:
    total = run.plan.book.total
    lines = ["limits (each alone, in a process of its own)"]
    for name, seconds in run.limits.items():
        if seconds:
            middle = median(seconds)
            lines.append(f"  {name + ' only':<12}{middle:>10.2f} s{total / middle:>14,.0f} holdings/s")
    return "\n".join(lines)


def _stages(run: Run) -> str:
    """Microseconds per holding; the last column is what is left, so it carries all errors."""
    if not run.start_up or not run.limits["fetch"]:
        return "stages: not measured"
    total, start_up = run.plan.book.total, median(run.start_up)
    fetch, parse = median(run.limits["fetch"]), median(run.limits["parse"])
    title = "stages of indexer in microseconds per holding"
    rest = "rest = all - fetch - parse: assets, commit, publish, waiting"
    lines = [
        f"{title} (start-up of {start_up:.2f} s taken out; {rest})",
        f"  {'':<14}{'all':>8}{'fetch':>8}{'parse':>8}{'rest':>8}{'of fetch only':>16}",
    ]
    for scenario in dict.fromkeys(measure.scenario for measure in _single(run)):
        seconds = _median_seconds([one for one in run.measures if one.scenario == scenario], _OURS)
        if seconds is None:
            continue
        work = seconds - start_up
        if work <= fetch:
            lines.append(f"  {scenario:<14}lost in the noise: more accounts or a quieter machine are needed")
            continue
        cells = [work, fetch, parse, work - fetch - parse]
        numbers = "".join(f"{1e6 * cell / total:>8.1f}" for cell in cells)
        lines.append(f"  {scenario:<14}{numbers}{100 * fetch / work:>14.0f} %")
    return "\n".join(lines)


def to_json(runs: Sequence[Run]) -> list[dict[str, object]]:
    """Every number of every run."""
    return [asdict(run) for run in runs]
