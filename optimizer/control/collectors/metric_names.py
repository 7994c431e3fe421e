"""Names of the figures that serving engines expose, in every spelling that is met.

Sources: vLLM's and SGLang's metrics pages and text-generation-inference's metrics reference, as of
2026. Names with a colon come as they are, or with an underscore from exporters that escape them for
scrapers that do not ask for UTF-8; a pattern takes both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["ENGINES", "EngineMetrics"]


@dataclass(frozen=True, slots=True)
class EngineMetrics:
    """Patterns of one engine's names, the newest first; none where it has no such figure.

    Parameters
    ----------
    waiting, running, kv_usage
        Gauges: requests that wait and that run, share of the KV cache in use.
    completed
        Counter of requests that are over.
    input_sum, input_count, output_sum, output_count
        Counters: sums of lengths [tokens] and counts of what they sum over.
    ttft_sum, ttft_count, itl_sum, itl_count
        Counters: sums of times [s] and counts.
    model_label
        Label with the name under which the model is served.
    """

    waiting: tuple[str, ...]
    running: tuple[str, ...]
    kv_usage: tuple[str, ...]
    completed: tuple[str, ...]
    input_sum: tuple[str, ...]
    input_count: tuple[str, ...]
    output_sum: tuple[str, ...]
    output_count: tuple[str, ...]
    ttft_sum: tuple[str, ...]
    ttft_count: tuple[str, ...]
    itl_sum: tuple[str, ...]
    itl_count: tuple[str, ...]
    model_label: str


def _vllm() -> EngineMetrics:
    p = "vllm[:_]"
    itl = (f"{p}inter_token_latency_seconds", f"{p}time_per_output_token_seconds")
    return EngineMetrics(
        waiting=(f"{p}num_requests_waiting",),
        running=(f"{p}num_requests_running",),
        kv_usage=(f"{p}kv_cache_usage_perc", f"{p}gpu_cache_usage_perc"),
        completed=(f"{p}request_success_total", f"{p}request_success"),
        input_sum=(f"{p}request_prompt_tokens_sum",),
        input_count=(f"{p}request_prompt_tokens_count",),
        output_sum=(f"{p}request_generation_tokens_sum",),
        output_count=(f"{p}request_generation_tokens_count",),
        ttft_sum=(f"{p}time_to_first_token_seconds_sum",),
        ttft_count=(f"{p}time_to_first_token_seconds_count",),
        itl_sum=tuple(f"{name}_sum" for name in itl),
        itl_count=tuple(f"{name}_count" for name in itl),
        model_label="model_name",
    )


def _sglang() -> EngineMetrics:
    p = "sglang[:_]"
    itl = (f"{p}inter_token_latency_seconds", f"{p}time_per_output_token_seconds")
    requests = (f"{p}num_requests_total", f"{p}num_requests")
    return EngineMetrics(
        waiting=(f"{p}num_queue_reqs",),
        running=(f"{p}num_running_reqs",),
        kv_usage=(f"{p}token_usage",),
        completed=requests,
        input_sum=(f"{p}prompt_tokens_total", f"{p}prompt_tokens"),
        input_count=requests,
        output_sum=(f"{p}generation_tokens_total", f"{p}generation_tokens"),
        output_count=requests,
        ttft_sum=(f"{p}time_to_first_token_seconds_sum",),
        ttft_count=(f"{p}time_to_first_token_seconds_count",),
        itl_sum=tuple(f"{name}_sum" for name in itl),
        itl_count=tuple(f"{name}_count" for name in itl),
        model_label="model_name",
    )


def _tgi() -> EngineMetrics:
    return EngineMetrics(
        waiting=("tgi_queue_size",),
        running=("tgi_batch_current_size",),
        kv_usage=(),
        completed=("tgi_request_success_total", "tgi_request_success"),
        input_sum=("tgi_request_input_length_sum",),
        input_count=("tgi_request_input_length_count",),
        output_sum=("tgi_request_generated_tokens_sum",),
        output_count=("tgi_request_generated_tokens_count",),
        ttft_sum=(),
        ttft_count=(),
        itl_sum=("tgi_request_mean_time_per_token_duration_sum",),
        itl_count=("tgi_request_mean_time_per_token_duration_count",),
        model_label="model_name",
    )


ENGINES: Mapping[str, EngineMetrics] = MappingProxyType(
    {"vllm": _vllm(), "sglang": _sglang(), "tgi": _tgi()}
)
"""Names by engine."""
