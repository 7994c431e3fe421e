"""Several texts for one prompt, which is computed once: the requests fork when it is.

vLLM V1 sends `n` requests that meet in the prefix cache; forking is V0's rule. It saves the last,
partly filled block of the prompt too, which the first that writes to it copies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from optimizer.engine.errors import SimulationError
from optimizer.engine.language import Generation, LanguageModel, SamplingParams, TextSampler
from optimizer.engine.online import OnlineEngine, Tokens
from optimizer.engine.rules import EngineConfig
from queue_models import Timing

__all__ = ["ParallelTexts", "sample_in_parallel"]


@dataclass(frozen=True)
class ParallelTexts:
    """The texts, in the order of their seeds, and what they took.

    Parameters
    ----------
    generations
        One for each choice.
    finished_ms
        When the last token came out.
    computed_tokens
        Prompt and output tokens computed.
    copied_blocks
        Blocks copied before they were written to.
    """

    generations: tuple[Generation, ...]
    finished_ms: float
    computed_tokens: int
    copied_blocks: int


def sample_in_parallel(
    model: LanguageModel,
    prompt: list[int],
    params: SamplingParams,
    n: int,
    *,
    config: EngineConfig,
    timing: Timing,
    seed: int = 0,
) -> ParallelTexts:
    """Draw `n` texts on an idle replica.

    Each is the text that it would be alone: choice k with the seed of the parameters plus k, or
    with the k-th after `seed`.

    Raises
    ------
    ValueError
        If the prompt is empty, n below 1, or `max_tokens` not given.
    SimulationError
        If the replica has no room for n requests.
    """
    if not prompt or n < 1 or params.max_tokens is None:
        raise ValueError(
            f"sample_in_parallel: a prompt of {len(prompt)} tokens, n = {n}, max_tokens = "
            f"{params.max_tokens}: wanted are at least 1 of each"
        )
    speculate = config.draft_tokens > 0
    generations = [
        Generation(model, prompt, params.for_choice(k), seed=seed + k, speculate=speculate)
        for k in range(n)
    ]
    sampler = TextSampler()
    forked = False

    def sampled(request: int, most: int) -> tuple[int, bool]:
        # The first token must not end the request before the others have forked from it.
        return sampler(request, most) if forked else (1, False)

    engine = OnlineEngine(config, timing, sampler=sampled)
    first = engine.submit(len(prompt), params.max_tokens)
    _compute_prompt(engine)
    forked = True
    requests = [first, *(engine.fork(first) for _ in range(n - 1))]
    for request, generation in zip(requests, generations, strict=True):
        if request is None:
            raise SimulationError(
                f"parallel sampling: {n} requests find no place; max_num_seqs = "
                f"{config.max_num_seqs} must be at least as many"
            )
        sampler.begin(request, generation)
        generation.next()
        if generation.finish_reason is not None:
            engine.abort(request)
    engine.advance(math.inf)
    replica = engine.state.replicas[0]
    return ParallelTexts(
        generations=tuple(generations),
        finished_ms=engine.now_ms,
        computed_tokens=int(replica.prefill_tokens + replica.decode_tokens),
        copied_blocks=int(replica.copied_blocks),
    )


def _compute_prompt(engine: OnlineEngine) -> None:
    """Work until the first token has come out."""
    while engine.next_event_ms() < math.inf:
        if any(isinstance(event, Tokens) for event in engine.step()):
            return
    raise SimulationError("parallel sampling: the prompt is too long for the replica")
