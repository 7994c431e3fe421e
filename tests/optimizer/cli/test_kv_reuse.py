"""`fleetopt kv reuse`: a trace replayed from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.commands import run

LINES = [
    {"timestamp": 1000 * k, "input_length": 1024, "output_length": 10, "hash_ids": [0, k % 3 + 1]}
    for k in range(9)
]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Nine prompts of two blocks, three different ones."""
    path = tmp_path / "trace.jsonl"
    path.write_text("\n".join(map(json.dumps, LINES)))
    return path


def test_the_document_by_hand(trace: Path) -> None:
    """Room for all: 6 x 2 and 2 x 1 of 18 blocks; 3 blocks under LRU: the head alone."""
    status, out, err = run(
        "kv", "reuse", trace, "--tier", "gpu=4", "--capacity", "4", "--capacity", "2",
        "--block-tokens", "512", "--prefill-s-per-token", "0.001", "--json",
    )  # fmt: skip
    assert status == ExitCode.OK, err
    got = json.loads(out)
    assert got["schema_version"] == 1
    assert (got["requests"], got["prompt_blocks"], got["distinct_blocks"]) == (9, 18, 4)
    assert got["prefix_hit_rate"] == pytest.approx(14 / 18)
    assert got["saved_prefill_s"] == pytest.approx(14 * 0.512)
    assert got["prefill_s"] == pytest.approx(18 * 0.512)
    lru = {p["capacity_blocks"]: p for p in got["curve"] if p["policy"] == "lru"}
    assert lru[2]["block_hit_rate"] == pytest.approx(8 / 18)
    assert lru[4]["share_of_belady"] == pytest.approx(1.0)


def test_tiers_in_bytes_and_what_they_move(trace: Path) -> None:
    """A block of 512 tokens of Llama-3.1-8B is 67 MB; hits below are loaded."""
    status, out, err = run(
        "kv", "reuse", trace, "--tier", "gpu=150MB", "--tier", "nvme_paper=1GB",
        "--model", "meta-llama/Llama-3.1-8B", "--policy", "lru", "--json",
        "--block-tokens", "512",
    )  # fmt: skip
    assert status == ExitCode.OK, err
    gpu, disk = json.loads(out)["tiers"]
    assert (gpu["capacity_blocks"], disk["capacity_blocks"]) == (2, 14)
    assert gpu["load_s"] is None
    assert disk["hit_blocks"] == 6
    assert disk["read_gb"] == pytest.approx(6 * 512 * 131072 / 1e9)
    assert disk["load_s"] == pytest.approx(6 * (512 * 131072 / 4.8e9 + 1e-4), rel=1e-6)


def test_words_plot_and_fleet(trace: Path, tmp_path: Path) -> None:
    """The rate goes into the fleet; the picture is one."""
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text("services:\n  - name: chat\n    load: {arrival_rate_rps: 1}\n")
    picture = tmp_path / "curve.png"
    status, out, err = run(
        "kv", "reuse", trace, "--tier", "gpu=4", "--plot", picture, "--compare", "lru",
        "--fleet", fleet, "--service", "chat", "--block-tokens", "512",
    )  # fmt: skip
    assert status == ExitCode.OK, err
    assert out.startswith("prefix hit rate 77.8%")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "prefix_hit_rate: 0.7778" in fleet.read_text()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--tier", "gpu"), ExitCode.SPEC_INVALID, "NAME=BLOCKS"),
        (("--tier", "gpu=-3"), ExitCode.SPEC_INVALID, "at least 1 block"),
        (("--tier", "gpu=nan"), ExitCode.SPEC_INVALID, "at least 1 block"),
        (("--tier", "gpu=3GB"), ExitCode.SPEC_INVALID, "give --model"),
        (("--capacity", "0"), ExitCode.SPEC_INVALID, "--capacity = 0"),
        (("--admit-from", "0"), ExitCode.SPEC_INVALID, "--admit-from = 0"),
        (("--lookahead-requests", "-1"), ExitCode.SPEC_INVALID, "--lookahead-requests = -1"),
        (("--block-tokens", "100"), ExitCode.SPEC_INVALID, "with 100 tokens per block"),
        (("--from-s", "100"), ExitCode.SPEC_INVALID, "between 100 s"),
        (("--prefill-s", "1"), ExitCode.USAGE, "many lengths"),
        (("--fleet", "f.yaml"), ExitCode.USAGE, "together"),
        (("--fleet", "no.yaml", "--service", "x"), ExitCode.SPEC_INVALID, "no.yaml"),
        (("--policy", "lrru"), ExitCode.USAGE, "lrru"),
        (("--plot", "curve.foo"), ExitCode.USAGE, "must end in .svg"),
        (("--plot", "no/folder/x.png"), ExitCode.USAGE, "cannot write"),
    ],
)
def test_wrong_input_is_told_in_a_line(
    trace: Path, arguments: tuple[str, ...], status: ExitCode, message: str
) -> None:
    """Nothing is written, and what is wrong is named."""
    got, out, err = run("kv", "reuse", trace, *arguments)
    assert got == status
    assert message in err
    assert "Traceback" not in err
    assert not out
