"""The model that chooses a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from queue_models.arrays import BoolArray, FloatArray, IntArray
from queue_models.base import QueueMetrics, QueueModel, Statistic, Target, Targets
from queue_models.process import OPTIONAL_FIELDS, ServiceProcess, checked_arrival_rate
from queue_models.registry import get
from queue_models.timing import IterationTiming, PrefillDecodeTiming, TableTiming, Timing

__all__ = ["AutoModel", "Choice"]


@dataclass(frozen=True, eq=False)
class Choice:
    """A model, why it is taken, and the flat indices of the pairs it is taken for."""

    name: str
    reason: str
    pairs: IntArray


# In order of preference: name, what it needs installed, and why it is taken.
_PREFERENCES: tuple[tuple[str, str | None, str], ...] = (
    ("iteration-level", "numba", "TTFT and percentiles come from the iterations one by one"),
    ("tabled", "numba", "as iteration-level, linear around the work of each rate"),
    ("mm1k-state-dependent", None, "service speed depends on the batch in use"),
    ("lps", None, "service speed depends on the batch in use, waits on variability"),
)


@final
class AutoModel(QueueModel):
    """Delegate every pair to the first model, in an order of accuracy, that does not refuse it.

    The order is `iteration-level` or, for tables, `tabled` (where numba is installed: uncompiled
    they are too slow), `mm1k-state-dependent`, `lps`. A pair that all refuse is refused as by the
    first that reads its timing.
    """

    name: ClassVar[str] = "auto"
    summary: ClassVar[str] = "chooses for every pair the most accurate model that holds for it"
    timings: ClassVar[frozenset[type[Timing]]] = frozenset(
        {IterationTiming, PrefillDecodeTiming, TableTiming}
    )
    cost: ClassVar[str] = "that of the chosen model"
    assumptions: ClassVar[tuple[str, ...]] = ("Those of the chosen model.",)
    source: ClassVar[str] = "that of the chosen model"
    honours: ClassVar[frozenset[str]] = frozenset(OPTIONAL_FIELDS)
    bound: ClassVar[str] = "iteration-level-bound"

    def choose(
        self, service: ServiceProcess, statistics: Sequence[Statistic] = ()
    ) -> tuple[Choice, ...]:
        """Return the models used for a service, each with its pairs; all pairs are in one.

        Parameters
        ----------
        service
            The pairs.
        statistics
            What is wanted or bounded.
        """
        flat, timing = service.flat, type(service.timing)
        left = np.arange(flat.input_tokens.size)
        choices: list[Choice] = []
        candidates = [
            (name, reason)
            for name, needs, reason in _PREFERENCES
            if (needs is None or find_spec(needs) is not None) and timing in get(name).timings
        ] or [(_PREFERENCES[1][0], _PREFERENCES[1][2])]
        for name, reason in candidates:
            refused = _refused(get(name), flat.take(left), statistics)
            if not refused.all() or not flat.shape[0]:
                choices.append(
                    Choice(name, f"{reason}; it knows {timing.__name__}", left[~refused])
                )
            left = left[refused]
            if not left.size:
                return tuple(choices)
        name, reason = candidates[0]
        return (*choices, Choice(name, reason, left))

    def refusals(
        self, service: ServiceProcess, statistics: Sequence[Statistic] = ()
    ) -> Mapping[str, BoolArray]:
        """Return why no model holds; see `QueueModel.refusals`."""
        refusals: dict[str, BoolArray] = {}
        for choice in self.choose(service, statistics):
            part = service.flat.take(choice.pairs)
            for reason, mask in get(choice.name).refusals(part, statistics).items():
                everywhere = np.zeros(service.input_tokens.size, dtype=np.bool_)
                everywhere[choice.pairs[mask]] = True
                known = refusals.get(reason, np.zeros(service.shape, dtype=np.bool_))
                refusals[reason] = known | everywhere.reshape(service.shape)
        return refusals

    def evaluate(
        self,
        service: ServiceProcess,
        arrival_rate_rps: ArrayLike,
        statistics: Sequence[Statistic] = (),
    ) -> QueueMetrics:
        """Return the chosen models' steady state; see `QueueModel.evaluate`."""
        choices = self.choose(service, statistics)
        if len(choices) == 1:
            return get(choices[0].name).evaluate(service, arrival_rate_rps, statistics)
        rate = checked_arrival_rate(arrival_rate_rps, service.shape)
        pair = np.broadcast_to(
            np.arange(service.input_tokens.size).reshape(service.shape), rate.shape
        )
        results: dict[str, NDArray[Any]] = {}
        percentiles: dict[Statistic, FloatArray] = {}
        for choice in choices:
            places = np.flatnonzero(np.isin(pair, choice.pairs))
            part = service.flat.take(pair.ravel()[places])
            metrics = get(choice.name).evaluate(part, rate.ravel()[places], statistics)
            for name in (f.name for f in fields(QueueMetrics) if f.name != "percentiles"):
                values = getattr(metrics, name)
                results.setdefault(name, np.empty(rate.size, values.dtype))[places] = values
            for statistic, quantiles in metrics.percentiles.items():
                percentiles.setdefault(statistic, np.empty(rate.size))[places] = quantiles
        return QueueMetrics(**results, percentiles=percentiles).reshape(rate.shape)

    def max_rate(self, service: ServiceProcess, targets: Targets) -> FloatArray:
        """Return the chosen models' largest rates; see `QueueModel.max_rate`."""
        choices = self.choose(service, targets.statistics)
        if len(choices) == 1:
            return get(choices[0].name).max_rate(service, targets)
        rates = np.empty(service.input_tokens.size)
        promised = targets.promised_throughput
        for choice in choices:

            def of_pairs(values: NDArray[Any], pairs: IntArray = choice.pairs) -> NDArray[Any]:
                return np.broadcast_to(values, service.shape).ravel()[pairs]

            part = Targets(
                tuple(Target(t.statistic, of_pairs(t.bound)) for t in targets.targets),
                None if promised is None else of_pairs(promised),
            )
            rates[choice.pairs] = get(choice.name).max_rate(service.flat.take(choice.pairs), part)
        return rates.reshape(service.shape)


def _refused(
    model: QueueModel, service: ServiceProcess, statistics: Sequence[Statistic]
) -> BoolArray:
    """Return which pairs the model refuses for whatever reason."""
    refused = np.zeros(service.shape, dtype=np.bool_)
    for mask in model.refusals(service, statistics).values():
        refused |= mask
    return refused
