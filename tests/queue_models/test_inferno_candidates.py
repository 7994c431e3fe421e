"""Every candidate of the Go core, from its own instances: rates, replicas and latencies."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from queue_models import (
    IterationTiming,
    Metric,
    PrefillDecodeTiming,
    QueueModel,
    ServiceProcess,
    Statistic,
    Target,
    Targets,
)
from queue_models.inferno_3p import Inferno3pModel
from queue_models.inferno_4p import Inferno4pModel

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "inferno"
RESULTS = sorted(DATA.glob("results/*.json"))
needs_data = pytest.mark.skipif(not RESULTS, reason=f"no reference instances under {DATA}")


def _lower(value: Any) -> Any:
    """Keys in lower case, as the Go core matches them."""
    if isinstance(value, dict):
        return {key.lower(): _lower(child) for key, child in value.items()}
    return [_lower(child) for child in value] if isinstance(value, list) else value


@dataclass
class Pairs:
    """The (server, performance row) pairs of an instance, as arrays."""

    model: QueueModel
    service: ServiceProcess
    ttft_ms: np.ndarray
    itl_ms: np.ndarray
    tokens_per_s: np.ndarray
    total_rps: np.ndarray
    least_replicas: np.ndarray
    reference: list[dict[str, Any] | None]
    labels: list[str]

    def sized(self) -> np.ndarray:
        targets = (
            Target(Statistic(Metric.TTFT), self.ttft_ms),
            Target(Statistic(Metric.ITL), self.itl_ms),
        )
        return self.model.max_rate(self.service, Targets(targets, self.tokens_per_s > 0))


def _read(result: Path) -> Pairs:
    reference = json.loads(result.read_text())["candidates"]
    name = result.stem if (DATA / "instances" / result.name).exists() else result.stem[:-4]
    system = _lower(json.loads((DATA / "instances" / f"{name}.json").read_text()))["system"]
    targets = {
        (group["name"], target["model"]): target
        for group in system["serviceclassdata"]["serviceclasses"]
        for target in group["modeltargets"]
    }
    rows = [
        (server, performance, targets[server["class"], server["model"]])
        for server in system["serverdata"]["servers"]
        for performance in system["modeldata"]["models"]
        if performance["name"] == server["model"]
    ]
    loads = [server["currentalloc"]["load"] for server, _, _ in rows]
    prompt = np.array([load["avgintokens"] for load in loads], dtype=float)
    output = np.array([load["avgouttokens"] for load in loads], dtype=float)
    batch = [
        s.get("maxbatchsize", 0) or max(p["maxbatchsize"] * p["attokens"] // int(lo), 1)
        for (s, p, _), lo in zip(rows, output, strict=True)
    ]
    if result.stem.startswith("light"):
        model: QueueModel = Inferno3pModel()
        alpha, beta, gamma = _parameters(rows, "perfparms", ("alpha", "beta", "gamma"))
        timing: Any = IterationTiming(alpha, beta, beta, gamma)
        queue: Any = [server.get("maxqueuesize", 0) for server, _, _ in rows]
    else:
        model, queue = Inferno4pModel(), None
        decode = _parameters(rows, "decodeparms", ("alpha", "beta"))
        timing = PrefillDecodeTiming(
            *decode, *_parameters(rows, "prefillparms", ("gamma", "delta"))
        )
    tokens = np.array([target.get("slo-tps", 0) for _, _, target in rows], dtype=float)
    arrivals = np.array([load["arrivalrate"] for load in loads]) / 60.0
    return Pairs(
        model=model,
        service=ServiceProcess(timing, prompt, output, batch, queue_capacity=queue),
        ttft_ms=np.array([target.get("slo-ttft", 0) or np.inf for _, _, target in rows]),
        itl_ms=np.array([target.get("slo-itl", 0) or np.inf for _, _, target in rows]),
        tokens_per_s=tokens,
        total_rps=np.where(tokens > 0, tokens / output, arrivals),
        least_replicas=np.array([server.get("minnumreplicas", 0) for server, _, _ in rows]),
        reference=[
            next((c for c in reference.get(s["name"], []) if c["acc"] == p["acc"]), None)
            for s, p, _ in rows
        ],
        labels=[f"{s['name']} on {p['acc']}" for s, p, _ in rows],
    )


def _parameters(rows: list[Any], group: str, names: tuple[str, ...]) -> np.ndarray:
    return np.array([[performance[group][name] for name in names] for _, performance, _ in rows]).T


@needs_data
@pytest.mark.parametrize("result", RESULTS, ids=[result.stem for result in RESULTS])
def test_candidates_are_those_of_the_go_core(result: Path) -> None:
    """Feasibility is equal; rates, replicas, ITL and TTFT are, but for the Go core's rounding."""
    pairs = _read(result)
    rate, loaded = pairs.sized(), pairs.total_rps > 0
    known = np.array([candidate is not None for candidate in pairs.reference])
    # The Go core writes a record for a service without load and does not size it.
    differs = loaded & (known != (rate > 0))
    wrong = [label for label, bad in zip(pairs.labels, differs, strict=True) if bad]
    assert not wrong

    compared = np.flatnonzero(known & loaded)
    wanted = [candidate for candidate in (pairs.reference[i] for i in compared) if candidate]
    total, served = pairs.total_rps[compared], rate[compared]
    replicas = np.maximum(np.ceil(total / served), pairs.least_replicas[compared])
    go_replicas = np.array([candidate["replicas"] for candidate in wanted])
    go_rate = np.array([candidate["maxRpsPerReplica"] for candidate in wanted])
    assert np.abs(served / go_rate - 1.0).max(initial=0.0) <= 1e-6
    edge = np.abs(replicas - go_replicas) > 0
    listed = [f"{pairs.labels[compared[i]]}: {go_replicas[i]}" for i in np.flatnonzero(edge)]
    assert edge.mean() <= 0.005 if edge.size else True, listed
    assert np.all(np.abs(replicas - go_replicas) <= 1), listed

    same = ~edge
    metrics = pairs.model.evaluate(pairs.service.take(compared), total / replicas)
    for name, values in (("itl", metrics.itl_ms), ("ttft", metrics.ttft_ms)):
        go = np.array([candidate[name] for candidate in wanted])
        assert np.abs(values / go - 1.0)[same].max(initial=0.0) <= 2e-5, name


