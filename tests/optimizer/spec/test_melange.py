"""Mélange's inputs: recognised, imported, solved; faults at their place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import optimizer as fo
from optimizer.errors import SpecError
from optimizer.spec import dump, load_melange, loads, looks_like_melange

MELANGE = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "melange"


def _document(**changes: Any) -> dict[str, Any]:
    """The example of Mélange's release."""
    return {
        "gpu_info": {
            "A10G": {"cost": 1.01, "tputs": [[2, 1], [5, 2]]},
            "A100-80GB": {"cost": 3.67, "tputs": [[20, 20], [40, 20]]},
        },
        "workload_distribution": [[0.2, 0.1], [0.5, 0.2]],
        "total_request_rate": 30.0,
        "slice_factor": 1,
        **changes,
    }


def test_the_release_example_costs_less_than_melange_says() -> None:
    """One A10G takes a third of the third bucket: 4.68 an hour, where Mélange's plan costs 6.70."""
    plan = fo.optimize(loads(json.dumps(_document())))
    assert plan.total_cost_per_hour == pytest.approx(4.68)
    assert plan.relative_gap == 0.0
    assert {a.accelerator: a.replicas for a in plan.allocations} == {"A10G": 1, "A100-80GB": 1}


def test_a_tiny_throughput_means_cannot_serve() -> None:
    """Throughputs of at most 1e-6 become null, and nothing of their bucket is routed there."""
    document = _document(
        gpu_info={
            "A10G": {"cost": 0.01, "tputs": [[20, 1e-6], [20, 20]]},
            "A100-80GB": {"cost": 3.67, "tputs": [[20, 20], [40, 20]]},
        },
        # Tiny shares are where a tiny throughput looks like room for all.
        workload_distribution=[[0.5, 1e-6], [0.3, 0.2 - 1e-6]],
    )
    fleet = load_melange(document)
    buckets = fleet.services[0].length_buckets
    assert buckets is not None
    assert buckets.measured[0].rates_rps == ((20.0, None), (20.0, 20.0))
    plan = fo.optimize(fleet)
    by_accelerator = {a.accelerator: a for a in plan.allocations}
    assert set(by_accelerator) == {"A10G", "A100-80GB"}
    cells = {(r.input_row, r.output_column) for r in by_accelerator["A10G"].routes}
    assert (0, 1) not in cells


def test_the_import_survives_its_own_format() -> None:
    """Written as YAML and read again, the fleet is the same."""
    fleet = load_melange(_document())
    assert loads(dump(fleet, "yaml"), "fleet.yaml") == fleet
    assert any("slice_factor" in note for note in fleet.notes)


def test_what_looks_like_melange() -> None:
    """Both keys make it one; a fleet of our own is none."""
    assert looks_like_melange(_document())
    assert not looks_like_melange({"gpu_info": {}})
    assert not looks_like_melange([1, 2])


def test_a_distribution_need_not_sum_to_one() -> None:
    """Rates of buckets are share times total rate, as in Mélange, whatever the shares sum to."""
    twice = _document(workload_distribution=[[0.4, 0.2], [1.0, 0.4]], total_request_rate=15.0)
    assert fo.optimize(load_melange(twice)).total_cost_per_hour == pytest.approx(4.68)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"total_request_rate": "30"}, r"total_request_rate.*must be a number"),
        ({"total_request_rate": -1}, r"total_request_rate.*must be finite and >= 0"),
        ({"workload_distribution": []}, "workload_distribution: must be a list of rows"),
        ({"workload_distribution": [[0, 0], [0, 0]]}, "must have a share above 0"),
        ({"gpu_info": []}, "gpu_info: must be an object with at least one"),
        ({"gpu_info": {"A": 1}}, r"gpu_info\.A: must be an object with cost and tputs"),
        (
            {"gpu_info": {"A": {"cost": 1, "tputs": [[1, 2]]}}},
            r"gpu_info\.A\.tputs: must have the shape of workload_distribution",
        ),
        (
            {"gpu_info": {"A": {"cost": 1, "tputs": [[1, 2], [3, None]]}}},
            r"gpu_info\.A\.tputs\[1\]\[1\].*must be a number",
        ),
    ],
)
def test_faults_are_named_at_their_place(changes: dict[str, Any], message: str) -> None:
    """What is wrong with the document is said where it stands in it."""
    with pytest.raises(SpecError, match=message):
        load_melange(_document(**changes))


def test_every_instance_reaches_the_optimum_of_divisible_load() -> None:
    """Cost within 1e-6 of the optimum, gap 0, on every instance beside the repository."""
    if not (MELANGE / "results.json").exists():
        pytest.skip("Mélange's instances are not beside the repository")
    for entry in json.loads((MELANGE / "results.json").read_text(encoding="utf-8")):
        plan = fo.optimize(fo.load(MELANGE / "instances" / f"{entry['instance']}.json"))
        best = entry["reference"]["divisible_load_optimum"]["cost"]
        assert plan.total_cost_per_hour == pytest.approx(best, rel=1e-6)
        assert plan.relative_gap == 0.0
        assert len(plan.allocations) >= 1
