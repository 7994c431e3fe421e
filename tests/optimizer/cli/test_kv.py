"""`fleetopt kv`: ratio, device, restore."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.commands import document, run
from tests.optimizer.cli.in_process import called

SHAPE = ("--layers", "10", "--kv-elements-per-layer-token", "50000")  # 1 MB a token in fp16
RATIO = (
    "kv", "ratio", *SHAPE, "--context-tokens", "1000", "--prefill-s", "4",
    "--bandwidth-gb-s", "2", "--latency-ms", "10",
)  # fmt: skip
DEVICE = (
    "kv", "device", *SHAPE, "--context-tokens", "1000", "--prefill-s", "4",
    "--recompute-overhead", "0",
    "--candidate", "name=ram,bandwidth_gb_s=20,usd_per_gb_hour=0.003",
    "--candidate", "name=disk,bandwidth_gb_s=2,usd_per_gb_hour=0.0001",
    "--candidate", "name=tape,bandwidth_gb_s=0.5,usd_per_gb_hour=0.00001",
)  # fmt: skip
RESTORE = (
    "kv", "restore", *SHAPE, "--prefix-tokens", "1000", "--suffix-tokens", "100",
    "--prefill-s-per-token", "0.001", "--bandwidth-gb-s", "1",
)  # fmt: skip


def test_a_ratio_by_hand() -> None:
    """1 GB at 2 GB/s and 10 ms: 510 ms; 4,200 ms for all: 12.14 %, so 15 %: 630 ms."""
    got = document(*RATIO)
    expected = {
        "kv_bytes_per_token": 1e6, "kv_bytes": 1e9, "load_ms": 510, "load_per_layer_ms": 50,
        "effective_bandwidth_gb_s": 2, "prefill_ms": 4000, "full_recompute_ms": 4200,
        "crossover_ratio": 510 / 4200, "minimum_ratio": 0.15, "ratio": 0.15,
        "recomputed_tokens": 150, "recompute_ms": 630, "recompute_per_layer_ms": 63,
        "total_ms": 630, "parallel_ms": 630, "sequential_ms": 1140,
        "layer_pipeline_ms": 10 + 50 + 9 * 63 + 63, "first_layer_full_ms": 60 + 420 + 9 * 63,
        "bidirectional_ms": 1010 / 4.5 * 2 * 0.9, "ttft_budget_ms": 4000,
    }  # fmt: skip
    # Bidirectional: 4 m = 10 + 0.5 (1000 - m) in ms, m = 510 / 4.5.
    expected["bidirectional_ms"] = 4 * 510 / 4.5
    expected["bidirectional_computed_tokens"] = 510 / 4.5
    for name, value in expected.items():
        assert got[name] == pytest.approx(value, rel=1e-6), name
    assert got["loading_hidden"]
    assert not got["recompute_hidden"]
    assert got["within_budget"]
    assert got["quality"] is None


def test_every_overhead_counts_and_can_be_0() -> None:
    """Coordination 10 x 1 ms, set-up 10 x 2 ms; no overhead of recomputing; two sharers."""
    got = document(*RATIO, "--layer-overhead-ms", "1", "--transfer-setup-ms", "2",
        "--recompute-overhead", "0", "--sharers", "2",
    )  # fmt: skip
    assert got["load_ms"] == pytest.approx(10 + 1000 + 10 + 20)
    assert got["effective_bandwidth_gb_s"] == pytest.approx(1e9 / 1.02e9)
    assert got["full_recompute_ms"] == pytest.approx(4000)
    assert got["crossover_ratio"] == pytest.approx(1040 / 4000, rel=1e-6)
    assert got["recompute_hidden"]
    assert got["loading_hidden"]


def test_precision_and_compression_shrink_the_load() -> None:
    """int4 and a factor of 2: an eighth of the bytes; so do bytes per element."""
    got = document(*RATIO, "--kv-precision", "int4", "--compression", "2")
    assert got["kv_bytes_per_token"] == 125_000
    assert document(*RATIO, "--bytes-per-element", "0.25")["kv_bytes_per_token"] == 125_000


def test_a_model_by_its_hidden_size_and_heads() -> None:
    """Mistral-7B: 32 layers x 2 x 8 heads x 4,096 / 32 x 2 bytes; without GQA four times that."""
    rest = ("--context-tokens", "1000", "--prefill-s", "4", "--bandwidth-gb-s", "2")
    sizes = ("--layers", "32", "--hidden-size", "4096", "--heads", "32")
    gqa = document("kv", "ratio", *sizes, "--kv-heads", "8", *rest)
    mha = document("kv", "ratio", *sizes, "--kv-precision", "int4", *rest)
    assert gqa["kv_bytes_per_token"] == mha["kv_bytes_per_token"] == 131072


def test_catalogue_names_and_quality() -> None:
    """Llama-3.1-70B on CacheBlend's NVMe: 3.50 ms a layer, and Musique's F1 at 15 %."""
    got = document("kv", "ratio", "--model", "meta-llama/Llama-3.1-70B", "--context-tokens", "4096",
        "--prefill-s", "3.73", "--device", "nvme_paper", "--quality-dataset", "Musique",
    )  # fmt: skip
    assert round(got["load_per_layer_ms"], 2) == 3.50
    assert got["kv_bytes_per_token"] == 327_680
    assert got["latency_ms"] == 0.1
    assert got["quality"]["score"] == pytest.approx(0.33, abs=1e-4)
    assert "read from a figure" in got["quality"]["source"]


def test_a_quadratic_law_is_the_prefill() -> None:
    """a t + b t² with a = 1 ms, b = 1 µs at 1,000 tokens: 2 s."""
    without = [w for w in RATIO if w not in ("--prefill-s", "4")]
    got = document(*without, "--prefill-s-per-token", "1e-3", "--prefill-s-per-token2", "1e-6")
    assert got["prefill_ms"] == pytest.approx(2000)


def test_a_device_by_hand() -> None:
    """600 ms of recomputing hide disk's 500 ms; tape is the fallback where it is alone."""
    got = document(*DEVICE, "--duration-h", "24")
    assert got["chosen"] == "disk"
    assert not got["is_fallback"]
    assert [row["device"] for row in got["devices"]] == ["disk", "ram", "tape"]
    disk = got["devices"][0]
    assert disk["load_ms"] == pytest.approx(500)
    assert disk["recompute_ms"] == disk["total_ms"] == pytest.approx(600)
    assert disk["total_usd"] == pytest.approx(24 * 0.0001)
    assert got["devices"][2]["optimal_ratio"] == pytest.approx(0.5)
    assert [row["crossover_ratio"] for row in got["devices"]] == pytest.approx([0.125, 0.0125, 0.5])
    reverse = document(*DEVICE, "--hiding", "recompute-hidden")
    assert reverse["chosen"] == "tape"
    fallback = document(*DEVICE, "--ttft-budget-ms", "300")
    assert fallback["is_fallback"]
    assert "fallback" in fallback["reason"]
    latency = document(*DEVICE, "--prefer", "latency", "--ratio", "0")
    assert latency["chosen"] == "ram"


