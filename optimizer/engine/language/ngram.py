"""An n-gram model with Kneser-Ney smoothing, interpolated [1]_ [2]_.

    p(w | h) = (c(h w) - D) / c(h) + b(h) p(w | h without its first token)

with one discount D, and b(h) such that the sum is 1.
The longest contexts have counts of occurrences; shorter ones count in how many different
surroundings a token follows. The shortest, empty context backs off to a distribution that has every
token: all that occur alike, and the others at a thousandth of them.

References
----------
.. [1] Kneser, R., Ney, H. (1995). Improved backing-off for m-gram language modeling. ICASSP.
.. [2] Chen, S., Goodman, J. (1999). An empirical study of smoothing techniques for language
   modeling. Computer Speech and Language 13.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optimizer.engine.compilation import compiled, inlined

__all__ = ["NGramModel", "NGrams", "distribution"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_UNSEEN_WEIGHT = 1e-3


class NGrams(NamedTuple):
    """A model as compiled code reads it; C contexts, S pairs of a context and a successor."""

    contexts: IntArray  # (C,) sorted; see `_packed`
    starts: IntArray  # (C + 1,) of the successors of each context
    backoff: FloatArray  # (C,) weight of the shorter context
    successors: IntArray  # (S,)
    weights: FloatArray  # (S,) discounted share of a successor
    unigrams: FloatArray  # (V,) distribution without any context
    order: int


class NGramModel:
    """Distributions of the next token.

    Parameters
    ----------
    texts
        Texts to learn from, in tokens.
    order
        Tokens of the longest n-grams, at least 1: the next token depends on order - 1 others.
    vocabulary_size
        Number of tokens.
    discount
        D, more than 0 and less than 1: what is taken off every count for tokens that were not seen
        in a context. The less, the more the model recites what it has learned.

    Raises
    ------
    ValueError
        If the order is below 1 or too large for the vocabulary, or the discount out of range.
    """

    def __init__(
        self,
        texts: Iterable[Sequence[int]],
        order: int,
        vocabulary_size: int,
        *,
        discount: float = 0.75,
    ) -> None:
        most = 62 // (vocabulary_size + 1).bit_length() + 1
        if not 1 <= order <= most:
            raise ValueError(f"NGramModel: order = {order} must be from 1 to {most}")
        if not 0.0 < discount < 1.0:
            raise ValueError(f"NGramModel: discount = {discount} must be between 0 and 1")
        self.order = order
        self.discount = discount
        self.vocabulary_size = vocabulary_size
        self._texts = [tuple(text) for text in texts]

    @cached_property
    def ngrams(self) -> NGrams:
        """What compiled code reads."""
        contexts, starts, backoff, successors, weights = [], [0], [], [], []
        unigrams = self._fallback()
        for length, table in enumerate(self._counts()):
            for context in sorted(table, key=lambda c: _packed(c, self.vocabulary_size)):
                counts = table[context]
                total = sum(counts.values())
                rest = self.discount * len(counts) / total
                shares = {token: (n - self.discount) / total for token, n in counts.items()}
                if length == 0:
                    unigrams *= rest
                    for token, share in shares.items():
                        unigrams[token] += share
                    continue
                contexts.append(_packed(context, self.vocabulary_size))
                backoff.append(rest)
                successors += sorted(shares)
                weights += [shares[token] for token in sorted(shares)]
                starts.append(len(successors))
        return NGrams(
            np.array(contexts, np.int64),
            np.array(starts, np.int64),
            np.array(backoff, np.float64),
            np.array(successors, np.int64),
            np.array(weights, np.float64),
            unigrams,
            self.order,
        )

    def of_order(self, order: int) -> NGramModel:
        """Return the model of another order, from the same texts: a weaker one, to draft with."""
        return NGramModel(self._texts, order, self.vocabulary_size, discount=self.discount)

    def distribution(self, tokens: Sequence[int]) -> FloatArray:
        """Return the probability of every token after those, (V,); its sum is 1."""
        out = np.empty(self.vocabulary_size)
        distribution(self.ngrams, np.array(tokens[-self.order :], np.int64), out)
        return out

    def _counts(self) -> list[dict[tuple[int, ...], dict[int, int]]]:
        """Return by the length of the context: how often each token follows each context.

        A context at the beginning of a text is never shortened by counting its surroundings: there
        is nothing before it, and it counts as one surrounding.
        """
        counts: list[dict[tuple[int, ...], dict[int, int]]] = [{} for _ in range(self.order)]
        surroundings: list[set[tuple[int, ...]]] = [set() for _ in range(self.order)]
        for text in self._texts:
            for place, token in enumerate(text):
                for length in range(min(self.order - 1, place) + 1):
                    context = text[place - length : place]
                    if length < self.order - 1:
                        wider = text[max(place - length - 1, 0) : place + 1]
                        if wider in surroundings[length]:
                            continue
                        surroundings[length].add(wider)
                    follow = counts[length].setdefault(context, {})
                    follow[token] = follow.get(token, 0) + 1
        return counts

    def _fallback(self) -> FloatArray:
        """Return the distribution below the unigrams."""
        seen = np.full(self.vocabulary_size, _UNSEEN_WEIGHT)
        seen[sorted({token for text in self._texts for token in text})] = 1.0
        return seen / seen.sum()


@compiled
def distribution(ngrams: NGrams, tokens: IntArray, out: FloatArray) -> None:
    """Write the distribution of the token after those."""
    out[:] = ngrams.unigrams
    packed, factor = 0, 1
    for length in range(1, min(ngrams.order - 1, tokens.size) + 1):
        packed += (tokens[tokens.size - length] + 1) * factor
        factor *= out.size + 1
        place = _place(ngrams.contexts, packed)
        if place < 0:
            break  # no longer context occurs either
        backoff = ngrams.backoff[place]
        for token in range(out.size):
            out[token] *= backoff
        for k in range(ngrams.starts[place], ngrams.starts[place + 1]):
            out[ngrams.successors[k]] += ngrams.weights[k]


@inlined
def _place(contexts: IntArray, packed: int) -> int:
    place = np.searchsorted(contexts, packed)
    found = place < contexts.size and contexts[place] == packed
    return int(place) if found else -1


def _packed(context: tuple[int, ...], vocabulary_size: int) -> int:
    """Return one number for a context: larger for a longer one."""
    number = 0
    for token in context:
        number = number * (vocabulary_size + 1) + token + 1
    return number
