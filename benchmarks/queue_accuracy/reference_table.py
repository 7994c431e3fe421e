"""The simulated reference as a CSV table: a row for a configuration at a load.

Columns are those of the shared `iteration_level_reference.csv`, then those of features it has not.
Every figure is a mean over replications; `_hw` is the half-width of its 95 % confidence interval
(Student t). Loads are parts of the simulated saturation throughput; a row of load 1 is that run,
with the throughput alone.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.queue_accuracy.configurations import Configuration, LengthLaw
from benchmarks.queue_accuracy.simulation import measure, saturation_throughput_rps

__all__ = ["COLUMNS", "COMPACT_COLUMNS", "read_configurations", "rows_of", "write_table"]

CONFIGURATION_COLUMNS = (
    "case_id",
    "group",
    "config",
    "dist",
    "alpha",
    "beta_decode",
    "beta_prefill",
    "gamma_kv",
    "in_dist",
    "in_mean",
    "in_cv",
    "out_dist",
    "out_mean",
    "out_cv",
    "max_batch",
    "chunk",
    "kv_cap",
    "replicas",
    "routing",
    "arrival",
    "arr_scv",
    "capacity_rps_per_replica",
    "load",
    "rate_rps_total",
    "n_requests",
    "n_replications",
)
DELAYS = ("ttft", "wait", "tpot", "e2e", "itl")
STATISTICS = ("mean", "p50", "p95", "p99")
AVERAGES = ("iter_mean", "busy_fraction", "running_mean", "full_fraction", "throughput_rps")
MEASURES = (*(f"{delay}_{statistic}" for delay in DELAYS for statistic in STATISTICS), *AVERAGES)
FEATURES = (
    "role",
    "prefix_hit_rate",
    "draft_tokens",
    "acceptance",
    "least_ms",
    "least_token_ms",
    "in_histogram",
    "out_histogram",
    "capacity_rps_per_replica_hw",
    "queue_places",
    "refused_share",
    "refused_share_hw",
)
COLUMNS = (
    *CONFIGURATION_COLUMNS,
    *(column for name in MEASURES for column in (name, f"{name}_hw")),
    *FEATURES,
)
# What a table small enough for a repository keeps.
COMPACT_MEASURES = (
    *(f"{delay}_{statistic}" for delay in ("ttft", "wait", "itl") for statistic in STATISTICS),
    "tpot_mean",
    "e2e_mean",
    "throughput_rps",
)
COMPACT_COLUMNS = (
    *CONFIGURATION_COLUMNS,
    *(column for name in COMPACT_MEASURES for column in (name, f"{name}_hw")),
    *FEATURES,
)
DIGITS, COMPACT_DIGITS = 8, 6

# Requests over all replications: the nearer to saturation, the longer the memory of the queue.
REQUESTS = {0.3: 400_000, 0.5: 600_000, 0.7: 1_200_000, 0.8: 2_000_000, 0.9: 4_000_000}
MOST_REQUESTS = 5_000_000
CAPACITY_REQUESTS = 400_000

# 97.5 % points of Student's t, by degrees of freedom (tabulated; scipy is no dependency here).
STUDENT_T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306}

Row = dict[str, str | int | float]


def write_table(rows: Iterable[Row], path: Path, *, compact: bool = False) -> None:
    """Write rows as they come, so that what an interrupted run made is kept."""
    columns, digits = (COMPACT_COLUMNS, COMPACT_DIGITS) if compact else (COLUMNS, DIGITS)
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(
            stream, columns, restval="", extrasaction="ignore", lineterminator="\n"
        )
        table.writeheader()
        for row in rows:
            table.writerow({name: _shown(value, digits) for name, value in row.items()})
            stream.flush()


def rows_of(
    configuration: Configuration,
    *,
    seed: int,
    replications: int = 4,
    scale: float = 1.0,
    loads: Sequence[float] | None = None,
) -> Iterator[Row]:
    """Simulate a configuration saturated and at its loads; `scale` shortens or lengthens runs."""
    if replications - 1 not in STUDENT_T:
        raise ValueError(f"replications = {replications}: must be 2 to {max(STUDENT_T) + 1}")
    loads = configuration.loads if loads is None else loads
    streams = np.random.SeedSequence([seed, *configuration.name.encode()]).spawn(len(loads) + 1)
    count = max(int(scale * CAPACITY_REQUESTS / replications), 100 * configuration.max_batch)
    capacities = [
        saturation_throughput_rps(configuration, count, stream)
        for stream in streams[0].spawn(replications)
    ]
    capacity, half_width = _mean_and_half_width(capacities)
    described = _described(configuration) | {
        "capacity_rps_per_replica": capacity,
        "capacity_rps_per_replica_hw": half_width,
        "n_replications": replications,
    }
    saturated = {"load": 1.0, "throughput_rps": capacity, "throughput_rps_hw": half_width}
    yield described | saturated | {"n_requests": count * replications}
    for load, stream in zip(loads, streams[1:], strict=True):
        rate = load * capacity * configuration.replicas
        # Bursts and more replicas want longer runs for the same half-width.
        wanted = REQUESTS.get(load, MOST_REQUESTS) * max(1.0, configuration.arrival_scv / 2)
        count = int(scale * min(wanted, MOST_REQUESTS) / replications)
        runs = [measure(configuration, rate, count, s) for s in stream.spawn(replications)]
        row = described | {"load": load, "rate_rps_total": rate}
        row["n_requests"] = count * replications
        for name in runs[0]:
            row[name], row[f"{name}_hw"] = _mean_and_half_width([run[name] for run in runs])
        yield row


def read_configurations(path: Path) -> Iterator[tuple[Configuration, dict[str, str]]]:
    """Read a table back: the configuration of every row, and the row."""
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            yield _configuration(row), row


def _configuration(row: dict[str, str]) -> Configuration:
    return Configuration(
        group=row["group"],
        name=row["config"],
        base_ms=float(row["alpha"]),
        decode_ms=float(row["beta_decode"]),
        prefill_ms=float(row["beta_prefill"]),
        kv_ms=float(row["gamma_kv"]),
        inputs=_law(row, "in"),
        outputs=_law(row, "out"),
        max_batch=int(row["max_batch"]),
        chunk_tokens=int(row["chunk"]),
        kv_capacity=float(row["kv_cap"]),
        replicas=int(row["replicas"]),
        routing=row["routing"],
        arrival=row["arrival"],
        arrival_scv=float(row["arr_scv"]),
        prefix_hit_rate=float(row.get("prefix_hit_rate") or 0),
        draft_tokens=int(row.get("draft_tokens") or 0),
        acceptance=float(row.get("acceptance") or 0),
        least_ms=float(row.get("least_ms") or 0),
        least_token_ms=float(row.get("least_token_ms") or 0),
        queue_places=float(row.get("queue_places") or math.inf),
        role=row.get("role") or "aggregated",
    )


def _law(row: dict[str, str], side: str) -> LengthLaw:
    family = row[f"{side}_dist"]
    if family == "empirical":
        pairs = [pair.split(":") for pair in row[f"{side}_histogram"].split("|")]
        return LengthLaw.empirical(
            tuple(int(value) for value, _ in pairs), tuple(float(weight) for _, weight in pairs)
        )
    return LengthLaw(family, float(row[f"{side}_mean"]), float(row[f"{side}_cv"]))


def _described(configuration: Configuration) -> Row:
    inputs, outputs = configuration.inputs, configuration.outputs
    return {
        "group": configuration.group,
        "config": configuration.name,
        "dist": inputs.family,
        "alpha": configuration.base_ms,
        "beta_decode": configuration.decode_ms,
        "beta_prefill": configuration.prefill_ms,
        "gamma_kv": configuration.kv_ms,
        "in_dist": inputs.family,
        "in_mean": inputs.mean,
        "in_cv": inputs.cv,
        "out_dist": outputs.family,
        "out_mean": outputs.mean,
        "out_cv": outputs.cv,
        "max_batch": configuration.max_batch,
        "chunk": configuration.chunk_tokens,
        "kv_cap": configuration.kv_capacity,
        "replicas": configuration.replicas,
        "routing": configuration.routing,
        "arrival": configuration.arrival,
        "arr_scv": configuration.arrival_scv,
        "role": configuration.role,
        "prefix_hit_rate": configuration.prefix_hit_rate,
        "draft_tokens": configuration.draft_tokens,
        "acceptance": configuration.acceptance,
        "least_ms": configuration.least_ms,
        "least_token_ms": configuration.least_token_ms,
        "queue_places": configuration.queue_places,
        "in_histogram": _histogram(inputs),
        "out_histogram": _histogram(outputs),
    }


def _histogram(law: LengthLaw) -> str:
    return "|".join(f"{v}:{w:.6g}" for v, w in zip(law.values, law.weights, strict=True))


def _mean_and_half_width(values: Sequence[float]) -> tuple[float, float]:
    spread = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return float(np.mean(values)), STUDENT_T[len(values) - 1] * spread


def _shown(value: str | int | float, digits: int) -> str:
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)
