"""Accuracy of iteration times on models the calibration has not seen, and the calibration itself.

python -m benchmarks.iteration_time               # tables of errors
python -m benchmarks.iteration_time --calibrate   # fit, and write the package's data file
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.iteration_time.ampere import fit_family, prompts, read_products
from benchmarks.iteration_time.calibrate import calibrate
from benchmarks.iteration_time.evaluation import (
    SLICES,
    HeldOut,
    held_out_accelerators,
    held_out_models,
    in_sample,
    median_error,
)
from benchmarks.iteration_time.fitting import fit
from benchmarks.iteration_time.mlperf import kendall_tau, offline
from benchmarks.iteration_time.serving_points import Point, Points, read_points
from optimizer.performance import calibration

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = REPOSITORY.parent / "shared" / "data" / "measured"
CALIBRATION = REPOSITORY / "optimizer" / "performance" / "calibration.json"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.iteration_time", description=__doc__
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the measurements")
    parser.add_argument("--calibrate", action="store_true", help="write the calibration")
    parser.add_argument("-o", "--output", type=Path, default=CALIBRATION, help="where to write it")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        raise SystemExit(f"no measurements in {arguments.data}; give their folder with --data")
    if arguments.calibrate:
        calibrate(arguments.data, arguments.output)
        print(f"written: {arguments.output}")
        return
    points = read_points(arguments.data / "serving_points.csv")
    usable = [point for point in points if point.usable]
    print(f"{len(usable)} points of {len(points)}; the others do not say what load they bore\n")
    print("Median absolute error in %, ours on held-out models (in brackets: in sample)")
    _by_slice(held_out_models(usable), in_sample(usable))
    print("\nEach model, fitted on the others")
    _by_campaign(held_out_models(usable))
    print("\nEach accelerator, fitted on the other")
    _by_campaign(held_out_accelerators(usable))
    _ampere(arguments.data, usable)
    _mlperf()


def _by_slice(judged: HeldOut, seen: HeldOut) -> None:
    print(f"{'slice':24}{'n':>5}{'TPOT':>16}{'aiconf.':>9}{'TTFT':>16}{'aiconf.':>9}")
    for part in SLICES:
        inside = np.array([part.belongs(point) for point in judged.points])
        cells = [
            f"{median_error(a[inside]):.1f} ({median_error(b[inside]):.1f})"
            for a, b in ((judged.tpot, seen.tpot), (judged.ttft, seen.ttft))
        ]
        print(
            f"{part.name:24}{inside.sum():5}{cells[0]:>16}{_figure(part.reference_tpot):>9}"
            f"{cells[1]:>16}{_figure(part.reference_ttft):>9}"
        )


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _by_campaign(judged: HeldOut) -> None:
    campaigns = [(p.model, p.accelerator, p.engine) for p in judged.points]
    print(
        f"{'model':28}{'card':10}{'engine':8}{'n':>5}{'TPOT':>8}{'bias':>8}{'TTFT':>8}{'bias':>8}"
    )
    for campaign in sorted(set(campaigns)):
        inside = np.array([one == campaign for one in campaigns])
        cells = [
            f"{figure:8.1f}"
            for errors in (judged.tpot[inside], judged.ttft[inside])
            for figure in (median_error(errors), float(np.median(errors) * 100))
        ]
        print(f"{campaign[0]:28}{campaign[1]:10}{campaign[2]:8}{inside.sum():5}{''.join(cells)}")


def _ampere(data: Path, usable: list[Point]) -> None:
    hopper = fit(Points.of(usable))
    products = read_products(data / "vidur_layer_ops.csv")
    off = products.predicted_ms(hopper.efficiencies) / products.measured_ms - 1
    print("\nA100, median absolute error in %")
    print(f"  matrix products ({off.size}), constants of Hopper: {median_error(off):.1f}")
    held = np.empty(off.size)
    for name in np.unique(products.model):
        inside = products.model == name
        family = fit_family(products.of(~inside), hopper.efficiencies)
        judged = products.of(inside)
        predicted = judged.predicted_ms(replace(hopper.efficiencies, **family))
        held[inside] = predicted / judged.measured_ms - 1
    print(f"  matrix products, each model fitted on the others: {median_error(held):.1f}")
    families = (("Hopper", hopper.efficiencies), ("Ampere", calibration().of_family("ampere")))
    for name, constants in families:
        whole = prompts(data / "splitwise_profile_a100.csv", constants, hopper.engines["vllm"])
        error = median_error(whole.predicted_ms / whole.measured_ms - 1)
        print(
            f"  prompts of Llama-2-70B ({whole.measured_ms.size}), constants of {name}: {error:.1f}"
        )


def _mlperf() -> None:
    results = sorted(offline(calibration()), key=lambda one: one.measured)
    print("\nMLPerf Llama-2-70B offline, tokens/s per card")
    for one in results:
        figures = f"{one.measured:9.0f} measured{one.predicted:9.0f} predicted"
        print(f"  {one.accelerator:12}{one.round:6}{figures}")
    print(f"  Kendall tau {kendall_tau(results):.2f}")


if __name__ == "__main__":
    main()
