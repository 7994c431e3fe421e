"""Simulate every point, ask every model about it, and put the errors in a table."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.queue_validation.regimes import LOADS, REGIMES, Configuration, configurations
from optimizer.engine.simulated_pair import SimulatedPair
from queue_models import (
    IterationTiming,
    Metric,
    QueueModel,
    QueueModelError,
    ServiceProcess,
    Statistic,
    Targets,
    get,
    names,
)

__all__ = [
    "SIMULATION",
    "STATISTICS",
    "Answer",
    "read_answers",
    "study",
    "table_of",
    "write_answers",
]

STATISTICS = {
    "ttft_mean": Statistic(Metric.TTFT),
    "ttft_p99": Statistic(Metric.TTFT, 99.0),
    "itl_mean": Statistic(Metric.ITL),
    "e2e_mean": Statistic(Metric.E2E),
}
SIMULATION = "simulation"
# A bound is above on purpose; `tabled` is `iteration-level` where the law is linear.
_LEFT_OUT = (SIMULATION, "iteration-level-bound", "tabled")
_CAPACITY_BY = "iteration-level"
_REPEATS = 20
_COLUMNS = ("regime", "configuration", "load", "rate_rps", "model", "status", "us_per_point")


@dataclass(frozen=True)
class Answer:
    """What one model says of one point; values by statistic in ms, None where it has none.

    The simulation's answer has the half-widths of its 95 % intervals, too.
    """

    regime: str
    configuration: int
    load: float
    rate_rps: float
    model: str
    status: str
    us_per_point: float
    values: Mapping[str, float | None]
    half_widths: Mapping[str, float | None]

    @property
    def point(self) -> tuple[str, int, float]:
        """Which point it is about."""
        return self.regime, self.configuration, self.load


def study(count: int, seed: int, precision: float, most: int) -> Iterator[Answer]:
    """Yield the answers about `count` configurations of every regime."""
    for regime in REGIMES:
        for place, one in enumerate(configurations(regime, count, seed)):
            process = one.process()
            capacity = float(get(_CAPACITY_BY).max_rate(process, Targets())[0])
            for load in LOADS:
                point = regime, place, load, load * capacity
                began = time.process_time()
                run = SimulatedPair.of(process, load * capacity).run(
                    tuple(STATISTICS.values()),
                    precision=precision,
                    least_requests=40_000,
                    most_requests=most,
                    seed=seed,
                )
                spent = 1e6 * (time.process_time() - began)
                if not run.keeps_up:
                    yield Answer(*point, SIMULATION, "no steady state", spent, {}, {})
                    continue
                found = {name: run.statistics[s] for name, s in STATISTICS.items()}
                yield Answer(
                    *point,
                    SIMULATION,
                    "ok",
                    spent,
                    {name: estimate.value for name, estimate in found.items()},
                    {name: estimate.half_width for name, estimate in found.items()},
                )
                for model in (name for name in names() if name not in _LEFT_OUT):
                    yield Answer(*point, model, *_asked(get(model), one, load * capacity), {})


def _asked(
    model: QueueModel, one: Configuration, rate: float
) -> tuple[str, float, dict[str, float | None]]:
    """Return how it went, what it took per point [us], and the values."""
    process = one.process(by_phase=IterationTiming not in model.timings)
    tails = tuple(s for s in STATISTICS.values() if s.percentile is not None)
    for percentiles in (tails, ()):  # means alone, where it knows no percentiles
        if any(model.refusals(process, percentiles).values()):
            continue
        try:
            cost = _cost_us(model, process, rate, percentiles)
            metrics = model.evaluate(process, np.array([rate]), percentiles)
        except QueueModelError:
            continue
        if not bool(metrics.stable[0]):
            return "no steady state", cost, {}
        asked = {
            name: float(metrics.value(statistic)[0])
            for name, statistic in STATISTICS.items()
            if statistic.percentile is None or statistic in percentiles
        }
        return "ok", cost, {n: v if math.isfinite(v) else None for n, v in asked.items()}
    return "refused", math.nan, {}


def _cost_us(
    model: QueueModel, process: ServiceProcess, rate: float, percentiles: Sequence[Statistic]
) -> float:
    """CPU time per point of a call that asks about many at once."""
    many = process.take(np.zeros(_REPEATS, np.int64))
    rates = np.full(_REPEATS, rate)
    model.evaluate(many, rates, percentiles)
    began = time.process_time()
    model.evaluate(many, rates, percentiles)
    return 1e6 * (time.process_time() - began) / _REPEATS


def write_answers(answers: Iterable[Answer], path: Path) -> None:
    """Write the raw answers, one a line, as they come."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*_COLUMNS, *STATISTICS, *(f"{name}_hw" for name in STATISTICS)])
        for answer in answers:
            row = [getattr(answer, name) for name in _COLUMNS]
            row += [answer.values.get(name) for name in STATISTICS]
            row += [answer.half_widths.get(name) for name in STATISTICS]
            writer.writerow([_written(value) for value in row])


