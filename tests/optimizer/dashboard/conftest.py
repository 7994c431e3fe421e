"""A dashboard without a socket, and one in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from optimizer.spec import load

NEEDED = ("starlette", "uvicorn", "prometheus_client", "jinja2", "matplotlib", "httpx")
REPOSITORY = Path(__file__).resolve().parents[3]
SMALL = REPOSITORY / "examples" / "control" / "fleet.yaml"

Solve = Callable[..., dict[str, Any]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the extra where it is not installed."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=f"not installed: {', '.join(missing)}"))


@pytest.fixture
def client() -> Iterator[Any]:
    """A browser's requests to a dashboard with a small fleet."""
    from starlette.testclient import TestClient

    from optimizer.dashboard import DashboardSettings, create_dashboard
    from optimizer.dashboard.fleet_routes import laid_out

    fleet = laid_out(load(SMALL), SMALL.name, path=str(SMALL))
    app = create_dashboard(DashboardSettings(fleet=fleet, body_bytes=200_000))
    with TestClient(app, base_url="http://127.0.0.1:8765") as browser:
        yield browser


@pytest.fixture
def fleet(client: Any) -> str:
    """The name that the page knows the small fleet by."""
    page = client.get("/").text
    return str(page.partition('data-fleet="')[2].partition('"')[0])


def ended(client: Any, job: str) -> dict[str, Any]:
    """Ask after work until it ends, for two minutes at most."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        document: dict[str, Any] = client.get(f"/api/jobs/{job}").json()
        if document["state"] != "running":
            return document
        time.sleep(0.02)
    raise AssertionError(f"still running: {document}")


@pytest.fixture
def solve(client: Any, fleet: str) -> Solve:
    """Solve the small fleet with changes; the figures of its plan."""

    def solved(**wanted: Any) -> dict[str, Any]:
        begun = client.post("/api/solves", json={"fleet": fleet, **wanted})
        assert begun.status_code == 202, begun.text
        document = ended(client, begun.json()["job"])
        assert document["state"] == "done", document
        result: dict[str, Any] = document["result"]
        return result

    return solved