def test_where_every_ratio_is_hidden_there_is_no_crossover() -> None:
    """One layer, computed in full whatever the ratio: 4 s, hidden by 10 s of loading."""
    got = document(*DEVICE[:2], "--layers", "1", "--kv-elements-per-layer-token", "50000",
        "--context-tokens", "1000", "--prefill-s", "4", "--overlap", "first-layer-full",
        "--candidate", "name=wire,bandwidth_gb_s=0.01",
    )  # fmt: skip
    (wire,) = got["devices"]
    assert wire["crossover_ratio"] is None
    assert wire["optimal_ratio"] == 1


def test_the_whole_catalogue_is_the_default() -> None:
    """45 devices; local ones cost their opportunity where that counts."""
    got = document("kv", "device", "--model", "01-ai/Yi-34B", "--context-tokens", "4096",
        "--prefill-s", "3", "--local-cost", "opportunity",
    )  # fmt: skip
    assert len(got["devices"]) == 45
    assert got["chosen"] == "azure_blob_hot"


def test_a_file_of_devices_and_links(tmp_path: Path) -> None:
    """What no link reaches is no candidate; none at all exits 4, with the document."""
    path = tmp_path / "store.yaml"
    path.write_text(
        "devices: [{name: near, bandwidth_gb_s: 10}, {name: far, bandwidth_gb_s: 10}]\n"
        "links: [{from: near, to: gpu, bandwidth_gb_s: 4, latency_ms: 2}]\ncompute: gpu\n"
    )
    by_file = (*DEVICE[:10], "--devices", path)
    got = document(*by_file)
    assert got["chosen"] == "near"
    assert got["devices"][0]["load_ms"] == pytest.approx(252)
    assert got["devices"][1]["obstacles"] == ["cannot be reached from the compute node"]
    status, out, _ = run(*by_file, "--max-load-ms", "1", "--json")
    assert status == ExitCode.INFEASIBLE
    assert json.loads(out)["chosen"] is None


