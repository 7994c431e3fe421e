"""The model that chooses a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, final

from numpy.typing import ArrayLike

from queue_models.arrays import BoolArray, FloatArray
from queue_models.base import QueueMetrics, QueueModel, Statistic, Targets
from queue_models.process import ServiceProcess
from queue_models.registry import get
from queue_models.timing import IterationTiming, PrefillDecodeTiming, Timing

__all__ = ["AutoModel"]


@final
class AutoModel(QueueModel):
    """Delegate every call to the model that `choose` names for it."""

    name: ClassVar[str] = "auto"
    summary: ClassVar[str] = "chooses a model for the timing and the statistics wanted"
    timings: ClassVar[frozenset[type[Timing]]] = frozenset({IterationTiming, PrefillDecodeTiming})
    assumptions: ClassVar[tuple[str, ...]] = ("Those of the chosen model.",)
    cost: ClassVar[str] = "that of the chosen model"

    def choose(self, timing: type[Timing], statistics: Sequence[Statistic] = ()) -> tuple[str, str]:
        """Return the name of the model used for such calls, and why, in a sentence.

        Parameters
        ----------
        timing
            Kind of timing of the service process.
        statistics
            What is wanted or bounded.
        """
        tails = ", ".join(str(s) for s in statistics if s.percentile is not None)
        reason = f"service speed depends on the batch in use; it knows {timing.__name__}"
        if tails:
            reason += f" and {tails}"
        return "mm1k-state-dependent", reason

    def _chosen(self, service: ServiceProcess, statistics: Sequence[Statistic]) -> QueueModel:
        name, _ = self.choose(type(service.timing), statistics)
        return get(name)

    def refusals(
        self, service: ServiceProcess, statistics: Sequence[Statistic] = ()
    ) -> Mapping[str, BoolArray]:
        """Return why the chosen model does not hold; see `QueueModel.refusals`."""
        return self._chosen(service, statistics).refusals(service, statistics)

    def evaluate(
        self,
        service: ServiceProcess,
        arrival_rate_rps: ArrayLike,
        statistics: Sequence[Statistic] = (),
    ) -> QueueMetrics:
        """Return the chosen model's steady state; see `QueueModel.evaluate`."""
        return self._chosen(service, statistics).evaluate(service, arrival_rate_rps, statistics)

    def max_rate(self, service: ServiceProcess, targets: Targets) -> FloatArray:
        """Return the chosen model's largest rate; see `QueueModel.max_rate`."""
        return self._chosen(service, targets.statistics).max_rate(service, targets)
