"""A model in several configurations on one accelerator: parallelism, precision, and the choice."""

from __future__ import annotations

from copy import deepcopy
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

import optimizer as fo
from optimizer.errors import SpecError
from optimizer.fleet import Verdict
from optimizer.fleet.check import check_plan
from optimizer.fleet.impossible import why_not
from optimizer.fleet.one_pair import pair_data
from optimizer.report.plan_text import plan_view
from optimizer.spec import FleetSpec, from_data
from optimizer.spec.dumping import dump


def two_precisions() -> dict[str, Any]:
    """One model on one type of card (2 per hour), whole in bf16 on two cards or in fp8 on one.

    A request takes one prefill and ten decodes. With batches of one, a bf16 replica (TP2) needs
    11 x 10 = 110 ms and carries 9.09 requests/s, an fp8 replica 11 x 12 = 132 ms and 7.58/s; with
    no objective and 15 requests/s, two replicas of either do: 4 cards (8 per hour) in bf16, 2 cards
    (4 per hour) in fp8. So fp8 wins where it is allowed, and bf16 costs twice as much.
    """

    def entry(time_ms: float, **settings: Any) -> dict[str, Any]:
        times = {
            "decode_base_ms": time_ms,
            "decode_ms_per_request": 0.0,
            "prefill_base_ms": time_ms,
            "prefill_ms_per_token": 0.0,
        }
        pair = {"model": "m", "accelerator": "A", "max_batch": 1}
        return {**pair, "prefill_decode": times, **settings}

    return {
        "name": "two precisions",
        "accelerators": [{"name": "A", "cost_per_hour": 2.0}],
        "models": [{"name": "m"}],
        "performance": [
            entry(10.0, tensor_parallel=2, weight_precision="bf16", kv_precision="bf16"),
            entry(12.0, weight_precision="fp8", kv_precision="fp8"),
        ],
        "classes": [{"name": "c", "priority": 1}],
        "services": [
            {
                "name": "s",
                "model": "m",
                "class": "c",
                "load": {"arrival_rate_rps": 15, "input_tokens": 100, "output_tokens": 11},
            }
        ],
    }


def fleet(**of_service: Any) -> FleetSpec:
    """Return the fleet with changes to its service."""
    data = two_precisions()
    data["services"][0].update(of_service)
    return from_data(data)


def test_golden_the_cheapest_configuration_is_chosen_and_named() -> None:
    """4 per hour in fp8 as `two_precisions` works out, and the plan says so."""
    plan = fo.optimize(fleet())
    (allocation,) = plan.allocations
    assert plan.total_cost_per_hour == 4.0
    assert (allocation.replicas, allocation.cards) == (2, 2)
    assert (allocation.weight_precision, allocation.kv_precision) == ("fp8", "fp8")
    assert allocation.configuration == "fp8, KV fp8"
    console = Console(width=120, record=True, file=StringIO())
    console.print(plan_view(plan))
    assert "A fp8, KV fp8" in console.export_text()
    assert fo.FleetPlan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize("owner", ["service", "class"])
@pytest.mark.parametrize("kind", ["weight", "kv"])
def test_golden_quality_that_forbids_fp8_costs_twice_as_much(owner: str, kind: str) -> None:
    """8 per hour in bf16, whoever restricts the precision; never less than without."""
    data = two_precisions()
    part = data["services"][0] if owner == "service" else data["classes"][0]
    part[f"{kind}_precisions"] = ["bf16", "fp16"]
    plan = fo.optimize(from_data(data))
    (allocation,) = plan.allocations
    assert plan.total_cost_per_hour == 8.0
    assert allocation.configuration == "x2 TP2 bf16, KV bf16"
    assert allocation.cards == 4


def test_what_quality_forbids_stays_in_the_table_with_its_reason() -> None:
    """`explain` can say why fp8 was not taken."""
    table = fo.build_candidates(fleet(weight_precisions=["bf16"]))
    (row,) = [r for r in range(len(table)) if table.verdict[r] == Verdict.PRECISION]
    assert why_not(table, row) == "weights in fp8, allowed: bf16"
    explanation = fo.optimize(fleet(weight_precisions=["bf16"])).explain("s")
    assert [o.configuration for o in explanation.options] == [
        "x2 TP2 bf16, KV bf16",
        "fp8, KV fp8",
    ]


