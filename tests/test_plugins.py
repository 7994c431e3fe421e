"""Solvers and queue models of another distribution are guests with equal rights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.optimizer.cli.commands import REPOSITORY, run

PLUGIN = REPOSITORY / "tests" / "plugins" / "fleetopt-example-plugins"
EXAMPLE = REPOSITORY / "examples" / "fleet.yaml"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Install the example distribution into a folder of its own; return the environment for it."""
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--no-deps", "--no-build-isolation", "--target", str(folder), str(PLUGIN),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return {"PYTHONPATH": f"{REPOSITORY}:{folder}"}


@pytest.mark.parametrize(
    ("verb", "key", "guest", "broken"),
    [
        ("solvers", "solvers", "first-fit", "broken-solver"),
        ("queue-models", "queue_models", "full-batch", "broken-queue-model"),
    ],
)
def test_guests_are_listed_and_broken_ones_say_why(
    installed: dict[str, str], verb: str, key: str, guest: str, broken: str
) -> None:
    """A guest is listed with its distribution; one that fails to import with its reason."""
    done = run(verb, "--json", env=installed)
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)[key]}
    assert rows[guest]["status"] == "ok"
    assert (rows[guest]["distribution"], rows[guest]["version"]) == (
        "fleetopt-example-plugins",
        "1.2.3",
    )
    assert rows[broken]["status"] == "broken"
    assert "quantum-annealer" in rows[broken]["reason"]
    assert rows["auto"]["status"] == "ok"


def test_guests_can_be_chosen(installed: dict[str, str], shared_data: Path) -> None:
    """Both guests together solve a fleet with capacities; its candidates are the guest's."""
    instance = shared_data / "inferno" / "instances" / "wva-sample-small-limited.json"
    done = run(
        "solve", instance, "--solver", "first-fit", "--queue-model", "full-batch", "--json",
        env=installed,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["provenance"]["solver"] == "first-fit"
    assert plan["queue_model"] == "full-batch"
    assert plan["allocations"]
    assert plan["termination"] == "feasible"
    assert plan["limit"] == "completed"


@pytest.mark.parametrize(
    "option", [("--solver", "broken-solver"), ("--queue-model", "broken-queue-model")]
)
def test_asking_for_a_broken_guest_exits_6(
    installed: dict[str, str], option: tuple[str, str]
) -> None:
    """The message names the distribution and the reason, without a traceback."""
    done = run("solve", EXAMPLE, *option, env=installed)
    assert done.returncode == 6
    assert "fleetopt-example-plugins" in done.stderr
    assert "quantum-annealer" in done.stderr
    assert "Traceback" not in done.stderr


def test_broken_guests_disturb_nobody(installed: dict[str, str]) -> None:
    """The fleet solves as ever while a broken guest is installed."""
    done = run("solve", EXAMPLE, "--json", env=installed)
    assert done.returncode == 0
    assert json.loads(done.stdout)["termination"] == "optimal"


def test_guests_pass_the_contract_suites(installed: dict[str, str]) -> None:
    """The suites that plug-in authors run hold for the guests."""
    code = """
from fleetopt_example_plugins.first_fit import FirstFitSolver
from fleetopt_example_plugins.full_batch import FullBatchModel
from queue_models import PrefillDecodeTiming, ServiceProcess
from queue_models.testing import check_contract
from solvers.testing import check_case, check_refusals, contract_cases

for case in contract_cases():
    check_case(FirstFitSolver(), case)
check_refusals(FirstFitSolver())
timing = PrefillDecodeTiming([10.0, 20.0], [0.1, 0.2], [5.0, 8.0], [0.01, 0.02])
check_contract(FullBatchModel(), ServiceProcess(timing, [100, 500], [50, 200], [8, 32]))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, env=installed,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
