"""How much faster a sweep of 1 000 scenarios is on two processes than on one, side by side."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.inferno_instances import present
from optimizer import load_inferno
from optimizer.experiments.sweep import sweep, sweep_from_data
from optimizer.spec import dump, load

_SERVICES = 100


def run(repeats: int) -> None:
    """Print wall-clock seconds by engine, their ratio, and whether the results are the same bytes.

    Wall-clock, because that is what a second process is for: nothing else should be running.
    """
    points = 1000 if repeats > 1 else 4
    print(f"Sweep of {points} loads of a fleet of {_SERVICES} services")
    case = next((one for one in present() if f"-{_SERVICES}x" in one.name), None)
    if case is None:
        print("the instance is not at hand")
        return
    with TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "fleet.yaml").write_text(dump(load_inferno(case.path)), encoding="utf-8")
        spec = sweep_from_data(
            {
                "fleets": ["fleet.yaml"],
                "axes": [
                    {
                        "name": "load",
                        "range": f"services[*].load.arrival_rate_rps*=0.5:1.5:{points}",
                    }
                ],
            }
        )
        fleets = {"fleet.yaml": load(folder / "fleet.yaml")}
        seconds = {}
        for engine in ("serial", "local:2"):
            begin = time.perf_counter()
            sweep(spec, fleets, engine=engine, folder=folder / engine.replace(":", ""))
            seconds[engine] = time.perf_counter() - begin
            print(f"{engine:<10}{seconds[engine]:>9.1f} s")
        same = _results(folder / "serial") == _results(folder / "local2")
        ratio = seconds["serial"] / seconds["local:2"]
        print(f"{ratio:.2f} times faster on two; results {'the same' if same else 'DIFFER'}")


def _results(folder: Path) -> bytes:
    return (folder / "results.jsonl").read_bytes()
