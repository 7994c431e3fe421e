from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.optimizer.cli.commands import REPOSITORY, run
from tests.optimizer.cli.in_process import called

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
        (("--plot", "absent/a.png"), "cannot write absent/a.png"),
        (("--plot-latencies", "absent/a.svg"), "give another path to --plot-latencies"),
        (("-o", "absent/a.json"), "cannot write absent/a.json"),
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


def test_other_loads_are_simulated(plan: Path, tmp_path: Path) -> None:
    """A trace with one option, bursts and lengths with others; the document says what came."""
    rows = "\n".join(f"{0.1 * k},100,20" for k in range(400))
    (tmp_path / "t.csv").write_text(f"arrival_s,input_tokens,output_tokens\n{rows}\n")
    options = ("--most-requests", "2000", "--precision", "0.2", "--json")
    traced = run("simulate", plan, "--trace", tmp_path / "t.csv", "--as-recorded", *options)
    assert traced.returncode == 0, traced.stderr
    (service,) = json.loads(traced.stdout)["services"]
    assert service["load"] == f"trace {tmp_path / 't.csv'} as recorded"
    assert service["arrival_rate_rps"] == pytest.approx(10.0, rel=0.02)
    loads = ("--arrivals", "chat=gamma:4", "--output-lengths", "geometric:30")
    bursts = run("simulate", plan, *loads, "--replications", "3", "--precise", "itl_mean", *options)
    assert bursts.returncode == 0, bursts.stderr
    (service,) = json.loads(bursts.stdout)["services"]
    assert service["load"] == "arrivals gamma:4"
    assert service["replications"] == 3


def test_distributions_are_drawn(plan: Path, tmp_path: Path) -> None:
    """A picture of its own, refused beforehand where its name says no format."""
    pytest.importorskip("matplotlib")
    options = ("--most-requests", "2000", "--precision", "0.2", "--plot-latencies")
    done = run("simulate", plan, *options, tmp_path / "a.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.png").stat().st_size > 10_000
    refused = run("simulate", plan, *options, tmp_path / "a.gif")
    assert refused.returncode == 2
    assert "--plot-latencies" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--trace", "absent.csv"), "absent.csv: cannot be read"),
        (("--trace", "nobody=README.md"), "README.md"),
        (("--trace", "chat="), "wanted SERVICE=WHAT"),
        (("--as-recorded",), "concerns traces"),
        (("--spread-ms", "5"), "concerns traces"),
        (("--arrivals", "gamma:-1"), "arrivals 'gamma:-1'"),
        (("--arrivals", "nobody=poisson"), "service 'nobody' has no allocation"),
        (("--arrivals", "poisson", "--arrivals", "poisson"), "there is one already"),
        (("--input-lengths", "fixed:nan"), "lengths 'fixed:nan'"),
        (("--precise", "ttft_99"), "statistic 'ttft_99'"),
        (("--replications", "1"), "replications = 1"),
    ],
)
def test_wrong_loads_get_a_line(
    plan: Path, arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What came and what is wanted, without a traceback."""
    assert called(("simulate", plan, *arguments)) == 2
    error = capsys.readouterr().err
    assert words in " ".join(error.replace("│", " ").split())
    assert "Traceback" not in error


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
@pytest.mark.parametrize("stage", ["simulate", "whatif", "repair"])
def test_ctrl_c_has_words(plan: Path, stage: str) -> None:
    """Exit 130 and a line that says so; what was simulated by then is shown."""
    fleet = plan.parent / "fleet.yaml"
    words: dict[str, tuple[list[str | Path], str, str]] = {
        "simulate": (["simulate", plan], "PlanServers",
                     "optimizer.engine.plan_simulation"),
        "whatif": (["whatif", fleet, "--set", "services[chat].load.arrival_rate_rps=3"],
                   "solve_each", "optimizer.fleet.whatif"),
        "repair": (["explain", fleet, "--repair"],
                   "build_problem", "optimizer.fleet.repair"),
    }  # fmt: skip
    arguments, name, module = words[stage]
    program = (
        "import os, signal, sys\n"
        f"import {module}\n"
        f"module = sys.modules[{module!r}]\n"
        f"real = module.{name}\n"
        "def struck(*given, **more):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    return real(*given, **more)\n"
        f"module.{name} = struck\n"
        "from optimizer.cli import main\n"
        f"sys.argv = ['fleetopt', *{[str(word) for word in arguments]!r}]\n"
        "main()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY
    )
    assert ended.returncode == 130, ended.stderr
    assert "fleetopt: interrupted" in ended.stderr
    assert "Traceback" not in ended.stderr
    if stage == "simulate":
        assert "chat" in ended.stdout


def test_a_plan_of_a_horizon_says_what_to_do(tmp_path: Path) -> None:
    """It is named for what it is, with the command that makes a plan of one period."""
    file = tmp_path / "horizon.json"
    done = run("horizon", REPOSITORY / "examples" / "horizon.yaml", "-o", file)
    assert done.returncode == 0, done.stderr
    refused = run("simulate", file)
    assert refused.returncode == 2
    assert "a plan of a horizon has a plan for every period" in refused.stderr
    assert "fleetopt solve FLEET" in refused.stderr
