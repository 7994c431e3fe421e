"""The M/D/c queue, exactly: mean wait, and the distribution of the wait."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from queue_models.arrays import ComplexArray, FloatArray
from queue_models.erlang import checked_probability, checked_rates
from queue_models.errors import UnstableError
from queue_models.tail_quantile import quantile_of_tail

__all__ = ["mdc_wait", "mdc_wait_quantile", "mdc_wait_tail"]

# Terms of Spitzer's series are left out from exp(-this) of the first on.
_NEGLIGIBLE = 40.0
# Below this many terms the series is summed; above, the roots are cheaper (and lose no digits).
_MOST_TERMS = 400
# Up to this load per server the series of one term converges in `_LIGHT_TERMS` ratios.
_LIGHT_LOAD, _LIGHT_TERMS = 0.6, 80
# Log of the share of the distribution that the inverted transform may leave out.
_TRANSFORM_LOG = 34.0
# The real pole is taken out where its logarithm is below this: elsewhere a transform of a few
# thousand points reaches beyond it.
_NEAR_POLE = 0.03
# 1 - load below which the pole is found by a series: Lambert's function loses digits there.
_SMALL_GAP = 1e-3


def mdc_wait(arrival_rate: ArrayLike, service_time: ArrayLike, servers: ArrayLike) -> FloatArray:
    """Mean wait in M/D/c, exact.

    Parameters
    ----------
    arrival_rate
        λ >= 0; all arguments broadcast.
    service_time
        D > 0, in the inverse unit of λ.
    servers
        c, whole, at least 1.

    Returns
    -------
    FloatArray
        Wq in the unit of D; relative error below 1e-9 (tests/queue_models/test_mdc.py).

    Raises
    ------
    UnstableError
        If λ D >= c.
    ServiceProcessError
        If an argument is out of range.

    Notes
    -----
    At multiples of D the number waiting follows X' = (X + A - c)^+, A Poisson of mean a = λD [1]_.
    Where few terms count, E[X] is Spitzer's series, the sum over l of E[(Poisson(l a) - l c)^+]/l;
    near saturation it is the sum over the roots z(k) of z^c = exp(a(z - 1)) in the unit disc [2]_,

        E[X] = sum over k of 1/(1 - z(k)) + (a^2 - c(c - 1))/(2(c - a)),

    with z(k) = -W(-ρ exp(2πik/c - ρ))/ρ, W Lambert's function. Cost: at most 400 incomplete gamma
    functions, or c/2 of Lambert's, per queue.

    References
    ----------
    .. [1] Crommelin, C. D. (1932). Delay probability formulae when the holding times are constant.
       Post Office Electrical Engineers Journal 25.
    .. [2] Janssen, A. J. E. M., van Leeuwaarden, J. S. H. (2008). Back to the roots of the M/D/s
       queue and the works of Erlang, Crommelin and Pollaczek. Statistica Neerlandica 62.
    """
    rate, time, count = _stable(arrival_rate, service_time, servers)
    shape = rate.shape
    rate, time, count = rate.ravel(), time.ravel(), count.ravel()
    load = rate * time / count
    decay = load - 1.0 - np.log(np.where(load > 0, load, 1.0))
    terms = _NEGLIGIBLE / np.maximum(count * np.maximum(decay, 0.0), 1e-300)
    waiting = np.zeros(rate.size)
    busy = load > 0
    series = np.flatnonzero(busy & (terms <= _MOST_TERMS))
    for pair in series:
        waiting[pair] = _by_series(float(load[pair]), float(count[pair]), int(terms[pair]) + 1)
    for pair in np.flatnonzero(busy & (terms > _MOST_TERMS)):
        rest = float((count[pair] - rate[pair] * time[pair]) / count[pair])
        waiting[pair] = _by_roots(float(load[pair]), rest, int(count[pair]))
    wait = waiting / np.where(busy, rate, 1.0)
    return wait.reshape(shape)


def _stable(
    arrival_rate: ArrayLike, service_time: ArrayLike, servers: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the broadcast arguments, or refuse them."""
    rate, time, count = checked_rates(arrival_rate, service_time, servers, "service_time")
    if not np.all(rate * time < count):
        raise UnstableError(
            f"arrival_rate = {arrival_rate!r}, service_time = {service_time!r}: "
            f"the offered load must be below the number of servers, {servers!r}"
        )
    shaped = np.broadcast_arrays(rate, time, count)
    return shaped[0], shaped[1], shaped[2]


