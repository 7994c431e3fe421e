"""One simulated run of a configuration, and what was measured in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.queue_accuracy import kernel
from benchmarks.queue_accuracy.configurations import NO_QUEUE_LIMIT, Configuration
from benchmarks.queue_accuracy.sampling import arrival_times_ms, lengths

__all__ = ["PERCENTILES", "measure", "saturation_throughput_rps", "serve"]

PERCENTILES = (50, 95, 99)
WARM_UP = 0.1
ROUTINGS = {
    "random": kernel.RANDOM,
    "round_robin": kernel.ROUND_ROBIN,
    "jsq": kernel.LEAST_OUTSTANDING,
}

Served = tuple[kernel.Requests, kernel.Window]


def measure(
    configuration: Configuration, rate_rps: float, count: int, seed: np.random.SeedSequence
) -> dict[str, float]:
    """Simulate `count` requests at a total rate; the first tenth of them is not counted.

    Returns
    -------
    Means and percentiles in ms by column name, and time averages over the counted part.
    """
    rng = np.random.default_rng(seed)
    arrivals = arrival_times_ms(
        configuration.arrival, rate_rps, configuration.arrival_scv, count, rng
    )
    first = int(WARM_UP * count)
    requests, window = serve(configuration, arrivals, rng, start=arrivals[first], stop=arrivals[-1])
    return {
        **_of_requests(requests, slice(first, None)),
        **_of_window(window, arrivals[-1] - arrivals[first], configuration.replicas),
        "throughput_rps": _departures_rps(requests.finished, arrivals[first], arrivals[-1]),
    }


def saturation_throughput_rps(
    configuration: Configuration, count: int, seed: np.random.SeedSequence
) -> float:
    """Requests per second that one replica completes while requests always wait."""
    rng = np.random.default_rng(seed)
    requests, _ = serve(_alone(configuration), np.zeros(count), rng)
    queue_ends = requests.admitted[-1]
    finished = np.sort(requests.finished)
    start = finished[int(WARM_UP * count)]
    if not start < queue_ends:
        raise ValueError(f"{count} requests do not saturate {configuration.name}: ask for more")
    # From departure to departure, so that no part of a cycle is counted at one end alone.
    last = int(np.searchsorted(finished, queue_ends, side="right")) - 1
    return (
        1e3
        * (last - int(np.searchsorted(finished, start, side="right")) + 1)
        / (finished[last] - start)
    )


def serve(
    configuration: Configuration,
    arrivals: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    start: float = 0.0,
    stop: float = np.inf,
) -> Served:
    """Draw the requests that arrive at the given times (ms) and serve them to the last one.

    Iterations that end from `start` until before `stop` are counted in the window.
    """
    count = arrivals.size
    prompt = lengths(configuration.inputs, count, rng)
    output = lengths(configuration.outputs, count, rng)
    left = np.maximum(1, prompt - np.floor(configuration.prefix_hit_rate * prompt).astype(int))
    if configuration.role == "prefill":
        output = np.ones_like(output)
    if configuration.role == "decode":
        # The prompt and one token come with the request; one more token at least is wanted.
        output, left = np.maximum(2, output), np.zeros_like(prompt)
    requests = kernel.Requests(
        arrival=arrivals,
        prompt=prompt,
        output=output,
        prompt_left=left,
        admitted=np.zeros(count),
        first_token=np.zeros(count),
        finished=np.zeros(count),
    )
    window = kernel.Window(
        float(start), float(stop), np.zeros(kernel.GAP_BINS), np.zeros(kernel.PLACES)
    )
    kernel.simulate(_engine(configuration), requests, window, rng)
    return requests, window


def _engine(configuration: Configuration) -> kernel.Engine:
    return kernel.Engine(
        base_ms=float(configuration.base_ms),
        decode_ms=float(configuration.decode_ms),
        prefill_ms=float(configuration.prefill_ms),
        kv_ms=float(configuration.kv_ms),
        least_ms=float(configuration.least_ms),
        least_token_ms=float(configuration.least_token_ms),
        max_batch=configuration.max_batch,
        chunk_tokens=configuration.chunk_tokens,
        kv_capacity=float(configuration.kv_capacity),
        most_present=configuration.max_batch + float(configuration.queue_places),
        draft_tokens=configuration.draft_tokens,
        acceptance=float(configuration.acceptance),
        replicas=configuration.replicas,
        routing=ROUTINGS[configuration.routing],
    )


def _alone(configuration: Configuration) -> Configuration:
    return replace(configuration, replicas=1, queue_places=NO_QUEUE_LIMIT)


def _of_requests(requests: kernel.Requests, counted: slice) -> dict[str, float]:
    served = np.isfinite(requests.finished[counted])
    arrival, output = requests.arrival[counted][served], requests.output[counted][served]
    first, finished = requests.first_token[counted][served], requests.finished[counted][served]
    several = output > 1
    delays = {
        "ttft": first - arrival,
        "wait": requests.admitted[counted][served] - arrival,
        "tpot": (finished - first)[several] / (output[several] - 1),
        "e2e": finished - arrival,
    }
    columns = {"refused_share": 1.0 - float(served.mean())}
    for name, delay in delays.items():
        if delay.size == 0:
            continue
        columns[f"{name}_mean"] = float(delay.mean())
        for percentile, value in zip(PERCENTILES, np.percentile(delay, PERCENTILES), strict=True):
            columns[f"{name}_p{percentile}"] = float(value)
    return columns


def _of_window(window: kernel.Window, lasted_ms: float, replicas: int) -> dict[str, float]:
    sums = window.sums
    columns = {
        "iter_mean": float(sums[kernel.BUSY_TIME] / sums[kernel.ITERATIONS]),
        "busy_fraction": float(sums[kernel.BUSY_TIME] / lasted_ms / replicas),
        "running_mean": float(sums[kernel.RUNNING_TIME] / lasted_ms / replicas),
        "full_fraction": float(sums[kernel.FULL_TIME] / lasted_ms / replicas),
    }
    if sums[kernel.TOKENS] > 0:
        columns["itl_mean"] = float(sums[kernel.GAP_TIME] / sums[kernel.TOKENS])
        cumulated = np.cumsum(window.gaps)
        for percentile in PERCENTILES:
            place = np.searchsorted(cumulated, percentile / 100 * cumulated[-1])
            columns[f"itl_p{percentile}"] = float(
                kernel.LEAST_GAP_MS * np.exp((place + 0.5) * kernel.GAP_WIDTH)
            )
    return columns


def _departures_rps(finished: NDArray[np.float64], start: float, stop: float) -> float:
    return 1e3 * float(np.count_nonzero((start <= finished) & (finished < stop))) / (stop - start)
