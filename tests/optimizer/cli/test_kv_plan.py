"""`fleetopt kv plan`: sequential, joint and adapting."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.commands import document, run

# 1 GB; 4 s of prefill; 15 % are 600 ms, which hide 500 ms from the disk, not 2 s from tape.
QUESTION = (
    "--layers", "10", "--kv-elements-per-layer-token", "50000", "--context-tokens", "1000",
    "--prefill-s", "4", "--recompute-overhead", "0",
)  # fmt: skip
DEVICES = (
    "--candidate", "name=ram,bandwidth_gb_s=20,usd_per_gb_hour=0.003",
    "--candidate", "name=disk,bandwidth_gb_s=2,usd_per_gb_hour=0.0001",
    "--candidate", "name=tape,bandwidth_gb_s=0.5,usd_per_gb_hour=0.00001",
)  # fmt: skip
SEQUENTIAL = ("kv", "plan", "--mode", "sequential", *QUESTION, *DEVICES, "--in-use", "tape")
JOINT = ("kv", "plan", "--mode", "joint", *QUESTION, *DEVICES)
ADAPT = ("kv", "plan", "--mode", "adapt", *QUESTION, *DEVICES)
CURVE = ("--quality-at-zero", "0.2", "--quality-at-one", "0.4", "--quality-rate", "5")


def test_the_device_in_use_stays_where_part_1_is_enough() -> None:
    """Tape's 2 s hide half of the 4 s: within the budget, so nobody asks for another device."""
    got = document(*SEQUENTIAL)
    assert got["mode"] == "sequential"
    assert (got["in_use"], got["device"], got["devices"]) == ("tape", "tape", [])
    assert got["ratio"] == pytest.approx(0.5, abs=1e-3)
    assert got["total_ms"] == pytest.approx(2000, rel=1e-3)
    assert got["objections"] == got["unmet"] == []
    assert got["quality"] is None


@pytest.mark.parametrize(
    ("limit", "objection"),
    [
        (("--ttft-budget-ms", "1000"), "takes 2,000.0 ms, more than the TTFT budget of 1,000.0 ms"),
        (("--max-load-ms", "900"), "loads in 2,000.0 ms, more than 900.0 ms"),
        (("--largest-ratio", "0.4"), "recomputes 50.0%, more than 40.0%"),
    ],
)
def test_another_device_where_part_1_is_not_enough(limit: tuple[str, str], objection: str) -> None:
    """The cheapest that hides its loading is the disk, at 15 %: 600 ms."""
    got = document(*SEQUENTIAL, *limit)
    assert got["objections"] == [objection]
    assert got["device"] == got["devices"][0]["device"] == "disk"
    assert got["ratio"] == pytest.approx(0.15)
    assert got["total_ms"] == pytest.approx(600)
    assert (got["in_use_ratio"], got["in_use_total_ms"]) == pytest.approx((0.5, 2000), rel=1e-3)
    assert got["unmet"] == []


def test_it_stays_and_says_what_is_not_kept_where_no_device_qualifies() -> None:
    """300 ms are less than 15 % of any recomputing."""
    got = document(*SEQUENTIAL, "--ttft-budget-ms", "300")
    assert got["device"] == "tape"
    assert got["reason"] == "no device qualifies, so it stays"
    assert got["unmet"] == got["objections"] != []
    _, text, _ = run(*SEQUENTIAL, "--ttft-budget-ms", "300")
    assert text.startswith("stay with tape")
    assert "not kept: takes 2,000.0 ms" in text


def test_a_quality_floor_raises_the_ratio() -> None:
    """Q = 0.35 asks for more than 15 % of the disk, which then is recomputed there."""
    disk = (*SEQUENTIAL[:-1], "disk", *CURVE)
    assert document(*disk)["quality"] < 0.35
    got = document(*disk, "--least-quality", "0.35")
    assert got["objections"] == ["quality 0.306 is below 0.35"]
    assert got["quality"] == pytest.approx(0.35)
    assert got["ratio"] > 0.25
    assert got["unmet"] == []
    assert document(*disk, "--least-quality", "0.5")["unmet"] != []


def test_a_device_in_use_that_is_no_candidate() -> None:
    """It is described as candidates are, or named of the catalogue."""
    own = (*SEQUENTIAL[:-1], "name=own,bandwidth_gb_s=0.1")
    got = document(*own)
    assert got["in_use"] == "own"
    assert got["device"] == "disk"
    assert {row["device"] for row in got["devices"]} == {"ram", "disk", "tape", "own"}
    assert document(*SEQUENTIAL[:-1], "nvme_gen4")["device"] == "nvme_gen4"


