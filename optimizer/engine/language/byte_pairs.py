"""Byte-pair encoding [1]_ [2]_: the merges that shorten a text most, and words merged by them.

References
----------
.. [1] Sennrich, R., Haddow, B., Birch, A. (2016). Neural machine translation of rare words with
   subword units. ACL.
.. [2] Radford, A. et al. (2019). Language models are unsupervised multitask learners. (Bytes as the
   alphabet, and no merge across the border of a word.)
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Pair", "learned_merges", "merged", "words"]

Pair = tuple[int, int]

# Every character falls into one of them. Words are cut after 32 characters, so that the time of an
# encoding is linear in the text whatever it is.
_WORD = re.compile(r" ?[^\W\d_]{1,32}| ?\d{1,3}| ?(?:[^\s\w]|_){1,32}|\s{1,32}(?!\S)|\s")


def words(text: str) -> Iterator[str]:
    """Cut a text into words, each with the space before it; nothing is lost."""
    return (match.group() for match in _WORD.finditer(text))


def merged(symbols: list[int], ranks: Mapping[Pair, int], first: int) -> list[int]:
    """Merge neighbours in the order in which the merges were learned.

    Parameters
    ----------
    symbols
        Symbols of one word.
    ranks
        When each pair was learned, from 0 on.
    first
        Symbol of the first merge; the merge of rank k is the symbol first + k.
    """
    while len(symbols) > 1:
        rank, place = min(
            (ranks.get(pair, len(ranks)), place)
            for place, pair in enumerate(itertools.pairwise(symbols))
        )
        if rank == len(ranks):
            break
        symbols = [*symbols[:place], first + rank, *symbols[place + 2 :]]
    return symbols


def learned_merges(texts: Iterable[str], count: int, first: int) -> list[Pair]:
    """Return the merges, each of the most frequent pair of neighbours at its time.

    Of pairs equally frequent the one with the smaller symbols is taken. It ends early where no pair
    occurs twice.
    """
    counts = Counter(word for text in texts for word in words(text))
    spelled = {word: list(word.encode()) for word in counts}
    merges: list[Pair] = []
    while len(merges) < count:
        pairs: Counter[Pair] = Counter()
        for word, symbols in spelled.items():
            for pair in itertools.pairwise(symbols):
                pairs[pair] += counts[word]
        best = max(pairs, key=lambda pair: (pairs[pair], -pair[0], -pair[1]), default=None)
        if best is None or pairs[best] < 2:
            break
        for word, symbols in spelled.items():
            spelled[word] = _joined(symbols, best, first + len(merges))
        merges.append(best)
    return merges


def _joined(symbols: list[int], pair: Pair, symbol: int) -> list[int]:
    """Replace every occurrence of a pair, from the left."""
    joined: list[int] = []
    place = 0
    while place < len(symbols):
        if tuple(symbols[place : place + 2]) == pair:
            joined.append(symbol)
            place += 2
        else:
            joined.append(symbols[place])
            place += 1
    return joined