def test_a_restoration_by_hand() -> None:
    """The planner's case: split at 455 of 1,000, 555 ms."""
    got = document(*RESTORE)
    expected = {
        "kv_bytes": 1e9, "load_ms": 1000, "prefix_compute_ms": 1000, "suffix_compute_ms": 100,
        "computed_tokens": 455, "loaded_tokens": 545, "time_ms": 555, "full_recompute_ms": 1100,
        "layerwise_preload_ms": 1010, "load_then_compute_ms": 1100, "bidirectional_ms": 600,
        "break_even_bandwidth_gb_s": 1, "bidirectional_computed_tokens": 500,
        "gain_over_best_single": 1 - 555 / 1010,
    }  # fmt: skip
    for name, value in expected.items():
        assert got[name] == pytest.approx(value, rel=1e-6), name
    assert got["striping"] is None
    assert got["retention"] is None


def test_half_the_accelerator_takes_twice_as_long() -> None:
    """Half of 1 ms a token is 2 ms, at half the price; a ratio's exact prefix is shared too."""
    slow = (*RESTORE[:10], "--prefill-s-per-token", "0.002", "--bandwidth-gb-s", "1")
    shared = document(*RESTORE, "--compute-share", "0.5", "--gpu-usd-per-hour", "7.2")
    assert shared == document(*slow, "--gpu-usd-per-hour", "3.6")
    half = document(*RATIO, "--compute-share", "0.5")
    assert half["bidirectional_computed_tokens"] == pytest.approx(510 / 8.5)
    assert half["bidirectional_ms"] == pytest.approx(8 * 510 / 8.5)


def test_mooncakes_threshold_is_the_break_even_bandwidth() -> None:
    """LLaMA3-70B, 8,192 tokens, 80 layers of 4 n² d + 22 n d² FLOPs on 8 A800: 5.86 GB/s."""
    flops_per_s, width = 8 * 312e12, 8192.0
    got = document("kv", "restore", "--layers", "80", "--kv-elements-per-layer-token", "2048",
        "--prefix-tokens", "8192", "--bandwidth-gb-s", "10", "--latency-ms", "5",
        "--prefill-s-per-token", repr(80 * 22 * width**2 / flops_per_s),
        "--prefill-s-per-token2", repr(80 * 4 * width / flops_per_s),
    )  # fmt: skip
    # The latency is paid as well: without it the threshold is 5.86.
    prefill_ms = got["prefix_compute_ms"]
    assert got["break_even_bandwidth_gb_s"] * (prefill_ms - 5) / prefill_ms == pytest.approx(
        5.86, abs=0.005
    )