def _written(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.5g}" if math.isfinite(value) else ""
    return "" if value is None else value


def read_answers(path: Path) -> list[Answer]:
    """Read them back."""

    def numbers(row: Mapping[str, str], ending: str) -> dict[str, float | None]:
        cells = {name: row[f"{name}{ending}"] for name in STATISTICS}
        return {name: float(cell) if cell else None for name, cell in cells.items()}

    with path.open(encoding="utf-8") as file:
        return [
            Answer(
                row["regime"],
                int(row["configuration"]),
                float(row["load"]),
                float(row["rate_rps"]),
                row["model"],
                row["status"],
                float(row["us_per_point"] or "nan"),
                numbers(row, ""),
                numbers(row, "_hw"),
            )
            for row in csv.DictReader(file)
        ]


def table_of(answers: Sequence[Answer]) -> str:
    """Return the tables as Markdown: by model; then by model and regime for each statistic.

    Cells are median / 90th percentile of |model / simulated - 1| in percent.
    """
    truth = {a.point: a for a in answers if a.model == SIMULATION and a.status == "ok"}
    known = [a for a in answers if a.point in truth]
    models = list(dict.fromkeys(a.model for a in known if a.model != SIMULATION))
    parts = [_by_model(known, truth, models)]
    regimes = list(dict.fromkeys(a.regime for a in known))
    for statistic in STATISTICS:
        some = [m for m in models if any(a.values.get(statistic) for a in known if a.model == m)]
        lines = [
            f"## {_title(statistic)}",
            "",
            "| regime | simulation ± | " + " | ".join(f"`{m}`" for m in some) + " |",
            "| --- | --- |" + " --- |" * len(some),
        ]
        for regime in regimes:
            here = [a for a in known if a.regime == regime]
            noise = [_noise(a, statistic) for a in here if a.model == SIMULATION]
            cells = [_cell([a for a in here if a.model == m], truth, statistic) for m in some]
            lines.append(f"| {regime} | {np.median(noise):.1f} | " + " | ".join(cells) + " |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _by_model(
    answers: Sequence[Answer], truth: Mapping[object, Answer], models: Sequence[str]
) -> str:
    titles = " | ".join(_title(statistic) for statistic in STATISTICS)
    lines = [
        f"| model | points answered | {titles} | CPU µs per point |",
        "| --- | --- |" + " --- |" * (len(STATISTICS) + 1),
    ]
    for model in (*models, SIMULATION):
        of = [a for a in answers if a.model == model]
        share = np.mean([a.status == "ok" for a in of])
        cost = [a.us_per_point for a in of if math.isfinite(a.us_per_point)]
        cells = [
            "-" if model == SIMULATION else _cell(of, truth, statistic) for statistic in STATISTICS
        ]
        spent = f"{np.median(cost):,.0f}" if cost else "-"
        lines.append(f"| `{model}` | {share:.0%} | " + " | ".join(cells) + f" | {spent} |")
    return "\n".join(lines)


def _noise(answer: Answer, statistic: str) -> float:
    """Half-width in percent of the value."""
    return 100.0 * (answer.half_widths[statistic] or 0.0) / (answer.values[statistic] or 1.0)


def _cell(answers: Sequence[Answer], truth: Mapping[object, Answer], statistic: str) -> str:
    """Return median / 90th percentile of the error in percent."""
    ratios = [
        value / (truth[a.point].values[statistic] or math.nan)
        for a in answers
        if (value := a.values.get(statistic)) is not None
    ]
    if not ratios:
        return "-"
    errors = 100.0 * np.abs(np.array(ratios) - 1.0)
    return f"{_short(float(np.median(errors)))} / {_short(float(np.percentile(errors, 90)))}"


def _title(statistic: str) -> str:
    metric, _, which = statistic.partition("_")
    return f"{metric.upper()} {which}"


def _short(percent: float) -> str:
    return f"{percent:.1f}" if percent < 10 else f"{percent:,.0f}"
