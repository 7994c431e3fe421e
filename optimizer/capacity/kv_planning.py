"""Choices about the KV cache: its size over contexts, its format, the context a budget allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optimizer.capacity.errors import require_positive
from optimizer.capacity.kv_cache import KVCacheDetail, kv_cache_detail
from optimizer.capacity.model_architecture import ModelSource, as_model
from optimizer.catalog import AcceleratorFacts

__all__ = [
    "KVPrecisionAdvice",
    "best_context_len",
    "context_sweep",
    "doubling_lengths",
    "recommend_kv_precision",
]

_FIRST_LENGTH = 512
# From the most exact: a narrower cache is advised only where a wider one does not fit.
_NARROW_FORMATS = ("fp8", "nvfp4")


def doubling_lengths(longest: int, first: int = _FIRST_LENGTH) -> list[int]:
    """Context lengths from `first`, doubling, up to and with `longest`."""
    lengths = []
    length = min(first, longest)
    while length < longest:
        lengths.append(length)
        length *= 2
    return [*lengths, longest]


def context_sweep(
    detail: KVCacheDetail, lengths: Sequence[int], batch_size: int | None = None
) -> list[KVCacheDetail]:
    """Return the same cache at each of these context lengths.

    Raises
    ------
    CapacityError
        If a length is no whole number of at least 1.
    """
    return [detail.at(length, batch_size) for length in lengths]


def best_context_len(
    detail: KVCacheDetail, budget_bytes: float, *, longest: int, batch_size: int = 1
) -> int:
    """Longest context, at most `longest`, at which a batch fits into a budget; 0 when none does.

    Raises
    ------
    CapacityError
        If an argument is out of its range.
    """
    budget = require_positive("budget_bytes", budget_bytes)
    low, high = 0, detail.at(longest, batch_size).context_len
    while low < high:
        middle = (low + high + 1) // 2
        if detail.at(middle, batch_size).kv_cache_size_bytes <= budget:
            low = middle
        else:
            high = middle - 1
    return low


@dataclass(frozen=True, slots=True, kw_only=True)
class KVPrecisionAdvice:
    """Which format of the KV cache to take.

    Parameters
    ----------
    kv_dtype
        The most exact format that fits; None when none does.
    reason
        Why, in one sentence.
    options
        The cache in every format considered, the most exact first.
    """

    kv_dtype: str | None
    reason: str
    options: tuple[KVCacheDetail, ...]


def recommend_kv_precision(
    model: ModelSource,
    *,
    budget_bytes: float,
    context_len: int,
    batch_size: int = 1,
    accelerator: AcceleratorFacts | None = None,
) -> KVPrecisionAdvice:
    """Advise the most exact format of the KV cache in which a batch fits into a budget.

    Parameters
    ----------
    model
        The model.
    budget_bytes
        Bytes there are for the KV cache of the whole model.
    context_len, batch_size
        Tokens of a request; requests.
    accelerator
        Rules out fp8 and nvfp4 where it cannot compute in them; None rules out nothing.

    Raises
    ------
    CapacityError
        If an argument is out of its range.
    """
    budget = require_positive("budget_bytes", budget_bytes)
    architecture = as_model(model).architecture
    rates = {
        "fp8": accelerator is None or accelerator.fp8_tflops is not None,
        "nvfp4": accelerator is None or accelerator.fp4_tflops is not None,
    }
    names = [architecture.native_format.name, *(name for name in _NARROW_FORMATS if rates[name])]
    options = [
        kv_cache_detail(architecture, kv_dtype=name, context_len=context_len, batch_size=batch_size)
        for name in names
    ]
    fitting = [option for option in options if option.kv_cache_size_bytes <= budget]
    if not fitting:
        least = min(option.kv_cache_size_bytes for option in options)
        reason = f"even {options[-1].kv_data_type} needs {least / 1e9:.2f} GB of {budget / 1e9:.2f}"
        return KVPrecisionAdvice(kv_dtype=None, reason=reason, options=tuple(options))
    best = fitting[0]
    reason = f"{best.kv_data_type} takes {best.kv_cache_size_gb:.2f} of {budget / 1e9:.2f} GB"
    if best is not options[0]:
        reason += f"; {options[0].kv_data_type} would take {options[0].kv_cache_size_gb:.2f} GB"
    return KVPrecisionAdvice(kv_dtype=best.kv_data_type, reason=reason, options=tuple(options))
