"""A day of 24 periods for 50 services: the horizon's gap against CPU time.

    python -m benchmarks.horizon [SERVICES [PERIODS [GAP]]]

Four models on three accelerators of limited number, two commitments, start-up delay of one period,
minimum up time of three, costs of starting, stopping and moving. Loads follow days with peaks of
their own and noise (seed 1). One thread. Sizing by the queue model is counted apart.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

from optimizer.fleet import plan_horizon
from optimizer.fleet.horizon.formulation import horizon_problem
from optimizer.fleet.horizon.plan_periods import forecast_rates
from optimizer.fleet.horizon.replica_choices import ReplicaChoices
from optimizer.spec import FleetSpec, from_data

_SEED = 1
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


def day(services: int, periods: int) -> FleetSpec:
    """Return the fleet."""
    rng = np.random.default_rng(_SEED)
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


def main() -> None:
    """Measure one solve."""
    given = sys.argv[1:]
    services = int(given[0]) if given else 50
    periods = int(given[1]) if len(given) > 1 else 24
    gap = float(given[2]) if len(given) > 2 else 0.01
    spec = day(services, periods)
    assert spec.horizon is not None
    began = time.process_time()
    problem = horizon_problem(
        ReplicaChoices.of(spec, forecast_rates(spec, spec.horizon)), spec.horizon
    )
    built = time.process_time()
    plan = plan_horizon(spec, relative_gap=gap, time_limit_s=120.0)
    done = time.process_time()
    print(f"{problem.arrays!r}, {problem.arrays.links!r}")
    print(
        f"{services} services x {periods} periods: {plan.termination}, {plan.total_cost:,.2f}, "
        f"gap {plan.relative_gap:.4%}; sizing and building {built - began:.1f} CPU s, all of it "
        f"{done - built:.1f} CPU s"
    )


if __name__ == "__main__":
    main()
