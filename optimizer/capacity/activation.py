"""Peak memory of activations, as an engine's start-up profile finds it.

The engine runs one step with a full budget of tokens and samples for the largest batch; the peak is
the larger of two: a feed-forward layer at work on all tokens, or the logits of all sequences on
their way through sampling. Nearly always it is the logits, which is why the peak follows the
vocabulary and not the model's size, and why tensor parallelism does not divide it (logits are
gathered on every rank).
"""

from __future__ import annotations

from optimizer.capacity.architecture import Architecture
from optimizer.capacity.engine_settings import EngineSettings
from optimizer.capacity.feed_forward import DenseFeedForward, ExpertFeedForward
from optimizer.capacity.units import GIB
from optimizer.capacity.weight_formats import WeightFormat

__all__ = ["activation_bytes"]

# Bytes per logit besides the logit itself: an fp32 copy, and two more in sampling.
_SAMPLING_BYTES = 12

# Streams of the width of the residual that are alive: in a feed-forward layer (input, output,
# residual, normed), and while sampling. The latter and the constant were fitted in November 2026 to
# 30 start-up profiles of vLLM 0.19 on H100 (llm-d-planner PR 205; 19 checkpoints): mean error
# 1.7 %, and 2.1 % for models left out of the fit.
_FORWARD_STREAMS = 4.0
_SAMPLING_STREAMS = 1.7
_CONSTANT_BYTES = 0.06 * GIB
# Hidden states and residual received from the stage before and sent to the next.
_PIPELINE_STREAMS = 2.0


def activation_bytes(
    architecture: Architecture,
    weights: WeightFormat,
    settings: EngineSettings,
    *,
    tensor_parallel: int = 1,
    has_output: bool = True,
    in_pipeline: bool = False,
) -> float:
    """Peak bytes of activations on a rank.

    Parameters
    ----------
    architecture
        The model.
    weights
        Format of its weights: kernels for mxfp4 experts need no workspace.
    settings
        Tokens of a step and sequences of a batch.
    tensor_parallel
        Ranks that divide feed-forward layers.
    has_output
        Whether the stage samples.
    in_pipeline
        Whether there are other stages.
    """
    number = float(architecture.native_format.bits / 8)
    tokens = settings.max_num_batched_tokens
    stream = tokens * architecture.hidden_size * number
    forward = _FORWARD_STREAMS * stream + max(
        (
            tokens * (3 if part.gated else 2) * part.width / tensor_parallel * number
            for part, _ in architecture.feed_forwards
            if isinstance(part, DenseFeedForward)
        ),
        default=0.0,
    )
    sampling = 0.0
    if has_output:
        sequences = min(settings.max_num_seqs, tokens)
        sampling = sequences * architecture.vocabulary_size * (number + _SAMPLING_BYTES)
        sampling += _SAMPLING_STREAMS * stream + _image_bytes(architecture, tokens, number)
    peak = max(forward, sampling) + _CONSTANT_BYTES
    peak += _expert_workspace(architecture, weights, tokens, number, tensor_parallel)
    return peak + (_PIPELINE_STREAMS * stream if in_pipeline else 0.0)


def _image_bytes(architecture: Architecture, tokens: int, number: float) -> float:
    """Bytes of as many images as fit into a step: pixels and their embeddings are kept."""
    if not architecture.image_inputs_per_token:
        return 0.0
    return tokens * (architecture.hidden_size + architecture.image_inputs_per_token) * number


def _expert_workspace(
    architecture: Architecture,
    weights: WeightFormat,
    tokens: int,
    number: float,
    tensor_parallel: int,
) -> float:
    """Bytes of the two buffers between the experts' matrices, which stay allocated."""
    if weights.number.name == "mxfp4":
        return 0.0
    hidden = architecture.hidden_size
    largest = 0.0
    for part, _ in architecture.feed_forwards:
        if isinstance(part, ExpertFeedForward):
            width = part.width / tensor_parallel
            inner = max((2 if part.gated else 1) * width, hidden) + max(width, hidden)
            largest = max(largest, tokens * part.experts_per_token * inner * number)
    return largest
