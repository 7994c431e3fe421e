"""A day of 24 periods for 50 services: the horizon's gap against CPU time.

    python -m benchmarks.horizon [SERVICES [PERIODS [GAP [SEEDS [LIMIT_S]]]]]

Three models on three accelerators of limited number, two commitments, start-up delay of one period,
minimum up time of three, costs of starting, stopping and moving. Loads follow days with peaks of
their own and noise, drawn anew for each seed. One thread. Sizing by the queue model is counted
apart, and so is what it takes to compile it.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from benchmarks.cpu_time import cpu_seconds
from optimizer.fleet import plan_horizon
from optimizer.fleet.horizon.formulation import HorizonProblem, horizon_problem
from optimizer.fleet.horizon.plan_periods import forecast_rates
from optimizer.fleet.horizon.replica_choices import ReplicaChoices
from optimizer.spec import FleetSpec, from_data

# The bar: so many services and periods to this gap in so many seconds.
_SERVICES, _PERIODS, _GAP, _LIMIT_S = 50, 24, 0.01, 60.0
_SMALL = (8, 6)
_MOST_SEEDS = 5
_PRICES = {"L40S": 1.86, "A100": 3.67, "H100": 4.5}
# base, decode, prefill, KV [ms], as in examples/fleet.yaml; cards per replica.
_TIMES = {
    ("llama-8b", "L40S"): (25.23, 0.1087, 0.0887, 0.00019, 1),
    ("llama-8b", "A100"): (11.85, 0.1229, 0.1029, 8.04e-05, 1),
    ("llama-8b", "H100"): (7.99, 0.0525, 0.0325, 4.89e-05, 1),
    ("qwen-32b", "L40S"): (50.93, 0.2010, 0.1810, 0.00019, 2),
    ("qwen-32b", "A100"): (23.62, 0.2300, 0.2100, 8.04e-05, 2),
    ("qwen-32b", "H100"): (15.76, 0.0862, 0.0662, 4.89e-05, 2),
    ("llama-70b", "L40S"): (29.44, 0.1174, 0.0974, 5.93e-05, 8),
    ("llama-70b", "A100"): (25.55, 0.2461, 0.2261, 5.02e-05, 4),
    ("llama-70b", "H100"): (17.08, 0.0913, 0.0713, 3.06e-05, 4),
}


def day(services: int, periods: int, seed: int) -> FleetSpec:
    """Return the fleet."""
    rng = np.random.default_rng(seed)
    models = sorted({model for model, _ in _TIMES})
    rate = rng.lognormal(2.0, 1.0, services)
    phase = rng.uniform(0, 2 * np.pi, services)
    hours = np.arange(periods)[:, None] * 2 * np.pi / 24
    loads = rate * (1 + 0.7 * np.sin(hours + phase)) * rng.lognormal(0, 0.1, (periods, services))
    names = [f"s{i}" for i in range(services)]
    data: dict[str, Any] = {
        "name": "day",
        "accelerators": [{"name": n, "cost_per_hour": c} for n, c in _PRICES.items()],
        "capacities": [
            {"type": "H100", "cards": 2 * services},
            {"type": "A100", "cards": 3 * services},
        ],
        "models": [{"name": model} for model in models],
        "performance": [
            {
                "model": model, "accelerator": where, "instances": cards, "max_batch": 128,
                "iteration": {"base_ms": a, "decode_ms_per_token": b, "prefill_ms_per_token": c,
                              "kv_ms_per_token": d},
            }
            for (model, where), (a, b, c, d, cards) in _TIMES.items()
        ],
        "classes": [{"name": "all", "priority": 1, "slos": [{"targets": [
            {"metric": "ttft_ms", "bound": 1500}, {"metric": "itl_ms", "bound": 80}]}]}],
        "services": [
            {"name": name, "model": models[i % len(models)], "class": "all",
             "load": {"arrival_rate_rps": float(rate[i]), "input_tokens": 800,
                      "output_tokens": 200}}
            for i, name in enumerate(names)
        ],
        "horizon": {
            "periods": [
                {"rates_rps": dict(zip(names, row.tolist(), strict=True))} for row in loads
            ],
            "start_delay_periods": 1, "min_up_periods": 3,
            "start_cost": 1.0, "stop_cost": 0.2, "move_cost": 5.0,
            "commitments": [{"accelerator": "H100", "cost_per_hour": 3.0},
                            {"accelerator": "A100", "cost_per_hour": 2.6}],
        },
    }  # fmt: skip
    return from_data(data)


def run(repeats: int) -> None:
    """Print a row per seed, at most five of them, of the size and gap that the bar asks for.

    A single run is of a small one.
    """
    services, periods = (_SERVICES, _PERIODS) if repeats > 1 else _SMALL
    _table(services, periods, _GAP, min(repeats, _MOST_SEEDS), _LIMIT_S)


def _table(services: int, periods: int, gap: float, seeds: int, limit_s: float) -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print(f"A horizon of {services} services x {periods} periods, gap {gap:g} within {limit_s:g} s")
    print(f"{'seed':>5}{'columns':>9}{'rows':>8}{'cost':>12}{'gap':>10}{'sizing':>9}{'CPU s':>8}")
    _size(day(2, 2, 0))  # compiles what sizing needs
    for seed in range(1, seeds + 1):
        spec = day(services, periods, seed)
        before = cpu_seconds()
        arrays = _size(spec).arrays
        sized = cpu_seconds()
        # The limit is of the clock, which a busy machine shares.
        plan = plan_horizon(spec, relative_gap=gap, time_limit_s=limit_s)
        done = cpu_seconds()
        assert arrays is not None
        assert arrays.links is not None
        columns = arrays.columns + arrays.links.columns
        print(
            f"{seed:>5}{columns:>9}{arrays.links.rows:>8}{plan.total_cost or 0:>12,.0f}"
            f"{plan.relative_gap or 0:>10.3%}{sized - before:>9.1f}{done - sized:>8.1f}",
            flush=True,
        )


def _size(spec: FleetSpec) -> HorizonProblem:
    assert spec.horizon is not None
    choices = ReplicaChoices.of(spec, forecast_rates(spec, spec.horizon))
    return horizon_problem(choices, spec.horizon)


def main() -> None:
    """Measure what is asked for, by default the bar."""
    given = sys.argv[1:]
    _table(
        int(given[0]) if given else _SERVICES,
        int(given[1]) if len(given) > 1 else _PERIODS,
        float(given[2]) if len(given) > 2 else _GAP,
        int(given[3]) if len(given) > 3 else 3,
        float(given[4]) if len(given) > 4 else _LIMIT_S,
    )


if __name__ == "__main__":
    main()
