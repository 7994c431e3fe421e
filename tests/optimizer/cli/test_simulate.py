from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.optimizer.cli.commands import REPOSITORY, run

FLEET = """
accelerators: [{name: A, cost_per_hour: 1.0}]
models: [{name: m}]
performance:
  - {model: m, accelerator: A, max_batch: 16,
     iteration: {base_ms: 10, decode_ms_per_token: 0.1, prefill_ms_per_token: 0.1}}
classes:
  - {name: gold, priority: 1, slos: [{targets: [{metric: ttft_ms, bound: 60}]}]}
services:
  - {name: chat, model: m, class: gold,
     load: {arrival_rate_rps: 12, input_tokens: 200, output_tokens: 50}}
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulate")
    (folder / "fleet.yaml").write_text(FLEET)
    done = run("solve", folder / "fleet.yaml", "-o", folder / "plan.json")
    assert done.returncode == 0, done.stderr
    return folder / "plan.json"


def test_a_plan_is_simulated_and_drawn(plan: Path, tmp_path: Path) -> None:
    """Text says who holds, JSON holds the figures, and the picture is written."""
    pytest.importorskip("matplotlib")
    options = ("--most-requests", "4000", "--precision", "0.1")
    done = run("simulate", plan, *options, "--plot", tmp_path / "a.png", "-o", tmp_path / "a.json")
    assert done.returncode == 0, done.stderr
    assert "all of 1 simulated keep their objectives" in done.stdout
    assert "holds" in done.stdout
    assert (tmp_path / "a.png").stat().st_size > 5000
    printed = run("simulate", plan, "chat", *options, "--json")
    document = json.loads(printed.stdout)
    assert document == json.loads((tmp_path / "a.json").read_text())
    assert document["schema_version"] == 1
    assert document["missing"] == []


def test_a_plan_is_verified_as_it_is_solved(plan: Path, tmp_path: Path) -> None:
    """`solve --verify` shows the simulation, and the plan that it writes says so."""
    done = run("solve", plan.parent / "fleet.yaml", "--verify", "-o", tmp_path / "plan.json")
    assert done.returncode == 0, done.stderr
    assert "keep their objectives" in done.stdout
    notes = json.loads((tmp_path / "plan.json").read_text())["notes"]
    assert any(note.startswith("simulated 1 plan: every service") for note in notes)


def test_a_plan_is_held_to_an_slo_sheet(plan: Path) -> None:
    """Latencies of a sheet join the class's: for 50 tokens, half of what it says of 100."""
    sheet = ("--slo", REPOSITORY / "examples" / "slo.yaml")
    options = ("--most-requests", "4000", "--precision", "0.1", "--json")
    done = run("simulate", plan, *sheet, *options)
    assert done.returncode == 0, done.stderr
    statistics = json.loads(done.stdout)["services"][0]["statistics"]
    bounds = {(row["metric"], row["statistic"]): row["bound"] for row in statistics}
    assert bounds["ttft_ms", "p99"] == 200
    assert bounds["e2e_ms", "p50"] == 1000
    assert bounds["ttft_ms", "mean"] == 60


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nosuch",), "service 'nosuch' has no allocation"),
        (("--precision", "-1"), "precision"),
        (("--precision", "nan"), "precision"),
        (("--most-requests", "0"), "requests"),
        (("--seed", "-1"), "seed"),
        (("--plot", "a.txt"), "must end in"),
        (("--fleet", "absent.yaml"), "absent.yaml"),
        (("--slo", "absent.yaml"), "absent.yaml"),
        (("--presicion", "1"), "--presicion"),
    ],
)
def test_wrong_input_gets_a_line(plan: Path, arguments: tuple[str, ...], words: str) -> None:
    """No traceback: what came, what is wanted; exit 2, or 3 for a file that is wrong."""
    done = run("simulate", plan, *arguments)
    assert done.returncode in (2, 3)
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("text", ["", "{}", FLEET])
def test_what_is_no_plan_is_refused(tmp_path: Path, text: str) -> None:
    """An empty file, another document, and a fleet, for which the way is shown."""
    file = tmp_path / "plan.json"
    file.write_text(text)
    done = run("simulate", file)
    assert done.returncode == 2
    assert "not a plan" in done.stderr
    assert "Traceback" not in done.stderr
