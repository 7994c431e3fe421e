"""A fleet that is solved in milliseconds, and sweeps of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from optimizer.spec import dump
from tests.optimizer.fleet.fleets import fleet, service

FLEET = fleet(
    services=[
        service(name, load={"arrival_rate_rps": rate, "input_tokens": 100, "output_tokens": 11})
        for name, rate in (("one", 400.0), ("two", 700.0))
    ],
    optimizer={"queue_model": "mm1k-state-dependent"},
)

SWEEP: dict[str, Any] = {
    "fleets": ["fleet.yaml"],
    "axes": [
        {"name": "load", "range": "services[*].load.arrival_rate_rps*=[0.5, 1]"},
        {"name": "B", "cases": {"as it is": [], "dear": ["accelerators[B].cost_per_hour*=1.5"]}},
    ],
    "solvers": ["highs", "lagrangian"],
}


def written(folder: Path, **changes: Any) -> Path:
    """Write the fleet and the sweep, with changes; return the sweep's path."""
    (folder / "fleet.yaml").write_text(dump(FLEET), encoding="utf-8")
    YAML().dump({**SWEEP, **changes}, folder / "sweep.yaml")
    return folder / "sweep.yaml"