@needs_data
def test_no_load_gives_the_go_cores_record() -> None:
    """At rate 0 the record's ITL and TTFT come out, the latter without the input length."""
    pairs = _read(DATA / "results" / "ce1-regret-trap-wva.json")
    idle = np.flatnonzero(pairs.total_rps == 0)
    metrics = pairs.model.evaluate(pairs.service.take(idle), 0.0)
    assert idle.size
    for i, itl, ttft in zip(idle, metrics.itl_ms, metrics.ttft_ms, strict=True):
        candidate = pairs.reference[i]
        assert candidate is not None
        assert itl == pytest.approx(candidate["itl"], rel=1e-6)
        assert ttft == pytest.approx(candidate["ttft"], rel=1e-6)


POINT = re.compile(r"REF N=(\d+) q=(\d+) in=(\d+) out=(\d+) rate=(\d+)")
ANALYZER = {
    "wva": (Inferno4pModel(), PrefillDecodeTiming(20.58, 0.41, 160, 0.0125)),
    "light": (Inferno3pModel(), IterationTiming(20.58, 0.041, 0.041, 0.00128125)),
}


@needs_data
@pytest.mark.parametrize("generation", ["wva", "light"])
def test_reference_points_of_the_analyzer(generation: str) -> None:
    """Metrics at a rate, and rates sized for TTFT 1000 and ITL 60, agree to three decimals."""
    lines = json.loads((DATA / "analyzer_reference.json").read_text())[generation]
    model, timing = ANALYZER[generation]
    points = [line for line in lines if line.startswith("REF")]
    assert points
    for line in points:
        match = POINT.match(line)
        assert match
        batch, queue, prompt, output, rate = (float(part) for part in match.groups())
        service = ServiceProcess(timing, prompt, output, batch, queue_capacity=queue)
        came = model.evaluate(service, rate)
        sized = {
            "rateTTFT": Target(Statistic(Metric.TTFT), 1000.0),
            "rateITL": Target(Statistic(Metric.ITL), 60.0),
        }
        values = {
            "tput": came.throughput_rps,
            "lat": came.e2e_ms,
            "wait": came.wait_ms,
            "conc": came.concurrency,
            "itl": came.itl_ms,
            "rho": came.utilization,
        }
        if generation == "light":
            values["ttft"] = came.ttft_ms
        else:
            values["prefill"] = came.ttft_ms - came.wait_ms
        # Printed to three decimals; the wait is a difference of 24-bit numbers.
        rounding = 6e-4 + 2.0**-23 * float(came.e2e_ms)
        for name, value in values.items():
            printed = re.search(rf"\b{name}=([\d.]+)", line)
            assert printed
            assert value == pytest.approx(float(printed[1]), rel=2e-6, abs=rounding), (line, name)
        for name, target in sized.items():
            printed = re.search(rf"\b{name}=([\d.]+)", line)
            assert printed
            # The table prints what is offered; the model returns what is accepted of it.
            wanted = model.evaluate(service, float(printed[1])).throughput_rps
            came_rate = model.max_rate(service, Targets((target,)))
            assert came_rate == pytest.approx(wanted, abs=6e-4), (line, name)
