"""How long a request stays in service, in prefill and per token, when n are in service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from queue_models.arrays import BoolArray, FloatArray, IntArray
from queue_models.process import ServiceProcess
from queue_models.timing import IterationTiming, PrefillDecodeTiming
from queue_models.work import RequestWork

__all__ = ["ServiceLaw", "impossible_services", "service_law", "tagged_law"]

_MS_PER_S = 1000.0

# A time that exceeds its bound by this share does so by rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False, kw_only=True)
class ServiceLaw:
    """Times linear in the number n in service, up to a knee where the token budget binds.

    S(n) = prefill(n) + intervals x decode(n), and the pair completes n/S(n) requests per ms. Above
    the knee a larger n adds no throughput: decode(n) stays and prefill(n) takes the rest.
    All arrays have shape (P,), all times are in ms.

    Attributes
    ----------
    slots
        Largest n, B.
    intervals
        Mean decode intervals of a request: output tokens less one where an iteration gives one.
    prefill_base, prefill_slope
        prefill(n) = base + slope n.
    decode_base, decode_slope
        decode(n) = base + slope n.
    knee
        Largest n before the token budget binds, `inf` where none does.
    stretch_of_all
        For tagged requests: by how much every further request above the knee delays them, as it
        delays all; None: what the law itself says.
    """

    slots: IntArray
    intervals: FloatArray
    prefill_base: FloatArray
    prefill_slope: FloatArray
    decode_base: FloatArray
    decode_slope: FloatArray
    knee: FloatArray
    stretch_of_all: FloatArray | None = None

    def take(self, pairs: IntArray) -> ServiceLaw:
        """Return the law of some pairs."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return ServiceLaw(
            **{name: array[pairs] for name, array in given.items() if array is not None}
        )

    def at_full_batch(self) -> ServiceLaw:
        """Return the law under which every request is served as in a full batch."""
        full = self.slots.astype(np.float64)
        none = np.zeros_like(full)
        return ServiceLaw(
            slots=self.slots,
            intervals=self.intervals,
            prefill_base=self.prefill(full),
            prefill_slope=none,
            decode_base=self.decode(full),
            decode_slope=none,
            knee=np.full_like(full, np.inf),
        )

    @property
    def _stretch(self) -> FloatArray:
        """Slope of S(n) above the knee: the inverse of the budget's throughput [ms/request]."""
        if self.stretch_of_all is not None:
            return self.stretch_of_all
        knee = np.where(self.binding, self.knee, 1.0)
        return np.where(self.binding, self._linear_time(knee) / knee, 0.0)

    @property
    def binding(self) -> BoolArray:
        """Where the token budget binds before the batch is full."""
        return self.knee < self.slots

    def _linear_time(self, present: FloatArray) -> FloatArray:
        """S(n) as it would be without a knee."""
        base = self.prefill_base + self.intervals * self.decode_base
        return base + (self.prefill_slope + self.intervals * self.decode_slope) * present

    def decode(self, present: FloatArray, capped: FloatArray | None = None) -> FloatArray:
        """decode(n) [ms]; n real, >= 1, shape (P,).

        Linear in n and min(n, knee), so that means of these (as `capped`) give its mean.
        """
        low = np.minimum(present, self.knee) if capped is None else capped
        return self.decode_base + self.decode_slope * low

    def prefill(self, present: FloatArray, capped: FloatArray | None = None) -> FloatArray:
        """prefill(n) [ms], as `decode`."""
        low = np.minimum(present, self.knee) if capped is None else capped
        return self.prefill_base + self.prefill_slope * low + self._stretch * (present - low)

    def time_in_service(self, present: FloatArray, capped: FloatArray | None = None) -> FloatArray:
        """S(n) [ms], as `decode`."""
        low = np.minimum(present, self.knee) if capped is None else capped
        return self._linear_time(low) + self._stretch * (present - low)

    def prefill_reach(self, bound: FloatArray) -> FloatArray:
        """Return the number of n in 1..B with prefill(n) <= bound, per pair."""
        return self._reach(self.prefill, bound)

    def decode_reach(self, bound: FloatArray) -> FloatArray:
        """Return the number of n in 1..B with decode(n) <= bound, per pair."""
        return self._reach(self.decode, bound)

    def _reach(self, time: Callable[[FloatArray], FloatArray], bound: FloatArray) -> FloatArray:
        """Count the n in 1..B at which a time that grows with n is within the bound."""
        low, high = np.zeros(len(self.slots)), self.slots.astype(np.float64)
        while np.any(low < high):
            middle = np.ceil((low + high) / 2.0)
            within = time(middle) <= bound * (1.0 + _ROUNDING)
            low, high = np.where(within, middle, low), np.where(within, high, middle - 1.0)
        return low

    def inverse_rate(self) -> tuple[FloatArray, FloatArray]:
        """Return base and slope of 1/mu(n) = base/min(n, knee) + slope [s/request]."""
        base = self._linear_time(np.zeros_like(self.knee))
        slope = self._linear_time(np.ones_like(self.knee)) - base
        return base / _MS_PER_S, slope / _MS_PER_S

    def service_rates(self) -> FloatArray:
        """mu(n) for n = 1..B [requests/s], shape (P, max B); beyond B it is not meaningful."""
        present = np.arange(1.0, float(self.slots.max(initial=1)) + 1.0)
        base, slope = self.inverse_rate()
        rates: FloatArray = 1.0 / (
            base[:, None] / np.minimum(present, self.knee[:, None]) + slope[:, None]
        )
        return rates


