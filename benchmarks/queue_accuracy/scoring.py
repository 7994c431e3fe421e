"""How far a queue model is from simulated reference tables."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from queue_models import (
    IterationTiming,
    Lengths,
    Metric,
    QueueModel,
    Role,
    Routing,
    ServiceProcess,
    Statistic,
    TableTiming,
    Targets,
)
from queue_models.arrays import FloatArray

__all__ = ["STATISTICS", "Case", "Score", "read_cases", "scores", "table_of"]

STATISTICS: Mapping[str, Statistic] = {
    f"{metric}_{name}": Statistic(Metric(f"{metric}_ms"), percentile)
    for metric in ("ttft", "wait", "itl", "tpot", "e2e")
    for name, percentile in (("mean", None), ("p50", 50.0), ("p95", 95.0), ("p99", 99.0))
}
"""Columns of a reference table that a model answers."""

# The shared table's lengths were cut here; tables of this package name no limit.
_SHARED_LIMIT = 16384.0

# From this load on the half-width of the simulation is taken off an error.
HIGH_LOAD = 0.85

_UNLIMITED = 1e17
_QUANTILES = 20_000
_ROUTING = {
    "random": Routing.RANDOM,
    "round_robin": Routing.ROUND_ROBIN,
    "jsq": Routing.LEAST_OUTSTANDING,
}
_ROLE = {"": Role.AGGREGATED} | {role.name.lower(): role for role in Role}

_LAW = ("alpha", "beta_decode", "beta_prefill", "gamma_kv")

# Points of the table of a bent law: decode tokens, prompt tokens, tokens in the KV cache.
_AXES = (
    np.concatenate([np.arange(0.0, 64.0, 8.0), np.arange(64.0, 513.0, 64.0)]),
    np.concatenate([np.arange(0.0, 512.0, 32.0), np.geomspace(512.0, 65536.0, 24)]),
    np.concatenate([[0.0], np.geomspace(1e3, 1e7, 9)]),
)

Row = Mapping[str, str]


@dataclass(frozen=True)
class Case:
    """Rows of one table as a process, their rates per replica [1/s] and their rows."""

    service: ServiceProcess
    rate_rps: FloatArray
    rows: Sequence[Row]

    def column(self, name: str) -> FloatArray:
        """Return a column, NaN where a row has no value."""
        return np.array([float(row.get(name) or "nan") for row in self.rows])


@dataclass(frozen=True)
class Score:
    """Median, ninth decile and largest |relative error| over the rows of a group, in percent."""

    group: str
    statistic: str
    loads: str
    rows: int
    median: float
    ninth_decile: float
    largest: float


def read_cases(path: Path) -> Iterator[Case]:
    """Yield the rows of a reference table whose arrivals the models know, but saturated ones.

    Those of linear iteration times are one case, those of bent ones another, with a table each.
    """
    with path.open(encoding="utf-8") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["arrival"] != "mmpp2" and float(row["load"]) != 1
        ]
    bent = [float(row.get("least_token_ms") or 0) > 0 for row in rows]
    for kind in (False, True):
        some = [row for row, is_bent in zip(rows, bent, strict=True) if is_bent == kind]
        if some:
            yield _case(some, bent=kind)


def _case(rows: Sequence[Row], *, bent: bool) -> Case:
    bare = Case(ServiceProcess(IterationTiming(1, 0, 0), 1, 1, 1), np.zeros(0), rows)
    limit = np.inf if "role" in rows[0] else _SHARED_LIMIT
    cache, places = bare.column("kv_cap"), bare.column("queue_places")
    optional = {
        name: np.nan_to_num(bare.column(column))
        for name, column in (
            ("prefix_hit_rate", "prefix_hit_rate"),
            ("draft_tokens", "draft_tokens"),
            ("acceptance_rate", "acceptance"),
        )
    }
    service = ServiceProcess(
        _table_timing(bare) if bent else IterationTiming(*map(bare.column, _LAW)),
        Lengths.stack([_lengths(row, "in", limit) for row in rows]),
        Lengths.stack([_lengths(row, "out", limit) for row in rows]),
        bare.column("max_batch"),
        arrival_scv=bare.column("arr_scv"),
        chunk_tokens=bare.column("chunk"),
        kv_capacity_tokens=np.where(cache > _UNLIMITED, np.inf, cache),
        queue_capacity=np.where(np.isnan(places), np.inf, places),
        replicas=bare.column("replicas"),
        routing=np.array([_ROUTING[row["routing"]] for row in rows]),
        role=np.array([_ROLE[row.get("role", "")] for row in rows]),
        **optional,
    )
    rate = bare.column("rate_rps_total") / bare.column("replicas")
    return Case(service, rate, rows)


def _table_timing(rows: Case) -> TableTiming:
    """Return a table of the bent law of every row."""
    law = [rows.column(name) for name in _LAW]
    least, per_token = rows.column("least_ms"), rows.column("least_token_ms")
    shape = (-1, 1, 1, 1)
    base, of_decode, of_prompt, of_cache = (part.reshape(shape) for part in law)
    decode, prompt, cache = np.meshgrid(*_AXES, indexing="ij")
    computed = least.reshape(shape) + per_token.reshape(shape) * (decode + prompt)
    memory = base + of_decode * decode + of_prompt * prompt + of_cache * cache
    return TableTiming(*_AXES, np.maximum(memory, computed))


def _lengths(row: Row, side: str, limit: float) -> Lengths:
    from scipy.special import ndtri

    family, mean = row[f"{side}_dist"], float(row[f"{side}_mean"])
    if family == "fixed":
        return Lengths.fixed(mean)
    if family == "geometric":
        return Lengths.geometric(mean)
    if family == "empirical":
        pairs = [pair.split(":") for pair in row[f"{side}_histogram"].split("|")]
        return Lengths.empirical([float(v) for v, _ in pairs], [float(w) for _, w in pairs])
    scv = float(row[f"{side}_cv"]) ** 2
    if np.isinf(limit):
        return Lengths.lognormal(mean, scv)
    spread = np.log1p(scv)
    middle = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    drawn = mean * np.exp(np.sqrt(spread) * ndtri(middle) - spread / 2)
    return Lengths.empirical(np.minimum(drawn, limit))


def scores(model: QueueModel, case: Case) -> Iterator[Score]:
    """Score a model on every group of a table, apart at loads up to 0.8 and above."""
    answers = model.evaluate(case.service, case.rate_rps, list(STATISTICS.values()))
    capacity = model.max_rate(case.service, Targets())
    errors = {"capacity": np.abs(capacity / case.column("capacity_rps_per_replica") - 1)}
    high = case.column("load") > HIGH_LOAD
    for name, statistic in STATISTICS.items():
        reference = case.column(name)
        error = np.abs(answers.value(statistic) / reference - 1)
        noise = case.column(f"{name}_hw") / reference
        errors[name] = np.where(high, np.maximum(error - noise, 0.0), error)
    groups = np.array([row["group"] for row in case.rows])
    for group in dict.fromkeys(groups.tolist()):
        for loads, of_load in (("to 0.8", ~high), ("above", high)):
            for name, error in errors.items():
                part = 100 * error[(groups == group) & of_load & np.isfinite(error)]
                if part.size:
                    decile = float(np.quantile(part, 0.9))
                    middle = float(np.median(part))
                    yield Score(group, name, loads, part.size, middle, decile, float(part.max()))


def table_of(found: Sequence[Score]) -> str:
    """Return scores as lines of text: median / ninth decile / largest error in percent."""
    header = f"{'group':18} {'loads':7} {'statistic':10} {'rows':>4}  median   p90    max  [%]"
    lines = [
        f"{s.group:18} {s.loads:7} {s.statistic:10} {s.rows:4d} "
        f"{s.median:7.1f} {s.ninth_decile:6.1f} {s.largest:6.1f}"
        for s in found
    ]
    return "\n".join([header, *lines])
