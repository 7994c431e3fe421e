"""What the guide on limits, prices and goals tells people to type works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.commands import REPOSITORY, run

GUIDE = (REPOSITORY / "docs/guides/resources-and-objectives.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^fleetopt (.*)$", GUIDE, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_guide_works(command: str, tmp_path: Path) -> None:
    """Each exits with 0 and proves its plan."""
    done = run(
        *(str(REPOSITORY / w) if w.startswith("examples/") else w for w in command.split()),
        cwd=tmp_path,
    )
    assert done.returncode == ExitCode.OK, done.stderr
    assert "proven optimal" in done.stdout


def test_the_python_of_the_guide_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checker finds nothing."""
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    monkeypatch.chdir(REPOSITORY)
    exec(compile(code, "guide", "exec"), {})
    assert capsys.readouterr().out.startswith("True ")


def test_what_the_examples_are_about_binds_in_them() -> None:
    """In one the power of a region is used up; in the other two zones carry the load each."""
    import optimizer as fo

    plan = fo.optimize(fo.load(REPOSITORY / "examples/limits.yaml"))
    assert {a.accelerator for a in plan.allocations} == {"H100", "L40S"}
    assert any(p.tier == "reserved" and p.instances for p in plan.purchases)
    plan = fo.optimize(fo.load(REPOSITORY / "examples/change.yaml"))
    assert {a.accelerator[-2:] for a in plan.allocations if a.accelerator} == {"-a", "-b"}
    assert plan.transition is not None
    assert plan.transition.started > 0


def test_the_checker_asks_about_what_is_left_of_a_lost_zone() -> None:
    """Replicas that are said to carry a tenth more than they can are found out."""
    import optimizer as fo

    fleet = fo.load(REPOSITORY / "examples/change.yaml")
    document = fo.optimize(fleet).model_dump(mode="json")
    document["allocations"][0]["max_rate_rps"] *= 1.5
    check = fo.check_plan(fleet, fo.FleetPlan.model_validate(document))
    assert any("is said to be met" in str(v) for v in check.violations), check.violations
