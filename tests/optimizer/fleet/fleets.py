"""Small fleets whose plans can be worked out by hand."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from optimizer.spec import FleetSpec, from_data

# Constant times: decode 10 ms whatever the batch, prefill 10 ms, 11 output tokens. A request then
# spends 10 + 10 x 10 = 110 ms in service; a replica with batch 1 serves at most 9.09 per second.
CONSTANT = {
    "decode_base_ms": 10.0,
    "decode_ms_per_request": 0.0,
    "prefill_base_ms": 10.0,
    "prefill_ms_per_token": 0.0,
}


def two_types() -> dict[str, Any]:
    """One model, two accelerators (A at 10, B at 5 per hour), one idle service of one replica.

    Without load the replicas are the stated minimum, so costs and cards are known by hand.
    """
    return {
        "name": "two-types",
        "accelerators": [
            {"name": "A", "cost_per_hour": 10.0},
            {"name": "B", "cost_per_hour": 5.0},
        ],
        "capacities": [{"type": "A", "cards": 2}, {"type": "B", "cards": 100}],
        "models": [{"name": "m"}],
        "performance": [
            {"model": "m", "accelerator": "A", "max_batch": 32, "prefill_decode": CONSTANT},
            {"model": "m", "accelerator": "B", "max_batch": 32, "prefill_decode": CONSTANT},
        ],
        "classes": [
            {"name": "gold", "priority": 1},
            {"name": "silver", "priority": 2},
        ],
        "services": [service("x")],
    }


def service(name: str, **changes: Any) -> dict[str, Any]:
    """Return an idle gold service that keeps one replica."""
    entry: dict[str, Any] = {
        "name": name,
        "model": "m",
        "class": "gold",
        "load": {"arrival_rate_rps": 0, "input_tokens": 100, "output_tokens": 11},
        "replicas": {"min": 1},
    }
    entry.update(changes)
    return entry


def fleet(base: dict[str, Any] | None = None, **changes: Any) -> FleetSpec:
    """Validate a fleet made from a base and top-level changes."""
    data = deepcopy(two_types() if base is None else base)
    data.update(changes)
    return from_data(data)


def splitting_two_types(
    *, a_w: tuple[float, float], b_w: tuple[float, float], **service: Any
) -> dict[str, Any]:
    """10 requests/s over A (8 requests/s at 5/h) and B (2 at 1/h); power [W] idle and full."""
    measured = [
        {"accelerator": "A", "rates_rps": [[8.0]]},
        {"accelerator": "B", "rates_rps": [[2.0]]},
    ]
    return {
        "accelerators": [
            {"name": name, "cost_per_hour": cost, "power": {"idle_w": idle, "full_w": full}}
            for name, cost, (idle, full) in (("A", 5.0, a_w), ("B", 1.0, b_w))
        ],
        "models": [{"name": "m"}],
        "classes": [{"name": "c", "priority": 1}],
        "services": [
            {
                "name": "s",
                "model": "m",
                "class": "c",
                "load": {"arrival_rate_rps": 10.0, "input_tokens": 100, "output_tokens": 100},
                "allocation": "split",
                "length_buckets": {"shares": [[1.0]], "measured": measured},
                **service,
            }
        ],
    }
