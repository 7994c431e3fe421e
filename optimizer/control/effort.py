"""How much work requests are: what makes loads of different lengths comparable."""

from __future__ import annotations

from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.model import PerformanceSpec

__all__ = ["Efforts", "full_batch_ms"]


class Efforts:
    """Engine time that one request of a service takes in a full batch [ms].

    A service with longer requests needs more replicas at the same rate. With the iteration law

        ms = base · out / batch + decode · out + prefill · in + kv · out (in + out/2)

    and accordingly by phase. Rates times efforts are what is forecast and compared; only their
    ratios matter. Where the times come as a table all requests of a service count the same.

    Parameters
    ----------
    fleet
        Whose services; the first entry of a service's model with such times counts.
    """

    def __init__(self, fleet: FleetSpec) -> None:
        timed = [p for p in fleet.performance if p.iteration or p.prefill_decode]
        of_model = {entry.model: entry for entry in reversed(timed)}
        self._entries = {s.name: of_model.get(s.model) for s in fleet.services}
        self._described = {
            s.name: (s.load.mean_input_tokens, s.load.mean_output_tokens) for s in fleet.services
        }

    def of(self, service: str, input_tokens: float | None, output_tokens: float | None) -> float:
        """Return the effort of a request with these mean lengths; None or 0: as described."""
        entry = self._entries.get(service)
        if entry is None:
            return 1.0
        prompt, output = self._described[service]
        return max(full_batch_ms(entry, input_tokens or prompt, output_tokens or output), 1e-9)


def full_batch_ms(entry: PerformanceSpec, prompt: float, output: float) -> float:
    """Return the engine time of one request in a full batch [ms], of an entry by either law."""
    batch = max(entry.max_batch or 1, 1)
    by_iteration, by_phase = entry.iteration, entry.prefill_decode
    if by_iteration is not None:
        return (
            by_iteration.base_ms * output / batch
            + by_iteration.decode_ms_per_token * output
            + by_iteration.prefill_ms_per_token * prompt
            + by_iteration.kv_ms_per_token * output * (prompt + output / 2.0)
        )
    assert by_phase is not None
    return (
        by_phase.decode_base_ms * output / batch
        + by_phase.decode_ms_per_request * output
        + by_phase.prefill_ms_per_token * prompt
    )