def test_money_decides_between_devices_and_ratios() -> None:
    """Without a price on delay the cheapest store within the budget; with one, ram or disk."""
    cheap = document(*JOINT)
    assert cheap["mode"] == "joint"
    assert cheap["best"]["device"] == "tape"
    assert cheap["best"]["usd_per_request"] == pytest.approx(0.00001)
    priced = document(*JOINT, "--usd-per-ttft-s", "0.01")
    assert priced["best"]["device"] == "disk"
    assert priced["best"]["usd_per_request"] == pytest.approx(0.0001 + 0.6 * 0.01)
    tried = [(option["device"], option["ratio"]) for option in priced["options"]]
    assert len(set(tried)) == len(tried)
    costs = [option["usd_per_request"] for option in priced["options"] if option["within_budget"]]
    assert costs == sorted(costs)
    busy = document(*JOINT, "--gpu-usd-per-hour", "3.6")
    assert busy["best"]["usd_per_request"] == pytest.approx(0.00001 + 0.6 * 0.001)
    good = document(*JOINT, *CURVE, "--usd-per-quality", "1", "--least-quality", "0.39")
    assert good["best"]["quality"] >= 0.39
    assert not good["is_fallback"]


def test_parallel_is_a_name_of_joint() -> None:
    """The same document."""
    parallel = ("kv", "plan", "--mode", "parallel", *JOINT[4:])
    assert document(*parallel) == document(*JOINT)


def test_no_feasible_device_exits_4() -> None:
    """With the document."""
    status, out, _ = run(*JOINT, "--max-load-ms", "1", "--json")
    assert status == ExitCode.INFEASIBLE
    assert json.loads(out)["best"] is None


SAMPLES = """time_s,device,bandwidth_gb_s,minimum_ratio,event
0,disk,2.1,,
10,disk,1.9,,
40,disk,0.2,,
45,disk,0.2,,
50,,,0.3,
60,ram,,,lost
70,disk,,,restored
"""


