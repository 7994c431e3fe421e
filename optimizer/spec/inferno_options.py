"""How an inferno system wants to be optimised."""

from __future__ import annotations

from optimizer.spec.inferno_reader import Record
from optimizer.spec.objective import Objective
from optimizer.spec.options import (
    CapacityMode,
    PriorityMode,
    SaturationPolicy,
    ThroughputTarget,
)
from optimizer.spec.wording import show_value

__all__ = ["read_options"]

_POLICIES = {
    "None": SaturationPolicy.NONE,
    "PriorityExhaustive": SaturationPolicy.PRIORITY_EXHAUSTIVE,
    "PriorityRoundRobin": SaturationPolicy.PRIORITY_ROUND_ROBIN,
    "RoundRobin": SaturationPolicy.ROUND_ROBIN,
}


def read_options(options: Record) -> dict[str, object]:
    """Read `optimizerData.optimizer`.

    Without limits on capacity, inferno's own objective is kept; with them, as many services as
    possible are served by strict priority, then at least cost.
    """
    unlimited = options.flag("unlimited")
    if not unlimited:
        options.ledger.count(
            "limited capacity: services are served by strict priority, then at least cost; "
            "the objective inferno-value keeps inferno's own"
        )
    for key in ("heterogeneous", "milpSolver", "useCplex"):
        if options.flag(key):
            options.ledger.count(f"{options.kind(key)} = true: not carried over")
    return {
        "capacity": CapacityMode.UNLIMITED if unlimited else CapacityMode.LIMITED,
        "objective": Objective.INFERNO_VALUE if unlimited else Objective.COST,
        "priorities": PriorityMode.STRICT,
        "saturation_policy": _read_policy(options),
        "delayed_best_effort": options.flag("delayedBestEffort"),
        "throughput_target": ThroughputTarget.REPLACES_LOAD,
    }


def _read_policy(options: Record) -> SaturationPolicy:
    given = options.text("saturationPolicy")
    if given in _POLICIES:
        return _POLICIES[given]
    key = options.kind("saturationPolicy")
    by_folded = {name.casefold(): name for name in _POLICIES}
    meant = by_folded.get(given.casefold())
    if meant is not None:
        text = f"{key} {show_value(given)}: read as {meant}, where Go takes None"
        options.ledger.count(text)
        return _POLICIES[meant]
    came = f"{key} {show_value(given)} is unknown" if given else f"{key} is missing or empty"
    options.ledger.count(f"{came}: None is taken, as in Go")
    return SaturationPolicy.NONE
