"""What loading KV caches from a store does to a service: columns beside those without a store."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.prefill_time import prefill_ms
from optimizer.fleet.stores import Store
from optimizer.kv import (
    KvShape,
    LoadDelay,
    RatioPolicy,
    SaturatingQuality,
    WholeModelTime,
    choose_ratio,
    load_delay,
    recompute_delay,
)
from optimizer.kv.delays import RECOMPUTE_OVERHEAD
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.model import ModelSpec
from optimizer.spec.precision import WEIGHT_BITS, Precision
from optimizer.spec.service import ServiceSpec
from optimizer.spec.storage import LEAST_RATIO, KvReuseSpec, QualitySpec, ReuseKind
from queue_models import Metric, Statistic

__all__ = ["LOADING_DELAYS", "Reuse", "cached_gb", "curve_of", "loading_ms", "reuse_options"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_BYTES_PER_GB = 1e9
_S_PER_H = 3600.0
# `kv_bytes_per_token` is stated for numbers of so many bits.
_BITS_STATED = 16.0
# Ratios that differ by less are one.
_SAME = 1e-9
_DTYPES: dict[str, type] = {
    "service": np.int64,
    "performance": np.int64,
    "is_prefix": np.bool_,
}


@dataclass(frozen=True, eq=False)
class Reuse:
    """What each candidate loads from a store; one entry each.

    Parameters
    ----------
    store
        Index of the store; -1: nothing is loaded.
    ratio
        Share of the cached tokens that is recomputed; 0 without a store.
    prefix_hit_rate
        Share of all prompt tokens that is not computed: those in the accelerator's own cache, and
        those loaded.
    mean_ms, tail_ms
        What loading adds to TTFT and E2E beyond the recomputing beside it: on average over all
        requests, and to one that loads.
    quality
        Of the answers; NaN where it does not depend on what is loaded.
    kept_gb
        What is kept for the service, once.
    hit_rate
        Share of requests that load.
    read_gb, written_gb
        Per request, on average over all.
    rate_limit_rps
        What the local store of a replica can feed; `inf` without one.
    """

    store: IntArray
    ratio: FloatArray
    prefix_hit_rate: FloatArray
    mean_ms: FloatArray
    tail_ms: FloatArray
    quality: FloatArray
    kept_gb: FloatArray
    hit_rate: FloatArray
    read_gb: FloatArray
    written_gb: FloatArray
    rate_limit_rps: FloatArray

    @classmethod
    def none(cls, spec: FleetSpec, service: IntArray) -> Self:
        """Return rows of these services without a store."""
        own = np.array([s.load.prefix_hit_rate for s in spec.services], dtype=np.float64)
        best = np.array(
            [
                np.nan if s.kv_reuse is None or s.kv_reuse.quality is None
                else s.kv_reuse.quality.at_one
                for s in spec.services
            ],
            dtype=np.float64,
        )  # fmt: skip
        zeros = np.zeros(len(service))
        return cls(
            store=np.full(len(service), -1, dtype=np.int64),
            ratio=zeros,
            prefix_hit_rate=own[service],
            mean_ms=zeros,
            tail_ms=zeros,
            quality=best[service],
            kept_gb=zeros,
            hit_rate=zeros,
            read_gb=zeros,
            written_gb=zeros,
            rate_limit_rps=np.full(len(service), np.inf),
        )

    def take(self, rows: IntArray) -> Self:
        """Return some rows."""
        return type(self)(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @classmethod
    def concatenate(cls, parts: list[Self]) -> Self:
        """Put rows after one another."""
        return cls(
            **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)}
        )


LOADING_DELAYS = (Metric.TTFT, Metric.E2E)
"""Latencies that loading adds to."""


def loading_ms(reuse: Reuse, statistic: Statistic) -> FloatArray:
    """Return what loading adds to a statistic of each row [ms]."""
    if statistic.metric not in LOADING_DELAYS:
        return np.zeros(len(reuse.store))
    return reuse.mean_ms if statistic.percentile is None else reuse.tail_ms


def reuse_options(
    spec: FleetSpec,
    stores: tuple[Store, ...],
    service: IntArray,
    performance: IntArray,
    ratios: FloatArray | None = None,
) -> tuple[IntArray, Reuse]:
    """Return every way to load from a store, for rows of services that reuse KV caches.

    Parameters
    ----------
    spec, stores
        The fleet.
    service, performance
        (P,), services with `kv_reuse` and their performance entries.
    ratios
        (P,), the one share recomputed that is asked about; None: those worth trying.

    Returns
    -------
    tuple[IntArray, Reuse]
        Row, 0 to P - 1, and options; by row, then store, then ratio.

    Notes
    -----
    A request that hits finds C tokens and recomputes the share r of them while it loads, so that
    both are done after max(load, recompute). What exceeds recomputing is added to its TTFT and E2E,
    the recomputed tokens to the work of the replica. It is added to percentiles whole, which bounds
    them from above, and to means times the hit rate. Of an exact prefix the first r C tokens are
    computed and the rest is kept and loaded; of chunks all are kept and loaded, and recomputing
    them selectively takes 5 % longer.
    """
    pairs = _Pairs.of(spec, service, performance)
    cached_gb = pairs.cached_gb[:, None, None]
    load = load_delay(
        KvShape(layers=1, elements_per_layer_token=_BYTES_PER_GB, bytes_per_element=1.0),
        cached_gb,
        bandwidth_gb_s=np.array([store.device.bandwidth_gb_s for store in stores])[:, None],
        latency_ms=np.array([store.device.latency_ms for store in stores])[:, None],
    )
    prefill = WholeModelTime(pairs.prefill_ms[:, None, None])
    tried = _ratios(spec, pairs, load, prefill) if ratios is None else ratios[:, None, None]
    tried = np.broadcast_to(tried, (len(service), len(stores), tried.shape[2]))
    loaded = np.where(pairs.is_prefix[:, None, None], 1.0 - tried, 1.0)
    loading = load.layer.whole_model(1) * loaded + load.latency * (loaded > 0)
    recompute = recompute_delay(
        tried, prefill, layers=1, overhead=pairs.overhead[:, None, None]
    ).whole
    exposed_ms = (loading.maximum(recompute) - recompute).ms
    at = np.nonzero(_usable(spec, stores, pairs, tried))
    row, place, _ = at
    ratio, share = tried[at], loaded[at]
    hits = pairs.hit_rate[row]
    saved = hits * pairs.cached[row] * np.maximum(1.0 - ratio * (1.0 + pairs.overhead[row]), 0.0)
    read_gb = hits * pairs.cached_gb[row] * share
    shared = np.array([store.is_shared for store in stores])[place]
    bandwidth = np.array([store.device.bandwidth_gb_s for store in stores])[place]
    options = Reuse(
        store=place,
        ratio=ratio,
        prefix_hit_rate=np.minimum(pairs.own_hit_rate[row] + saved / pairs.prompt[row], 1.0),
        mean_ms=hits * exposed_ms[at],
        tail_ms=exposed_ms[at],
        quality=_quality(spec, service[row], ratio),
        kept_gb=pairs.kept_gb[row] * share,
        hit_rate=np.where(share > 0, hits, 0.0),
        read_gb=read_gb,
        written_gb=(1.0 - hits) * pairs.cached_gb[row] * share,
        rate_limit_rps=np.divide(
            bandwidth, read_gb, out=np.full(len(row), np.inf), where=~shared & (read_gb > 0)
        ),
    )
    return row, options


@dataclass(frozen=True, eq=False, kw_only=True)
class _Pairs:
    """Figures of services and performance entries, (P,) each."""

    service: IntArray
    performance: IntArray
    is_prefix: BoolArray
    hit_rate: FloatArray
    cached: FloatArray
    cached_gb: FloatArray
    kept_gb: FloatArray
    prompt: FloatArray
    own_hit_rate: FloatArray
    prefill_ms: FloatArray
    overhead: FloatArray
    least: FloatArray

    @classmethod
    def of(cls, spec: FleetSpec, service: IntArray, performance: IntArray) -> Self:
        models = {model.name: model for model in spec.models}
        sizes: dict[tuple[str, Precision | None, float], float] = {}
        times: dict[tuple[int, float], float] = {}
        columns: dict[str, list[float]] = {f.name: [] for f in fields(cls)}
        for one, place in zip(service.tolist(), performance.tolist(), strict=True):
            own, entry = spec.services[one], spec.performance[place]
            reuse = own.kv_reuse
            assert reuse is not None
            tokens = reuse.cached_tokens
            size = (entry.model, entry.kv_precision, tokens)
            if size not in sizes:
                sizes[size] = cached_gb(models[entry.model], entry.kv_precision, tokens)
            if (place, tokens) not in times:
                times[place, tokens] = prefill_ms(entry, tokens)
            stored = sizes[size] / reuse.compression
            is_prefix = reuse.kind is ReuseKind.PREFIX
            for name, value in {
                "service": one,
                "performance": place,
                "is_prefix": is_prefix,
                "hit_rate": reuse.hit_rate,
                "cached": tokens,
                "cached_gb": stored,
                "kept_gb": _kept_gb(own, reuse, stored),
                "prompt": own.load.mean_input_tokens,
                "own_hit_rate": own.load.prefix_hit_rate,
                "prefill_ms": times[place, tokens],
                "overhead": 0.0 if is_prefix else RECOMPUTE_OVERHEAD,
                "least": _least_ratio(reuse),
            }.items():
                columns[name].append(value)
        return cls(
            **{
                name: np.array(values, dtype=_DTYPES.get(name, np.float64))
                for name, values in columns.items()
            }
        )


def cached_gb(model: ModelSpec, precision: Precision | None, tokens: float) -> float:
    """Return the KV cache of a context [GB], at 16 bits where no precision is stated."""
    bits = _BITS_STATED if precision is None else WEIGHT_BITS[precision]
    if model.kv_bytes_per_token is not None:
        return model.kv_bytes_per_token * tokens * bits / _BITS_STATED / _BYTES_PER_GB
    from optimizer.catalog import model as facts_of

    assert model.catalog is not None
    shape = KvShape.of_model(facts_of(model.catalog), bytes_per_element=bits / 8.0)
    return float(shape.total_bytes(tokens)) / _BYTES_PER_GB


def _kept_gb(service: ServiceSpec, reuse: KvReuseSpec, context_gb: float) -> float:
    """Return what is kept for a service: as stated, or by Little's law what new contexts make."""
    if reuse.working_set_gb is not None:
        return reuse.working_set_gb
    assert reuse.keep_hours is not None
    written_per_h = service.load.arrival_rate_rps * (1.0 - reuse.hit_rate) * _S_PER_H
    return written_per_h * reuse.keep_hours * context_gb


