"""What is simulated: engines under load, drawn at random from a seed, in groups."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

__all__ = ["GROUPS", "RANGES", "Configuration", "LengthLaw", "Ranges", "random_configurations"]

# "None" of the columns chunk and kv_cap.
NO_CHUNK = 1_000_000_000
NO_KV_LIMIT = 1e18
NO_QUEUE_LIMIT = math.inf
NO_LENGTH_LIMIT = 1 << 40

CORE_LOADS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
GROUP_LOADS = (0.5, 0.8, 0.9)


@dataclass(frozen=True)
class LengthLaw:
    """Distribution of a number of tokens: fixed, geometric, lognormal or empirical.

    What is drawn above `limit` becomes `limit`; mean and cv are those before that.
    """

    family: str
    mean: float
    cv: float
    values: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()
    limit: int = NO_LENGTH_LIMIT

    @classmethod
    def empirical(cls, values: tuple[int, ...], weights: tuple[float, ...]) -> LengthLaw:
        """Take whole numbers of tokens with probabilities in proportion to weights."""
        p = np.array(weights) / sum(weights)
        mean = float(p @ np.array(values))
        variance = float(p @ np.square(np.array(values, dtype=float))) - mean**2
        return cls("empirical", mean, math.sqrt(variance) / mean, values, weights)


@dataclass(frozen=True)
class Configuration:
    """An engine, what it is asked, and how its replicas are fed; times in ms.

    `kv_capacity` is in tokens per replica, `queue_places` are those to wait at each beyond the
    batch: who finds none is refused. A share `prefix_hit_rate` of every prompt, rounded down
    and leaving at least one token, is in the cache already. An iteration takes least_ms +
    least_token_ms (tokens computed) where the linear law says less: its law is bent where
    least_token_ms > 0. `role` is aggregated, prefill or decode; `routing` is random, round_robin or
    jsq (fewest outstanding requests); `arrival` is poisson, gamma (with `arrival_scv`) or mmpp2.
    `loads` are parts of the capacity.
    """

    group: str
    name: str
    base_ms: float
    decode_ms: float
    prefill_ms: float
    kv_ms: float
    inputs: LengthLaw
    outputs: LengthLaw
    max_batch: int
    chunk_tokens: int = NO_CHUNK
    kv_capacity: float = NO_KV_LIMIT
    queue_places: float = NO_QUEUE_LIMIT
    replicas: int = 1
    routing: str = "random"
    arrival: str = "poisson"
    arrival_scv: float = 1.0
    prefix_hit_rate: float = 0.0
    draft_tokens: int = 0
    acceptance: float = 0.0
    least_ms: float = 0.0
    least_token_ms: float = 0.0
    role: str = "aggregated"
    loads: tuple[float, ...] = CORE_LOADS


GROUPS = (
    "core",
    "bursty",
    "random_split",
    "round_robin",
    "least_outstanding",
    "kv_limited",
    "small_chunk",
    "prefix_hits",
    "speculative",
    "prefill_only",
    "decode_only",
    "bent",
    "limited_queue",
)


@dataclass(frozen=True)
class Ranges:
    """What configurations are drawn from: ranges of times in ms and of mean tokens, and choices."""

    base_ms: tuple[float, float]
    token_ms: tuple[float, float]
    kv_ms: tuple[float, float]
    inputs: tuple[float, float]
    outputs: tuple[float, float]
    batches: tuple[int, ...]
    chunks: tuple[int, ...]


RANGES = {
    "design": Ranges(
        base_ms=(5, 25),
        token_ms=(0.01, 0.16),
        kv_ms=(2e-6, 2e-4),
        inputs=(64, 2200),
        outputs=(32, 610),
        batches=(8, 16, 32, 64, 128, 256),
        chunks=(1024, 2048, 4096, 8192, NO_CHUNK),
    ),
    "unseen": Ranges(
        base_ms=(4, 30),
        token_ms=(0.008, 0.2),
        kv_ms=(1e-6, 3e-4),
        inputs=(50, 1400),
        outputs=(24, 800),
        batches=(6, 12, 24, 48, 96, 192),
        chunks=(1536, 3072, 6144, 12288, NO_CHUNK),
    ),
}
"""Those that guided the design of iteration-level, and wider ones that it was scored on after."""


def random_configurations(
    group: str, count: int, seed: int, ranges: str = "design"
) -> Iterator[Configuration]:
    """Draw configurations of a group; the first ones are the same whatever the count."""
    streams = np.random.SeedSequence([seed, GROUPS.index(group)]).spawn(count)
    for number, stream in enumerate(streams):
        rng = np.random.default_rng(stream)
        core = _core(rng, f"{group}_{seed}_{number:02d}", number, RANGES[ranges])
        if group == "core":
            yield core
        else:
            yield _of_group(replace(core, group=group, loads=GROUP_LOADS), rng, number)


def _core(rng: np.random.Generator, name: str, number: int, ranges: Ranges) -> Configuration:
    # Stratified where a group of 6 should show every kind; drawn everywhere else.
    family = ("fixed", "geometric", "lognormal", "empirical")[number % 4]
    return Configuration(
        group="core",
        name=name,
        base_ms=round(rng.uniform(*ranges.base_ms), 2),
        decode_ms=_log_uniform(rng, *ranges.token_ms),
        prefill_ms=_log_uniform(rng, *ranges.token_ms),
        kv_ms=0.0 if rng.random() < 0.2 else _log_uniform(rng, *ranges.kv_ms),
        inputs=_law(rng, family, *ranges.inputs),
        outputs=_law(rng, family, *ranges.outputs),
        max_batch=int(rng.choice(ranges.batches)),
        chunk_tokens=int(rng.choice(ranges.chunks)),
    )


def _of_group(core: Configuration, rng: np.random.Generator, number: int) -> Configuration:
    replicas = (2, 4, 8)[number % 3]
    if core.group == "bursty":
        return replace(core, arrival="gamma", arrival_scv=(2.0, 3.0, 4.0)[number % 3])
    if core.group in ("random_split", "round_robin", "least_outstanding"):
        routing = {"random_split": "random", "least_outstanding": "jsq"}.get(core.group, core.group)
        return replace(core, replicas=replicas, routing=routing)
    if core.group == "kv_limited":
        # A reservation is some mean request; the cache holds a part of a full batch of these.
        reservation = core.inputs.mean + core.outputs.mean
        held = max(6.0, core.max_batch * rng.uniform(0.2, 0.8))
        return replace(core, kv_capacity=float(round(reservation * held)))
    if core.group == "small_chunk":
        return replace(core, chunk_tokens=512, inputs=_law(rng, core.inputs.family, 600, 2200))
    if core.group == "prefix_hits":
        return replace(core, prefix_hit_rate=round(rng.uniform(0.2, 0.9), 2))
    if core.group == "speculative":
        drafts = int(rng.integers(1, 6))
        return replace(core, draft_tokens=drafts, acceptance=round(rng.uniform(0.5, 0.9), 2))
    if core.group == "limited_queue":
        # From a few places to a few batches, at loads at which much or nearly nothing is refused.
        places = max(1, round(core.max_batch * float(rng.choice((0.1, 0.5, 2.0)))))
        return replace(core, queue_places=float(places), loads=(0.8, 0.95, 1.2))
    if core.group == "bent":
        # Bound by memory up to some hundred tokens of an iteration, by computing beyond.
        knee = _log_uniform(rng, 64, 512)
        per_token = core.prefill_ms
        least = max(core.base_ms - per_token * knee, 0.1 * core.base_ms)
        memory = replace(core, decode_ms=round(0.1 * core.decode_ms, 6), prefill_ms=0.0)
        return replace(memory, least_ms=round(least, 3), least_token_ms=per_token)
    return replace(core, role={"prefill_only": "prefill", "decode_only": "decode"}[core.group])


def _law(rng: np.random.Generator, family: str, low: float, high: float) -> LengthLaw:
    mean = round(_log_uniform(rng, low, high))
    if family == "fixed":
        return LengthLaw(family, mean, 0.0)
    if family == "geometric":
        return LengthLaw(family, mean, round(math.sqrt(1 - 1 / mean), 6))
    if family == "lognormal":
        return LengthLaw(family, mean, round(rng.uniform(0.5, 1.5), 2))
    # A histogram of a mixture: short turns and long ones.
    values = np.unique(np.rint(mean * np.geomspace(0.1, 5, 12)).astype(int))
    weights = rng.dirichlet(np.ones(values.size)).round(4) + 1e-4
    return LengthLaw.empirical(tuple(map(int, values)), tuple(float(w) for w in weights))


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(f"{math.exp(rng.uniform(math.log(low), math.log(high))):.3g}")
