"""How many observations a tuner took in, and what becomes of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from optimizer.performance.tuner.base import Update
from optimizer.performance.tuner.errors import TunerError
from optimizer.performance.tuner.gated_filter import Verdict
from optimizer.performance.tuner.observation import Observation

__all__ = ["Tally"]


@dataclass(slots=True)
class Tally:
    """Counts of observations, and the time of the last one.

    Parameters
    ----------
    accepted, rejected
        Taken in; not taken in, for whatever reason.
    reopened
        Times that rejections in a row were taken for a change.
    last_time_s
        Of the observations so far; older ones and ones of the same time are not taken in.
    """

    accepted: int = 0
    rejected: int = 0
    reopened: int = 0
    last_time_s: float | None = None

    def fault(self, observation: Observation, wanted: type[Observation]) -> str:
        """Say why an observation cannot be used; empty, and its time is noted, where it can.

        Raises
        ------
        TunerError
            If it is of another kind.
        """
        if not isinstance(observation, wanted):
            raise TunerError(
                f"update: {wanted.__name__} is wanted, came {type(observation).__name__}"
            )
        if observation.fault:
            return observation.fault
        time_s, last = observation.time_s, self.last_time_s
        if time_s is not None and last is not None and time_s <= last:
            kind = "the same time as" if time_s == last else "before"
            return f"time_s = {time_s:g}: {kind} the observation before it"
        if time_s is not None:
            self.last_time_s = time_s
        return ""

    def refuse(self, reason: str) -> Update:
        """Count and return an observation that cannot be used."""
        self.rejected += 1
        return Update(accepted=False, reason=reason, predicted_ms={}, observed_ms={})

    def judged(
        self,
        verdict: Verdict,
        predicted_ms: Mapping[str, float],
        observed_ms: Mapping[str, float],
        *,
        anew: bool,
    ) -> Update:
        """Count and return an observation that the filter judged; `anew`: it began anew."""
        reason = ""
        self.reopened += anew
        if verdict.accepted:
            self.accepted += 1
        else:
            self.rejected += 1
            reason = f"an outlier: {_apart(predicted_ms, observed_ms)}"
        if anew:
            reason = "several of the last were off: the replica has changed, learnt anew"
        return Update(
            accepted=verdict.accepted,
            reason=reason,
            nis=verdict.nis,
            predicted_ms=predicted_ms,
            observed_ms=observed_ms,
        )

    def document(self) -> dict[str, Any]:
        """Return the counts for JSON."""
        return asdict(self)


def _apart(predicted_ms: Mapping[str, float], observed_ms: Mapping[str, float]) -> str:
    """Say how observed times compare with predicted ones."""
    return ", ".join(
        f"{name} {observed_ms[name] / predicted_ms[name]:.3g} times what was predicted"
        if name in predicted_ms
        else f"{name} where an overload was predicted"
        for name in observed_ms
    )
