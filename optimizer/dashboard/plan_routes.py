"""Plans: made, shown, explained, compared, taken away."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from optimizer.dashboard.asked import asked
from optimizer.dashboard.bodies import CompareBody, SolveBody
from optimizer.dashboard.desk import Desk
from optimizer.dashboard.jobs import Job, Jobs
from optimizer.fleet import difference, optimize
from optimizer.report.html import (
    PlanReport,
    difference_fragment,
    explanation_fragment,
    plan_body,
    plan_page,
)
from optimizer.report.plan_csv import plan_csv
from optimizer.spec import dump

__all__ = ["PlanRoutes"]


class PlanRoutes:
    """Routes about plans and the work that makes them.

    Parameters
    ----------
    desk
        Where fleets and plans lie.
    jobs
        Work in progress.
    most
        Largest body [bytes].
    """

    def __init__(self, desk: Desk, jobs: Jobs, most: int) -> None:
        self._desk = desk
        self._jobs = jobs
        self._most = most

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/api/solves", self._solve, methods=["POST"]),
            Route("/api/jobs/{job}", self._job, methods=["GET"]),
            Route("/api/jobs/{job}", self._cancel, methods=["DELETE"]),
            Route("/api/plans/{plan}", self._show, methods=["GET"]),
            Route("/api/plans/{plan}/why/{service:path}", self._explain, methods=["GET"]),
            Route("/api/plans/{plan}/{file}", self._export, methods=["GET"]),
            Route("/api/comparisons", self._compare, methods=["POST"]),
        ]

    async def _solve(self, request: Request) -> Response:
        body = await asked(request, SolveBody, self._most)
        changed = await run_in_threadpool(self._desk.changed, body)

        def work(job: Job) -> dict[str, Any]:
            plan = optimize(changed.spec, progress=job.told, cancel=job.cancel)
            return self._desk.keep(changed, plan)

        return JSONResponse({"job": self._jobs.begin("solve", work)}, 202)

    async def _job(self, request: Request) -> Response:
        return JSONResponse(self._jobs.get(request.path_params["job"]).document())

    async def _cancel(self, request: Request) -> Response:
        self._jobs.get(request.path_params["job"]).cancel.set()
        return JSONResponse({}, 202)

    async def _show(self, request: Request) -> Response:
        made = self._desk.plans.get(request.path_params["plan"])
        html = await run_in_threadpool(plan_body, PlanReport(plan=made.plan))
        return JSONResponse({**made.figures(), "html": html})

    async def _explain(self, request: Request) -> Response:
        made = self._desk.plans.get(request.path_params["plan"])
        service = request.path_params["service"]

        def explained() -> str:
            return explanation_fragment(made.plan.explain(service))

        return JSONResponse({"html": await run_in_threadpool(explained)})

    async def _export(self, request: Request) -> Response:
        made = self._desk.plans.get(request.path_params["plan"])
        file = request.path_params["file"]
        if file not in _EXPORTS:
            raise HTTPException(404, "there is no such file")
        kind, write = _EXPORTS[file]
        content = await run_in_threadpool(write, made)
        headers = {"content-disposition": f'attachment; filename="{file}"'}
        return Response(content, media_type=kind, headers=headers)

    async def _compare(self, request: Request) -> Response:
        body = await asked(request, CompareBody, self._most)
        before = self._desk.plans.get(body.before).plan
        after = self._desk.plans.get(body.after).plan

        def compared() -> str:
            return difference_fragment(
                difference(before, after), (body.before_name, before), (body.after_name, after)
            )

        return JSONResponse({"html": await run_in_threadpool(compared)})


_EXPORTS = {
    "plan.json": ("application/json", lambda made: made.plan.to_json()),
    "plan.csv": ("text/csv", lambda made: plan_csv(made.plan)),
    "report.html": ("text/html", lambda made: plan_page(PlanReport(plan=made.plan))),
    "fleet.yaml": ("application/yaml", lambda made: dump(made.spec)),
    "loaded.yaml": ("application/yaml", lambda made: dump(made.loaded.spec)),
}