def _by_series(load: float, servers: float, terms: int) -> float:
    """Return E[X] by Spitzer's series."""
    from scipy.special import gammainc, gammaln

    index = np.arange(1.0, terms + 1.0)
    level = index * servers
    mean = level * load
    point = np.exp(level * np.log(mean) - mean - gammaln(level + 1.0))
    if load > _LIGHT_LOAD:
        # E[(N - m)^+] = (mean - m) P(N >= m) + m P(N = m).
        excess = level * (point - (1.0 - load) * gammainc(level, mean))
    else:
        # All terms positive: P(N = m) times the sum over j of j mean^j/((m + 1)...(m + j)).
        step = np.arange(1.0, _LIGHT_TERMS + 1.0)
        ratios = np.cumprod(mean[:, None] / (level[:, None] + step), axis=1)
        excess = point * (ratios * step).sum(axis=1)
    return float(np.sum(np.maximum(excess, 0.0) / index))


def _by_roots(load: float, rest: float, servers: int) -> float:
    """Return E[X] by the roots in the unit disc; `rest` is 1 - load."""
    roots = _roots(load, servers)
    inside = float(np.sum((1.0 / (1.0 - roots)).real))
    return inside + 0.5 / rest - 0.5 * servers * (1.0 + load)


def _roots(load: float, servers: int) -> ComplexArray:
    """Return the roots other than 1 of z^c = exp(a(z - 1)) in the unit disc."""
    from scipy.special import lambertw

    angle = 2.0 * np.pi * np.arange(1, servers) / servers
    roots: ComplexArray = np.asarray(-lambertw(-load * np.exp(1j * angle - load)) / load)
    return roots


def mdc_wait_tail(
    wait: ArrayLike, arrival_rate: float, service_time: float, servers: int
) -> FloatArray:
    """P(the FCFS wait in M/D/c exceeds `wait`), exact.

    Parameters
    ----------
    wait
        >= 0, any shape.
    arrival_rate, service_time, servers
        One queue; as in `mdc_wait`.

    Raises
    ------
    UnstableError
        If λ D >= c.
    ServiceProcessError
        If an argument is out of range.

    Notes
    -----
    With Q(j) = P(at most j wait) and (k - 1)D <= t < kD, P(W <= t) = E[Q(kc - 1 - Poisson(λ(kD -
    t)))], a sum of positive terms [1]_. Q comes from the generating function of the number present,
    whose pole nearest to the unit disc is taken out, so that a fast Fourier transform over a few
    hundred points inverts the rest at any load. Absolute error about 1e-12.

    References
    ----------
    .. [1] Franx, G. J. (2001). A simple solution for the M/D/c waiting time distribution.
       Operations Research Letters 29.
    """
    rate, time, count = _stable(arrival_rate, service_time, servers)
    waits = np.asarray(wait, dtype=np.float64)
    queue = _NumberPresent(float(rate * time), int(count)) if rate > 0 else None
    if queue is None:
        return np.zeros(waits.shape)
    return np.array([queue.wait_tail(float(t / time)) for t in waits.ravel()]).reshape(waits.shape)


def mdc_wait_quantile(
    arrival_rate: ArrayLike, service_time: ArrayLike, servers: ArrayLike, probability: ArrayLike
) -> FloatArray:
    """Exact quantile of the FCFS wait in M/D/c, zero waits included.

    Parameters
    ----------
    arrival_rate, service_time, servers
        As in `mdc_wait`.
    probability
        q, 0 <= q < 1; broadcasts with the rest.

    Raises
    ------
    UnstableError
        If λ D >= c.
    ServiceProcessError
        If an argument is out of range.
    """
    rate, time, count = _stable(arrival_rate, service_time, servers)
    rate, time, count, share = np.broadcast_arrays(
        rate, time, count, 1.0 - checked_probability(probability)
    )
    answer = np.zeros(rate.size)
    for i, (lam, d, c, rest) in enumerate(
        zip(rate.ravel(), time.ravel(), count.ravel(), share.ravel(), strict=True)
    ):
        if lam > 0:
            answer[i] = d * _NumberPresent(float(lam * d), int(c)).wait_quantile(float(rest))
    return answer.reshape(rate.shape)


