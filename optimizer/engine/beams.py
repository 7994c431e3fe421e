"""Beam search: the most probable texts, whose beams share the blocks that they have in common.

The search is vLLM's: every beam is extended by the 2 w most probable tokens, beams that end are
set aside, and the w best of the others go on, by log-probability over length to a power. vLLM V1
sends every step of every beam as a request of its own, and beams meet in the prefix cache. Here
they fork, as in V0: a beam with several successors is shared block by block, one without is given
up, and who writes first to a shared block writes to a copy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.engine.errors import SimulationError
from optimizer.engine.language import LanguageModel, SpecialToken
from optimizer.engine.online import OnlineEngine, Tokens
from optimizer.engine.rules import EngineConfig
from queue_models import Timing

__all__ = ["Beam", "BeamSearch", "beam_search"]


@dataclass(frozen=True)
class Beam:
    """A text found.

    Parameters
    ----------
    tokens
        Of the output, the end of the text included where it came to it.
    logprob
        Logarithm of its probability.
    score
        By which beams are compared: that over the length of prompt and output to the power of the
        length penalty.
    """

    tokens: tuple[int, ...]
    logprob: float
    score: float


@dataclass(frozen=True)
class BeamSearch:
    """The best texts, and what the search took.

    Parameters
    ----------
    beams
        The best first.
    finished_ms
        When the last token was computed.
    most_blocks
        KV blocks in use at once, and `unshared_blocks` what they would have been without sharing.
    copied_blocks
        Blocks copied before they were written to.
    """

    beams: tuple[Beam, ...]
    finished_ms: float
    most_blocks: int
    unshared_blocks: int
    copied_blocks: int


@dataclass(frozen=True)
class _Live:
    """A beam that goes on, and the request that computes it."""

    request: int
    beam: Beam


def beam_search(
    model: LanguageModel,
    prompt: list[int],
    *,
    config: EngineConfig,
    timing: Timing,
    width: int,
    max_tokens: int = 16,
    length_penalty: float = 1.0,
    ignore_eos: bool = False,
) -> BeamSearch:
    """Search on an idle replica.

    Parameters
    ----------
    model, prompt
        Whose most probable texts after that prompt are wanted.
    config, timing
        Of the replica; `draft_tokens` must be 0.
    width
        Beams that go on, at least 1.
    max_tokens
        Longest output.
    length_penalty
        0: by probability alone; the larger, the more long texts are preferred.
    ignore_eos
        Whether the end of the text is a token as any other.

    Raises
    ------
    ValueError
        If the prompt is empty, width or length are below 1, or drafts are on.
    SimulationError
        If the replica has no room for so many beams.
    """
    if not prompt or width < 1 or max_tokens < 1 or config.draft_tokens:
        raise ValueError(
            f"beam_search: a prompt of {len(prompt)} tokens, width = {width}, max_tokens = "
            f"{max_tokens}, draft_tokens = {config.draft_tokens}: wanted are at least 1, 1, 1 and 0"
        )
    engine = OnlineEngine(config, timing)
    live = [_Live(engine.submit(len(prompt), max_tokens), Beam((), 0.0, 0.0))]
    ended: list[Beam] = []
    most_blocks = unshared = 0
    for step in range(max_tokens):
        _advance(engine, {one.request for one in live}, width)
        replica = engine.state.replicas[0]
        most_blocks = max(most_blocks, config.usable_blocks - int(replica.free))
        unshared = max(unshared, int(replica.tabled))
        successors = []
        for parent, one in enumerate(live):
            for beam in _extended(model, prompt, one.beam, width, length_penalty):
                if beam.tokens[-1] == SpecialToken.END and not ignore_eos:
                    ended.append(beam)
                else:
                    successors.append((parent, beam))
        # Sorting is stable: of beams alike the one of the better parent goes first.
        best = sorted(successors, key=lambda pair: -pair[1].score)[:width]
        if step == max_tokens - 1:
            ended += [beam for _, beam in best]
        else:
            live = _branched(engine, live, best)
    found = sorted(ended, key=lambda beam: -beam.score)[:width]
    return BeamSearch(
        beams=tuple(found),
        finished_ms=engine.now_ms,
        most_blocks=most_blocks,
        unshared_blocks=unshared,
        copied_blocks=int(engine.state.replicas[0].copied_blocks),
    )


def _extended(
    model: LanguageModel, prompt: list[int], beam: Beam, width: int, length_penalty: float
) -> list[Beam]:
    """Return a beam's most probable successors, the best first."""
    logprobs = np.log(model.target.distribution([*prompt, *beam.tokens]))
    successors = []
    for token in np.argsort(-logprobs, kind="stable")[: 2 * width].tolist():
        tokens = (*beam.tokens, token)
        logprob = beam.logprob + float(logprobs[token])
        length = len(prompt) + len(tokens) - (token == SpecialToken.END)
        successors.append(Beam(tokens, logprob, logprob / length**length_penalty))
    return successors


def _branched(engine: OnlineEngine, live: list[_Live], best: list[tuple[int, Beam]]) -> list[_Live]:
    """Give up the beams without successors and fork those with several."""
    going_on = {parent for parent, _ in best}
    for parent, one in enumerate(live):
        if parent not in going_on:
            engine.abort(one.request)
    branches, taken = [], set()
    for parent, beam in best:
        request: int | None = live[parent].request
        if parent in taken:
            request = engine.fork(live[parent].request)
        taken.add(parent)
        if request is None:
            raise SimulationError(
                f"beam search: {len(best)} beams find no place; max_num_seqs = "
                f"{engine.config.max_num_seqs} must be at least the width"
            )
        branches.append(_Live(request, beam))
    return branches


def _advance(engine: OnlineEngine, requests: set[int], width: int) -> None:
    """Work until every beam has its next token; they come out of the same iteration."""
    told: set[int] = set()
    while not told:
        if engine.next_event_ms() == np.inf:
            raise SimulationError("beam search: the prompt is too long for the replica")
        told = {event.request for event in engine.step() if isinstance(event, Tokens)}
    if told != requests:
        raise SimulationError(
            f"beam search: {width} beams do not fit into {engine.config.usable_blocks} blocks and "
            f"{engine.config.max_num_batched_tokens} tokens of an iteration"
        )