def test_several_devices_and_the_economics() -> None:
    """An equal second device: a third each; 545 ms saved at 3.6 USD/h against 0.001 USD/h."""
    got = document(*RESTORE, "--also", "name=second,bandwidth_gb_s=1", "--gpu-usd-per-hour", "3.6",
        "--usd-per-gb-hour", "0.001", "--hits-per-hour", "2",
    )  # fmt: skip
    assert got["striping"]["time_ms"] == pytest.approx(1000 / 3 + 100, rel=1e-6)
    assert got["striping"]["loaded_tokens"]["second"] == pytest.approx(1000 / 3, rel=1e-6)
    assert got["retention"]["saved_ms_per_hit"] == pytest.approx(545)
    assert got["retention"]["break_even_interval_h"] == pytest.approx(0.545, rel=1e-6)
    assert got["retention"]["keep"] is True


@pytest.mark.parametrize("verb", [RATIO, DEVICE, RESTORE])
def test_the_text_fits_a_screen_and_begins_with_the_answer(verb: tuple[str, ...]) -> None:
    """A verdict, then figures."""
    status, out, _ = run(*verb)
    assert status == ExitCode.OK
    lines = out.splitlines()
    assert len(lines) <= 24
    assert ("15.0%" in lines[0]) or lines[0].startswith(("disk: cheapest", "555 ms"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*RATIO, "--bandwidth-gb-s", "0"), "--bandwidth-gb-s = 0.0: must be greater than 0"),
        ((*RATIO, "--bandwidth-gb-s", "nan"), "--bandwidth-gb-s = nan"),
        ((*RATIO, "--latency-ms", "-1"), "--latency-ms = -1.0: must be at least 0"),
        ((*RATIO, "--context-tokens", "0"), "--context-tokens = 0.0: must be at least 1"),
        ((*RATIO, "--prefill-s", "-4"), "--prefill-s = -4.0: must be greater than 0"),
        ((*RATIO, "--min-ratio", "1.5"), "--min-ratio = 1.5: must be at least 0 and at most 1"),
        ((*RATIO, "--layers", "0"), "--layers = 0.0"),
        ((*RATIO, "--compression", "0"), "--compression = 0.0"),
        ((*RATIO, "--layer-overhead-ms", "-1"), "--layer-overhead-ms = -1.0"),
        ((*RATIO, "--device", "nvme_papper"), "did you mean nvme_paper"),
        (
            (*RATIO[:2], *RATIO[6:], "--model", "llama"),
            "--model: the catalogue has no model 'llama'",
        ),
        ((*RATIO, "--ttft-budget-ms", "0"), "--ttft-budget-ms = 0.0"),
        ((*DEVICE, "--duration-h", "-1"), "--duration-h = -1.0"),
        ((*DEVICE, "--ratio", "2"), "--ratio = 2.0"),
        ((*DEVICE, "--candidate", "name=x"), "name=x: bandwidth_gb_s: is missing"),
        (
            (*DEVICE, "--candidate", "name=ram,bandwidth_gb_s=1"),
            "'ram': is the name of several devices",
        ),
        ((*DEVICE[:10], "--devices", "no-such-file.yaml"), "no-such-file.yaml"),
        ((*RESTORE, "--prefix-tokens", "-1"), "--prefix-tokens = -1.0"),
        ((*RESTORE, "--split-tokens", "-1"), "--split-tokens = -1.0"),
        ((*RESTORE, "--gpu-usd-per-hour", "-1"), "--gpu-usd-per-hour = -1.0"),
    ],
)
def test_an_invalid_value_exits_3_naming_its_option(arguments: tuple[str, ...], said: str) -> None:
    """What came and what is wanted, at the option that the person wrote."""
    status, out, err = run(*arguments)
    assert status == ExitCode.SPEC_INVALID, err
    assert said in err
    assert out == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("kv", "ratio"), "--context-tokens"),
        (("kv", "ratio", "--context-tokens", "10"), "--kv-elements-per-layer-token"),
        (("kv", "ratio", "--context-tokens", "10", *SHAPE), "--prefill-s-per-token"),
        ((*RATIO[:10], "--prefill-s"), "--prefill-s"),
        ((*RATIO, "--prefill-s-per-token", "1"), "give either this"),
        ((*RATIO, "--overlap", "sometimes"), "first-layer-full"),
        ((*RATIO, "--model", "01-ai/Yi-34B"), "leave out --layers"),
        ((*RATIO, "--heads", "32"), "leave out --hidden-size"),
        ((*RATIO, "--quality-at-zero", "0.1"), "together"),
        ((*RATIO, "--quality-dataset", "SQuAD"), "there are 2WikiMQA, Musique"),
        ((*DEVICE, "--devices", "x.yaml"), "leave out --candidate"),
        ((*DEVICE, "--hiding", "both"), "recompute-hidden"),
        ((*RESTORE[:8], "--prefill-s", "1"), "--device"),
        (("kv", "nonsense"), "No such command"),
    ],
)
def test_wrong_usage_exits_2(arguments: tuple[str, ...], said: str) -> None:
    """Options that lack or contradict each other."""
    status, out, err = run(*arguments)
    assert status == ExitCode.USAGE
    assert said in " ".join(err.replace("│", " ").split())
    assert out == ""