def _least_ratio(reuse: KvReuseSpec) -> float:
    """Return the least share recomputed that quality allows."""
    default = 0.0 if reuse.kind is ReuseKind.PREFIX else LEAST_RATIO
    least = default if reuse.minimum_ratio is None else reuse.minimum_ratio
    if reuse.quality is None or reuse.minimum_quality is None:
        return least
    wanted = curve_of(reuse.quality).ratio_for(reuse.minimum_quality)
    return max(least, 1.0 if wanted is None else wanted)


def curve_of(quality: QualitySpec) -> SaturatingQuality:
    """Return quality by ratio in the words of the loading controller."""
    return SaturatingQuality(
        at_zero=quality.at_zero, at_one=quality.at_one, rate=quality.rate, metric="quality"
    )


def _ratios(spec: FleetSpec, pairs: _Pairs, load: LoadDelay, prefill: WholeModelTime) -> FloatArray:
    """Return the shares worth trying, (P, stores, ratios), rising; NaN for none."""
    least = pairs.least[:, None, None]
    # Of a prefix less is loaded the more is computed: r f = latency + (1 - r) transfer.
    of_prefix = load.whole.ms / (prefill.ms + load.layer.ms)
    of_chunks = choose_ratio(load, prefill, policy=RatioPolicy(minimum_ratio=0.0)).ratio
    hidden = np.clip(np.where(pairs.is_prefix[:, None, None], of_prefix, of_chunks), least, 1.0)
    standard = np.concatenate([least + 0.0 * hidden, 0.5 * (least + hidden), hidden], axis=2)
    stated = [spec.services[one].kv_reuse for one in pairs.service.tolist()]
    lists = [() if r is None or r.recompute_ratios is None else r.recompute_ratios for r in stated]
    size = max(standard.shape[2], *(len(one) for one in lists))
    ratios = np.full((*standard.shape[:2], size), np.nan)
    ratios[:, :, : standard.shape[2]] = standard
    for row, own in enumerate(lists):
        if own:
            allowed = sorted({ratio for ratio in own if ratio >= pairs.least[row] - _SAME})
            ratios[row] = np.nan
            ratios[row, :, : len(allowed)] = allowed
    return ratios


