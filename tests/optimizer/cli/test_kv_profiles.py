"""`fleetopt kv profiles`, and `--profiles` where a prefill is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.commands import run

MODEL = "meta-llama/Llama-2-7b-hf"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Two points of one model on one accelerator."""
    csv = tmp_path / "p.csv"
    csv.write_text(
        f"model,accelerator,context_tokens,prefill_s\n{MODEL},A40,2048,0.3\n{MODEL},A40,8192,1.5\n"
    )
    path = tmp_path / "p.db"
    status, _, err = run("kv", "profiles", "import", path, csv)
    assert status == ExitCode.OK, err
    assert "2 of 2" in err
    return path


def test_a_profile_gives_the_prefill_of_ratio_and_device(database: Path) -> None:
    """4,096 tokens lie a third of the way from 0.3 s to 1.5 s: 0.7 s."""
    common = ("--model", MODEL, "--context-tokens", "4096", "--profiles", database, "--json")
    for command in (("ratio", "--bandwidth-gb-s", "4.8"), ("device",)):
        status, out, err = run("kv", *command, *common)
        assert status == ExitCode.OK, err
        assert json.loads(out)["prefill_ms"] == pytest.approx(700.0)


@pytest.fixture
def with_devices(database: Path) -> Path:
    """Two devices more: one of the catalogue, measured twice with the model, and one of our own."""
    csv = database.with_name("d.csv")
    csv.write_text(
        "device,model,accelerator,context_tokens,bandwidth_gb_s,latency_ms\n"
        f"nvme_paper,{MODEL},A40,2048,2,1\nnvme_paper,{MODEL},A40,6144,4,3\n"
        "shelf,,,0,1.5,0.5\nbox,other,,0,9,0\n"
    )
    status, _, err = run("kv", "profiles", "import", database, csv)
    assert status == ExitCode.OK, err
    return database


def test_a_measured_device_goes_before_the_catalogues(with_devices: Path) -> None:
    """4,096 tokens lie half-way: 3 GB/s and 2 ms; our own is known too; figures go before."""
    common = ("--model", MODEL, "--context-tokens", "4096", "--profiles", with_devices, "--json")
    status, out, err = run("kv", "ratio", *common, "--device", "nvme_paper")
    assert status == ExitCode.OK, err
    assert "nvme_paper as measured: 3 GB/s, 2 ms" in err
    got = json.loads(out)
    assert (got["bandwidth_gb_s"], got["latency_ms"]) == (3.0, 2.0)
    assert got["load_ms"] == pytest.approx(2 + 4096 * 524288 / 3e6)
    two = ("--candidate", "nvme_paper", "--candidate", "shelf", "--candidate", "nvme_gen4")
    status, out, err = run("kv", "device", *common, *two)
    assert status == ExitCode.OK, err
    found = {row["device"]: row["bandwidth_gb_s"] for row in json.loads(out)["devices"]}
    assert found == {"nvme_paper": 3.0, "shelf": 1.5, "nvme_gen4": 6.8}
    status, out, _ = run("kv", "ratio", *common, "--device", "shelf", "--bandwidth-gb-s", "7")
    assert (json.loads(out)["bandwidth_gb_s"], json.loads(out)["latency_ms"]) == (7.0, 0.5)
    restore = ("--model", MODEL, "--prefix-tokens", "4096", "--profiles", with_devices, "--json")
    status, out, err = run("kv", "restore", *restore, "--device", "shelf", "--also", "nvme_paper")
    assert status == ExitCode.OK, err
    assert set(json.loads(out)["striping"]["loaded_tokens"]) == {"shelf", "nvme_paper"}


@pytest.mark.parametrize(
    ("device", "tokens", "message"),
    [
        ("nvme_paper", "7000", "nvme_paper holds from 2,048 to 6,144 tokens"),
        ("box", "4096", "was measured with other on any alone"),
        ("drum", "4096", "no storage device 'drum'"),
    ],
)
def test_a_device_outside_what_was_measured_is_refused(
    with_devices: Path, device: str, tokens: str, message: str
) -> None:
    """By context, by model, and where neither the database nor the catalogue knows it."""
    status, out, err = run(
        "kv", "ratio", "--model", MODEL, "--context-tokens", tokens, "--profiles", with_devices,
        "--device", device,
    )  # fmt: skip
    assert status == ExitCode.SPEC_INVALID
    assert message in err
    assert not out


def test_a_restoration_takes_the_fitted_law_and_says_how_well_it_fits(database: Path) -> None:
    """Two points fix a and b: nothing is lost."""
    status, out, err = run(
        "kv", "restore", "--model", MODEL, "--prefix-tokens", "8192", "--profiles", database,
        "--bandwidth-gb-s", "4.8", "--json",
    )  # fmt: skip
    assert status == ExitCode.OK
    assert json.loads(out)["prefix_compute_ms"] == pytest.approx(1500.0)
    assert "within 0.0%" in err


def test_update_show_and_export(database: Path) -> None:
    """A changed point is in force, the former one is history."""
    update = ("kv", "profiles", "update", database, "--model", MODEL, "--accelerator", "A40")
    status, _, err = run(*update, "--context-tokens", "2048", "--prefill-s", "0.25")
    assert status == ExitCode.OK, err
    listing = json.loads(run("kv", "profiles", "show", database, "--history", "--json")[1])
    assert [p["prefill_ms"] for p in listing["prefills"]] == [300.0, 250.0, 1500.0]
    assert listing["laws"][0]["from_tokens"] == 2048
    status, out, _ = run("kv", "profiles", "export", database)
    assert status == ExitCode.OK
    assert len(out.splitlines()) == 3
    status, out, _ = run("kv", "profiles", "show", database)
    assert "250" in out


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("ratio", "--context-tokens", "9000"), ExitCode.SPEC_INVALID, "from 2,048 to 8,192"),
        (("ratio", "--context-tokens", "nan"), ExitCode.SPEC_INVALID, "--context-tokens"),
        (
            ("ratio", "--context-tokens", "4096", "--accelerator", "H1OO"),
            ExitCode.SPEC_INVALID,
            "there is A40",
        ),
        (("ratio", "--context-tokens", "4096", "--prefill-s", "1"), ExitCode.USAGE, "leave out"),
        (("profiles", "show", "none.db"), ExitCode.SPEC_INVALID, "no such file"),
        (("profiles", "show", "p.csv"), ExitCode.SPEC_INVALID, "no SQLite file"),
        (("profiles", "show", "p.db", "--model", "x"), ExitCode.SPEC_INVALID, "no such profile"),
        (("profiles", "show", "p.db", "--devices"), ExitCode.SPEC_INVALID, "no such profile"),
        (("profiles", "import", "p.db", "."), ExitCode.SPEC_INVALID, "fleetopt: .: cannot be read"),
        (("profiles", "import", "p.db", "none.csv"), ExitCode.SPEC_INVALID, "cannot be read"),
    ],
)
def test_wrong_input_is_told_in_a_line(
    database: Path,
    arguments: tuple[str, ...],
    status: ExitCode,
    message: str,
) -> None:
    """What is wrong is named, and nothing is printed as an answer."""
    if arguments[0] == "ratio":
        arguments += ("--model", MODEL, "--bandwidth-gb-s", "1", "--profiles", "p.db")
    got, out, err = run("kv", *arguments, cwd=database.parent)
    assert got == status
    assert message in err
    assert "Traceback" not in err
    assert not out
