"""Wait of an arrival that finds all slots taken: Erlang times with truncated geometric weights."""

from __future__ import annotations

import numpy as np

from queue_models.arrays import FloatArray, IntArray
from queue_models.rate_search import increasing_root

__all__ = ["mixture_quantile", "mixture_tail"]

# |m ln r| below which the tail is expanded about r = 1, to the sixth order: there and above, the
# error is below 1e-11.
_NEAR_ONE, _TERMS_NEAR_ONE = 0.02, 6
# Exponent from which the product (huge) x (tiny) is replaced by a continued fraction.
_LARGE_EXPONENT = 100.0
_FRACTION_TERMS = 400

# Stand-in for a probability of 0 inside a logarithm.
_NOTHING = 1e-300


def mixture_tail(x: FloatArray, log_load: FloatArray, places: FloatArray) -> FloatArray:
    """P(X > x) for X the sum of j + 1 unit exponentials, P(j) proportional to r^j, 0 <= j < m.

    Parameters
    ----------
    x
        In units of 1/mu(B), >= 0, shape (P,).
    log_load
        ln r, any sign; negative where `places` is infinite.
    places
        m, a whole number >= 0 (0: nobody waits, the answer is 0) or `inf`.

    Notes
    -----
    With N Poisson of mean x and Q the regularised upper incomplete gamma function,
    sum over j < m of r^j Q(j + 1, x) = E[(r^N - r^m)/(1 - r); N < m]
    = (e^(-(1-r)x) Q(m, r x) - r^m Q(m, x))/(1 - r): two gamma functions, whatever m.
    """
    endless = np.isinf(places)
    rest = -np.expm1(np.minimum(log_load, 700.0))
    tail = np.where(places > 0, np.exp(-np.where(endless, rest, 0.0) * x), 0.0)
    size = np.where(endless, 0.0, places * np.abs(log_load))
    for branch, formula in (
        (size < _NEAR_ONE, _tail_near_one),
        ((size >= _NEAR_ONE) & (log_load < 0), _tail_below_one),
        ((size >= _NEAR_ONE) & (log_load > 0), _tail_above_one),
    ):
        which = np.flatnonzero(branch & ~endless & (places > 0))
        if which.size:
            tail[which] = formula(x[which], log_load[which], places[which])
    return np.clip(tail, 0.0, 1.0)


def _tail_near_one(x: FloatArray, log_load: FloatArray, m: FloatArray) -> FloatArray:
    """Expand (1 - e)^j in powers of e = 1 - r; the sums over j < m are factorial moments of N.

    Sum over N <= j < m of C(j, k) = C(m, k + 1) - C(N, k + 1), and E[C(N, k + 1); N < m] =
    x^(k+1)/(k+1)! Q(m - k - 1, x).
    """
    e = -np.expm1(log_load)
    whole = _upper(m, x)
    total, weight = np.zeros_like(x), np.zeros_like(x)
    of_m, of_n, power = np.ones_like(x), np.ones_like(x), np.ones_like(x)
    for k in range(_TERMS_NEAR_ONE):
        of_m = of_m * (m - k) / (k + 1)
        of_n = of_n * x / (k + 1)
        total += power * (of_m * whole - of_n * _upper(m - k - 1, x))
        weight += power * of_m
        power *= -e
    return total / weight


def _tail_below_one(x: FloatArray, log_load: FloatArray, m: FloatArray) -> FloatArray:
    """Evaluate the closed form, whose two terms lie in [0, 1]."""
    r = np.exp(log_load)
    near = np.exp(np.expm1(log_load) * x) * _upper(m, r * x)
    return (near - np.exp(m * log_load) * _upper(m, x)) / -np.expm1(m * log_load)


def _tail_above_one(x: FloatArray, log_load: FloatArray, m: FloatArray) -> FloatArray:
    """Evaluate it over r^m: (Q(m, x) - e^((r-1)x - m ln r) Q(m, r x))/(1 - r^-m)."""
    r = np.exp(np.minimum(log_load, 700.0))
    exponent = (r - 1.0) * x - m * log_load
    large = exponent > _LARGE_EXPONENT
    near = np.exp(np.minimum(exponent, _LARGE_EXPONENT)) * _upper(m, r * x)
    which = np.flatnonzero(large)
    if which.size:
        near[which] = _scaled_upper(m[which], x[which], (r * x)[which])
    return (_upper(m, x) - near) / -np.expm1(-m * log_load)


def _upper(m: FloatArray, x: FloatArray) -> FloatArray:
    """Q(m, x) = P(Poisson(x) < m), 0 for m <= 0."""
    from scipy.special import gammaincc

    value: FloatArray = gammaincc(np.maximum(m, 1.0), x)
    return np.where(m > 0, value, 0.0)


def _scaled_upper(m: FloatArray, x: FloatArray, z: FloatArray) -> FloatArray:
    """Return e^(z-x) (x/z)^m Q(m, z) for z well above m, by Legendre's continued fraction.

    Q(m, z) = z^m e^-z/Gamma(m) x fraction, so z drops out of the factor, which is a Poisson
    probability and never overflows. Lentz's algorithm.
    """
    from scipy.special import gammaln

    b = z + 1.0 - m
    c = np.full_like(z, 1e300)
    d = 1.0 / b
    h = d.copy()
    for i in range(1, _FRACTION_TERMS):
        a = -i * (i - m)
        b += 2.0
        d = 1.0 / (a * d + b)
        c = b + a / c
        step = c * d
        h *= step
        if np.all(np.abs(step - 1.0) < 1e-15):
            break
    return np.exp(m * np.log(x) - x - gammaln(m)) * h


def mixture_quantile(share: FloatArray, log_load: FloatArray, places: FloatArray) -> FloatArray:
    """Return x with P(X > x) = `share` (see `mixture_tail`); 0 where `share` is 1 or nobody waits.

    Parameters
    ----------
    share
        In (0, 1], shape (P,).
    log_load, places
        As in `mixture_tail`.
    """
    from scipy.special import gammainccinv

    endless = np.isinf(places)
    # X is at most an Erlang of m stages and, for r < 1, at most the exponential of m = inf.
    falling = log_load < 0
    rest = -np.expm1(np.where(falling, log_load, -1.0))
    most = np.where(falling, -np.log(share) / rest, np.inf)
    staged = gammainccinv(np.where(endless, 1.0, np.maximum(places, 1.0)), share)
    high = np.where(endless, most, np.minimum(most, staged))
    answer = np.where(endless, most, 0.0)
    search = np.flatnonzero(~endless & (places > 0) & (share < 1.0))
    if not search.size:
        return answer

    def distance(which: IntArray, x: FloatArray) -> FloatArray:
        pair = search[which]
        tail = mixture_tail(x, log_load[pair], places[pair])
        difference: FloatArray = np.log(share[pair]) - np.log(np.maximum(tail, _NOTHING))
        return difference

    low = np.zeros(search.size)
    answer[search] = increasing_root(distance, low, high[search] * (1.0 + 1e-9))
    return answer