def test_an_entry_that_does_not_state_its_precision_is_not_taken_for_an_allowed_one() -> None:
    """Quality is not guessed."""
    data = two_precisions()
    del data["performance"][1]["weight_precision"]
    data["services"][0]["weight_precisions"] = ["bf16", "fp8"]
    table = fo.build_candidates(from_data(data))
    (row,) = [r for r in range(len(table)) if table.verdict[r] == Verdict.PRECISION]
    assert "not stated" in why_not(table, row)


def test_instances_follow_from_the_parallelism() -> None:
    """TP4 x PP2 on instances of four cards takes two of them, and survives a round trip."""
    data = two_precisions()
    data["accelerators"][0]["cards"] = 4
    data["performance"] = [{**data["performance"][0], "tensor_parallel": 4, "pipeline_parallel": 2}]
    spec = from_data(data)
    assert spec.performance[0].instances == 2
    assert fo.loads(dump(spec)) == spec


def test_weights_are_those_of_the_precision_that_is_served() -> None:
    """70.55e9 parameters: 141 GB in bf16 do not fit 80 GB, 70.6 GB in fp8 do."""
    data = two_precisions()
    data["models"] = [{"name": "m", "catalog": "meta-llama/Llama-3.1-70B"}]
    data["accelerators"][0]["memory_gb"] = 80
    del data["performance"][0]["tensor_parallel"]
    table = fo.build_candidates(from_data(data))
    assert table.verdict.tolist() == [Verdict.WEIGHTS, Verdict.POSSIBLE]
    assert "weights of 141.1 GB" in why_not(table, 0)


def test_a_single_configuration_can_be_picked_by_its_name() -> None:
    """`size --accelerator 'A fp8, KV fp8'`; without, the message says what there is."""
    picked = pair_data(fleet(), accelerator="A fp8, KV fp8")
    assert picked["performance"][0]["weight_precision"] == "fp8"
    with pytest.raises(SpecError, match="in several configurations: say which: 'A x2 TP2 bf16"):
        pair_data(fleet(), accelerator="A")


def test_services_that_split_may_use_several_configurations() -> None:
    """Split over both configurations costs no more than the better one alone."""
    spec = fleet(load={"arrival_rate_rps": 16, "input_tokens": 100, "output_tokens": 11})
    whole = fo.optimize(spec).total_cost_per_hour
    split = fo.optimize(spec, allocation="split").total_cost_per_hour
    assert whole is not None
    assert split is not None
    assert split <= whole


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "same configuration": (
        {"performance": [two_precisions()["performance"][1]] * 2},
        "in the same configuration: performance[0]: keep one of them, or tell them apart by inst",
    ),
    "parallelism that no instances make": (
        {"performance": [{**two_precisions()["performance"][0], "instances": 3}]},
        "tensor_parallel = 2: x pipeline_parallel wants 2 cards, and 3 instances have 3",
    ),
    "unknown precision": (
        {"performance": [{**two_precisions()["performance"][0], "kv_precision": "fp18"}]},
        "must be one of fp32, bf16, fp16, fp8, int8, mxfp8, int4, nf4, mxfp4, nvfp4: did you mean",
    ),
    "no precision allowed": (
        {"classes": [{"name": "c", "priority": 1, "kv_precisions": []}]},
        "classes[0].kv_precisions = an empty list: allows no precision at all",
    ),
    "unknown precision in a list": (
        {"classes": [{"name": "c", "priority": 1, "kv_precisions": ["fp7"]}]},
        "must be one of fp32, bf16, fp16, fp8",
    ),
    "precision that nothing has": (
        {"classes": [{"name": "c", "priority": 1, "weight_precisions": ["int4"]}]},
        "is allowed none of the weights precisions of the performance entries of model 'm': bf16, "
        "fp8: add an entry with weight_precision, or allow one of these",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_misuse_is_found_with_what_to_try(name: str) -> None:
    """Each is one fault, at its place."""
    changes, message = FAULTS[name]
    data = deepcopy(two_precisions())
    data.update(changes)
    with pytest.raises(SpecError) as caught:
        from_data(data)
    assert message in str(caught.value)
    assert len(caught.value.faults) == 1


def test_the_checker_finds_a_precision_that_quality_forbids() -> None:
    """It reads the fleet and the plan's words alone: a plan made without the rule breaks it."""
    plan = fo.optimize(fleet())
    assert not check_plan(fleet(), plan).violations
    (violation,) = check_plan(fleet(weight_precisions=["bf16"]), plan).violations
    assert "weights in fp8, which s does not allow" in str(violation)