def test_the_controller_follows_samples_and_events(tmp_path: Path) -> None:
    """Small departures do nothing, a large one re-runs part 1, quality and events part 2."""
    path = tmp_path / "samples.csv"
    path.write_text(SAMPLES)
    got = document(*ADAPT, "--samples", path)
    decisions = got["decisions"]
    assert got["events"] == 7
    assert [one["rerun"] for one in decisions] == [
        "device", "nothing", "nothing", "ratio", "nothing", "device", "nothing", "device",
    ]  # fmt: skip
    assert [one["time_s"] for one in decisions] == [None, 0, 10, 40, 45, 50, 60, 70]
    # 0.3 of 0.2 GB/s and 0.7 of the average before.
    average = 0.3 * 0.2 + 0.7 * (1.9 * 0.3 + 0.7 * (2.1 * 0.3 + 0.7 * 2))
    assert decisions[3]["ratio"] == pytest.approx(1 / average / 4, abs=1e-3)
    assert decisions[4]["reason"] == "the last change is too recent"
    assert decisions[5]["event"] == "quality needs 30.0%"
    assert decisions[-1]["device"] == "disk"
    assert decisions[-1]["total_ms"] == pytest.approx(1200)
    # The same as JSON lines on the standard input.
    rows = [line.split(",") for line in SAMPLES.splitlines()]
    lines = [
        {
            key: cell if key in ("device", "event") else float(cell)
            for key, cell in zip(rows[0], row, strict=True)
            if cell
        }
        for row in rows[1:]
    ]
    path.with_suffix(".jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert document(*ADAPT, "--samples", path.with_suffix(".jsonl")) == got


def test_everything_is_recomputed_where_that_is_quicker_than_any_device(tmp_path: Path) -> None:
    """The crawl takes 10 s, computing 4 s; the disk is taken again when it is back."""
    path = tmp_path / "samples.csv"
    path.write_text("time_s,device,event\n1,disk,lost\n2,disk,restored\n")
    got = document("kv", "plan", "--mode", "adapt", *QUESTION, "--samples", path,
        "--candidate", "name=disk,bandwidth_gb_s=2", "--candidate", "name=crawl,bandwidth_gb_s=0.1",
    )  # fmt: skip
    assert [one["device"] for one in got["decisions"]] == ["disk", None, "disk"]
    lost = got["decisions"][1]
    assert (lost["ratio"], lost["total_ms"]) == (1, pytest.approx(4000))
    assert "computing everything is quicker" in lost["reason"]


def test_thresholds_are_options(tmp_path: Path) -> None:
    """Without smoothing and dwell each sample that departs counts; with a wide band none."""
    path = tmp_path / "samples.csv"
    path.write_text("time_s,device,bandwidth_gb_s\n0,disk,1\n1,disk,0.6\n2,disk,0.6\n")
    eager = document(*ADAPT, "--samples", path, "--smoothing", "1", "--dwell-s", "0")
    assert [one["rerun"] for one in eager["decisions"]] == ["device", "ratio", "ratio", "nothing"]
    assert eager["changes"] == 2
    calm = document(*ADAPT, "--samples", path, "--relative-change", "2")
    assert calm["changes"] == 0


def test_each_text_begins_with_the_decision(tmp_path: Path) -> None:
    """The device and ratio first; times with their reasons in adapt."""
    path = tmp_path / "samples.csv"
    path.write_text(SAMPLES)
    moved = run(*SEQUENTIAL, "--largest-ratio", "0.4")
    assert moved[1].startswith("move from tape to disk, recompute 15.0%: 600 ms")
    assert run(*JOINT)[1].startswith("tape, recompute 15.0%: 2,000 ms")
    _, text, _ = run(*ADAPT, "--samples", path)
    assert text.startswith("disk, recompute 30.0%: 1,200 ms, after 7 events and 2 changes")
    assert "disk now gives 1.45 GB/s" in text
    assert "4 events led to no decision" in text


def test_links_narrow_the_candidates(tmp_path: Path) -> None:
    """The path's bandwidth and latency count; what no link reaches is told and left out."""
    path = tmp_path / "store.yaml"
    path.write_text(
        "devices: [{name: near, bandwidth_gb_s: 10}, {name: far, bandwidth_gb_s: 10}]\n"
        "links: [{from: near, to: gpu, bandwidth_gb_s: 0.5, latency_ms: 2}]\ncompute: gpu\n"
    )
    linked = ("kv", "plan", *QUESTION, "--devices", path, "--mode")
    got = document(*linked, "sequential", "--in-use", "near")
    assert got["total_ms"] == pytest.approx(2002, rel=1e-3)
    _, out, err = run(*linked, "joint", "--json")
    assert "far is left out" in err
    assert {option["device"] for option in json.loads(out)["options"]} == {"near"}
    status, _, err = run(*linked, "sequential", "--in-use", "far")
    assert status == ExitCode.USAGE
    assert "--in-use" in err


HEADER = "time_s,device,bandwidth_gb_s,minimum_ratio,event\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no sample or event"),
        (HEADER, "holds no sample or event"),
        ("time,device,bandwidth_gb_s\n", ":1: 'time': unknown column: did you mean 'time_s'?"),
        ("device,bandwidth_gb_s\n", ":1: time_s: is missing"),
        ("time_s,time_s\n", ":1: time_s: stands there twice"),
        (f"{HEADER}1,dsk,2,,\n", ":2: device = 'dsk': is none of the candidates: did you mean"),
        (f"{HEADER}1,disk,-2,,\n", ":2: bandwidth_gb_s = -2.0: must be greater than 0"),
        (f"{HEADER}1,disk,nan,,\n", ":2: bandwidth_gb_s = nan"),
        (f"{HEADER}nan,disk,1,,\n", ":2: time_s = nan"),
        (f"{HEADER}1,disk,x,,\n", ":2: bandwidth_gb_s = 'x': must be a number"),
        (f"{HEADER}1,,2,,\n", ":2: device: must name the device of bandwidth_gb_s"),
        (f"{HEADER}1,disk,2\n", ":2: has 3 cells, the header has 5"),
        (f"{HEADER}1,disk,2,,lost\n", ":2: must give one of"),
        (f"{HEADER}1,disk,,,\n", "not none"),
        (f"{HEADER}1,disk,,,loss\n", ":2: event = 'loss': is no event: did you mean 'lost'?"),
        (f"{HEADER}1,,,1.5,\n", ":2: minimum_ratio = 1.5: must be at least 0 and at most 1"),
        (f"{HEADER}1,disk,,0.2,\n", ":2: device = 'disk': must be empty beside minimum_ratio"),
        (f"{HEADER}2,disk,2,,\n\n1,disk,2,,\n", ":4: time_s = 1.0: must not be before 2 s"),
        ('{"time_s": 1,\n', ":1: is no JSON object on one line"),
        ('{"time_s": 1, "minimum_ratio": NaN}\n', ":1: minimum_ratio = nan"),
        ('{"time_s": true, "minimum_ratio": 0.2}\n', ":1: time_s = true: must be a number"),
        ('{"time_s": 1, "minimum_ratio": 0.2}\n[1]\n', ":2: must be a JSON object, not a list"),
        ('{"time_s": 1, "minimal_ratio": 0.2}\n', "did you mean 'minimum_ratio'?"),
    ],
)
def test_a_wrong_line_is_named(content: str, said: str, tmp_path: Path) -> None:
    """File, line, what came and what is wanted, on one line; exit code 3."""
    path = tmp_path / "samples.csv"
    path.write_text(content)
    status, out, err = run(*ADAPT, "--samples", path)
    assert status == ExitCode.SPEC_INVALID
    assert f"{path}" in err
    assert said in err
    assert len(err.splitlines()) == 1
    assert out == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*ADAPT, "--samples", "no-such.csv"), "no-such.csv: there is no such file"),
        ((*SEQUENTIAL[:-1], "nvme_papper"), "--in-use = 'nvme_papper'"),
        ((*SEQUENTIAL, "--largest-ratio", "nan"), "--largest-ratio = nan"),
        ((*SEQUENTIAL, *CURVE, "--least-quality", "nan"), "--least-quality = nan"),
        ((*JOINT, *CURVE, "--least-quality", "nan"), "--least-quality = nan"),
        ((*JOINT, "--usd-per-ttft-s", "-1"), "--usd-per-ttft-s = -1.0"),
        ((*JOINT, "--gpu-usd-per-hour", "nan"), "--gpu-usd-per-hour = nan"),
        (
            (*SEQUENTIAL, "--candidate", "name=tape,bandwidth_gb_s=1"),
            "'tape': is the name of several",
        ),
        ((*SEQUENTIAL[:-1], "name=ram,bandwidth_gb_s=1"), "'ram': is the name of several devices"),
    ],
)
def test_an_invalid_value_exits_3(arguments: tuple[str, ...], said: str) -> None:
    """One line that names the option."""
    status, out, err = run(*arguments)
    assert status == ExitCode.SPEC_INVALID, err
    assert said in err
    assert len(err.splitlines()) == 1
    assert out == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("kv", "plan", *QUESTION), "Missing option '--mode'"),
        (("kv", "plan", *QUESTION, "--mode", "joined"), "'parallel', 'adapt'"),
        (SEQUENTIAL[:-2], "sequential needs the device at hand"),
        (ADAPT, "adapt needs a file of samples"),
        ((*ADAPT, "--samples", "x", "--in-use", "ram"), "adapt takes no --in-use"),
        ((*JOINT, "--samples", "x", "--dwell-s", "1"), "joint takes no --samples, --dwell-s"),
        ((*SEQUENTIAL, "--usd-per-ttft-s", "1"), "sequential takes no --usd-per-ttft-s"),
        ((*JOINT, "--prefer", "latency"), "leave out --ratio, --prefer, --hiding"),
        ((*JOINT, "--least-quality", "0.3"), "needs a curve"),
        ((*JOINT, "--usd-per-quality", "1"), "needs a curve"),
        ((*ADAPT, "--samples", "x", *CURVE), "in place of a quality curve"),
    ],
)
def test_wrong_usage_exits_2(arguments: tuple[str, ...], said: str) -> None:
    """What a mode needs, and what it would ignore."""
    status, out, err = run(*arguments)
    assert status == ExitCode.USAGE
    assert said in " ".join(err.replace("│", " ").split())
    assert out == ""


