"""Windows of a simulated engine: what a tuner learns when its queue model is not the truth."""

from __future__ import annotations

import numpy as np

from benchmarks.tuner.worlds import WORLDS, World
from optimizer.engine.simulated_pair import SimulatedPair
from optimizer.performance.tuner import ServingObservation, Tuner, get
from queue_models import Metric, ServiceProcess, Statistic, Targets
from queue_models import get as queue_model

MODELS = ("iteration-level", "mm1k-state-dependent")
WINDOWS, CHECKED = 40, 20
# Requests of a window: a minute of a busy replica.
REQUESTS = 1500
_MEANS = tuple(Statistic(metric) for metric in (Metric.TTFT, Metric.ITL))


def simulated_errors(seeds: int) -> dict[str, list[float]]:
    """Errors of times predicted for loads not observed, against simulation, by figure."""
    found: dict[str, list[float]] = {}
    for seed in range(seeds):
        windows = [_window(seed, i) for i in range(WINDOWS + CHECKED)]
        for model in MODELS:
            known = WORLDS["iteration-level"]
            world = World(model, "iteration", known.true)
            tuner = get("extended-kalman")(world.replica, world.off(seed))
            for i, window in enumerate(windows[:WINDOWS]):
                tuner.update(window)
                if i + 1 in (5, WINDOWS):
                    for time_name, error in _errors(tuner, model, windows[WINDOWS:]).items():
                        found.setdefault(f"{model} {time_name} @{i + 1}", []).append(error)
    return found


def _window(seed: int, number: int) -> ServingObservation:
    """One window at a load of its own, from a seed of its own."""
    world = WORLDS["iteration-level"]
    load = np.random.default_rng([seed, number]).random(3)
    process: ServiceProcess = world.process(world.true, load[None, :])
    capacity = float(queue_model("iteration-level").max_rate(process, Targets())[0])
    rate = (0.1 + 0.6 * load[0]) * capacity
    run = SimulatedPair.of(process, rate).run(
        _MEANS,
        precision=1e-6,
        least_requests=REQUESTS,
        most_requests=REQUESTS,
        seed=1000 * seed + number,
    )
    return ServingObservation(
        time_s=60.0 * number,
        arrival_rate_rps=rate,
        input_tokens=float(process.input_tokens[0]),
        output_tokens=float(process.output_tokens[0]),
        ttft_ms=run.statistics[_MEANS[0]].value,
        itl_ms=run.statistics[_MEANS[1]].value,
        requests=float(REQUESTS),
    )


def _errors(tuner: Tuner, model: str, windows: list[ServingObservation]) -> dict[str, float]:
    assert tuner.learnt is not None
    process = ServiceProcess(
        tuner.learnt.timing,
        [w.input_tokens for w in windows],
        [w.output_tokens for w in windows],
        tuner.replica.max_batch,
    )
    found = queue_model(model).evaluate(process, [w.arrival_rate_rps for w in windows])
    return {
        name: float(np.mean(np.abs(predicted / np.array([getattr(w, key) for w in windows]) - 1)))
        for name, key, predicted in (
            ("TTFT", "ttft_ms", found.ttft_ms),
            ("ITL", "itl_ms", found.itl_ms),
        )
    }
