"""Where the time of a very large fleet goes, and what other processes take off it.

    python -m benchmarks.large_fleet [SERVICES [QUEUE_MODEL [ENGINE...]]]

The models, accelerators and classes of examples/fleet.yaml, services drawn anew, half of the cards
that they would like best. CPU seconds of each step in this process, one thread; for each engine
wall-clock seconds of sizing and whether its candidates are those of `serial`: nothing else should
be running.
"""

from __future__ import annotations

import pickle
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ruamel.yaml import YAML

from optimizer.experiments.in_blocks import candidates_in_blocks
from optimizer.fleet import build_candidates, check_plan, plan_of, problem_of
from optimizer.spec import from_data

_EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "fleet.yaml"
# Cards per service, by which half of the services lack what they would like best.
_CARDS = {"L4": 0.5, "L40S": 0.6, "A100": 0.5, "H100": 0.3, "H200": 0.2}
_GAP = 1e-5

T = TypeVar("T")


def main(services: int, queue_model: str, engines: list[str]) -> None:
    """Print a line per step, then a line per engine."""
    data = large(services, queue_model)
    print(f"{services} services, queue model {queue_model}; CPU seconds")
    spec = _timed("validate", lambda: from_data(data))
    table = _timed("size", lambda: build_candidates(spec))
    problem = _timed("write the array problem", lambda: problem_of(table))
    plan = _timed("prices, repair, core; plan", lambda: plan_of(problem))
    _timed("check the plan again", lambda: check_plan(spec, plan).require())
    _timed("write it as JSON", plan.to_json)
    print(f"{len(table)} candidates, gap {plan.relative_gap:.1e}, {len(plan.unserved)} unserved")
    seconds: dict[str, float] = {}
    first: bytes | None = None
    for engine in engines:
        begin = time.perf_counter()
        sized = candidates_in_blocks(spec, engine=engine)
        seconds[engine] = time.perf_counter() - begin
        bits = pickle.dumps((sized.rate_per_replica_rps, sized.replicas, sized.cost_per_hour))
        first = bits if first is None else first
        ratio = seconds[engines[0]] / seconds[engine]
        same = "the same" if bits == first else "DIFFERENT"
        print(f"sized by {engine}: {seconds[engine]:.1f} s, {ratio:.2f} times as fast, {same}")


def large(services: int, queue_model: str) -> dict[str, Any]:
    """Return a fleet as its file would describe it."""
    draw = random.Random(0)
    data: dict[str, Any] = YAML(typ="safe").load(_EXAMPLE)
    models = [model["name"] for model in data["models"]]
    classes = [group["name"] for group in data["classes"]]
    data["services"] = [
        {
            "name": f"s{number}",
            "model": draw.choice(models),
            "class": draw.choice(classes),
            "load": {
                "arrival_rate_rps": round(10 ** draw.uniform(-1, 1), 3),
                "input_tokens": draw.randint(100, 2000),
                "output_tokens": draw.randint(50, 600),
            },
        }
        for number in range(services)
    ]
    data["capacities"] = [
        {"type": name, "cards": max(int(share * services), 1)} for name, share in _CARDS.items()
    ]
    data["optimizer"] = {"queue_model": queue_model, "relative_gap": _GAP}
    return data


def _timed(words: str, action: Callable[[], T]) -> T:
    begin = time.process_time()
    result = action()
    print(f"{words:<28}{time.process_time() - begin:>9.2f}", flush=True)
    return result


def run(repeats: int) -> None:
    """Print small figures of the cheapest queue model."""
    main(2000 if repeats > 1 else 200, "mm1k-state-dependent", ["serial", "local:2"])


if __name__ == "__main__":
    count, model, *engines = [*sys.argv[1:], *("2000", "auto")[len(sys.argv[1:]) :]]
    main(int(count), model, engines or ["serial", "local:2"])