_numbers = st.sampled_from(
    ["0", "1", "2.5", "-1", "1e9", "nan", "inf", "1e-9", "x", "", "1e308", "name=x,=", "nvme_gen4"]
)
_shared = [
    "--layers", "--kv-elements-per-layer-token", "--bytes-per-element", "--compression", "--model",
    "--hidden-size", "--heads", "--kv-heads",
    "--prefill-s", "--prefill-s-per-token", "--prefill-s-per-token2", "--layer-overhead-ms",
    "--transfer-setup-ms", "--transfer-bytes",
]  # fmt: skip
_device = ["--device", "--bandwidth-gb-s", "--latency-ms", "--sharers"]
_rules = [
    "--context-tokens", "--min-ratio", "--recompute-overhead", "--compute-share",
    "--granularity-tokens", "--overlap", "--ttft-budget-ms",
]  # fmt: skip
_of_verb = {
    RATIO: [*_shared, *_device, *_rules, "--quality-at-zero", "--quality-at-one", "--quality-rate",
            "--quality-dataset"],
    DEVICE: [*_shared, *_rules, "--candidate", "--devices", "--ratio", "--prefer", "--hiding",
             "--max-load-ms", "--duration-h", "--reads", "--writes", "--request-bytes"],
    RESTORE: [*_shared, *_device, "--compute-share", "--prefix-tokens", "--suffix-tokens",
              "--split-tokens", "--also", "--gpu-usd-per-hour", "--usd-per-gb-hour",
              "--hits-per-hour"],
}  # fmt: skip


@pytest.mark.parametrize("verb", [RATIO, DEVICE, RESTORE], ids=["ratio", "device", "restore"])
@given(data=st.data())
@settings(deadline=None, max_examples=60, derandomize=True)
def test_no_options_end_in_an_internal_error(verb: tuple[str, ...], data: st.DataObject) -> None:
    """Whatever is said, the answer is one of the documented exit codes."""
    pairs = st.lists(st.tuples(st.sampled_from(_of_verb[verb]), _numbers), min_size=1, max_size=4)
    arguments = [word for pair in data.draw(pairs) for word in pair]
    for form in ((), ("--json",)):
        status = called((*verb, *arguments, *form))
        assert status in (
            ExitCode.OK, ExitCode.USAGE, ExitCode.SPEC_INVALID, ExitCode.INFEASIBLE,
        ), arguments  # fmt: skip


def test_a_device_that_is_named_twice_is_refused() -> None:
    """It would be loaded from twice as fast."""
    status, _, err = run(*RESTORE, "--device", "nvme_paper", "--also", "nvme_paper")
    assert status == ExitCode.SPEC_INVALID
    assert "'nvme_paper': is the name of several devices" in err
