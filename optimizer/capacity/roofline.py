"""Least time of a step: bytes over bandwidth or operations over throughput, whichever is longer.

These are bounds at full efficiency, without launches and communication: right for comparing and for
ruling out, too fast as a forecast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from optimizer.capacity.architecture import Architecture
from optimizer.capacity.errors import CapacityError
from optimizer.capacity.recurrent import Recurrent
from optimizer.capacity.tensors import Role
from optimizer.capacity.weight_formats import WeightFormat
from optimizer.catalog import AcceleratorFacts

__all__ = ["ModelWork", "matrix_tflops", "memory_bandwidth_gb_s", "model_work"]

# One batch size, or one per accelerator.
Size = TypeVar("Size", float, NDArray[np.float64])


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelWork:
    """Bytes and operations of a step on each rank.

    Parameters
    ----------
    dense_bytes
        Weights that every step reads.
    expert_bytes
        Weights of all routed experts.
    experts, experts_per_token
        Experts of a layer and those one token uses; 0 for a dense model.
    decode_flops_per_token
        Operations of one token without attention over earlier tokens.
    prefill_flops_per_token
        The same without the output layer, which a prompt needs once.
    attention_flops
        For each kind of attention: operations per pair of tokens, and the window (inf without).
    """

    dense_bytes: float
    expert_bytes: float
    experts: int
    experts_per_token: int
    decode_flops_per_token: float
    prefill_flops_per_token: float
    attention_flops: tuple[tuple[float, float], ...]

    def decode_bytes(self, batch: Size, kv_request_bytes: float) -> Size:
        """Bytes that a step of `batch` sequences reads: weights it touches, and their KV cache.

        A batch touches `E (1 - (1 - k/E)^B)` of E experts when every token chooses k at random.
        """
        read = self.dense_bytes + batch * kv_request_bytes
        if self.experts:
            missed = (1 - self.experts_per_token / self.experts) ** batch
            read = read + self.expert_bytes * (1 - missed)
        return read

    def decode_flops(self, batch: Size, context_len: float) -> Size:
        """Operations of a step of `batch` sequences, each of `context_len` tokens."""
        attention = sum(pair * min(window, context_len) for pair, window in self.attention_flops)
        return batch * (self.decode_flops_per_token + attention)

    def prefill_flops(self, tokens: float) -> float:
        """Operations of a prompt: causal attention, limited to windows; one row of logits."""
        attention = 0.0
        for pair, window in self.attention_flops:
            seen = min(window, tokens)
            attention += pair * (seen * seen / 2 + (tokens - seen) * seen)
        head = self.decode_flops_per_token - self.prefill_flops_per_token
        return tokens * self.prefill_flops_per_token + attention + head


def model_work(
    architecture: Architecture, weights: WeightFormat, tensor_parallel: int = 1
) -> ModelWork:
    """Bytes and operations of a model's steps on each of so many ranks."""
    dense = experts = flops = head = 0.0
    for tensor, times in architecture.tensors:
        if tensor.role is Role.VISION:
            continue
        share = tensor.share(tensor_parallel)
        size = tensor.parameters * times * float(weights.bits(tensor, architecture.native_format))
        is_head = tensor.role is Role.OUTPUT or (
            tensor.role is Role.EMBEDDING and architecture.tied_embeddings
        )
        if tensor.role is Role.EMBEDDING and not is_head:
            continue  # a step looks up rows
        work = 2.0 * tensor.active_parameters * times * share
        if is_head:
            head += work
        else:
            flops += work
        if tensor.role is Role.EXPERTS:
            experts += size / 8 * share
        else:
            dense += size / 8 * share
    expert_counts = {
        (t.copies, t.active_copies or 0) for t, _ in architecture.tensors if t.role is Role.EXPERTS
    }
    count, used = max(expert_counts, default=(0, 0))
    return ModelWork(
        dense_bytes=dense,
        expert_bytes=experts,
        experts=count,
        experts_per_token=used,
        decode_flops_per_token=flops + head,
        prefill_flops_per_token=flops,
        attention_flops=_attention_flops(architecture, tensor_parallel),
    )


def _attention_flops(
    architecture: Architecture, tensor_parallel: int
) -> tuple[tuple[float, float], ...]:
    """Products of queries with keys and of scores with values, two operations per number."""
    kinds = []
    for mixer, times in architecture.mixers:
        if isinstance(mixer, Recurrent):
            continue
        numbers = mixer.heads * (mixer.head_dim + mixer.value_dim)
        window = float("inf") if mixer.window is None else float(mixer.window)
        kinds.append((2.0 * times * numbers / tensor_parallel, window))
    return tuple(kinds)


def memory_bandwidth_gb_s(accelerator: AcceleratorFacts) -> float:
    """Memory bandwidth of an accelerator [GB/s].

    Raises
    ------
    CapacityError
        If it is not known.
    """
    if accelerator.bandwidth_gb_s is None:
        raise CapacityError(
            "bandwidth_gb_s", None, f"is not known for {accelerator.name}; give the accelerator's"
        )
    return accelerator.bandwidth_gb_s


def matrix_tflops(accelerator: AcceleratorFacts, weights: WeightFormat) -> float:
    """Dense matrix throughput with weights of a format [TFLOPS].

    fp8, int8 and nvfp4 are computed as such where the accelerator can; other formats, and these on
    accelerators without, are widened to 16 bits first.

    Raises
    ------
    CapacityError
        If the accelerator's 16-bit throughput is not known.
    """
    native = {
        "fp8": accelerator.fp8_tflops,
        "mxfp8": accelerator.fp8_tflops,
        "int8": accelerator.int8_tops,
        "nvfp4": accelerator.fp4_tflops,
    }.get(weights.number.name)
    rate = native or accelerator.fp16_tflops
    if rate is None:
        raise CapacityError(
            "fp16_tflops", None, f"is not known for {accelerator.name}; give the accelerator's"
        )
    return rate
