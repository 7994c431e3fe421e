from __future__ import annotations

import json
from pathlib import Path

from tests.optimizer.cli.commands import run
from tests.optimizer.performance.test_measurements import iterations

FLEET = """
accelerators: [{name: H100, catalog: H100-SXM, cost_per_hour: 4}]
models: [{name: llama, catalog: meta-llama/Llama-3.1-8B}]
classes: [{name: chat, priority: 1, slos: [{targets: [{metric: itl_ms, bound: 50}]}]}]
services:
  - {name: s, model: llama, class: chat,
     load: {arrival_rate_rps: 1, input_tokens: 100, output_tokens: 50}}
"""


def test_the_yaml_goes_into_a_fleet_file_as_it_is(tmp_path: Path) -> None:
    """What `capacity fit` prints, appended to a fleet, makes a valid fleet."""
    rows = tmp_path / "rows.csv"
    rows.write_text(iterations(0.02))
    done = run("capacity", "fit", rows, "--model", "llama", "--accelerator", "H100")
    assert done.returncode == 0, done.stderr
    assert "95 %" in done.stderr
    checked = run("validate", "-", stdin=f"schema_version: 1\n{FLEET}\n{done.stdout}")
    assert checked.returncode == 0, checked.stderr


def test_json_has_coefficients_with_intervals_and_residuals(tmp_path: Path) -> None:
    """The document is versioned and holds every row's measured and fitted time."""
    rows = tmp_path / "rows.csv"
    rows.write_text(iterations(0.02))
    plot = tmp_path / "plot.svg"
    done = run(
        "capacity", "fit", rows, "--model", "m", "--accelerator", "H", "--json", "--residuals", plot
    )
    document = json.loads(done.stdout)
    assert document["schema_version"] == 1
    assert len(document["observed_ms"]) == len(document["fitted_ms"]) == document["rows"]
    assert (
        document["coefficients"]["base_ms"]["low"] < 8 < document["coefficients"]["base_ms"]["high"]
    )
    assert plot.read_text().startswith("<?xml")


def test_faults_and_missing_names_are_the_user_s(tmp_path: Path) -> None:
    """A bad cell is exit code 3 with its place; a missing model name is 2 with its option."""
    bad = run(
        "capacity", "fit", "-", stdin="decode_tokens,prefill_tokens,kv_tokens,time_ms\n1,0,0,x"
    )
    assert bad.returncode == 3
    assert "<stdin>:2: time_ms = 'x'" in bad.stderr
    unnamed = run("capacity", "fit", "-", stdin=iterations(0.02))
    assert unnamed.returncode == 2
    assert "name it with --model" in unnamed.stderr
