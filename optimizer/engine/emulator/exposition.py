"""`/metrics`: what replicas show, under vLLM's names with its labels and buckets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from optimizer.engine.fleet_metrics import Histogram, ReplicaMetrics
from optimizer.engine.meters import Distribution
from optimizer.engine.rules import EngineConfig

__all__ = ["CONTENT_TYPE", "Exposition"]

# Whatever a scraper prefers: escaped into OpenMetrics the names would lose their colon.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_GAUGES = {
    "num_requests_running": ("running", "Requests in the batch."),
    "num_requests_waiting": ("waiting", "Requests that wait to join the batch."),
    "kv_cache_usage_perc": ("kv_usage", "KV blocks in use, as a share of 1."),
}
_COUNTERS = {
    "prefix_cache_queries": ("prefix_queries", "Tokens looked up in the prefix cache."),
    "prefix_cache_hits": ("prefix_hits", "Tokens found in the prefix cache."),
    "num_preemptions": ("preemptions", "Preemptions so far."),
    "prompt_tokens": ("prompt_tokens", "Prompt tokens processed."),
    "prompt_tokens_cached": ("cached_prompt_tokens", "Prompt tokens found in the prefix cache."),
    "generation_tokens": ("generation_tokens", "Tokens generated."),
}
_DRAFT_COUNTERS = {
    "spec_decode_num_drafts": ("drafts", "Times that tokens were drafted."),
    "spec_decode_num_draft_tokens": ("draft_tokens", "Tokens drafted."),
    "spec_decode_num_accepted_tokens": (
        "accepted_draft_tokens",
        "Drafted tokens that were accepted.",
    ),
}
# Of what an emulated engine does not have: there, and 0.
_NOTHING = {
    "external_prefix_cache_queries": "Tokens looked up in a prefix cache of others.",
    "external_prefix_cache_hits": "Tokens found in a prefix cache of others.",
    "mm_cache_queries": "Images and the like looked up in their cache.",
    "mm_cache_hits": "Images and the like found in their cache.",
}
_SLEEP_STATES = {"awake": 1.0, "weights_offloaded": 0.0, "discard_all": 0.0}
_HISTOGRAMS = {
    "time_to_first_token_seconds": (Distribution.TTFT, "Time to the first token."),
    "inter_token_latency_seconds": (Distribution.ITL, "Time between two tokens of a request."),
    "request_time_per_output_token_seconds": (
        Distribution.TPOT,
        "Mean time per output token of a request, after the first.",
    ),
    "e2e_request_latency_seconds": (Distribution.E2E, "Time from arrival to the last token."),
    "request_queue_time_seconds": (Distribution.QUEUE, "Time from arrival to the batch."),
    "request_inference_time_seconds": (Distribution.INFERENCE, "Time from batch to last token."),
    "request_prefill_time_seconds": (Distribution.PREFILL, "Time from batch to first token."),
    "request_decode_time_seconds": (Distribution.DECODE, "Time from first to last token."),
    "request_prompt_tokens": (Distribution.PROMPT_TOKENS, "Prompt tokens of a request."),
    "request_generation_tokens": (Distribution.GENERATION_TOKENS, "Output tokens of a request."),
    "request_max_num_generation_tokens": (
        Distribution.MAX_GENERATION_TOKENS,
        "Output tokens of a request, the most among its outputs.",
    ),
    "request_params_max_tokens": (Distribution.PARAMS_MAX_TOKENS, "max_tokens of a request."),
    "request_prefill_kv_computed_tokens": (
        Distribution.PREFILL_COMPUTED_TOKENS,
        "Prompt tokens of a request that were computed, not found in the cache.",
    ),
    "iteration_tokens_total": (Distribution.ITERATION_TOKENS, "Tokens of an engine step."),
    "request_params_n": (Distribution.PARAMS_N, "n of a request."),
    "request_num_preemptions": (Distribution.PREEMPTIONS, "Preemptions of a request."),
}
# What metrics were called before vLLM 0.11.
_FORMER = {
    "kv_cache_usage_perc": "gpu_cache_usage_perc",
    "prefix_cache_queries": "gpu_prefix_cache_queries",
    "prefix_cache_hits": "gpu_prefix_cache_hits",
    "inter_token_latency_seconds": "time_per_output_token_seconds",
}


class Exposition:
    """Writes metrics as Prometheus reads them.

    Parameters
    ----------
    model
        Label `model_name`.
    config
        For `vllm:cache_config_info`.
    former_names
        Whether metrics that have been renamed are there under both names.
    """

    def __init__(self, model: str, config: EngineConfig, *, former_names: bool = False) -> None:
        self._model = model
        self._config = config
        self._former = _FORMER if former_names else {}

    def text(self, seen: Sequence[ReplicaMetrics], *, alone: bool = False) -> bytes:
        """Return the text.

        Parameters
        ----------
        seen
            Replicas; the label `engine` is the number of each.
        alone
            Of a single replica, as a server of its own: its `engine` is 0.
        """
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Families(list(self._families(seen, alone=alone))))
        return generate_latest(registry)

    def _families(self, seen: Sequence[ReplicaMetrics], *, alone: bool) -> Iterator[Metric]:
        rows = [("0" if alone else str(one.replica), one) for one in seen]
        for name, (field, words) in _GAUGES.items():
            for spelt in self._names(name):
                gauge = GaugeMetricFamily(spelt, words, labels=("model_name", "engine"))
                for engine, one in rows:
                    gauge.add_metric((self._model, engine), float(getattr(one, field)))
                yield gauge
        yield self._waiting_by_reason(rows)
        yield self._cache_config(rows)
        yield self._sleep_state(rows)
        drafting = self._config.draft_tokens > 0
        counters = _COUNTERS | (_DRAFT_COUNTERS if drafting else {})
        for name, (field, words) in counters.items():
            for spelt in self._names(name):
                counter = CounterMetricFamily(spelt, words, labels=("model_name", "engine"))
                for engine, one in rows:
                    counter.add_metric((self._model, engine), float(getattr(one, field)))
                yield counter
        for name, words in _NOTHING.items():
            counter = CounterMetricFamily(f"vllm:{name}", words, labels=("model_name", "engine"))
            for engine, _ in rows:
                counter.add_metric((self._model, engine), 0.0)
            yield counter
        if drafting:
            yield self._accepted_by_place(rows)
        yield from self._requests(rows)
        for name, (distribution, words) in _HISTOGRAMS.items():
            for spelt in self._names(name):
                family = HistogramMetricFamily(spelt, words, labels=("model_name", "engine"))
                for engine, one in rows:
                    found = one.histograms[distribution]
                    family.add_metric((self._model, engine), _buckets(found), found.sum)
                yield family

    def _names(self, name: str) -> Iterator[str]:
        yield f"vllm:{name}"
        if name in self._former:
            yield f"vllm:{self._former[name]}"

    def _waiting_by_reason(self, rows: list[tuple[str, ReplicaMetrics]]) -> Metric:
        family = GaugeMetricFamily(
            "vllm:num_requests_waiting_by_reason",
            "Requests that wait, by what for.",
            labels=("model_name", "engine", "reason"),
        )
        for engine, one in rows:
            family.add_metric((self._model, engine, "capacity"), float(one.waiting))
            family.add_metric((self._model, engine, "deferred"), 0.0)
        return family

    def _sleep_state(self, rows: list[tuple[str, ReplicaMetrics]]) -> Metric:
        family = GaugeMetricFamily(
            "vllm:engine_sleep_state",
            "Whether the engine is awake; the emulated ones always are.",
            labels=("model_name", "engine", "sleep_state"),
        )
        for engine, _ in rows:
            for name, value in _SLEEP_STATES.items():
                family.add_metric((self._model, engine, name), value)
        return family

    def _accepted_by_place(self, rows: list[tuple[str, ReplicaMetrics]]) -> Metric:
        family = CounterMetricFamily(
            "vllm:spec_decode_num_accepted_tokens_per_pos",
            "Drafted tokens that were accepted, by their place in the draft.",
            labels=("model_name", "engine", "position"),
        )
        for engine, one in rows:
            for place, accepted in enumerate(one.accepted_by_place):
                family.add_metric((self._model, engine, str(place)), float(accepted))
        return family

    def _cache_config(self, rows: list[tuple[str, ReplicaMetrics]]) -> Metric:
        family = GaugeMetricFamily(
            "vllm:cache_config_info",
            "Settings of the KV cache.",
            labels=("block_size", "enable_prefix_caching", "num_gpu_blocks", "engine"),
        )
        config = self._config
        settings = (str(config.block_size), str(config.prefix_caching), str(config.num_blocks))
        for engine, _ in rows:
            family.add_metric((*settings, engine), 1.0)
        return family

    def _requests(self, rows: list[tuple[str, ReplicaMetrics]]) -> Iterator[Metric]:
        done = CounterMetricFamily(
            "vllm:request_success",
            "Requests that are over, by how they ended.",
            labels=("model_name", "engine", "finished_reason"),
        )
        refused = CounterMetricFamily(
            "vllm:admission_rejections",
            "Requests that were turned away.",
            labels=("model_name", "engine", "reason"),
        )
        by_source = CounterMetricFamily(
            "vllm:prompt_tokens_by_source",
            "Prompt tokens, by where their KV cache came from.",
            labels=("model_name", "engine", "source"),
        )
        for engine, one in rows:
            for reason, count in one.finished.items():
                done.add_metric((self._model, engine, reason), float(count))
            refused.add_metric((self._model, engine, "queue_full"), float(one.refused))
            cached = one.cached_prompt_tokens
            for source, tokens in (
                ("local_compute", one.prompt_tokens - cached),
                ("local_cache_hit", cached),
                ("external_kv_transfer", 0),
            ):
                by_source.add_metric((self._model, engine, source), float(tokens))
        yield from (done, refused, by_source)


class _Families(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    return [
        ("+Inf" if edge == math.inf else repr(edge), float(count))
        for edge, count in zip(histogram.edges, histogram.cumulative, strict=True)
    ]
