"""`fleetopt size`: one replica by hand, or out of a fleet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer import build_candidates, load
from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.commands import REPOSITORY, document, run
from tests.optimizer.cli.in_process import called

EXAMPLE = REPOSITORY / "examples" / "fleet.yaml"
CHAT = ("size", EXAMPLE, "--service", "chat-premium", "--accelerator", "H100")
BY_HAND = (
    "size", "--base-ms", "8", "--decode-ms-per-token", "0.05", "--prefill-ms-per-token", "0.03",
    "--max-batch", "256", "--input-tokens", "512", "--output-tokens", "128",
)  # fmt: skip


def test_a_pair_of_a_fleet_is_sized_as_the_plan_sizes_it() -> None:
    """The largest rate is that of the candidate table, and every objective is there."""
    (size,) = document(*CHAT)["sizes"]
    table = build_candidates(load(EXAMPLE))
    names = table.inventory.names
    row = next(r for r in table.rows_of(0) if names[int(table.accelerator[r])] == "H100")
    assert size["max_rate_rps"] == pytest.approx(table.rate_per_replica_rps[row], rel=1e-6)
    assert [t["name"] for t in size["targets"]] == ["ttft_p95_ms", "itl_ms"]
    assert [t["name"] for t in size["targets"] if t["binds"]] == ["itl_ms"]
    assert size["at"]["latencies_ms"]["itl_ms"] == pytest.approx(40.0, rel=1e-6)


def test_by_hand_and_out_of_a_fleet_agree(tmp_path: Path) -> None:
    """The same figures as options give the same curve."""
    by_hand = document("size", "--base-ms", "17.08", "--decode-ms-per-token", "0.0913",
        "--prefill-ms-per-token", "0.0713", "--kv-ms-per-token", "3.06e-05", "--max-batch", "256",
        "--input-tokens", "900", "--output-tokens", "250", "--output-tokens-scv", "1.0",
        "--ttft-p95-ms", "1500", "--itl-ms", "40",
    )  # fmt: skip
    assert by_hand["sizes"] == document(*CHAT)["sizes"]


def test_the_text_says_what_binds_and_shows_the_curve() -> None:
    """Verdict first, then objectives, then a line per load, on one screen."""
    status, out, _ = run(*BY_HAND, "--ttft-ms", "200", "--itl-ms", "30", "--percentiles", "99")
    assert status == ExitCode.OK
    lines = out.splitlines()
    assert len(lines) <= 30
    assert "within the objectives, bound by ITL; capacity" in lines[1]
    assert "TTFT p99" in out
    assert "beyond the objectives from here" in out
    assert sum(line.lstrip().startswith(("10%", "50%", "95%")) for line in lines) == 3


def test_a_rate_is_looked_at_instead_of_the_largest() -> None:
    """Objectives that it breaks are marked, and the answer is still an answer."""
    (size,) = document(*BY_HAND, "--itl-ms", "20", "--rate", "30")["sizes"]
    assert size["at"]["rate_rps"] == 30
    (target,) = size["targets"]
    assert not target["met"]
    assert target["margin"] < 0
    assert size["max_rate_rps"] < 30
    (size,) = document(*BY_HAND, "--rate", "1000")["sizes"]
    assert not size["at"]["stable"]
    assert set(size["at"]["latencies_ms"].values()) == {None}
    assert "does not keep up" in run(*BY_HAND, "--rate", "1000")[1]


def test_models_side_by_side_keep_their_refusals() -> None:
    """A model that does not answer says why; the others are compared at the same rates."""
    arguments = (*BY_HAND, "--ttft-ms", "200", "--compare", "auto,mmc,inferno-3p")
    study = document(*arguments)
    auto, mmc, inferno = study["sizes"]
    assert "prefill_ms_per_token must be equal" in inferno["refusal"]
    assert inferno["capacity_rps"] is None
    assert [p["rate_rps"] for p in auto["curve"]] == [p["rate_rps"] for p in mmc["curve"]]
    status, out, _ = run(*arguments)
    assert status == ExitCode.OK
    assert "prefill_ms_per_token must be equal" in " ".join(out.split())


def test_an_impossible_objective_exits_4_with_what_breaks_it() -> None:
    """No rate keeps 5 ms between tokens of 8 ms: the value without load is shown."""
    status, out, _ = run(*BY_HAND, "--itl-ms", "5", "--ttft-ms", "500")
    assert status == ExitCode.INFEASIBLE
    assert "no rate keeps every objective" in out
    assert "broken even without load" in out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--base-ms", "-1"), "--base-ms = -1.0: must be greater than 0 (ms)"),
        (("--base-ms", "nan"), "--base-ms = nan: must be a finite number"),
        (("--max-batch", "0"), "--max-batch = 0: must be at least 1"),
        (("--chunk-tokens", "0"), "--chunk-tokens = 0"),
        (("--kv-capacity-tokens", "-5"), "--kv-capacity-tokens = -5.0"),
        (("--acceptance-rate", "0.4"), "--draft-tokens: is missing"),
        (("--draft-tokens", "4"), "--acceptance-rate: is missing"),
        (("--prefix-hit-rate", "2"), "--prefix-hit-rate = 2.0: must be at most 1"),
        (("--output-tokens", "0.5"), "--output-tokens = 0.5: must be at least 1"),
        (("--input-tokens-scv", "-1"), "--input-tokens-scv = -1.0"),
        (("--input-distribution", "lognormal"), "--input-tokens-scv: is missing for lognormal"),
        (("--input-distribution", "geometric", "--input-tokens-scv", "2"),
         "--input-tokens-scv = 2.0: geometric lengths have none"),
        (("--ttft-ms", "0"), "--ttft-ms = 0.0: must be at least"),
        (("--slo", "wait:p90=5"), "--slo = 'wait': must be one of ttft_ms"),
        (("--slo", "ttft_ms:p101=5"), "--slo = 'p101': must be mean, or a percentile"),
        (("--replicas", "0"), "--replicas = 0: must be between 1"),
        (("--rate", "-1"), "--rate = -1.0: must be at least 0"),
        (("--rate", "nan"), "--rate = nan"),
        (("--percentiles", "101"), "--percentiles = 101.0: must be between 0 and 100"),
    ],
)  # fmt: skip
def test_an_invalid_value_exits_3_naming_its_option(more: tuple[str, ...], said: str) -> None:
    """What came and what is wanted, at the option that the person wrote."""
    status, out, err = run(*BY_HAND, *more)
    assert status == ExitCode.SPEC_INVALID
    assert said in err
    assert out == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("size",), "say what to size"),
        (("size", "--service", "x"), "needs a FLEET"),
        ((*BY_HAND, "--slo", "nonsense"), "METRIC:STATISTIC=BOUND"),
        ((*BY_HAND, "--percentiles", "many"), "numbers, as in 50,99"),
        ((*BY_HAND, "--compare", "auto", "--queue-model", "mmc"), "leave out --queue-model"),
        ((*BY_HAND, "--plot", "x.gif"), "must end in .png"),
        ((*BY_HAND, "--queue-model", "nope"), "unknown queue model 'nope'"),
        ((*BY_HAND, "--tpot-p99-ms", "20", "--queue-model", "mm1k-state-dependent"),
         "tpot_ms p99 is not known"),
        ((*BY_HAND, "--draft-tokens", "2", "--acceptance-rate", "0.5", "--queue-model",
          "inferno-3p"), "draft_tokens must be 0"),
        ((*BY_HAND, "--plot", "/nowhere/at/all/x.png"), "cannot write"),
    ],
)  # fmt: skip
def test_wrong_usage_exits_2(arguments: tuple[str, ...], said: str) -> None:
    """Options that contradict each other, and questions that the model does not answer."""
    status, out, err = run(*arguments)
    assert status == ExitCode.USAGE
    assert said in " ".join(err.replace("│", " ").split())
    assert out == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--service: there are several services: say which: chat-premium"),
        (("--service", "chat-premiun"), "did you mean 'chat-premium'?"),
        (
            ("--service", "chat-premium"),
            "--accelerator: model 'llama-70b' runs on several",
        ),
        (("--service", "chat-premium", "--accelerator", "L4"), "no performance entry for model"),
        (("--model", "gpt"), "no service is of model 'gpt'"),
    ],
)
def test_a_pair_that_is_not_there_or_not_named_exits_3(
    arguments: tuple[str, ...], said: str
) -> None:
    """The names that there are are offered."""
    status, _, err = run("size", EXAMPLE, *arguments)
    assert status == ExitCode.SPEC_INVALID
    assert said in err


def test_options_go_before_what_the_fleet_says() -> None:
    """An objective on the same statistic is replaced, another is added, lengths are replaced."""
    (size,) = document(*CHAT, "--itl-ms", "30", "--ttft-ms", "400", "--slo", "queueing_ms:p90=50",
        "--max-batch", "64", "--prefix-hit-rate", "0.5",
    )["sizes"]  # fmt: skip
    bounds = {target["name"]: target["bound_ms"] for target in size["targets"]}
    assert bounds == {
        "ttft_p95_ms": 1500, "itl_ms": 30, "ttft_ms": 400, "queueing_p90_ms": 50,
    }  # fmt: skip
    load_only = document("size", EXAMPLE, "--model", "llama-8b", "--accelerator", "H100",
        "--input-tokens", "100", "--output-tokens", "10",
    )  # fmt: skip
    assert load_only["service"] == "service"
    assert load_only["sizes"][0]["targets"] == []


def test_distributions_by_option_are_those_of_the_spec() -> None:
    """Geometric outputs are longer in the tail than fixed ones: less is carried within the ITL."""
    long = ("--kv-ms-per-token", "0.0005", "--itl-ms", "30")
    fixed = document(*BY_HAND, *long, "--output-distribution", "fixed")["sizes"][0]
    spread = document(*BY_HAND, *long, "--output-distribution", "geometric")["sizes"][0]
    assert spread["max_rate_rps"] < fixed["max_rate_rps"]
    assert fixed == document(*BY_HAND, *long)["sizes"][0]


def test_times_by_phase_size_the_compatibility_model() -> None:
    """The 4-parameter form by options, with a queue of a given length."""
    study = document("size", "--decode-base-ms", "10", "--decode-ms-per-request", "0.1",
        "--prefill-base-ms", "5", "--prefill-ms-per-token", "0.01", "--max-batch", "64",
        "--input-tokens", "512", "--output-tokens", "128", "--max-queue", "100",
        "--queue-model", "inferno-4p", "--itl-ms", "14",
    )  # fmt: skip
    assert study["sizes"][0]["max_rate_rps"] > 0


def test_the_curves_are_drawn_with_their_objectives(tmp_path: Path) -> None:
    """An SVG whose words are those of the table, for one model and for several."""
    mpl = pytest.importorskip("matplotlib", reason="the [plot] extra is not installed")
    with mpl.rc_context({"svg.fonttype": "none"}):  # text as text
        one, several = tmp_path / "one.svg", tmp_path / "several.svg"
        assert run(*CHAT, "--percentiles", "99", "--plot", one)[0] == ExitCode.OK
        status, out, _ = run(*CHAT, "--ttft-ms", "300", "--compare", "auto,mmc", "--plot", several)
    assert status == ExitCode.OK
    assert out.count("%") < 30  # the table keeps to its loads though the curve is finer
    drawn = one.read_text()
    for words in ("TTFT p95", "TTFT p99", "≤ 1,500 ms", "requests/s per replica"):
        assert words in drawn
    assert "TTFT, mmc" in several.read_text()


def test_a_plot_without_matplotlib_exits_6_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command that adds it is named."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    status, out, err = run(*BY_HAND, "--plot", tmp_path / "x.png")
    assert status == ExitCode.PLUGIN
    assert "pip install 'fleetopt[plot]'" in err
    assert out == ""


_numbers = st.sampled_from(["0", "1", "2.5", "-1", "1e9", "nan", "inf", "1e-9", "x", ""])
_options = st.sampled_from(
    ["--base-ms", "--decode-ms-per-token", "--kv-ms-per-token", "--max-batch", "--chunk-tokens",
     "--kv-capacity-tokens", "--prefix-hit-rate", "--draft-tokens", "--acceptance-rate",
     "--input-tokens", "--input-tokens-scv", "--output-tokens", "--output-tokens-scv",
     "--arrival-scv", "--max-queue", "--replicas", "--rate", "--ttft-ms", "--ttft-p99-ms",
     "--itl-p95-ms", "--e2e-ms", "--percentiles", "--slo", "--decode-base-ms",
     "--prefill-base-ms", "--input-distribution", "--routing"]
)  # fmt: skip


@given(st.lists(st.tuples(_options, _numbers), min_size=1, max_size=4))
@settings(deadline=None, max_examples=150, derandomize=True)
def test_no_options_end_in_an_internal_error(more: list[tuple[str, str]]) -> None:
    """Whatever is said, the answer is one of the documented exit codes."""
    arguments = [word for pair in more for word in pair]
    status = called((*BY_HAND, *arguments, "--json"))
    assert status in (
        ExitCode.OK, ExitCode.USAGE, ExitCode.SPEC_INVALID, ExitCode.INFEASIBLE,
    )  # fmt: skip


def test_a_conservative_bound_is_labelled_and_lower() -> None:
    """`--conservative` asks the bound: a lower rate, named in the text and in the document."""
    (size,) = document(*CHAT, "--conservative")["sizes"]
    (plain,) = document(*CHAT)["sizes"]
    assert (size["conservative"], plain["conservative"]) == (True, False)
    assert size["queue_model"] == "iteration-level-bound"
    assert 0 < size["max_rate_rps"] < plain["max_rate_rps"]
    status, out, _ = run(*CHAT, "--conservative")
    assert status == ExitCode.OK
    assert "at least " in out
    assert "conservative bound: latencies are upper bounds, rates lower ones" in out


def test_a_model_without_a_known_bound_says_so() -> None:
    """`--conservative` with mmc is refused, naming which models have one."""
    status, _, err = run(*CHAT, "--queue-model", "mmc", "--conservative")
    assert status != ExitCode.OK
    assert "--conservative = 'mmc': no conservative bound of it is known" in err


def test_an_interrupt_ends_with_one_line() -> None:
    """Ctrl-C while models are asked: exit 130 and a line, in a process of its own."""
    program = (
        "import os, signal, sys, optimizer.fleet.replica as replica\n"
        "replica.size_replica = lambda *a, **k: os.kill(os.getpid(), signal.SIGINT)\n"
        "from optimizer.cli import main\n"
        f"sys.argv = ['fleetopt', *{[str(word) for word in CHAT]!r}]\n"
        "main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == ExitCode.INTERRUPTED
    assert (ended.stdout, ended.stderr) == ("", "fleetopt: interrupted\n")
