"""Errors of the forecasters beside the last value's and AutoETS's, and what a step costs.

python -m benchmarks.forecast FOLDER_OF_TRACES [--csv FILE] [--every N]

Every forecast is made from the values before it alone, 1 to 3 steps ahead; the weighted error of a
group of series is the sum of absolute errors over the sum of values. AutoETS (statsforecast) is
fitted anew at each origin and is told the season; missing values repeat the last one for it.
`auto, season unknown` is not told the season.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
import warnings
from pathlib import Path

import numpy as np

from benchmarks.forecast.series import Series, recorded, seasonal
from optimizer.control.forecast import ForecastSettings, get

AHEAD = 3
OURS = ("auto", "headroom", "local-level", "damped-holt", "holt-winters")
PEERS = ("AutoETS", "last-value")
TIMED_SERIES, TIMED_STEPS = 100, 400


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecast")
    parser.add_argument("traces", type=Path)
    parser.add_argument("--csv", default="")
    parser.add_argument("--every", type=int, default=1, help="only every N-th origin")
    options = parser.parse_args(argv)
    totals: dict[str, dict[str, np.ndarray]] = {}
    raw = []
    for series in [*recorded(options.traces), *seasonal()]:
        for method, errors in _errors(series, options.every).items():
            raw.append((series.group, series.name, method, *(f"{e:.6g}" for e in errors)))
            group = totals.setdefault(series.group, {})
            group[method] = group.get(method, np.zeros(2)) + errors
        print(f"{series.name} done", file=sys.stderr)
    _show(totals)
    _show_cost()
    if options.csv:
        with Path(options.csv).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("group", "series", "method", "absolute_error", "sum_of_values"))
            writer.writerows(raw)


def _errors(series: Series, every: int) -> dict[str, np.ndarray]:
    """Sum of absolute errors and sum of values, by method."""
    origins = range(series.first, series.values.size - AHEAD, series.every * every)
    made = {name: _forecasts(name, series, origins, told=True) for name in (*OURS, "last-value")}
    if series.season > 1:
        made["auto, season unknown"] = _forecasts("auto", series, origins, told=False)
    made["AutoETS"] = _auto_ets(series, origins)
    truth = np.array([series.values[o : o + AHEAD] for o in origins])
    known = ~np.isnan(truth)
    return {
        name: np.array([np.abs(path - truth)[known].sum(), truth[known].sum()])
        for name, path in made.items()
    }


def _forecasts(name: str, series: Series, origins: range, *, told: bool) -> np.ndarray:
    season = series.season if told and series.season > 1 else None
    forecaster = get(name)(1, ForecastSettings(season_steps=season, scored_steps=AHEAD))
    paths = []
    for step, value in enumerate(series.values):
        if step in origins:
            paths.append(forecaster.forecast(AHEAD).mean[:, 0])
        forecaster.update([value])
    return np.array(paths)


def _auto_ets(series: Series, origins: range) -> np.ndarray:
    warnings.filterwarnings("ignore")
    from statsforecast.models import AutoETS

    filled = series.values.copy()
    for step in np.flatnonzero(np.isnan(filled)):
        filled[step] = filled[step - 1] if step else 0.0
    model = AutoETS(season_length=series.season)
    return np.array([model.forecast(y=filled[:o], h=AHEAD)["mean"] for o in origins])


def _show(totals: dict[str, dict[str, np.ndarray]]) -> None:
    print(f"{'weighted error, over the best of AutoETS and last value':34}")
    for group, methods in totals.items():
        wape = {name: float(sums[0] / sums[1]) for name, sums in methods.items()}
        best = min(wape[name] for name in PEERS)
        cells = [f"{name} {value:.3f} ({value / best:.2f})" for name, value in wape.items()]
        print(f"{group:18}", "  ".join(cells))


def _show_cost() -> None:
    rng = np.random.default_rng(0)
    phase = 2 * np.pi * np.arange(TIMED_STEPS) / 48
    loads = 50 + 20 * np.sin(phase)[:, None] + rng.normal(0, 3, (TIMED_STEPS, TIMED_SERIES))
    for name in (*OURS, "last-value"):
        forecaster = get(name)(TIMED_SERIES)
        begin = time.process_time()
        for row in loads:
            forecaster.update(row)
            forecaster.forecast(AHEAD, (0.9,))
        spent = (time.process_time() - begin) / TIMED_STEPS
        print(f"{name:18} {1e3 * spent:.2f} ms CPU per step of {TIMED_SERIES} series")


if __name__ == "__main__":
    main(sys.argv[1:])
