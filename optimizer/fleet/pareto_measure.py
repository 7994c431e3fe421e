"""What cost is weighed against: one figure per candidate that adds up over a fleet."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from optimizer.errors import ModelError
from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.resources import KINDS

__all__ = ["ParetoMeasure", "measure_of_candidates"]

FloatArray = NDArray[np.float64]


class ParetoMeasure(StrEnum):
    """What cost is weighed against; the less, the better."""

    TTFT_MS = "ttft_ms"  # means over all requests of the fleet
    ITL_MS = "itl_ms"
    E2E_MS = "e2e_ms"
    POWER_KW = "power_kw"
    CARBON_KG_PER_HOUR = "carbon_kg_per_hour"
    CARDS = "cards"
    MOVES = "moves"  # services that leave the accelerator they are on

    @property
    def is_latency(self) -> bool:
        """Whether it is a mean over requests."""
        return self.value.endswith("_ms")


def measure_of_candidates(table: CandidateTable, measure: ParetoMeasure) -> FloatArray:
    """Return (candidates,), what each adds to the fleet's figure, >= 0.

    A mean over requests is a sum over services, each with its share of all requests.

    Raises
    ------
    ModelError
        If a latency is asked for that the queue model does not know, or moves of a fleet of which
        nothing is deployed.
    """
    if measure is ParetoMeasure.MOVES:
        return _moves(table)
    if not measure.is_latency:
        return KINDS[measure.value].of_candidates(table)
    rates = table.targets.rate_rps
    total = float(rates.sum())
    if total <= 0:
        raise ModelError(f"{measure}: no service has any load, so there is no mean over requests")
    values: FloatArray = getattr(table.metrics, measure.value) * (rates / total)[table.service]
    placed = table.accelerator >= 0
    unknown = placed & ~np.isfinite(values)
    unknown[np.setdiff1d(np.arange(len(table)), table.possible)] = False
    if unknown.any():
        name = table.spec.services[int(table.service[np.flatnonzero(unknown)[0]])].name
        raise ModelError(
            f"{measure}: queue model '{table.queue_model}' gives none for service {name!r}"
        )
    return np.where(placed & np.isfinite(values), values, 0.0)


def _moves(table: CandidateTable) -> FloatArray:
    places = {name: place for place, name in enumerate(table.inventory.names)}
    stays = np.zeros((len(table.spec.services), len(places)), dtype=np.bool_)
    for index, service in enumerate(table.spec.services):
        for current in service.deployed:
            stays[index, places[current.accelerator or ""]] = True
    deployed = np.array([bool(service.deployed) for service in table.spec.services])
    if not deployed.any():
        raise ModelError("moves: no service says what serves it today (services[].current)")
    here = (table.accelerator >= 0) & stays[table.service, table.accelerator]
    moved: FloatArray = (deployed[table.service] & ~here).astype(np.float64)
    return moved
