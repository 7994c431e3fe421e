"""A draft model guesses a token, the target model judges it: speculative decoding [1]_ [2]_.

A guess x from the draft's distribution q is accepted with probability min(1, p(x) / q(x));
otherwise the token is drawn from what p has more than q. Whatever q is, the token has the
distribution p of the target; a guess is accepted with probability sum of min(p, q) [1]_.

Every token is guessed and judged by draws that depend on its place in the output alone, the one
after the last accepted draft (the bonus token) too. So the text is the same however many drafts an
iteration has room for.

References
----------
.. [1] Leviathan, Y., Kalman, M., Matias, Y. (2023). Fast inference from transformers via
   speculative decoding. ICML.
.. [2] Chen, C. et al. (2023). Accelerating large language model decoding with speculative sampling.
   arXiv:2302.01318.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.engine.compilation import compiled
from optimizer.engine.language.ngram import NGrams
from optimizer.engine.language.token_choice import Knobs, drawn, write_shaped

__all__ = ["judged", "speculated"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@compiled
def speculated(
    target: NGrams,
    draft: NGrams,
    tokens: IntArray,
    knobs: Knobs,
    ending: bool,
    luck: FloatArray,
    work: FloatArray,
) -> tuple[int, bool]:
    """Return the token after those, and whether the draft model guessed it.

    Both distributions are shaped by the same sampling parameters.

    Parameters
    ----------
    ending
        Whether the output may end here.
    luck
        (3,) uniform in [0, 1): for the guess, the judgement and the correction.
    work
        (4, V): left with the target's distribution and the one drawn from, then the draft's.
    """
    write_shaped(target, tokens, knobs, ending, work[:2])
    write_shaped(draft, tokens, knobs, ending, work[2:])
    return judged(work[1], work[3], luck)


@compiled
def judged(target: FloatArray, draft: FloatArray, luck: FloatArray) -> tuple[int, bool]:
    """Guess a token from the draft's distribution; return it or its correction, and which it is."""
    guess = drawn(draft, luck[0])
    if luck[1] * draft[guess] < target[guess]:
        return guess, True
    more = np.maximum(target - draft, 0.0)
    if more.sum() == 0.0:
        return guess, True  # the same distribution, but for rounding
    return drawn(more, luck[2]), False
