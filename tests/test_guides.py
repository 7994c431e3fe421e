"""What the guides tell people to type works, and answers what they say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from optimizer.cli.exit_codes import ExitCode
from optimizer.fleet.estimates import with_estimates
from optimizer.spec import load_slo, loads
from tests.optimizer.cli.commands import REPOSITORY, run
from tests.optimizer.cli.in_process import called

SIZE = (REPOSITORY / "docs/guides/size-one-replica.md").read_text(encoding="utf-8")
FIELDS = (REPOSITORY / "docs/reference/service-process.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^fleetopt (.*)$", SIZE, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_guide_on_sizing_works(command: str, tmp_path: Path) -> None:
    """Each exits with 0, and what the guide quotes of the first is what it prints."""
    if "--plot" in command:
        pytest.importorskip("matplotlib", reason="the [plot] extra is not installed")
    done = run(
        *(
            str(REPOSITORY / word) if word.startswith("examples/") else word
            for word in command.split()
        ),
        cwd=tmp_path,
    )
    assert done.returncode == ExitCode.OK, done.stderr
    if command == COMMANDS[0]:
        quoted = SIZE.split("```")[3].strip().splitlines()
        printed = [line.rstrip() for line in done.stdout.splitlines()]
        assert quoted == printed[: len(quoted)]


def test_the_python_of_the_guide_on_sizing_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The largest rate is the one that the guide's table shows."""
    (code,) = re.findall(r"```python\n(.*?)```", SIZE, re.DOTALL)
    monkeypatch.chdir(REPOSITORY)
    exec(compile(code, "guide", "exec"), {})
    assert capsys.readouterr().out.startswith("5.90")


def test_the_examples_of_the_reference_are_valid_parts_of_a_fleet() -> None:
    """The load and the performance entry that it shows load together."""
    load, performance = re.findall(r"```yaml\n(.*?)```", FIELDS, re.DOTALL)
    fleet = loads(
        "accelerators: [{name: H100, cost_per_hour: 4}]\nmodels: [{name: llama-8b}]\n"
        "classes: [{name: c, priority: 1}]\n"
        f"{performance}services:\n  - name: s\n    model: llama-8b\n    class: c\n"
        + "".join(f"    {line}\n" for line in load.splitlines())
    )
    assert fleet.services[0].load.mean_output_tokens == pytest.approx(180)
    assert fleet.performance[0].iteration_table is not None


def test_the_fleet_of_the_guide_on_estimates_is_estimated() -> None:
    """Loads as it stands, and its only service gets entries on both accelerators."""
    text = (REPOSITORY / "docs/guides/estimates.md").read_text(encoding="utf-8")
    (fleet,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    made = with_estimates(loads(fleet)).performance
    assert {entry.accelerator for entry in made} == {"H100"}
    assert {entry.tensor_parallel for entry in made} == {2, 4, 8}


def test_the_sheet_of_the_guide_on_slos_is_one(tmp_path: Path) -> None:
    """It loads, and its commands exit with 0."""
    text = (REPOSITORY / "docs/guides/slo-sheets.md").read_text(encoding="utf-8")
    (sheet,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "slo.yaml"
    path.write_text(sheet, encoding="utf-8")
    assert len(load_slo(path).objectives) == 4
    for command in re.findall(r"^fleetopt (.*)$", text, re.MULTILINE):
        done = run(*command.split(), "--estimates=linear" if "solve" in command else "-o-")
        assert done.returncode == ExitCode.OK, done.stderr


@pytest.mark.parametrize(
    "command",
    re.findall(
        r"^fleetopt (capacity .*)$",
        (REPOSITORY / "docs/guides/from-llm-d-planner.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    ),
)
def test_the_questions_of_llm_d_planner_are_answered(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command of the guide says something, and exits with 0."""
    assert called(tuple(command.split())) == ExitCode.OK
    assert capsys.readouterr().out


def test_the_solver_of_the_guide_on_plug_ins_passes_the_contract() -> None:
    """The class that the guide shows, as it stands."""
    text = (REPOSITORY / "docs/guides/write-a-plugin.md").read_text(encoding="utf-8")
    made: dict[str, Any] = {"__name__": "guide"}
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(code, "guide", "exec"), made)


def test_the_worked_example_of_the_background_on_prices_holds() -> None:
    """The page's code asserts that the bound at a price of 15 is what the solver finds."""
    text = (REPOSITORY / "docs/background/mmkp.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(code, "page", "exec"), {"__name__": "page"})
