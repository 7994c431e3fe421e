"""The global problem: candidates, array problem, plan, explanation."""

from __future__ import annotations

from optimizer.fleet.candidates import CandidateTable, Verdict
from optimizer.fleet.check import check_plan
from optimizer.fleet.cost_stage import cost_stage, write_cost_stage
from optimizer.fleet.difference import Change, PlanDifference, ServiceDifference, difference
from optimizer.fleet.explain import Explanation, Option, OptionState, explain, explain_candidates
from optimizer.fleet.horizon import HorizonPlan, check_horizon, plan_horizon, with_loads_table
from optimizer.fleet.one_pair import bare_pair, pair_data
from optimizer.fleet.optimize import optimize, plan_of
from optimizer.fleet.pareto import ParetoFront, ParetoPoint, pareto_front
from optimizer.fleet.pareto_measure import ParetoMeasure
from optimizer.fleet.plan import (
    Allocation,
    BucketRoute,
    FleetPlan,
    Provenance,
    ResourceUse,
    Stage,
    TargetOutcome,
    UnservedService,
)
from optimizer.fleet.problem import FleetProblem, build_problem, problem_of
from optimizer.fleet.repair import Repair, RepairStudy, repair
from optimizer.fleet.replica import (
    OperatingPoint,
    ReplicaSize,
    ReplicaStudy,
    ReplicaTarget,
    size_replica,
)
from optimizer.fleet.scenarios import solve_each
from optimizer.fleet.service_blocks import ServiceBlock, service_blocks, table_of_blocks
from optimizer.fleet.shadow_prices import ShadowPrice, shadow_prices
from optimizer.fleet.sizing import build_candidates
from optimizer.fleet.tornado import Tornado, TornadoBar, tornado
from optimizer.fleet.uncertainty import (
    ScenarioOutcome,
    ServiceAtLoad,
    SpreadCheck,
    UncertainExplanation,
    UncertainPlan,
    check_spread,
    explain_uncertain,
    optimize_uncertain,
)
from optimizer.fleet.violation import PlanCheck, Violation
from optimizer.fleet.whatif import Case, WhatIf, what_if

__all__ = [
    "Allocation",
    "BucketRoute",
    "CandidateTable",
    "Case",
    "Change",
    "Explanation",
    "FleetPlan",
    "FleetProblem",
    "HorizonPlan",
    "OperatingPoint",
    "Option",
    "OptionState",
    "ParetoFront",
    "ParetoMeasure",
    "ParetoPoint",
    "PlanCheck",
    "PlanDifference",
    "Provenance",
    "Repair",
    "RepairStudy",
    "ReplicaSize",
    "ReplicaStudy",
    "ReplicaTarget",
    "ResourceUse",
    "ScenarioOutcome",
    "ServiceAtLoad",
    "ServiceBlock",
    "ServiceDifference",
    "ShadowPrice",
    "SpreadCheck",
    "Stage",
    "TargetOutcome",
    "Tornado",
    "TornadoBar",
    "UncertainExplanation",
    "UncertainPlan",
    "UnservedService",
    "Verdict",
    "Violation",
    "WhatIf",
    "bare_pair",
    "build_candidates",
    "build_problem",
    "check_horizon",
    "check_plan",
    "check_spread",
    "cost_stage",
    "difference",
    "explain",
    "explain_candidates",
    "explain_uncertain",
    "optimize",
    "optimize_uncertain",
    "pair_data",
    "pareto_front",
    "plan_horizon",
    "plan_of",
    "problem_of",
    "repair",
    "service_blocks",
    "shadow_prices",
    "size_replica",
    "solve_each",
    "table_of_blocks",
    "tornado",
    "what_if",
    "with_loads_table",
    "write_cost_stage",
]
