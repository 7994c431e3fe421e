"""What every kind of resource has: how candidates use it, and how a plan's words tell its use."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.fleet_facts import FleetFacts
from optimizer.fleet.plan import Allocation
from optimizer.fleet.resources.scope import Scope

__all__ = ["ResourceKind"]

FloatArray = NDArray[np.float64]


class ResourceKind(ABC):
    """A kind of resource: one small file in this package, and an entry of `KINDS`.

    The two methods are two answers to one question and share nothing: the first prices the columns
    of the array problem, the second is what the independent checker counts. Where the first cannot
    be exact in split mode, it is an upper bound.
    """

    name: ClassVar[str]
    """As in `limits[].measure`."""
    unit: ClassVar[str]
    """Unit of capacity and use; "" is the fleet's currency per hour."""
    is_whole: ClassVar[bool] = False
    """Whether it comes in whole pieces."""
    by_pool: ClassVar[bool] = True
    """Whether prefill and decode pools are asked about one by one, else both at once."""

    @abstractmethod
    def of_candidates(self, table: CandidateTable) -> FloatArray:
        """Return (candidates,), what all the replicas of each candidate use, >= 0.

        Of a service that splits a candidate's replicas use equal parts of it. Impossible
        candidates may use anything.
        """

    def per_kw(self, table: CandidateTable) -> FloatArray | None:
        """Return (candidates,), what each kW that a candidate draws uses; None: nothing by power.

        Where a service splits, power follows the load of its replicas, and so do these kinds.
        """
        del table
        return None

    def of_unserved(self, table: CandidateTable) -> FloatArray | None:
        """Return (services,), what leaving each unserved uses; None: nothing."""
        del table
        return None

    def used(self, facts: FleetFacts, scope: Scope, allocations: Sequence[Allocation]) -> float:
        """Return what a plan's allocations use within a scope.

        Raises
        ------
        KeyError
            If the fleet does not have what an allocation names.
        """
        return math.fsum(
            self.of_allocation(facts, allocation)
            for allocation in allocations
            if allocation.accelerator is not None
            and scope.has_accelerator(facts.machine(allocation))
            and scope.has_service(facts.service(allocation))
        )

    @abstractmethod
    def of_allocation(self, facts: FleetFacts, allocation: Allocation) -> float:
        """Return what an allocation uses, from the fleet's description and the plan's words.

        Raises
        ------
        KeyError
            If the fleet does not have what the allocation names.
        """