_words = st.sampled_from(["0", "1", "2.5", "-1", "nan", "inf", "x", "", "name=x,=", "nvme_gen4"])
_of_mode = {
    (*SEQUENTIAL, *CURVE): [
        "--in-use",
        "--largest-ratio",
        "--least-quality",
        "--candidate",
        "--min-ratio",
    ],
    (*JOINT, *CURVE): [
        "--usd-per-ttft-s",
        "--usd-per-quality",
        "--gpu-usd-per-hour",
        "--reads",
        "--ratio",
    ],
    (*ADAPT, "--samples", "-"): [
        "--samples",
        "--min-ratio",
        "--smoothing",
        "--relative-change",
        "--dwell-s",
        "--switch-gain",
    ],
}


@pytest.mark.parametrize("mode", list(_of_mode), ids=["sequential", "joint", "adapt"])
@given(data=st.data())
@settings(deadline=None, max_examples=15, derandomize=True)
def test_no_options_end_in_an_internal_error(mode: tuple[str, ...], data: st.DataObject) -> None:
    """Whatever is said, the answer is one of the documented exit codes."""
    pairs = st.lists(st.tuples(st.sampled_from(_of_mode[mode]), _words), min_size=1, max_size=3)
    arguments = [word for pair in data.draw(pairs) for word in pair]
    for form in ((), ("--json",)):
        assert run(*mode, *arguments, *form, stdin=SAMPLES).returncode in (
            ExitCode.OK, ExitCode.USAGE, ExitCode.SPEC_INVALID, ExitCode.INFEASIBLE,
        ), arguments  # fmt: skip
