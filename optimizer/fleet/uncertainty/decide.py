"""The plan for uncertain loads: which problem they make, its answer, and its proof load by load."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizer.errors import PlanError
from optimizer.fleet.candidates_over_loads import candidates_over
from optimizer.fleet.estimates import with_estimates
from optimizer.fleet.optimize import decided, optimize
from optimizer.fleet.plan import FleetPlan
from optimizer.fleet.problem import problem_of
from optimizer.fleet.replica_pools import may_share
from optimizer.fleet.split_services import splits
from optimizer.fleet.uncertainty.check_spread import check_spread
from optimizer.fleet.uncertainty.decided import plan_of_columns, plan_with
from optimizer.fleet.uncertainty.following_replicas import (
    FollowingColumns,
    budgeted_problem,
    scenario_problem,
)
from optimizer.fleet.uncertainty.loads import ScenarioLoads, peak_rates, with_rates
from optimizer.fleet.uncertainty.scenario_columns import problems_at
from optimizer.fleet.uncertainty.served_together import TogetherColumns
from optimizer.fleet.uncertainty.shares_together import SharesTogether
from optimizer.fleet.uncertainty.spread_loads import SpreadLoads
from optimizer.fleet.uncertainty.spread_problem import spread_problem
from optimizer.fleet.uncertainty.uncertain_plan import ScenarioOutcome, UncertainPlan
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.overriding import with_options
from optimizer.spec.uncertainty import (
    CostMeasure,
    ProbabilityScope,
    ReplicaTiming,
    SpreadLoadsSpec,
    UncertaintySpec,
)
from solvers import (
    AllocationProblem,
    CancelFlag,
    Limit,
    Progress,
    Reason,
    SolveResult,
    check,
    relative_gap,
    solve,
)

__all__ = ["optimize_uncertain"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def optimize_uncertain(
    spec: FleetSpec,
    *,
    progress: Callable[[Progress], None] | None = None,
    cancel: CancelFlag | None = None,
    **options: Any,
) -> UncertainPlan:
    """Decide a fleet whose loads are uncertain.

    Parameters
    ----------
    spec
        A validated fleet with `uncertainty`.
    progress, cancel
        As of `optimize`.
    **options
        Fields of `OptimizerSpec` that replace the fleet's own.

    Returns
    -------
    UncertainPlan
        With the plan of every load that it serves, each checked as every plan is.

    Raises
    ------
    PlanError
        If the fleet has no uncertain loads, or services that split meet a way of counting that
        needs one candidate per service.
    SpecError, solvers.SolverError, queue_models.QueueModelError
        As from `optimize`.
    """
    uncertainty = spec.uncertainty
    if uncertainty is None:
        raise PlanError("the loads of this fleet are certain: give `uncertainty`, or use optimize")
    if options:
        spec = with_options(spec, **options)
    study = _Study(with_estimates(spec), uncertainty, progress, cancel)
    if uncertainty.peaks is not None:
        return study.with_peaks(uncertainty.peaks.at_once)
    if uncertainty.spread is not None:
        return study.with_spread(uncertainty.spread)
    loads = ScenarioLoads.of(spec)
    if uncertainty.replicas is ReplicaTiming.ADAPT:
        return study.with_replicas_that_follow(loads)
    return study.with_fixed_replicas(loads)


@dataclass(frozen=True)
class _Study:
    """One fleet, and the way to the plan that each kind of uncertainty takes."""

    spec: FleetSpec
    uncertainty: UncertaintySpec
    progress: Callable[[Progress], None] | None
    cancel: CancelFlag | None

    def with_fixed_replicas(self, loads: ScenarioLoads) -> UncertainPlan:
        """Size every service for the load that it must serve, and hold it to every scenario."""
        wanted = self.uncertainty.serve_probability
        together = self.uncertainty.probability_of is ProbabilityScope.FLEET
        joint: SolveResult | None = None
        if wanted < 1.0 and together:
            ways: SharesTogether | TogetherColumns
            if any(splits(self.spec, service) for service in self.spec.services):
                ways = SharesTogether(self.spec, loads)
            else:
                where = "with serve_probability below 1 of the whole fleet"
                problems = problems_at(self.spec, loads.rates_rps, where)
                ways = TogetherColumns(self.spec, problems, loads)
            problem = ways.problem(wanted)
            if problem is None:
                return self._nothing(ways.cannot)
            joint = self._solve(problem)
            if joint.x is None:
                return self._nothing(joint)
            levels = ways.levels_of(joint)
        else:
            levels = loads.quantile(wanted)
        if may_share(self.spec):
            table, _ = candidates_over(self.spec, loads.rates_rps, everywhere=True)
            plan = decided(problem_of(table), progress=self.progress, cancel=self.cancel)
        else:
            at_levels = with_rates(self.spec, levels)
            plan = optimize(at_levels, progress=self.progress, cancel=self.cancel)
        if not plan.found:
            return self._nothing(plan)
        served = {a.service for a in plan.allocations}
        outcomes = []
        for name, probability, rates in zip(
            loads.names, loads.probability.tolist(), loads.rates_rps, strict=True
        ):
            short = tuple(
                service.name
                for service, rate, level in zip(self.spec.services, rates, levels, strict=True)
                if rate > level and service.name in served
            )
            held: FleetPlan | None = None
            if not short:
                held, lacking = plan_with(with_rates(self.spec, rates), plan.allocations)
                if held is None:
                    raise PlanError(
                        f"the plan does not hold in scenario {name!r}: {', '.join(lacking)}; "
                        f"please report it, with the fleet"
                    )
            outcomes.append(_outcome(name, probability, held, short))
        if may_share(self.spec):
            # Shared replicas are sized for no load of their own: shown is what most requests see.
            held_plans = [outcome.plan for outcome in outcomes if outcome.plan is not None]
            shown = held_plans[int(loads.rates_rps.sum(axis=1).argmax())]
            plan = plan.model_copy(update={"allocations": shown.allocations})
        return self._found(plan, outcomes, joint)

    def with_replicas_that_follow(self, loads: ScenarioLoads) -> UncertainPlan:
        """Choose configurations whose replicas fit every scenario, each for itself."""
        problems = problems_at(self.spec, loads.rates_rps, "where replicas adapt", linked=True)
        columns = FollowingColumns.of(self.spec, problems)
        measure = self.uncertainty.minimize
        ways, problem = scenario_problem(columns, problems, loads.probability, measure)
        if problem is None:
            return self._nothing(ways.cannot)
        result = self._solve(problem)
        if result.x is None:
            return self._nothing(result)
        chosen = np.flatnonzero(result.x[: len(columns.owner)] > 0)
        outcomes = [
            _outcome(name, probability, plan_of_columns(one, found[chosen]))
            for name, probability, one, found in zip(
                loads.names, loads.probability.tolist(), problems, columns.columns, strict=True
            )
        ]
        return self._found(result, outcomes)

    def with_peaks(self, at_once: int) -> UncertainPlan:
        """Choose configurations whose replicas fit whichever services are at their peaks."""
        usual = np.array([s.load.arrival_rate_rps for s in self.spec.services])
        peak = np.maximum(peak_rates(self.spec), usual)
        problems = problems_at(self.spec, (usual, peak), "with peaks")
        columns = FollowingColumns.of(self.spec, problems)
        ways, problem = budgeted_problem(columns, at_once)
        if problem is None:
            return self._nothing(ways.cannot)
        result = self._solve(problem)
        if result.x is None:
            return self._nothing(result)
        chosen = np.flatnonzero(result.x[: len(columns.owner)] > 0)
        outcomes = []
        for name, members in _worst_sets(columns, chosen, at_once):
            rates = usual.copy()
            rates[members] = peak[members]
            (one,) = problems_at(self.spec, (rates,), "with peaks")
            held = plan_of_columns(one, columns.found_in(one, chosen))
            outcomes.append(_outcome(name, None, held))
        return self._found(result, outcomes)

    def with_spread(self, spread: SpreadLoadsSpec) -> UncertainPlan:
        """Choose configurations whose replicas keep every capacity with a probability."""
        loads = SpreadLoads.of(self.spec)
        problems = problems_at(
            self.spec, (loads.mean_rps, *loads.levels_rps), "where loads spread"
        )  # fmt: skip
        columns = FollowingColumns.of(self.spec, problems)
        ways, problem = spread_problem(columns, spread)
        if problem is None:
            return self._nothing(ways.cannot)
        result = self._solve(problem)
        if result.x is None:
            return self._nothing(result)
        chosen = np.flatnonzero(result.x[: len(columns.owner)] > 0)
        plan = plan_of_columns(problems[0], columns.columns[0, chosen])
        followed = check_spread(self.spec, plan.allocations)
        if followed.violations:
            raise PlanError(
                f"the plan fails the check of loads that spread: "
                f"{'; '.join(map(str, followed.violations))}"
            )
        found = self._found(result, [_outcome("mean loads", None, plan)])
        return found.model_copy(
            update={
                "total_cost_per_hour": followed.expected_cost_per_hour,
                "expected_cost_per_hour": followed.expected_cost_per_hour,
                "worst_cost_per_hour": None,
                "capacities": followed.capacities,
            }
        )

    def _solve(self, problem: AllocationProblem) -> SolveResult:
        options = self.spec.optimizer
        result = solve(
            problem,
            options.solver,
            time_limit_s=options.time_limit_s,
            relative_gap=options.relative_gap,
            seed=options.seed,
            threads=options.threads,
            progress=self.progress,
            cancel=self.cancel,
            **dict(options.solver_options),
        )
        if result.x is not None:
            report = check(problem, result.x, None, result.rates, result.z)
            if not report.feasible:
                raise PlanError(
                    f"the answer of solver '{result.statistics.solver}' fails the independent "
                    f"check: {'; '.join(report.violations)}"
                )
        return result

    def _nothing(self, result: SolveResult | FleetPlan | str) -> UncertainPlan:
        """Return the plan that is none; a text says what nothing can serve."""
        if isinstance(result, str):
            return self._document(Reason.INFEASIBLE, None, detail=result)
        reason, limit = _termination(result)
        detail = result.detail if isinstance(result, FleetPlan) else result.termination.detail
        return self._document(reason, limit, detail=detail)

    def _found(
        self,
        answer: FleetPlan | SolveResult,
        outcomes: list[ScenarioOutcome],
        joint: SolveResult | None = None,
    ) -> UncertainPlan:
        """Return the plan of an answer; `joint` proved the bound of a plan of fixed replicas."""
        plans = [o.plan for o in outcomes if o.plan is not None]
        costs = [plan.total_cost_per_hour or 0.0 for plan in plans]
        expected = None
        if len(plans) == len(outcomes) and self.uncertainty.scenarios:
            expected = math.fsum(
                (o.probability or 0.0) * cost for o, cost in zip(outcomes, costs, strict=True)
            )
            expected = min(max(expected, min(costs)), max(costs))
        worst = max(costs, default=None)
        if isinstance(answer, FleetPlan):
            shown, total, solver = answer, answer.total_cost_per_hour, answer.solver
        else:
            shown = plans[int(np.argmax(costs))]
            by_mean = self.uncertainty.minimize is CostMeasure.EXPECTED and expected is not None
            total, solver = (expected if by_mean else worst), answer.statistics.solver
        primal = answer.primal_bound
        dual = (answer if joint is None else joint).dual_bound
        proven = primal is not None and dual is not None and math.isfinite(dual)
        reason, limit = _termination(answer if joint is None else joint)
        return self._document(
            reason,
            limit,
            total_cost_per_hour=total,
            expected_cost_per_hour=expected,
            worst_cost_per_hour=worst,
            served_probability=None
            if not self.uncertainty.scenarios
            else math.fsum(o.probability or 0.0 for o in outcomes if o.served),
            primal_bound=primal,
            dual_bound=dual if proven else None,
            relative_gap=relative_gap(primal or 0.0, dual or 0.0) if proven else None,
            allocations=shown.allocations,
            unserved=shown.unserved,
            scenarios=tuple(outcomes),
            solver=solver,
        )

    def _document(self, reason: Reason, limit: Limit | None, **found: Any) -> UncertainPlan:
        said = self.uncertainty
        return UncertainPlan(
            fleet=self.spec.name,
            currency=self.spec.currency,
            termination=reason,
            limit=limit,
            replicas=said.replicas if said.scenarios else ReplicaTiming.ADAPT,
            minimize=CostMeasure.WORST if said.peaks is not None else said.minimize,
            serve_probability=said.serve_probability,
            probability_of=said.probability_of,
            at_once=None if said.peaks is None else said.peaks.at_once,
            keep_probability=None if said.spread is None else said.spread.keep_probability,
            notes=self.spec.notes,
            **found,
        )


def _termination(answer: FleetPlan | SolveResult) -> tuple[Reason, Limit | None]:
    if isinstance(answer, FleetPlan):
        return answer.termination, answer.limit
    return answer.termination.reason, answer.termination.limit


def _outcome(
    name: str, probability: float | None, plan: FleetPlan | None, short: tuple[str, ...] = ()
) -> ScenarioOutcome:
    return ScenarioOutcome(
        name=name,
        probability=probability,
        served=plan is not None,
        short=short,
        cost_per_hour=None if plan is None else plan.total_cost_per_hour,
        plan=plan,
    )


def _worst_sets(
    columns: FollowingColumns, chosen: IntArray, at_once: int
) -> Iterator[tuple[str, IntArray]]:
    """Yield the peaks that are worst for each limited row and for the cost, each set once.

    Whatever keeps these keeps every set of so many services: a row is fullest when those peak that
    add most to it.
    """
    owner = columns.owner[chosen]
    increases = [columns.cost[1, chosen] - columns.cost[0, chosen]]
    names = ["dearest peaks"]
    for place, resource in enumerate(columns.resources):
        increases.append(columns.usage[1, place, chosen] - columns.usage[0, place, chosen])
        names.append(f"peaks that take most {resource}")
    seen: dict[tuple[int, ...], str] = {}
    for name, increase in zip(names, increases, strict=True):
        largest = np.argsort(-increase, kind="stable")[:at_once]
        largest = largest[increase[largest] > 0]
        seen.setdefault(tuple(np.sort(owner[largest]).tolist()), name)
    for members, name in seen.items():
        yield name if members else "usual loads", np.array(members, dtype=np.int64)
