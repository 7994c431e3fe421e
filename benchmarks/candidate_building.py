"""How long the candidate table takes, against the Go core's candidates."""

from __future__ import annotations

import random
import time
from statistics import median

from benchmarks.inferno_instances import present
from optimizer import build_candidates, load_inferno
from optimizer.fleet import build_problem
from optimizer.spec import FleetSpec, from_data


def run(repeats: int) -> None:
    """Print a row per instance: pairs, CPU of the table and of table and arrays, ratio to Go."""
    print("Building all candidates (imports and reading the file excluded)")
    print(f"{'instance':<14}{'pairs':>7}{'table':>18}{'with arrays':>18}{'Go core':>9}{'ratio':>7}")
    for case in present():
        fleet = load_inferno(case.path)
        pairs = len(build_candidates(fleet, case.queue_model))
        table = _cpu(lambda f=fleet, c=case: build_candidates(f, c.queue_model), repeats)
        arrays = _cpu(lambda f=fleet, c=case: build_problem(f, c.queue_model), repeats)
        print(
            f"{case.name:<14}{pairs:>7}{_show(table):>18}{_show(arrays):>18}"
            f"{case.go_cpu_s:>9.2f}{case.go_cpu_s / median(table):>6.0f}x"
        )
    for name, shapes in (("means", ("mean",)), ("distributions", _SHAPES)):
        fleet = _generated(shapes)
        table = _cpu(lambda f=fleet: build_candidates(f, "mm1k-state-dependent"), repeats)
        pairs = len(build_candidates(fleet, "mm1k-state-dependent"))
        print(f"{f'10 000, {name}':<22}{pairs:>7} {_show(table)}")


_SHAPES = ("geometric", "lognormal", "empirical", "mean")


def _generated(shapes: tuple[str, ...]) -> FleetSpec:
    """Return 10 000 services of 5 models on 4 accelerators, lengths of these shapes in turn."""
    draw = random.Random(0)
    models, accelerators = range(5), range(4)

    def lengths(shape: str, mean: float) -> object:
        if shape == "mean":
            return mean
        if shape == "empirical":
            values = [round(mean * share) + 1.0 for share in (0.2, 0.5, 1.0, 3.0)]
            return {"distribution": shape, "values": values, "weights": [2.0, 4.0, 3.0, 1.0]}
        spread = {"scv": 2.0} if shape == "lognormal" else {}
        return {"distribution": shape, "mean": mean, **spread}

    def service(number: int) -> dict[str, object]:
        shape = shapes[number % len(shapes)]
        # Histograms come from few sources.
        prompt = draw.choice((300.0, 700.0, 1500.0)) if shape == "empirical" else None
        load = {
            "arrival_rate_rps": draw.uniform(1.0, 50.0),
            "input_tokens": lengths(shape, prompt or draw.uniform(100.0, 2000.0)),
            "output_tokens": lengths(shape, (prompt or draw.uniform(60.0, 1200.0)) / 3),
        }
        return {"name": f"s{number}", "model": f"m{number % 5}", "class": "c", "load": load}

    timing = {"decode_ms_per_token": 0.1, "prefill_ms_per_token": 0.02}
    targets = [{"metric": "ttft_ms", "bound": 800.0}, {"metric": "itl_ms", "bound": 40.0}]
    return from_data(
        {
            "accelerators": [{"name": f"a{j}", "cost_per_hour": 1.0 + j} for j in accelerators],
            "models": [{"name": f"m{i}"} for i in models],
            "performance": [
                {"model": f"m{i}", "accelerator": f"a{j}", "max_batch": 64,
                 "iteration": {"base_ms": 8.0 / (1 + j), **timing}}
                for i in models for j in accelerators
            ],
            "classes": [{"name": "c", "priority": 1, "slos": [{"targets": targets}]}],
            "services": [service(number) for number in range(10_000)],
        }
    )  # fmt: skip


def _cpu(action: object, repeats: int) -> list[float]:
    assert callable(action)
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        action()
        times.append(time.process_time() - begin)
    return times


def _show(times: list[float]) -> str:
    return f"{median(times):.4f} ({min(times):.4f})"
