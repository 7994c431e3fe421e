"""Studies of a fleet (fronts, repairs, swings, the laboratory), and the calculators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from optimizer.control.spec import ScenarioSpec
from optimizer.dashboard.asked import asked
from optimizer.dashboard.bodies import (
    Body,
    CapacityBody,
    FrontBody,
    HorizonBody,
    KvBody,
    LabBody,
    RepairBody,
    TornadoBody,
    UncertainBody,
)
from optimizer.dashboard.calculators import capacity_answer, kv_answer
from optimizer.dashboard.desk import Desk
from optimizer.dashboard.jobs import Job, Jobs
from optimizer.dashboard.scenario import scenario_of
from optimizer.dashboard.studies import front_study, lab_study, repair_study, tornado_study
from optimizer.dashboard.study_process import Study, run_study
from optimizer.fleet import FleetPlan, optimize_uncertain, plan_horizon
from optimizer.report.html import PlanReport, horizon_body, uncertain_body
from optimizer.spec import FleetSpec

__all__ = ["GivenScenario", "StudyRoutes"]


@dataclass(frozen=True, slots=True)
class GivenScenario:
    """A scenario of the laboratory that was named on the command line.

    Parameters
    ----------
    scenario
        The scenario.
    fleet
        Its fleet.
    path
        Its file; relative paths of traces begin beside it.
    """

    scenario: ScenarioSpec
    fleet: FleetSpec
    path: Path


class StudyRoutes:
    """Routes about studies.

    Parameters
    ----------
    desk
        Where fleets and plans lie.
    jobs
        Work in progress.
    most
        Largest body [bytes].
    given
        Scenario of the laboratory, where the command line named one.
    """

    def __init__(self, desk: Desk, jobs: Jobs, most: int, given: GivenScenario | None) -> None:
        self._desk = desk
        self._jobs = jobs
        self._most = most
        self._given = given

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/api/studies/front", self._front, methods=["POST"]),
            Route("/api/studies/repair", self._repair, methods=["POST"]),
            Route("/api/studies/tornado", self._tornado, methods=["POST"]),
            Route("/api/studies/lab", self._lab, methods=["POST"]),
            Route("/api/studies/horizon", self._horizon, methods=["POST"]),
            Route("/api/studies/uncertain", self._uncertain, methods=["POST"]),
            Route("/api/kv", self._calculated(KvBody, kv_answer), methods=["POST"]),
            Route(
                "/api/capacity", self._calculated(CapacityBody, capacity_answer), methods=["POST"]
            ),
        ]

    def _begin(self, kind: str, study: Study, *arguments: Any) -> Response:
        def work(job: Job) -> dict[str, Any]:
            return run_study(study, arguments, job.cancel, job.told_step)

        return JSONResponse({"job": self._jobs.begin(kind, work)}, 202)

    async def _front(self, request: Request) -> Response:
        body = await asked(request, FrontBody, self._most)
        changed = await run_in_threadpool(self._desk.changed, body)

        def work(job: Job) -> dict[str, Any]:
            arguments = (changed.spec, body.measure, body.points)
            found = run_study(front_study, arguments, job.cancel, job.told_step)
            plans = map(FleetPlan.model_validate, found["plans"])
            return {
                "html": found["html"],
                "plans": [self._desk.keep(changed, plan) for plan in plans],
            }

        return JSONResponse({"job": self._jobs.begin("front", work)}, 202)

    async def _repair(self, request: Request) -> Response:
        changed = await run_in_threadpool(
            self._desk.changed, await asked(request, RepairBody, self._most)
        )
        return self._begin("repair", repair_study, changed.spec)

    async def _tornado(self, request: Request) -> Response:
        body = await asked(request, TornadoBody, self._most)
        made = self._desk.plans.get(body.plan)
        plan = FleetPlan.model_validate(made.plan.model_dump())  # without its candidates
        return self._begin("tornado", tornado_study, made.spec, plan, body.share)

    async def _horizon(self, request: Request) -> Response:
        body = await asked(request, HorizonBody, self._most)
        changed = await run_in_threadpool(self._desk.changed, body)

        def work(job: Job) -> dict[str, Any]:
            plan = plan_horizon(changed.spec, progress=job.told, cancel=job.cancel)
            return {"html": horizon_body(plan), "command": changed.command("horizon")}

        return JSONResponse({"job": self._jobs.begin("horizon", work)}, 202)

    async def _uncertain(self, request: Request) -> Response:
        body = await asked(request, UncertainBody, self._most)
        changed = await run_in_threadpool(partial(self._desk.changed, body, all_loads=True))

        def work(job: Job) -> dict[str, Any]:
            plan = optimize_uncertain(changed.spec, progress=job.told, cancel=job.cancel)
            worst = plan.costliest
            html = uncertain_body(plan, None if worst is None else PlanReport(plan=worst))
            return {"html": html, "command": changed.command("solve")}

        return JSONResponse({"job": self._jobs.begin("uncertain", work)}, 202)

    async def _lab(self, request: Request) -> Response:
        body = await asked(request, LabBody, self._most)
        if body.given and self._given is not None:
            given, folder = self._given, str(self._given.path.parent)
            return self._begin("lab", lab_study, given.scenario, given.fleet, folder)
        changed = await run_in_threadpool(self._desk.changed, body)
        scenario = scenario_of(body, changed.spec)
        return self._begin("lab", lab_study, scenario, changed.spec, ".")

    def _calculated(
        self, kind: type[Body], answer: Callable[[Any], dict[str, Any]]
    ) -> Callable[[Request], Any]:
        async def calculated(request: Request) -> Response:
            body = await asked(request, kind, self._most)
            return JSONResponse(await run_in_threadpool(answer, body))

        return calculated