class _NumberPresent:
    """Distribution of the number present, from c on, in one M/D/c queue with D = 1."""

    def __init__(self, offered: float, servers: int) -> None:
        self.offered, self.servers = offered, servers
        load, rest = offered / servers, (servers - offered) / servers
        roots = _roots(load, servers)
        gap = _pole_gap(load, rest)
        self.log_pole, self.weight = float(np.log1p(gap)), 0.0
        reach, residue = self.log_pole, 0.0
        if self.log_pole < _NEAR_POLE:
            # E[z^N] = residue/(pole - z) + a part analytic up to the next poles.
            reach = _log_next_poles(load, servers)
            product = np.exp(np.sum(np.log1p(gap / (1.0 - roots)))).real
            residue = -servers * rest * gap * product / (servers * (rest - gap / (1.0 + gap)))
            self.weight = residue / gap
        # On this circle E[z^N]/z^c is about 1: no digit of the tail from c on is lost.
        log_radius = min(0.5 * reach, np.log(max(1.0 / load, 1.0 + np.sqrt(2.0 / servers))))
        size = 1 << int(np.ceil(np.log2(2.0 * _TRANSFORM_LOG / reach + 4 * servers + 8)))
        angle: ComplexArray = 2j * np.pi * np.arange(size // 2 + 1) / size
        values = self._generating(log_radius, angle, roots)
        values -= residue * np.exp(-servers * log_radius) / (gap - np.expm1(log_radius + angle))
        inverse = np.fft.irfft(values.conj(), size)[servers : size // 2]
        smooth = inverse * np.exp(-log_radius * np.arange(inverse.size))
        # more[j]: sum of the smooth part beyond c + j.
        self.more = np.append(np.cumsum(smooth[:0:-1])[::-1], 0.0)

    def _generating(
        self, log_radius: float, angle: ComplexArray, roots: ComplexArray
    ) -> ComplexArray:
        """Return E[z^N] radius^-c on the circle, the powers taken in logarithms."""
        move = np.expm1(log_radius + angle)
        logs = np.full(angle.shape, -self.servers * log_radius, dtype=np.complex128)
        for part in np.array_split(roots, 1 + (roots.size * angle.size >> 20)):
            logs += np.log1p(move[:, None] / (1.0 - part)).sum(axis=1)
        growth = self.servers * (log_radius + angle) - self.offered * move
        # (c - a)(z - 1) product/(z^c - e^(a(z - 1))), 1 at z = 1.
        top = (self.servers - self.offered) * move
        result: ComplexArray = top * np.exp(logs - growth) / -np.expm1(-growth)
        return result

    def more_waiting(self, waiting: FloatArray) -> FloatArray:
        """P(more than so many wait), `waiting` whole; 1 below 0."""
        index = np.clip(waiting, 0, self.more.size - 1).astype(np.int64)
        geometric = self.weight * np.exp(-(waiting + self.servers + 1.0) * self.log_pole)
        return np.where(waiting < 0, 1.0, np.clip(geometric + self.more[index], 0.0, 1.0))

    def wait_tail(self, wait: float) -> float:
        """P(W > wait), in units of D."""
        from scipy.special import gammaln

        k = np.floor(wait) + 1.0
        mean = self.offered * (k - wait)
        most = int(k) * self.servers - 1
        # Of the Poisson number, what lies beyond 12 standard deviations does not count.
        spread = 12.0 * np.sqrt(mean) + 60.0
        low, high = max(0, int(mean - spread)), min(most, int(mean + spread))
        count = np.arange(low, high + 1.0)
        if mean > 0:
            chance = np.exp(count * np.log(mean) - mean - gammaln(count + 1.0))
        else:
            chance = (count == 0).astype(np.float64)
        within = float(np.sum(chance * self.more_waiting(most - count)))
        # More arrivals than `most`: the wait exceeds for certain.
        return min(1.0, within + max(0.0, 1.0 - float(chance.sum())))

    def wait_quantile(self, share: float) -> float:
        """Return t with P(W > t) = share, in units of D."""
        return quantile_of_tail(self.wait_tail, share, 1.0)


def _pole_gap(load: float, rest: float) -> float:
    """Return z - 1 for the real pole z > 1 of E[z^N]: ln z = load (z - 1); `rest` is 1 - load."""
    from scipy.special import lambertw

    if rest > _SMALL_GAP:
        return float((-lambertw(-load * np.exp(-load), -1) / load).real) - 1.0
    # 1 - ln(1 + g)/g = rest, by its series.
    gap = 2.0 * rest
    for _ in range(4):
        value = gap * (1 / 2 - gap * (1 / 3 - gap * (1 / 4 - gap * (1 / 5 - gap / 6))))
        gap -= (value - rest) / (1 / 2 - gap * (2 / 3 - gap * (3 / 4 - gap * (4 / 5))))
    return gap


def _log_next_poles(load: float, servers: int) -> float:
    """Return ln of the modulus of the poles next to the real one."""
    from scipy.special import lambertw

    turns = np.exp(2j * np.pi * np.arange(servers) / servers - load)
    branches = [(turns[1:], -1), (turns[1:], 1), (turns[:1], 1), (turns[:1], -2)]
    nearest = [np.abs(lambertw(-load * t, k)).min() / load for t, k in branches if t.size]
    return float(np.log(min(nearest)))
