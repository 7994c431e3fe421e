"""Other people's tools and ours on the same questions, one process a run, one thread each.

    python -m benchmarks.peers [--limit 30] [--peers ours,cbc] [-o benchmarks/results/peers.jsonl]

aiconfigurator wants an environment of its own; AICONFIGURATOR=/path/to/its/command names it.

Peers that are not installed (benchmarks/peers/requirements.txt) are left out and named. Lines are
appended; `python -m benchmarks.page` makes the tables of docs/benchmarks.md from them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.melange import DATA as MELANGE
from benchmarks.peers.estimates import CASES, COMMAND
from benchmarks.peers.one_run import GAP, MIP
from optimizer.experiments.environment import describe_environment

RESULTS = Path(__file__).resolve().parents[1] / "results" / "peers.jsonl"
NEEDS = {"cbc": "pulp", "highs": "highspy", "cp_sat": "ortools", "scip": "pyscipopt",
         "ciw": "ciw", "melange": "pulp"}  # fmt: skip
INSTANCES = ("fleet:100:0", "fleet:1000:0", "lumpy:100:0", "lumpy:1000:0", "fleet:10000:0")
# Beyond its limit a run gets so long for loading, and for noticing that its time is up.
_GRACE_S = 120.0


def questions() -> list[tuple[str, str, str]]:
    """Kind, peer and instance of every run."""
    asked = [("selection", peer, instance) for instance in INSTANCES for peer in MIP]
    slices = sorted((MELANGE / "instances").glob("*.json")) if MELANGE.is_dir() else []
    asked += [("slices", peer, str(path)) for path in slices for peer in ("ours", "melange")]
    asked += [("estimates", peer, case) for case in CASES for peer in ("ours", "aiconfigurator")]
    return [*asked, ("queues", "ours", "M/M/8"), ("queues", "ciw", "M/M/8")]


def run(kind: str, peer: str, instance: str, limit_s: float) -> dict[str, Any]:
    """Make one run; what it failed of is part of the row."""
    row: dict[str, Any] = {
        "kind": kind,
        "peer": peer,
        "instance": Path(instance).stem if kind == "slices" else instance,
        "limit_s": limit_s,
        "gap_asked": GAP,
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.peers.one_run", peer, instance, str(limit_s)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True, text=True, check=True, timeout=limit_s + _GRACE_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return row | {"error": f"not ended {_GRACE_S:g} s after its limit"}
    except subprocess.CalledProcessError as error:
        return row | {"error": error.stderr.strip().splitlines()[-1]}
    return row | json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--limit", type=float, default=30.0, help="wall-clock seconds of a run")
    parser.add_argument("--peers", default="", help="only these, with commas")
    parser.add_argument("--kinds", default="", help="only these kinds, with commas")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    here = describe_environment()
    wanted = set(options.peers.split(",")) if options.peers else {*MIP, *NEEDS, "aiconfigurator"}
    kinds = set(filter(None, options.kinds.split(",")))
    absent = {peer for peer, package in NEEDS.items() if find_spec(package) is None}
    if shutil.which(os.environ.get(COMMAND, "aiconfigurator")) is None:
        absent.add("aiconfigurator")
    for peer in sorted(absent & wanted):
        print(f"{peer} is left out: it is not installed", file=sys.stderr)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    for kind, peer, instance in questions():
        if peer in absent or peer not in wanted or (kinds and kind not in kinds):
            continue
        row = run(kind, peer, instance, options.limit)
        row["date"] = datetime.now(UTC).isoformat(timespec="seconds")
        row["environment"] = here
        with options.output.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        figures = row.get("value"), row.get("cpu_s"), row.get("error", "")
        print(f"{peer:8} {row['instance']:36}", *figures)


if __name__ == "__main__":
    main()