def service_law(service: ServiceProcess) -> ServiceLaw:
    """Return the law of a service process, flattened to shape (P,).

    With `PrefillDecodeTiming` prefill(n) and decode(n) are the timing's own.

    With `IterationTiming` every one of the request's K iterations takes base + n w/K on average, w
    being the request's own work in ms (see `RequestWork`): work is conserved, so that in K
    iterations each of the n requests present does w of it. Of its own work, that of prefill falls
    into the k_p prefill iterations and the rest into the decode iterations::

        prefill(n) = k_p (base + (n - 1) w/K) + own prefill work
        decode(n)  = base + (n - 1) w/K + own decode work/(K - k_p)
        S(n)       = base K + n w

    w = b_p E[Li] + b_d (E[Lo] - 1) + g (E[Li](E[Lo] - 1) + E[Lo(Lo - 1)]/2 + E[Li]) without prefix
    hits and speculation, in which the second moment of Lo matters. decode(n) is the time of an
    iteration, in which speculation may give several tokens.

    The budget C also bounds the throughput, by C/(base tokens + C w) with the tokens that a request
    takes of it; the knee is the n at which n/S(n) reaches that, C K/tokens.
    """
    if isinstance(service.timing, PrefillDecodeTiming):
        return _prefill_decode_law(service, service.timing)
    if isinstance(service.timing, IterationTiming):
        return _iteration_law(service, service.timing)
    raise TypeError(f"{type(service.timing).__name__} has no linear law")


def _prefill_decode_law(service: ServiceProcess, timing: PrefillDecodeTiming) -> ServiceLaw:
    work, flat = RequestWork.of(service), timing.reshape((-1,))
    prompt = work.prefill_tokens
    decodes_first = work.prefill_decode_tokens > 0  # a replica that only decodes
    base = np.where(prompt > 0, flat.prefill_base_ms, 0.0)
    return ServiceLaw(
        slots=work.slots.astype(np.int64),
        intervals=work.decode_iterations,
        prefill_base=np.where(decodes_first, flat.decode_base_ms, base),
        prefill_slope=np.where(
            decodes_first, flat.decode_ms_per_request, flat.prefill_ms_per_token * prompt
        ),
        decode_base=flat.decode_base_ms,
        decode_slope=flat.decode_ms_per_request,
        knee=np.full(len(prompt), np.inf),
    )


def _iteration_law(service: ServiceProcess, timing: IterationTiming) -> ServiceLaw:
    work, flat = RequestWork.of(service), timing.reshape((-1,))
    per_decode, per_kv = flat.decode_ms_per_token, flat.kv_ms_per_token
    own_prefill = (
        flat.prefill_ms_per_token * work.prefill_tokens
        + per_decode * work.prefill_decode_tokens
        + per_kv * work.kv_prefill
    )
    own_decode = (
        per_decode * (work.decode_tokens - work.prefill_decode_tokens) + per_kv * work.kv_decode
    )
    decodes = work.decode_iterations
    several = decodes > 0
    own_interval = np.where(several, own_decode / np.where(several, decodes, 1.0), 0.0)
    shared = (own_prefill + own_decode) / work.iterations
    prefills = work.prefill_iterations
    return ServiceLaw(
        slots=work.slots.astype(np.int64),
        intervals=decodes,
        prefill_base=prefills * (flat.base_ms - shared) + own_prefill,
        prefill_slope=prefills * shared,
        decode_base=flat.base_ms - shared + own_interval,
        decode_slope=shared,
        knee=work.budgeted_slots,
    )


def tagged_law(service: ServiceProcess, law: ServiceLaw) -> ServiceLaw:
    """Return what the tagged requests of a process take beside the others.

    Parameters
    ----------
    service
        The process; without tagged requests the law is returned as it is.
    law
        That of all its requests, as `service_law` gives it.

    Notes
    -----
    The n - 1 others take what requests take on average; the own prompt and tokens are the kind's.
    """
    if service.tagged is None:
        return law
    alone, flat = service.of_tagged(), service.timing.reshape((-1,))
    work, own = RequestWork.of(service), RequestWork.of(alone)
    if isinstance(flat, PrefillDecodeTiming):
        longer = flat.prefill_ms_per_token * (own.prefill_tokens - work.prefill_tokens)
        return replace(law, intervals=own.decode_iterations, prefill_base=law.prefill_base + longer)
    mine = service_law(alone)
    shared, of_own = law.decode_slope, mine.decode_slope
    prefills = own.prefill_iterations
    return replace(
        law,
        intervals=mine.intervals,
        prefill_base=mine.prefill_base + prefills * (of_own - shared),
        prefill_slope=prefills * shared,
        decode_base=mine.decode_base + of_own - shared,
        stretch_of_all=law._stretch,
    )


def impossible_services(service: ServiceProcess) -> Mapping[str, BoolArray]:
    """Return the refusals of services that no law can serve."""
    law = service_law(service)
    timeless = (law.time_in_service(np.ones(len(law.slots))) <= 0).reshape(service.shape)
    if not timeless.any():
        return {}
    return {"a request takes no time: no prefill time and a single output token": timeless}
