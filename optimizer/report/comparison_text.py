"""A comparison of solvers as tables, with the protocol above and the rules below."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from optimizer.experiments import Cell, Comparison, RunRow, RunStatus, Summary
from optimizer.report.figures import number

__all__ = ["comparison_view", "run_line"]

# Failed runs are listed up to this many; all are in the raw results.
_SHOWN_FAILURES = 10
_ERROR_WIDTH = 110


def comparison_view(comparison: Comparison, summary: Summary, known: bool) -> RenderableType:
    """Return protocol, table, rules and failures.

    Parameters
    ----------
    known
        Whether gaps refer to listed best-known values, where there are such.
    """
    parts: list[RenderableType] = [Text(line) for line in _protocol_lines(comparison)]
    parts += [Text(), _table(summary), Text()]
    parts += [Text(line) for line in _rule_lines(comparison, summary, known)]
    failed = [row for row in comparison.rows if row.status is not RunStatus.ANSWERED]
    if failed:
        parts += [Text(), Text(f"{len(failed)} failed run(s), counted in the table:", style="bold")]
        parts += [Text(f"  {run_line(row)}") for row in failed[:_SHOWN_FAILURES]]
        if len(failed) > _SHOWN_FAILURES:
            parts.append(Text(f"  and {len(failed) - _SHOWN_FAILURES} more"))
    return Group(*parts)


def run_line(row: RunRow) -> str:
    """Return a run in one line."""
    head = f"{row.instance}, {row.solver}, seed {row.seed}: "
    if row.status is not RunStatus.ANSWERED:
        return head + f"{row.status}: {' '.join(row.error.split())[:_ERROR_WIDTH]}"
    reason = f"{row.termination}" + (f" ({row.limit})" if row.limit else "")
    value = "no value" if row.value is None else f"{row.value:.10g}"
    return head + f"{reason}, {value}, proven gap {_gap(row.gap)}, CPU {_seconds(row.cpu_s)}"


def _protocol_lines(comparison: Comparison) -> list[str]:
    protocol, settings = comparison.protocol, comparison.protocol.settings
    lines = [
        f"time limit {settings.time_limit_s:g} s (killed after {settings.kill_after_s:g} s), gap "
        f"{settings.relative_gap:g}, {settings.threads} thread(s), {protocol.jobs} run(s) at a "
        f"time, a process per run, warm-up {'apart' if settings.warm_up else 'none'}"
    ]
    used = {row.environment for row in comparison.rows}
    for name, environment in protocol.environments.items():
        if name not in used:
            continue
        packages = ", ".join(f"{key} {value}" for key, value in environment["packages"].items())
        lines.append(
            f"{environment['cpu']}, {environment['cpus']} CPU(s), {environment['memory_gb']} GB; "
            f"{environment['since'][:10]}; Python {environment['python']}, {packages}"
            + _commit(environment)
        )
    if len(used) > 1:
        lines.append(f"Measured in {len(used)} environments: times are not comparable among them.")
    if not comparison.complete:
        lines.append("Interrupted: not all runs that were asked for are here.")
    return lines


def _commit(environment: dict[str, object]) -> str:
    if not environment["commit"]:
        return ""
    tree = "" if environment["clean_tree"] else ", with changes"
    return f"; commit {str(environment['commit'])[:10]}{tree}"


def _table(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(summary.rules.by, style="bold", overflow="fold")
    table.add_column("")
    for solver in summary.solvers:
        table.add_column(Text(solver), justify="right", overflow="fold")
    for line in summary.lines:
        cells = [summary.cells[line, solver] for solver in summary.solvers]
        for place, (label, texts) in enumerate(_measures(cells)):
            table.add_row(Text(line if place == 0 else ""), Text(label), *map(Text, texts))
        table.add_row()
    return table


def _measures(cells: Sequence[Cell]) -> list[tuple[str, list[str]]]:
    return [
        ("gap to best", [_gaps(c.gap_mean, c.gap_worst) for c in cells]),
        ("proven gap", [_gaps(c.proven_mean, c.proven_worst) for c in cells]),
        ("time ratio", ["-" if c.time_ratio is None else f"{c.time_ratio:.3g}x" for c in cells]),
        ("time", [_seconds(c.time_s) for c in cells]),
        ("memory", ["-" if c.memory_mb is None else f"{number(c.memory_mb)} MB" for c in cells]),
        ("solved", [_solved(c) for c in cells]),
    ]


def _rule_lines(comparison: Comparison, summary: Summary, known: bool) -> list[str]:
    rules = summary.rules
    reference = rules.reference or (summary.solvers[0] if summary.solvers else "-")
    best = (
        "the listed best value, else the best of these runs" if known else "the best of these runs"
    )
    solved = (
        f"its gap to best is at most {rules.solved_at:g}"
        if rules.solved_at is not None
        else "the solver proved the asked gap, or infeasibility"
    )
    clock = "CPU" if rules.time == "cpu_s" else "wall-clock"
    lines = [
        f"gap to best: mean (worst) distance from {best}; negative: better. proven gap: mean "
        f"(worst) of the runs with a bound.",
        f"time: {clock} seconds of the solve, shifted geometric mean (shift {rules.shift_s:g} s); "
        f"ratio to {reference}; a run without an answer counts as",
        f"at least the limit of {comparison.protocol.settings.time_limit_s:g} s. solved: {solved}.",
    ]
    without = [c for c in summary.cells.values() if c.valueless and c.line == summary.lines[-1]]
    lines += [f"{c.solver}: {c.valueless} run(s) without a value are in no gap." for c in without]
    return lines


def _solved(cell: Cell) -> str:
    failed = f" ({cell.failed} failed)" if cell.failed else ""
    return f"{cell.solved}/{cell.runs}{failed}"


def _gaps(mean: float | None, worst: float | None) -> str:
    return "-" if mean is None else f"{_gap(mean)} ({_gap(worst)})"


def _gap(value: float | None) -> str:
    """Percent with three digits; tiny gaps keep theirs."""
    if value is None:
        return "-"
    percent = 100 * value
    return "0%" if percent == 0 else f"{percent:.3g}%"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g} s"
