"""`fleetopt compare`: solvers over instances, and tables from the raw results."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.fleet_options import Json
from optimizer.cli.output import show, tell, write_data

if TYPE_CHECKING:
    from optimizer.experiments import Comparison, RunRow, Summary, TableRules

__all__ = ["compare"]

_SCHEMA_VERSION = 1


class Line(StrEnum):
    """What a line of the table is."""

    FAMILY = "family"
    INSTANCE = "instance"


class Clock(StrEnum):
    """Which time is compared."""

    CPU = "cpu"
    WALL = "wall"


def compare(
    more: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SPEC...]", help="More instances.", show_default=False),
    ] = None,
    *,
    instances: Annotated[
        list[str] | None,
        typer.Option(
            "--instances",
            metavar="SPEC...",
            help="Files, globs, or generated ones: family:services[:seed=0-9], the families being "
            "fleet, lumpy, classical, correlated, two-resource, many-rows.",
            show_default=False,
        ),
    ] = None,
    solvers: Annotated[
        str | None,
        typer.Option(
            "--solvers",
            metavar="A,B",
            help="Solvers, with options as in milp:backend=CBC. With --from: those to show.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[str, typer.Option("--seeds", help="Seeds given to the solvers.")] = "0",
    time_limit: Annotated[float, typer.Option("--time-limit", help="Seconds a run.")] = 60.0,
    gap: Annotated[float, typer.Option("--gap", help="Proven relative gap to stop at.")] = 1e-6,
    threads: Annotated[int, typer.Option("--threads", help="Threads of each solver.")] = 1,
    jobs: Annotated[int, typer.Option("--jobs", help="Runs made at a time.")] = 1,
    warm_up: Annotated[
        bool,
        typer.Option(
            "--warm-up/--no-warm-up",
            help="Solve a tiny instance first, so that imports are in no time.",
        ),
    ] = True,
    best_known: Annotated[
        Path | None,
        typer.Option(
            "--best-known",
            metavar="CSV",
            help="Best-known values: columns instance and value (or reference_value).",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Folder for the results; runs that are there are not made again.",
            show_default=False,
        ),
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="DIR",
            help="Make the tables again from the results in this folder; run nothing.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[Line, typer.Option("--by", help="A line of the table.")] = Line.FAMILY,
    reference: Annotated[
        str | None,
        typer.Option("--reference", help="Solver whose time is 1; the first.", show_default=False),
    ] = None,
    clock: Annotated[Clock, typer.Option("--clock", help="Which time counts.")] = Clock.CPU,
    shift: Annotated[
        float, typer.Option("--shift", help="Seconds of shift in geometric means of times.")
    ] = 0.1,
    solved_at: Annotated[
        float | None,
        typer.Option(
            "--solved-at",
            metavar="GAP",
            help="Call a run solved within this gap to the best value, instead of by its proof.",
            show_default=False,
        ),
    ] = None,
    plots: Annotated[
        bool,
        typer.Option(
            "--plots", help="Draw profiles and anytime curves into the folder, as SVG and PDF."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare solvers over instances: gaps, times, memory; failures are kept.

    For example:

      fleetopt compare --instances fleet:250:seed=0-4 --solvers greedy,milp -o results

      fleetopt compare --from results --by instance
    """
    from optimizer.experiments import TableRules

    _refuse_contradictions([*(instances or []), *(more or [])], solvers, output, from_, plots)
    if plots:
        from optimizer.report.matplotlib_figure import require_matplotlib

        require_matplotlib()
    rules = TableRules(
        by=by.value,
        reference=reference,
        time="cpu_s" if clock is Clock.CPU else "total_s",
        shift_s=shift,
        solved_at=solved_at,
    )
    chosen = tuple(part.strip() for part in (solvers or "").split(",") if part.strip())
    known = _best_known(best_known)
    if from_ is not None:
        comparison = _read(from_, chosen)
    else:
        comparison = _run(
            [*(instances or []), *(more or [])],
            chosen,
            seeds=_whole_numbers(seeds),
            settings={
                "time_limit_s": time_limit,
                "relative_gap": gap,
                "threads": threads,
                "warm_up": warm_up,
            },
            jobs=jobs,
            directory=output,
        )
    _present(comparison, known, rules, folder=output or from_, plots=plots, as_json=as_json)
    if not comparison.complete:
        raise typer.Exit(ExitCode.INTERRUPTED)


def _refuse_contradictions(
    specs: list[str], solvers: str | None, output: Path | None, from_: Path | None, plots: bool
) -> None:
    if from_ is not None and (specs or output is not None):
        raise typer.BadParameter("runs nothing: leave out --instances and -o", param_hint="--from")
    if from_ is None and not specs:
        raise typer.BadParameter(
            "say what to solve, such as fleet:250:seed=0-4, or --from DIR",
            param_hint="--instances",
        )
    if from_ is None and not solvers:
        raise typer.BadParameter("say which, such as greedy,milp", param_hint="--solvers")
    if plots and output is None and from_ is None:
        raise typer.BadParameter("needs a folder: -o DIR or --from DIR", param_hint="--plots")


