"""The controller beside other autoscalers: the Azure traces and scripted days, in the laboratory.

python -m benchmarks.control_lab FOLDER_OF_TRACES [--only NAME] [--rate FACTOR]

One service on H100 and A100, 120 s to start a replica, 24 h. The traces are stretched to a day, at
50 times their rate. `hpa-tuned` is the cheapest autoscaler that keeps as much, its target found by
bisection for every window (`optimizer.control.lab.equal_attainment`); where a model becomes slower
no target helps, and it is left out.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from optimizer.control.lab import LabResult, run_scenario
from optimizer.control.spec import ScenarioSpec
from optimizer.spec import FleetSpec, loads

DAY_S = 86_400.0
_FLEET = """
name: one
accelerators:
  - {name: H100, catalog: H100-SXM, cost_per_hour: 4.50}
  - {name: A100, catalog: A100-80GB-SXM, cost_per_hour: 3.67}
capacities:
  - {type: H100, cards: 400}
  - {type: A100, cards: 400}
models:
  - {name: llama-8b, catalog: meta-llama/Llama-3.1-8B}
performance:
  - {model: llama-8b, accelerator: A100, instances: 1, max_batch: 256, start_up_s: 120,
     iteration: {base_ms: 11.85, decode_ms_per_token: 0.1229, prefill_ms_per_token: 0.1029,
                 kv_ms_per_token: 8.04e-05}}
  - {model: llama-8b, accelerator: H100, instances: 1, max_batch: 256, start_up_s: 120,
     iteration: {base_ms: 7.99, decode_ms_per_token: 0.0525, prefill_ms_per_token: 0.0325,
                 kv_ms_per_token: 4.89e-05}}
classes:
  - {name: standard, priority: 1,
     slos: [{targets: [{metric: ttft_ms, bound: 500}, {metric: itl_ms, bound: 30}]}]}
services:
  - {name: chat, model: llama-8b, class: standard,
     load: {arrival_rate_rps: 100, input_tokens: 1195, output_tokens: 201}}
"""


def scenarios(traces: Path, rate: float = 50.0) -> dict[str, dict[str, object]]:
    """Return the traffic, faults and tuning of every scenario, by name; the traces at a rate."""
    recorded = {
        f"azure {kind}": {
            "traffic": [
                {
                    "service": "chat",
                    "pattern": "trace",
                    "rate": rate,
                    "trace": str((traces / f"azure2023_{kind}_0-40min.csv").resolve()),
                }
            ]
        }
        for kind in ("conv", "code")
    }
    slow: dict[str, object] = {
        "faults": [{"kind": "slow-model", "at_s": DAY_S / 2, "factor": 2.0}],
        "baselines": ["static-peak", "hpa", "saturation", "greedy"],
    }
    spikes = [{"at_s": hour * 3600.0 + 1200.0, "for_s": 300.0, "rate": 3.0} for hour in range(24)]
    silent = {"at_s": DAY_S / 3, "for_s": DAY_S / 3, "rate": 0.0}
    longer = {"at_s": DAY_S / 2, "input_tokens": 2.0}
    step = {"at_s": DAY_S / 4, "for_s": DAY_S / 4, "rate": 10.0}
    return recorded | {
        "constant": {},
        "diurnal": {"traffic": [{"service": "chat", "pattern": "diurnal", "rate": 3.0}]},
        "spikes": {"traffic": [{"service": "chat", "events": spikes}]},
        "zero and back": {"traffic": [{"service": "chat", "events": [silent]}]},
        "longer prompts": {"traffic": [{"service": "chat", "events": [longer]}]},
        "node loss": {"faults": [{"kind": "node-loss", "at_s": DAY_S / 2, "share": 0.3}]},
        "metric faults": {
            "traffic": [{"service": "chat", "pattern": "diurnal", "rate": 3.0}],
            "faults": [
                {"kind": f"metrics-{kind}", "at_s": 7200.0 * (2 + at), "for_s": 1800.0}
                for at, kind in enumerate(("missing", "zero", "nan", "stale"))
            ],
        },
        "step x10": {"traffic": [{"service": "chat", "rate": 0.3, "events": [step]}]},
        "model x2 slower": slow,
        "model x2 slower, tuned": slow | {"tuning": {"method": "extended-kalman"}},
    }


def scenario(name: str, said: dict[str, object]) -> ScenarioSpec:
    """Return a scenario of a day; nobody is there to approve, so the breaker lets pass."""
    control = {
        "fleet": "fleet.yaml",
        "breaker": {"most_stopped_share": 1.0},
        "tuning": said.get("tuning", {}),
    }
    given = {key: value for key, value in said.items() if key != "tuning"}
    return ScenarioSpec.model_validate(
        {"name": name, "duration_s": DAY_S, "control": control, **given}
    )


def show(result: LabResult, cpu_s: float) -> None:
    """Print a row per policy."""
    print(f"{result.scenario}, {cpu_s:.0f} s CPU in all")
    own = result.own.score
    for run in result.runs:
        score = run.score
        print(
            f"  {run.policy:12} kept {score.attainment:.4f}  violating minutes "
            f"{score.violating_minutes:5.0f}  card-hours {score.gpu_hours:7.1f} "
            f"({own.gpu_hours / score.gpu_hours - 1:+.0%})  reversals {score.reversals:4}  "
            f"{run.settings}",
            flush=True,
        )


def main(argv: list[str]) -> None:
    """Run them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.control_lab")
    parser.add_argument("traces", type=Path)
    parser.add_argument("--only", default="", help="the scenario of this name alone")
    parser.add_argument("--rate", type=float, default=50.0, help="factor on the traces' rates")
    options = parser.parse_args(argv)
    fleet: FleetSpec = loads(_FLEET)
    for name, said in scenarios(options.traces, options.rate).items():
        if options.only in ("", name):
            begun = time.process_time()
            result = run_scenario(scenario(name, said), fleet, Path())
            show(result, time.process_time() - begun)


if __name__ == "__main__":
    main(sys.argv[1:])
