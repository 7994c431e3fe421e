"""When will a block be used again? A model learned from the stream, and what it says to keep.

A reference starts a lifetime of its block that ends at the next reference. The chance of ending per
unit of time at age a is modelled as

    h(a) = base[stratum](a) x product of factors[feature][level]

with a piecewise constant base per stratum (how often the block was used so far) and features of
the request: turn of the conversation, new, all and answered tokens, the block's place, the gap
before. Lifetimes that have not ended count as such (censoring), also those of blocks that were
evicted: what the cache does leaves no mark on what is learned. A block is worth keeping for

    worth(a) = max over T of P(used within T | age a) / E(time kept within T | age a),

hits per unit of occupied capacity, the Gittins index of the stopping problem "keep or drop" [1]_.
Dropping the least worth first is what a shared price of capacity asks for.

References
----------
.. [1] Gittins, *Bandit processes and dynamic allocation indices*, JRSS B 41 (1979); Beckmann et
   al., *LHD: improving cache hit rate by maximizing hit density*, NSDI 2018: hits per space.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optimizer.kv.reuse.compilation import compiled, inlined

__all__ = [
    "FEATURES",
    "ReuseTimes",
    "age_bucket",
    "grade_of",
    "learn_when_due",
    "new_model",
    "note",
    "power",
    "stratum_of",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

STRATA = 5  # used once, twice, 3 times, 4 to 6 times, more often
FEATURES = 8
_BUCKETS = 18  # of a feature: powers of two
LEVELS = 33  # of the product of factors, from 1/8 to 8
_SPAN = 8.0
_AGES = 48
_FIRST_AGE, _LAST_AGE = 1.0, 10_800.0
_LOG_LEVEL = float(2 * np.log(_SPAN) / (LEVELS - 1))

# Pseudo-lifetimes that pull bases together, bases to the prior, and factors to 1.
_POOLING, _PRIOR, _FACTOR_PRIOR = 100.0, 200.0, 500.0
# Before anything is seen, h(a) = 0.5 / a: the longer unused, the less likely used.
_PRIOR_SLOPE = 0.5
_LARGEST_LOG_FACTOR = 3.0

# Lifetimes that are followed; older ones are forgotten.
_LOGGED = 1 << 18
# References before the first learning. Then their number doubles, until 4,096 or a quarter of the
# lifetimes followed came since: so often costs as much as serving them.
_FIRST_LEARNING, _LEARNING_INTERVAL, _LEARNING_SHARE = 1024, 4096, 4


class ReuseTimes(NamedTuple):
    """State of the learned model; every field is an array and changes in place."""

    edges: FloatArray  # (A,) upper ends of the age buckets
    buckets: NDArray[np.int8]  # the bucket of each whole age
    worth: FloatArray  # (STRATA x LEVELS, A)
    log_factors: FloatArray  # (FEATURES, buckets)
    log_node: IntArray  # (W,) lifetimes followed, a ring
    log_start: FloatArray  # (W,)
    log_age: FloatArray  # (W,) at the end; -1: not ended
    log_features: NDArray[np.uint8]  # (W, FEATURES + 1), the last is the stratum
    entry: IntArray  # (U,) the lifetime of a node in the ring, -1: none
    counter: IntArray  # (3,) lifetimes logged, references seen, references at the next learning


def new_model(nodes: int) -> ReuseTimes:
    """Return a model that has seen nothing: the longest unused is worth least."""
    edges = np.geomspace(_FIRST_AGE, _LAST_AGE, _AGES)
    return ReuseTimes(
        edges=edges,
        buckets=np.searchsorted(edges, np.arange(int(_LAST_AGE) + 1)).astype(np.int8),
        worth=np.tile(1.0 / (1.0 + edges), (STRATA * LEVELS, 1)),
        log_factors=np.zeros((FEATURES, _BUCKETS)),
        log_node=np.zeros(_LOGGED if nodes else 1, dtype=np.int64),
        log_start=np.zeros(_LOGGED if nodes else 1),
        log_age=np.zeros(_LOGGED if nodes else 1),
        log_features=np.zeros((_LOGGED if nodes else 1, FEATURES + 1), dtype=np.uint8),
        entry=np.full(nodes, -1, dtype=np.int64),
        counter=np.array([0, 0, _FIRST_LEARNING], dtype=np.int64),
    )


@inlined
def power(value: float) -> int:
    """Return the bucket of a figure: 0, then powers of two."""
    if value < 1.0:
        return 0
    return min(math.frexp(value)[1], _BUCKETS - 1)


@inlined
def age_bucket(m: ReuseTimes, age: float) -> int:
    """Return the bucket of an age, to whole units of time."""
    return int(m.buckets[int(min(age, _LAST_AGE))])


@inlined
def stratum_of(touches: int) -> int:
    """Return the stratum of a block used so often."""
    if touches <= 3:
        return touches - 1
    return 3 if touches <= 6 else 4


@inlined
def grade_of(m: ReuseTimes, features: NDArray[np.uint8], stratum: int) -> int:
    """Return the row of `worth` of a block with these features."""
    total = 0.0
    for f in range(FEATURES):
        total += m.log_factors[f, features[f]]
    level = int(np.rint(total / _LOG_LEVEL)) + (LEVELS - 1) // 2
    return stratum * LEVELS + min(max(level, 0), LEVELS - 1)


@inlined
def note(m: ReuseTimes, node: int, now: float, features: NDArray[np.uint8], stratum: int) -> None:
    """End the lifetime of a node, and start the next one."""
    old = m.entry[node]
    if old >= 0 and m.log_node[old] == node:
        m.log_age[old] = now - m.log_start[old]
    at = m.counter[0] % m.log_node.shape[0]
    m.counter[0] += 1
    m.log_node[at] = node
    m.log_start[at] = now
    m.log_age[at] = -1.0
    for f in range(FEATURES):
        m.log_features[at, f] = features[f]
    m.log_features[at, FEATURES] = stratum
    m.entry[node] = at


@compiled
def learn_when_due(m: ReuseTimes, references: int, now: float) -> None:
    """Count references, and learn once enough came."""
    m.counter[1] += references
    if m.counter[1] >= m.counter[2]:
        _learn(m, now)
        logged = min(m.counter[0], m.log_node.shape[0])
        pause = max(min(m.counter[1], _LEARNING_INTERVAL), logged // _LEARNING_SHARE)
        m.counter[2] = m.counter[1] + pause


@compiled
def _learn(m: ReuseTimes, now: float) -> None:
    """Fit bases and factors to the lifetimes in the log, one step each, and what is worth what."""
    count = min(m.counter[0], m.log_node.shape[0])
    bucket = np.empty(count, dtype=np.int64)
    part = np.empty(count)
    score = np.empty(count)
    for i in range(count):
        age = m.log_age[i] if m.log_age[i] >= 0 else now - m.log_start[i]
        a = age_bucket(m, age)
        low = m.edges[a - 1] if a > 0 else 0.0
        bucket[i] = a
        part[i] = min(max((age - low) / (m.edges[a] - low), 0.0), 1.0)
        total = 0.0
        for f in range(FEATURES):
            total += m.log_factors[f, m.log_features[i, f]]
        score[i] = np.exp(total)
    base = _bases(m, count, bucket, part, score)
    _adjust_factors(m, count, bucket, part, score, base)
    _weigh(m, base)


@compiled
def _bases(
    m: ReuseTimes, count: int, bucket: IntArray, part: FloatArray, score: FloatArray
) -> FloatArray:
    """Return ended lifetimes over time at risk, per stratum and age, pulled to the pooled one."""
    ended = np.zeros((STRATA, _AGES))
    last = np.zeros((STRATA, _AGES))
    within = np.zeros((STRATA, _AGES))
    for i in range(count):
        k, a = m.log_features[i, FEATURES], bucket[i]
        if m.log_age[i] >= 0:
            ended[k, a] += 1.0
        last[k, a] += score[i]
        within[k, a] += score[i] * part[i]
    base = np.empty((STRATA, _AGES))
    at_risk = np.zeros(STRATA)
    for a in range(_AGES - 1, -1, -1):
        width = m.edges[a] - (m.edges[a - 1] if a > 0 else 0.0)
        all_ended, all_risk = 0.0, 0.0
        for k in range(STRATA):
            within[k, a] += at_risk[k]
            at_risk[k] += last[k, a]
            all_ended += ended[k, a]
            all_risk += within[k, a]
        prior = _PRIOR_SLOPE / (m.edges[a] - 0.5 * width)
        pooled = (all_ended + _PRIOR * prior * width) / ((all_risk + _PRIOR) * width)
        for k in range(STRATA):
            base[k, a] = (ended[k, a] + _POOLING * pooled * width) / (
                (within[k, a] + _POOLING) * width
            )
    return base


@compiled
def _adjust_factors(
    m: ReuseTimes,
    count: int,
    bucket: IntArray,
    part: FloatArray,
    score: FloatArray,
    base: FloatArray,
) -> None:
    """Bring expected to observed ends of every level, feature after feature."""
    total = np.zeros((STRATA, _AGES + 1))
    for k in range(STRATA):
        for a in range(_AGES):
            width = m.edges[a] - (m.edges[a - 1] if a > 0 else 0.0)
            total[k, a + 1] = total[k, a] + base[k, a] * width
    expected = np.empty(count)
    for i in range(count):
        k, a = m.log_features[i, FEATURES], bucket[i]
        expected[i] = score[i] * (total[k, a] + part[i] * (total[k, a + 1] - total[k, a]))
    for f in range(FEATURES):
        sums = np.zeros(_BUCKETS)
        seen = np.zeros(_BUCKETS)
        for i in range(count):
            level = m.log_features[i, f]
            sums[level] += expected[i]
            if m.log_age[i] >= 0:
                seen[level] += 1.0
        change = np.empty(_BUCKETS)
        for level in range(_BUCKETS):
            old = m.log_factors[f, level]
            new = old + np.log((seen[level] + _FACTOR_PRIOR) / (sums[level] + _FACTOR_PRIOR))
            new = min(max(new, -_LARGEST_LOG_FACTOR), _LARGEST_LOG_FACTOR)
            m.log_factors[f, level] = new
            change[level] = np.exp(new - old)
        for i in range(count):
            expected[i] *= change[m.log_features[i, f]]


@compiled
def _weigh(m: ReuseTimes, base: FloatArray) -> None:
    """Set `worth` of every grade and age."""
    alive = np.empty(_AGES + 1)
    kept = np.empty(_AGES + 1)
    for k in range(STRATA):
        for level in range(LEVELS):
            times = np.exp((level - (LEVELS - 1) // 2) * _LOG_LEVEL)
            alive[0], kept[0] = 1.0, 0.0
            for a in range(_AGES):
                width = m.edges[a] - (m.edges[a - 1] if a > 0 else 0.0)
                alive[a + 1] = alive[a] * np.exp(-times * base[k, a] * width)
                kept[a + 1] = kept[a] + 0.5 * width * (alive[a] + alive[a + 1])
            for a in range(_AGES):
                best = 0.0
                for b in range(a + 1, _AGES + 1):
                    gain = (alive[a] - alive[b]) / (kept[b] - kept[a] + 1e-12)
                    best = max(best, gain)
                m.worth[k * LEVELS + level, a] = best