def _whole_numbers(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise typer.BadParameter(f"'{text}': whole numbers, as in 0,1,2", param_hint="--seeds")
    return [int(part) for part in parts]


def _best_known(path: Path | None) -> dict[str, float]:
    from optimizer.experiments import read_best_known

    return {} if path is None else read_best_known(path)


def _run(
    specs: list[str],
    solvers: tuple[str, ...],
    *,
    seeds: list[int],
    settings: dict[str, float | int | bool],
    jobs: int,
    directory: Path | None,
) -> Comparison:
    from optimizer.experiments import Settings
    from optimizer.experiments import compare as run_comparison
    from optimizer.report.comparison_text import run_line
    from solvers.instances import instances

    def tell_row(row: RunRow, done: int, total: int) -> None:
        tell(f"[{done}/{total}] {run_line(row)}")

    return run_comparison(
        [instance for spec in specs for instance in instances(spec)],
        solvers,
        seeds=seeds,
        settings=Settings(**settings),  # type: ignore[arg-type]
        jobs=jobs,
        directory=directory,
        progress=tell_row,
    )


def _read(directory: Path, solvers: tuple[str, ...]) -> Comparison:
    """Return the results on disk, of these solvers where some are named, in this order."""
    from dataclasses import replace

    from optimizer.experiments import ExperimentError, read_comparison

    comparison = read_comparison(directory)
    if not solvers:
        return comparison
    unknown = sorted(set(solvers) - {row.solver for row in comparison.rows})
    if unknown:
        raise ExperimentError(f"{directory}: no results of {', '.join(unknown)} there")
    rows = sorted(
        (row for row in comparison.rows if row.solver in solvers),
        key=lambda row: (row.instance, solvers.index(row.solver), row.seed),
    )
    return replace(comparison, rows=tuple(rows))


def _present(
    comparison: Comparison,
    known: dict[str, float],
    rules: TableRules,
    *,
    folder: Path | None,
    plots: bool,
    as_json: bool,
) -> None:
    from optimizer.experiments import summarise

    limit_s = comparison.protocol.settings.time_limit_s
    summary = summarise(comparison.rows, time_limit_s=limit_s, known=known, rules=rules)
    if folder is not None and comparison.rows:
        _write_tables(comparison, summary, known, folder)
        if plots:
            _draw(comparison, known, rules, folder)
    if as_json:
        write_data(_document(comparison, summary, known), None)
        return
    from optimizer.report.comparison_text import comparison_view

    show(comparison_view(comparison, summary, bool(known)))


def _write_tables(
    comparison: Comparison, summary: Summary, known: dict[str, float], folder: Path
) -> None:
    from optimizer.experiments import performance_profile, profiles_csv, rows_csv, summary_csv
    from optimizer.report.comparison_latex import comparison_latex

    profiles = performance_profile(comparison.rows, known=known, rules=summary.rules)
    write_data(rows_csv(comparison.rows, known), folder / "runs.csv")
    write_data(summary_csv(summary), folder / "summary.csv")
    write_data(profiles_csv(profiles), folder / "profile.csv")
    write_data(comparison_latex(summary), folder / "summary.tex")


def _draw(comparison: Comparison, known: dict[str, float], rules: TableRules, folder: Path) -> None:
    from optimizer.experiments import anytime_curves, performance_profile
    from optimizer.report.comparison_plots import draw_anytime_curves, draw_profiles

    limit_s = comparison.protocol.settings.time_limit_s
    profiles = performance_profile(comparison.rows, known=known, rules=rules)
    curves = anytime_curves(comparison.rows, time_limit_s=limit_s, known=known)
    for ending in ("svg", "pdf"):
        draw_profiles(
            profiles,
            folder / f"profile.{ending}",
            clock="CPU time" if rules.time == "cpu_s" else "wall-clock time",
            solved="proven" if rules.solved_at is None else f"gap to best <= {rules.solved_at:g}",
        )
        draw_anytime_curves(curves, folder / f"anytime.{ending}")


def _document(comparison: Comparison, summary: Summary, known: dict[str, float]) -> str:
    import dataclasses
    import json

    from optimizer.experiments import best_values, gap_to_best

    best = best_values(comparison.rows, known)
    document = {
        "schema_version": _SCHEMA_VERSION,
        "complete": comparison.complete,
        "protocol": comparison.protocol.to_document(),
        "rules": dataclasses.asdict(summary.rules),
        "runs": [
            {
                **dataclasses.asdict(row),
                "best_value": best.get(row.instance),
                "gap_to_best": gap_to_best(row, best),
            }
            for row in comparison.rows
        ],
        "summary": [
            dataclasses.asdict(summary.cells[line, solver])
            for line in summary.lines
            for solver in summary.solvers
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
