"""`fleetopt capacity`: tables, JSON, figures, exit codes."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import pytest

from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.capacity.configurations import SMALL, small
from tests.optimizer.cli import commands

run = partial(commands.run, "capacity")
LLAMA = "meta-llama/Llama-3.1-8B"


def test_model_shows_parameters_and_weights() -> None:
    """Total, bytes in both units, attention, degrees."""
    code, out, err = run("model", "openai/gpt-oss-20b")
    assert (code, err) == (0, "")
    for words in ("20,914,757,184", "13.761 GB (12.816 GiB)", "GQA: 12 sliding (128), 12 full"):
        assert words in out


def test_model_shows_feasible_parallelism() -> None:
    """Degrees of tensor, pipeline and expert parallelism, each on its line."""
    _, out, _ = run("model", LLAMA)
    rows = dict(re.findall(r"^(\w+) parallelism +(.*?) *$", out, re.MULTILINE))
    assert rows["tensor"] == "1, 2, 4, 8, 16, 32"
    assert rows["pipeline"].startswith("1, 2, ")
    assert rows["expert"] == "1"


def test_the_mix_of_the_help_can_be_typed() -> None:
    """Numbers between colons are not shown as an emoji."""
    _, out, _ = run("memory", "--help")
    assert "4000:300,500:100:3" in out


def test_model_as_json() -> None:
    """One versioned document."""
    code, out, _ = run("model", LLAMA, "--precision", "fp8", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["schema_version"] == 1
    assert document["num_parameters"] == 8_030_261_248
    assert document["precision"] == "fp8"
    assert document["possible_tensor_parallel"] == [1, 2, 4, 8, 16, 32]


def test_kv_shows_the_reference_case() -> None:
    """Llama-2-70B: 327,680 bytes per token."""
    code, out, _ = run("kv", "meta-llama/Llama-2-70b-hf", "-c", "4096", "-b", "2")
    assert code == 0
    assert "327,680 bytes" in out
    assert "1.342 GB (1.250 GiB)" in out


def test_kv_sweeps_and_advises() -> None:
    """All contexts up to the longest; the format and the context that a budget allows."""
    code, out, _ = run(
        "kv", "google/gemma-3-27b-it", "-c", "32768", "-b", "8", "--sweep", "--budget-gb", "20"
    )
    assert code == 0
    assert "131,072" in out
    assert "fp8 takes 12.48 of 20.00 GB; bfloat16 would take 24.96 GB" in out
    assert "longest context as bfloat16: 25,192 tokens" in out


def test_kv_as_json() -> None:
    """The detail's fields, the sweep, the advice."""
    code, out, _ = run("kv", LLAMA, "--sweep", "--budget-gb", "1", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["per_token_memory_bytes"] == 131_072
    assert document["kv_cache_size_gb"] == pytest.approx(0.536870912)
    assert [entry["context_len"] for entry in document["sweep"]][-1] == 131_072
    assert document["advice"]["kv_dtype"] == "bfloat16"


def test_kv_draws_the_sweep(tmp_path: Path) -> None:
    """A figure with a line per format."""
    pytest.importorskip("matplotlib")
    path = tmp_path / "kv.svg"
    code, _, err = run("kv", LLAMA, "--plot", path, "--budget-gb", "20")
    assert code == 0
    assert f"wrote {path}" in err
    assert path.read_text(encoding="utf-8").startswith("<?xml")


def test_a_figure_that_cannot_be_written_is_the_users_to_mend(tmp_path: Path) -> None:
    """Exit code 2, with the option."""
    pytest.importorskip("matplotlib")
    code, _, err = run("kv", LLAMA, "--plot", tmp_path / "no" / "kv.svg")
    assert code == ExitCode.USAGE
    assert "--plot" in err


def test_memory_shows_budget_and_concurrency() -> None:
    """As vLLM logs it for this model on an H100 (58.11 GiB, 476,016 tokens, 58.11 at 8192)."""
    code, out, _ = run("memory", LLAMA, "H100-SXM", "--utilization", "0.95", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["kv_pool_gib"] == pytest.approx(58.11, abs=0.02)
    assert document["kv_tokens"] == pytest.approx(476_016, rel=1e-3)
    assert document["concurrency"][-1]["engine_logged"] == pytest.approx(58.11, abs=0.02)
    code, out, _ = run("memory", LLAMA, "H100-SXM", "--utilization", "0.95")
    assert code == 0
    assert "KV pool" in out


def test_memory_that_is_too_small_is_infeasible() -> None:
    """Exit code 4, the budget shown."""
    code, out, _ = run("memory", "meta-llama/Llama-3.1-405B", "H100-SXM")
    assert code == ExitCode.INFEASIBLE
    assert "does not fit" in out


def test_recommend_ranks_and_rejects() -> None:
    """A table of the best, and reasons."""
    code, out, err = run("recommend", "meta-llama/Llama-3.1-70B", "-c", "8192", "-b", "16")
    assert (code, err) == (0, "")
    assert "Times are predicted, within 26 % two times in three" in out
    assert "rejected because" in out


def test_recommend_as_json() -> None:
    """Two precisions, one accelerator, the fastest first."""
    code, out, _ = run(
        "recommend",
        "Qwen/Qwen3-32B",
        "-a",
        "H100-SXM",
        "--precision",
        "fp8,int4",
        "--rank-by",
        "latency",
        "--json",
    )
    document = json.loads(out)
    assert code == 0
    assert document["rank_by"] == "latency"
    times = [entry["decode_ms"] for entry in document["recommendations"]]
    assert times == sorted(times)
    assert {entry["precision"] for entry in document["recommendations"]} == {"fp8", "int4"}


def test_recommend_nothing_is_infeasible() -> None:
    """Exit code 4, with the reasons."""
    code, out, err = run("recommend", "meta-llama/Llama-3.1-405B", "-a", "T4", "-t", "1")
    assert code == ExitCode.INFEASIBLE
    assert "GiB for KV" in out
    assert "nothing works" in err


@pytest.mark.parametrize("verb", ["model", "kv", "recommend"])
def test_a_configuration_works_as_well(tmp_path: Path, verb: str) -> None:
    """A file, its directory, standard input."""
    file = tmp_path / "config.json"
    file.write_text(json.dumps(SMALL), encoding="utf-8")
    assert run(verb, file)[0] == 0
    assert run(verb, tmp_path)[0] == 0
    assert run(verb, "-", stdin=json.dumps(SMALL))[0] == 0


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "message"),
    [
        (("kv", "nobody/nothing"), "", 2, "the catalogue has no model 'nobody/nothing'"),
        (("kv", LLAMA, "-c", "-3"), "", 2, "context_len = -3: must be a whole number"),
        (("kv", LLAMA, "-b", "0"), "", 2, "batch_size = 0: must be a whole number"),
        (("kv", LLAMA, "--kv-dtype", "fp7"), "", 2, "kv_dtype = 'fp7': no such format"),
        (("kv", LLAMA, "--budget-gb", "-1"), "", 2, "budget_bytes = "),
        (("model", LLAMA, "--precision", "w3"), "", 2, "precision = 'w3': no such weight format"),
        (("memory", LLAMA, "H1000"), "", 2, "the catalogue has no accelerator 'H1000'"),
        (("memory", LLAMA, "H100-SXM", "-t", "3"), "", 2, "tensor_parallel = 3: 32 heads"),
        (("memory", LLAMA, "H100-SXM", "--engine", "x"), "", 2, "engine = 'x': no such engine"),
        (("memory", LLAMA, "H100-SXM", "--utilization", "2"), "", 2, "utilization = 2.0"),
        (("recommend", LLAMA, "-t", "1,x"), "", 2, "whole numbers above 0"),
        (("recommend", LLAMA, "--rank-by", "luck"), "", 2, "rank_by = 'luck': no such order"),
        (("model", "/nowhere/config.json"), "", 3, "cannot be read"),
        (("model", "-"), "{", 3, "<stdin>: is not JSON"),
        (("model", "-"), "[]", 3, "<stdin>: must be a JSON object"),
        (
            ("model", "-"),
            json.dumps(small(num_attention_heads=None)),
            3,
            "<stdin>: num_attention_heads: is missing",
        ),
    ],
)
def test_mistakes_get_a_message_and_a_code(
    arguments: tuple[str, ...], stdin: str, code: int, message: str
) -> None:
    """Usage is 2, a wrong configuration 3; the field is named, no traceback shown."""
    found, _, err = run(*arguments, stdin=stdin)
    assert found == code
    assert message in " ".join(err.split())


def test_a_mix_of_lengths_holds_fewer_nearly_always_than_on_average() -> None:
    """Requests of 500 and 4,000 tokens: between the extremes, and less at the 99th percentile."""
    code, out, _ = run("memory", LLAMA, "H100-SXM", "--mix", "500:100:3,4000:300", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["kv_tokens"] / 4300 < document["mix"]["p99"] < document["mix"]["mean"]
    assert document["mix"]["mean"] < document["kv_tokens"] / 550
    assert (
        "requests of the mix while decoding, mean"
        in run("memory", LLAMA, "H100-SXM", "--mix", "500:100")[1]
    )


@pytest.mark.parametrize("mix", ["", "500", "a:b", "500:100:x", "500:0", "-1:5", "500:100:0"])
def test_a_wrong_mix_is_told(mix: str) -> None:
    """Exit 2 and what is wanted."""
    code, out, err = run("memory", LLAMA, "H100-SXM", "--mix", mix)
    assert (code, out) == (ExitCode.USAGE, "")
    assert "Traceback" not in err


def test_a_model_without_a_name_is_told() -> None:
    """Not read as the folder it is called from."""
    code, _, err = run("model", "")
    assert code == ExitCode.USAGE
    assert "model = ''" in err
