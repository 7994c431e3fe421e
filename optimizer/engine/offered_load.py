"""What a service is asked for in a simulation, in place of what its fleet says."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from optimizer.engine.arrivals import (
    AbstractRate,
    Arrivals,
    ConstantRate,
    MarkovModulatedRate,
    PeriodicRate,
)
from optimizer.engine.errors import WorkloadError
from optimizer.engine.traces import Trace
from queue_models import Lengths, Metric, Statistic

__all__ = ["OfferedLoad", "parse_arrivals", "parse_lengths", "parse_statistic"]

_METRICS = {
    "wait": Metric.WAIT,
    "ttft": Metric.TTFT,
    "itl": Metric.ITL,
    "tpot": Metric.TPOT,
    "e2e": Metric.E2E,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class OfferedLoad:
    """Changes to a service's load; what is None stays as its fleet says.

    Parameters
    ----------
    rate
        How the rate goes with time. Its shape is taken, brought to the service's mean rate.
    scv
        Squared coefficient of variation of the times between arrivals.
    input_lengths, output_lengths
        Distributions of one pair.
    trace
        Recorded requests, in place of all of these; once from its start to its end.
    as_recorded
        Whether the trace goes at its own rate, and not at that of the service.
    words
        What it is, for people.
    """

    rate: AbstractRate | None = None
    scv: float | None = None
    input_lengths: Lengths | None = None
    output_lengths: Lengths | None = None
    trace: Trace | None = None
    as_recorded: bool = False
    words: str = ""

    def __post_init__(self) -> None:
        others = (self.rate, self.scv, self.input_lengths, self.output_lengths)
        if self.trace is not None and any(other is not None for other in others):
            raise WorkloadError(
                "OfferedLoad: a trace has its own arrivals and lengths; give either it or these"
            )

    def arrivals(self, rate_rps: float, scv: float) -> Arrivals:
        """Return the arrivals of a service with this mean rate [1/s] and variability."""
        rate = ConstantRate(rate_rps)
        scv = scv if self.scv is None else self.scv
        if self.rate is None:
            return Arrivals(rate, scv)
        return Arrivals(self.rate.scaled(rate_rps / self.rate.mean_rps), scv)

    @property
    def period_s(self) -> float | None:
        """After how long the rate comes round [s]; None where it does not."""
        if isinstance(self.rate, PeriodicRate):
            return self.rate.interval_s * len(self.rate.rates_rps)
        return None


def parse_arrivals(text: str) -> tuple[AbstractRate | None, float | None]:
    """Read an arrival process: the shape of its rate and the variability of its gaps.

    `poisson`; `gamma:SCV`; `mmpp:LEVEL@SECONDS,...`, levels being relative to each other and
    seconds mean stays; `diurnal`, `diurnal:SWING` or `diurnal:SWING:PEAK_HOUR`;
    `periodic:SECONDS:LEVEL,LEVEL,...`, intervals of equal length.

    Raises
    ------
    WorkloadError
        If it is none of these.
    """
    kind, _, rest = text.strip().partition(":")
    try:
        if kind == "poisson" and not rest:
            return ConstantRate(1.0), 1.0
        if kind == "gamma":
            return ConstantRate(1.0), _positive(rest)
        if kind == "diurnal":
            return PeriodicRate.diurnal(1.0, *map(float, rest.split(":") if rest else ())), 1.0
        if kind == "mmpp":
            states = [part.split("@") for part in rest.split(",")]
            levels = tuple(float(level) for level, _ in states)
            return MarkovModulatedRate(levels, tuple(float(stay) for _, stay in states)), 1.0
        if kind == "periodic":
            seconds, levels_text = rest.split(":")
            rates = tuple(float(level) for level in levels_text.split(","))
            return PeriodicRate(rates, _positive(seconds)), 1.0
    except WorkloadError as error:
        raise WorkloadError(f"arrivals '{text}': {error}") from error
    except (ValueError, TypeError):
        pass
    raise WorkloadError(
        f"arrivals '{text}': wanted poisson, gamma:SCV, mmpp:LEVEL@SECONDS,LEVEL@SECONDS, "
        f"diurnal:SWING:PEAK_HOUR or periodic:SECONDS:LEVEL,LEVEL, as in gamma:4, mmpp:1@60,4@15, "
        f"diurnal:0.6:14"
    )


def parse_lengths(text: str) -> Lengths:
    """Read a distribution of lengths.

    `fixed:TOKENS`, `geometric:MEAN`, `lognormal:MEAN:SCV` (squared coefficient of variation) or
    `empirical:TOKENS,TOKENS,...`, as seen.

    Raises
    ------
    WorkloadError
        If it is none of these.
    """
    kind, *rest = text.strip().split(":")
    try:
        if kind == "empirical" and len(rest) == 1:
            return Lengths.empirical([_tokens(value) for value in rest[0].split(",")])
        if kind == "fixed" and len(rest) == 1:
            return Lengths.fixed(_tokens(rest[0]))
        if kind == "geometric" and len(rest) == 1:
            return Lengths.geometric(_tokens(rest[0]))
        if kind == "lognormal" and len(rest) == 2:
            return Lengths.lognormal(_tokens(rest[0]), _positive(rest[1]))
    except ValueError:
        pass
    raise WorkloadError(
        f"lengths '{text}': wanted fixed:TOKENS, geometric:MEAN, lognormal:MEAN:SCV or "
        f"empirical:TOKENS,TOKENS, with at least 1 token"
    )


def parse_statistic(text: str) -> Statistic:
    """Read the name of a statistic: `ttft_mean`, `itl_p99`, `e2e_p95`.

    Raises
    ------
    WorkloadError
        If it is none.
    """
    found = re.fullmatch(r"([a-z0-9]+?)(?:_ms)?_(mean|p(\d+(?:\.\d+)?))", text.strip())
    if found is None or found[1] not in _METRICS or not 0 < float(found[3] or 50) < 100:
        raise WorkloadError(
            f"statistic '{text}': wanted one of {', '.join(_METRICS)}, an underscore, and mean or "
            f"any percentile above p0 and below p100, as in ttft_p99, itl_mean, e2e_p99.9"
        )
    return Statistic(_METRICS[found[1]], None if found[3] is None else float(found[3]))


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError(text)
    return value


def _tokens(text: str) -> float:
    value = _positive(text)
    if not 1 <= value <= 1e9:
        raise ValueError(text)
    return value
