"""Models, and how fast each runs on each accelerator."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from optimizer.spec.base import Milliseconds, Name, NonNegative, Positive, SpecModel, Tokens
from optimizer.spec.precision import Precision

__all__ = [
    "IterationTableSpec",
    "IterationTimingSpec",
    "ModelSpec",
    "PerformanceSpec",
    "PrefillDecodeTimingSpec",
    "SpeculativeDecodingSpec",
    "TimingUncertaintySpec",
]

_Correlation = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
Correlations = Annotated[
    tuple[_Correlation, _Correlation, _Correlation, _Correlation], Field(strict=False)
]
IterationTime = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]


class ModelSpec(SpecModel):
    """A model that services serve."""

    name: Name = Field(description="Name that performance data, classes and services use.")
    catalog: Name | None = Field(
        default=None,
        description="Entry of the built-in catalogue (a hub id such as meta-llama/Llama-3.1-8B).",
    )
    config: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="Path of a Hugging Face `config.json`, instead of a catalogue entry: what "
        "estimates are made from. Relative paths start at the fleet file's folder.",
    )
    parameters: Positive | None = Field(
        default=None, description="Number of parameters, all experts included."
    )
    weights_gb: Positive | None = Field(
        default=None,
        description="Size of the weights as they are served [GB = 1e9 bytes]; with it, "
        "accelerators they do not fit on are refused. By default, when the model comes from the "
        "catalogue, its parameters at `weight_bits`.",
    )
    weight_bits: Positive | None = Field(
        default=None,
        description="Bits per parameter as served; by default the catalogue's native precision.",
    )
    kv_bytes_per_token: Positive | None = Field(
        default=None,
        description="KV cache of one token at 16 bits per number [bytes]; by default the "
        "catalogue's.",
    )


class IterationTimingSpec(SpecModel):
    """Iteration time: base + decode tokens + prompt tokens + tokens in the KV cache, each linear.

    The 3-parameter form of inferno (alpha, beta, gamma) is base = alpha, decode = prefill = beta,
    kv = gamma.
    """

    base_ms: float = Field(
        gt=0, le=1e9, allow_inf_nan=False, description="Time of an empty iteration [ms]."
    )
    decode_ms_per_token: Milliseconds = Field(description="Per decode token of the iteration [ms].")
    prefill_ms_per_token: Milliseconds = Field(
        description="Per prompt token processed in the iteration [ms]."
    )
    kv_ms_per_token: Milliseconds = Field(
        default=0.0, description="Per token in the KV caches read by the iteration [ms]."
    )


class PrefillDecodeTimingSpec(SpecModel):
    """Prefill and decode times linear in the requests in service.

    prefill = prefill_base + prefill_per_token x input tokens x requests; decode = decode_base +
    decode_per_request x requests. The 4-parameter form of inferno: decode alpha, beta; prefill
    gamma, delta.
    """

    decode_base_ms: Milliseconds = Field(description="Time per token with no other request [ms].")
    decode_ms_per_request: Milliseconds = Field(description="More per request in service [ms].")
    prefill_base_ms: Milliseconds = Field(description="Time to start a prefill [ms].")
    prefill_ms_per_token: Milliseconds = Field(
        description="Per input token and request in service [ms]."
    )


class IterationTableSpec(SpecModel):
    """Iteration times measured or computed at the points of a grid, linear between them.

    `time_ms[i][j][k]` is the time with the i-th of `decode_tokens`, the j-th of `prefill_tokens`
    and the k-th of `kv_tokens`. Beyond the last points it goes on as between the last two; an axis
    of one point does not matter.
    """

    decode_tokens: tuple[Tokens, ...] = Field(
        strict=False, description="Decode tokens of the iteration [tokens], rising."
    )
    prefill_tokens: tuple[Tokens, ...] = Field(
        strict=False, description="Prompt tokens of the iteration [tokens], rising."
    )
    kv_tokens: tuple[Tokens, ...] = Field(
        strict=False, description="Tokens in the KV caches that it reads [tokens], rising."
    )
    time_ms: tuple[
        Annotated[
            tuple[Annotated[tuple[IterationTime, ...], Field(strict=False)], ...],
            Field(strict=False),
        ],
        ...,
    ] = Field(
        strict=False,
        description="Iteration times [ms] by decode, prompt and KV tokens; none may fall with more "
        "work.",
    )


class SpeculativeDecodingSpec(SpecModel):
    """Speculative decoding: a cheap draft is checked in one iteration."""

    draft_tokens: int = Field(ge=1, le=1024, description="Tokens drafted per iteration.")
    acceptance_rate: float = Field(
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Chance that a drafted token is accepted when those before it were.",
    )


class TimingUncertaintySpec(SpecModel):
    """How well the coefficients of `iteration`, else of `prefill_decode`, are known, in order.

    A tuner states it beside what it learnt; `optimizer.performance_confidence` makes it a margin.
    """

    log_sd: tuple[
        Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)],
        Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)],
        Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)],
        Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)],
    ] = Field(
        strict=False,
        description="Standard deviation of the logarithm of true over stated, of each coefficient.",
    )
    correlation: tuple[Correlations, Correlations, Correlations, Correlations] | None = Field(
        default=None,
        strict=False,
        description="Correlation of each of these errors with each; by default they are "
        "independent. Learnt coefficients are tied together: their sum over a service's work is "
        "known far better than each.",
    )
    observations: int | None = Field(
        default=None, ge=0, le=10**12, description="How many observations they come from."
    )


class PerformanceSpec(SpecModel):
    """How one model runs on one accelerator in one configuration, with at least one timing.

    A model may have several on one accelerator: they differ in instances, parallelism, precision
    or engine settings, and services choose among them.
    """

    model: Name = Field(description="Model, as in `models[].name`.")
    accelerator: Name = Field(description="Accelerator, as in `accelerators[].name`.")
    instances: int = Field(
        default=1,
        ge=1,
        le=4096,
        description="Accelerator instances that one replica takes; by default as many as the cards "
        "of `tensor_parallel` x `pipeline_parallel` make up, else 1.",
    )
    tensor_parallel: int | None = Field(
        default=None, ge=1, le=4096, description="Cards that each layer is divided over."
    )
    pipeline_parallel: int | None = Field(
        default=None, ge=1, le=4096, description="Stages that the layers are divided into."
    )
    weight_precision: Precision | None = Field(
        default=None,
        strict=False,
        description="Precision that the weights are served in; by default the model's.",
    )
    kv_precision: Precision | None = Field(
        default=None, strict=False, description="Precision of the KV cache."
    )
    max_batch: int = Field(
        ge=1, le=65536, description="Most requests in service together on one replica."
    )
    start_up_s: NonNegative | None = Field(
        default=None,
        description="Time until a new replica serves [s]; by default "
        "`optimizer.transition.start_up_s`.",
    )
    max_batch_at_output_tokens: Positive | None = Field(
        default=None,
        description="Output length at which `max_batch` holds; it then scales inversely with a "
        "service's mean output length. Without it, `max_batch` holds for every length.",
    )
    chunk_tokens: int | None = Field(
        default=None,
        ge=1,
        le=10**9,
        description="Most prompt and decode tokens of one iteration (chunked prefill) [tokens]; by "
        "default 8192.",
    )
    kv_capacity_tokens: Positive | None = Field(
        default=None,
        description="Tokens that the KV cache of one replica holds [tokens]; by default as many as "
        "`max_batch` requests need.",
    )
    speculative_decoding: SpeculativeDecodingSpec | None = Field(
        default=None, description="Speculative decoding, where the engine uses it."
    )
    iteration: IterationTimingSpec | None = Field(
        default=None, description="Timing by iteration: for continuous batching."
    )
    iteration_table: IterationTableSpec | None = Field(
        default=None,
        description="Timing by iteration from a table; goes before `iteration` where the queue "
        "model reads tables.",
    )
    prefill_decode: PrefillDecodeTimingSpec | None = Field(
        default=None, description="Timing by phase: inferno's 4-parameter form."
    )
    uncertainty: TimingUncertaintySpec | None = Field(
        default=None, description="How well the coefficients of the timing are known."
    )
    source: str | None = Field(
        default=None, max_length=2000, description="Where the figures come from."
    )
    log_sd: float | None = Field(
        default=None,
        ge=0,
        le=10,
        allow_inf_nan=False,
        description="Uncertainty of the times: standard deviation of the logarithm of true over "
        "stated. Estimates carry it; measurements need none.",
    )

    @property
    def parallel_cards(self) -> int | None:
        """Cards that the stated parallelism is for; None where it states none."""
        if self.tensor_parallel is None and self.pipeline_parallel is None:
            return None
        return (self.tensor_parallel or 1) * (self.pipeline_parallel or 1)

    @property
    def configuration(self) -> str:
        """What tells it from others of its model and accelerator, as `x4 TP4 fp8, KV fp8`.

        Empty where it states nothing but times.
        """
        degrees = (
            ("x", self.instances),
            ("TP", self.tensor_parallel),
            ("PP", self.pipeline_parallel),
        )
        words = [f"{name}{n}" for name, n in degrees if n is not None and (name, n) != ("x", 1)]
        if self.weight_precision is not None:
            words.append(self.weight_precision.value)
        settings = [" ".join(words)] if words else []
        if self.kv_precision is not None:
            settings.append(f"KV {self.kv_precision.value}")
        if self.kv_capacity_tokens is not None and self.log_sd is None:
            settings.append(f"KV of {self.kv_capacity_tokens:g} tokens")
        if self.chunk_tokens is not None:
            settings.append(f"chunks of {self.chunk_tokens}")
        if self.speculative_decoding is not None:
            settings.append(f"{self.speculative_decoding.draft_tokens} drafted")
        return ", ".join(settings)