def _usable(
    spec: FleetSpec, stores: tuple[Store, ...], pairs: _Pairs, ratios: FloatArray
) -> BoolArray:
    """Return which options stand for something, (P, stores, ratios); equal ratios count once."""
    pools = {accelerator.name: accelerator.pool for accelerator in spec.accelerators}
    reached = np.ones(ratios.shape[:2], dtype=np.bool_)
    for row, (one, place) in enumerate(
        zip(pairs.service.tolist(), pairs.performance.tolist(), strict=True)
    ):
        reuse, pool = spec.services[one].kv_reuse, pools[spec.performance[place].accelerator]
        assert reuse is not None
        reached[row] = [
            store.reaches(pool) and (reuse.stores is None or store.name in reuse.stores)
            for store in stores
        ]
    repeated = np.zeros(ratios.shape, dtype=np.bool_)
    repeated[:, :, 1:] = np.abs(np.diff(ratios, axis=2)) <= _SAME
    return reached[:, :, None] & ~repeated & ~np.isnan(ratios)


def _quality(spec: FleetSpec, service: IntArray, ratio: FloatArray) -> FloatArray:
    found = np.full(len(service), np.nan)
    for one in np.unique(service).tolist():
        reuse = spec.services[one].kv_reuse
        if reuse is not None and reuse.quality is not None:
            mine = service == one
            found[mine] = curve_of(reuse.quality).quality(ratio[mine])
    return found
