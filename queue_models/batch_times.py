"""How long batches of requests take that run to completion together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queue_models.arrays import FloatArray
from queue_models.process import Role, ServiceProcess
from queue_models.timing import PrefillDecodeTiming
from queue_models.work import RequestWork

__all__ = ["BatchTimes", "batch_times"]

# Points in place of a distribution of output lengths where the longest of a batch is wanted.
_POINTS = 128


@dataclass(frozen=True, eq=False, kw_only=True)
class BatchTimes:
    """Times of batches of 1, ..., B requests of one pair [ms], shape (B,).

    Attributes
    ----------
    prefill
        From the start to the first tokens, of all together.
    iteration
        Mean time of a decode iteration.
    whole
        From the start until the longest output is complete.
    scv
        Squared coefficient of variation of `whole`, from that of the longest output.
    intervals
        Mean decode iterations that a request needs for its own output.
    """

    prefill: FloatArray
    iteration: FloatArray
    whole: FloatArray
    scv: FloatArray
    intervals: float


def batch_times(service: ServiceProcess) -> BatchTimes:
    """Return the times of the batches of a process of one pair, shape (1,).

    All prompts are computed first, in as many iterations as the chunk budget asks for; then every
    iteration computes a token for each row of the batch, ended or not, until the longest output is
    complete: E[max of b] iterations, from the distribution of output lengths.

    References
    ----------
    .. [1] Yang, Y., Jiao, L., Xu, Y. (2024). A queueing theoretic perspective on low-latency LLM
       inference with variable token length. arXiv 2407.05347.
    """
    work, timing = RequestWork.of(service), service.timing
    batch = np.arange(1.0, float(service.max_batch[0]) + 1.0)
    longest, spread = _longest(service, work, batch)
    if isinstance(timing, PrefillDecodeTiming):
        prompt = timing.prefill_base_ms + timing.prefill_ms_per_token * work.prefill_tokens * batch
        prefill = np.where(work.prefill_tokens > 0, prompt, 0.0)
        iteration = timing.decode_base_ms + timing.decode_ms_per_request * batch
    else:
        none = np.zeros((batch.size, 1))
        tokens = (batch * work.prefill_tokens)[:, None]
        chunks = np.maximum(np.ceil(tokens / service.chunk_tokens), 1.0)
        held = (batch * work.kv_prefill)[:, None] / chunks
        prefill = (chunks * timing.iteration_ms(none, tokens / chunks, held))[:, 0]
        # Rows gain tokens evenly: on average over the iterations half of the longest is held.
        grown = np.divide(spread + longest**2, 2.0 * longest, out=none[:, 0], where=longest > 0)
        kv = batch * (service.input_tokens + grown * work.tokens_per_iteration)
        decode = (batch * work.decode_tokens_per_iteration)[:, None]
        iteration = timing.iteration_ms(decode, np.zeros_like(decode), kv[:, None])[:, 0]
    whole = prefill + longest * iteration
    return BatchTimes(
        prefill=prefill,
        iteration=np.where(longest > 0, iteration, 0.0),
        whole=whole,
        scv=spread * (iteration / whole) ** 2,
        intervals=float(work.decode_iterations[0]),
    )


def _longest(
    service: ServiceProcess, work: RequestWork, batch: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return mean and variance of the most decode iterations in a batch, per batch size."""
    if service.role[0] == Role.PREFILL:
        return np.zeros_like(batch), np.zeros_like(batch)
    if service.output_tokens_scv[0] == 0:
        return np.full_like(batch, work.decode_iterations[0]), np.zeros_like(batch)
    values, probabilities = service.output_lengths.quantised(_POINTS)
    order = np.argsort(values[0])
    iterations = np.maximum(values[0][order] - 1.0, 0.0) / work.tokens_per_iteration[0]
    within = np.minimum(np.cumsum(probabilities[0][order]), 1.0)
    # P(max <= value) = P(one <= value)^b.
    chances = np.diff(within ** batch[:, None], axis=1, prepend=0.0)
    chances /= chances.sum(axis=1, keepdims=True)
    mean = chances @ iterations
    variance: FloatArray = (chances * (iterations - mean[:, None]) ** 2).sum(axis=1)
    return mean, variance
