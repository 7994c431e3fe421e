"""The abstract solver: what every solver, ours or a guest, promises."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from solvers.agreements import are_agreements
from solvers.cancellation import CancelFlag
from solvers.errors import SolverOptionError, UnsupportedFeatureError
from solvers.problem import AllocationProblem, FloatArray, IntArray
from solvers.progress import ProgressCallback
from solvers.result import SolveResult

__all__ = [
    "EXACT_FEATURES",
    "LINKED_FEATURES",
    "Feature",
    "NoOptions",
    "SolveParams",
    "Solver",
    "Start",
    "required_features",
]


class Feature(StrEnum):
    """What a solver can do; asked by callers and tests instead of testing names."""

    EXACT = "exact"  # proves optimality and infeasibility, given time
    DUAL_BOUND = "dual_bound"  # reports a bound tighter than the capacity-free one
    TIME_LIMIT = "time_limit"
    WARM_START = "warm_start"
    MULTI_THREAD = "multi_thread"
    STRICT_PRIORITIES = "strict_priorities"  # lexicographic stages, see AllocationProblem.priority
    PARTIAL = "partial"  # may take fewer parts of a column, see AllocationProblem.parts
    PROGRESS = "progress"  # calls SolveParams.progress when incumbent or bound improve
    SPLIT = "split"  # counts and rate shares, see AllocationProblem.split
    LINKS = "links"  # signed rows and further columns, see AllocationProblem.links
    AGREEMENTS = "agreements"  # of links, those alone by which choices of two groups agree
    CHANCE = "chance"  # rows kept with a probability, see AllocationProblem.chance
    CANCEL = "cancel"  # returns the incumbent when SolveParams.cancel is set


EXACT_FEATURES = frozenset(
    {
        Feature.EXACT,
        Feature.DUAL_BOUND,
        Feature.TIME_LIMIT,
        Feature.WARM_START,
        Feature.MULTI_THREAD,
        Feature.STRICT_PRIORITIES,
        Feature.PROGRESS,
        Feature.CANCEL,
    }
)
"""What our exact solvers share; listed, so that a new feature is declared by none unasked."""

LINKED_FEATURES = EXACT_FEATURES | {Feature.SPLIT, Feature.LINKS, Feature.AGREEMENTS}
"""What those share that take counts and linked columns as well."""


@dataclass(frozen=True, slots=True)
class NoOptions:
    """For solvers without options of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SolveParams:
    """The parameters that mean the same for every solver.

    Parameters
    ----------
    time_limit_s
        Wall-clock seconds, > 0; None: no limit. Not a hard limit: solvers of ours keep it to within
        10 % and a second, and stop a back end that is deaf inside one of its steps from outside.
    relative_gap
        Stop when the proven relative gap is at most this, >= 0.
    seed
        Seed of whatever is random, >= 0. Same problem, parameters and version: same answer.
    threads
        Threads the back end may use, >= 1; solvers without `Feature.MULTI_THREAD` use one.
    options
        The solver's own options, by name; see the solver's `Options` class.
    progress
        Called whenever incumbent or bound improve, by a solver with `Feature.PROGRESS`, from
        whichever thread it is in. What it raises ends the solve.
    cancel
        Set it from another thread to get the incumbent now, from a solver with `Feature.CANCEL`.

    Raises
    ------
    SolverOptionError
        If a common parameter is out of range.

    Notes
    -----
    `progress` and `cancel` belong to one call in one process: they count for nothing when
    parameters are compared, and copies made by pickling have none.
    """

    time_limit_s: float | None = None
    relative_gap: float = 1e-6
    seed: int = 0
    threads: int = 1
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    progress: ProgressCallback | None = dataclasses.field(default=None, compare=False, repr=False)
    cancel: CancelFlag | None = dataclasses.field(default=None, compare=False, repr=False)

    @property
    def cancelled(self) -> bool:
        """Whether the cancel flag is set."""
        return self.cancel is not None and self.cancel.is_set()

    def deadline(self, began: float) -> float:
        """Return when the time is up for a solve that began then, by the same clock; or +inf."""
        return math.inf if self.time_limit_s is None else began + self.time_limit_s

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave out what belongs to this process.

        Not by `__getstate__`, which Python 3.11.2 replaces in frozen classes with slots.
        """
        state = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return _params_of, ({**state, "progress": None, "cancel": None},)

    def __post_init__(self) -> None:
        faults = [
            f"{name} = {value!r}: must be {wanted}"
            for name, value, wanted, good in (
                ("time_limit_s", self.time_limit_s, "greater than 0 seconds, or None",
                 self.time_limit_s is None or self.time_limit_s > 0),
                ("relative_gap", self.relative_gap, "at least 0", self.relative_gap >= 0),
                ("seed", self.seed, "between 0 and 2147483647", 0 <= self.seed < 2**31),
                ("threads", self.threads, "at least 1", self.threads >= 1),
            )
            if not good
        ]  # fmt: skip
        if faults:
            raise SolverOptionError("; ".join(faults))


def _params_of(fields: dict[str, Any]) -> SolveParams:
    return SolveParams(**fields)


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """What an earlier solve leaves to start from.

    Parameters
    ----------
    x
        (n,), 0/1, and counts where groups split; not necessarily feasible; None without a solution.
    prices
        (m,), >= 0, cost per unit of each row (see `RowPrices`), not necessarily good; None without.
        Used by solvers that work with prices.
    """

    x: IntArray | None
    prices: FloatArray | None = None


class Solver(ABC):
    """A method that solves `AllocationProblem`s.

    Concrete solvers are final, hold no state between calls and are safe in threads unless their
    docstring says otherwise. They are registered in the entry-point group `fleetopt.solvers`.

    Attributes
    ----------
    name
        Name in the registry.
    summary
        One line on what it is and when to choose it.
    features
        What it can do.
    Options
        Frozen dataclass of the solver's own options, every field with a default.
    requires
        What `pip install` must be given for `is_available` to become true.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    features: ClassVar[frozenset[Feature]]
    Options: ClassVar[type[Any]] = NoOptions
    requires: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def is_available(cls) -> bool:
        """Whether its back end is installed: the cheapest possible probe, importing nothing."""
        return True

    @abstractmethod
    def solve(
        self,
        problem: AllocationProblem,
        params: SolveParams,
        start: Start | None = None,
    ) -> SolveResult:
        """Solve the problem; infeasible and out of time are results, not exceptions.

        Raises
        ------
        UnsupportedFeatureError
            If the problem or the parameters need a feature that the solver lacks.
        SolverOptionError
            If an option is unknown or out of range.
        SolverBackendError
            If the back end failed.
        """

    def require(self, problem: AllocationProblem, params: SolveParams) -> None:
        """Refuse what this solver cannot do, naming what is missing.

        Raises
        ------
        UnsupportedFeatureError
            If a needed feature is not declared.
        """
        needed = required_features(problem, params)
        # Who takes any link takes agreements.
        implied = {Feature.AGREEMENTS} if Feature.LINKS in self.features else set()
        missing = sorted(needed - self.features - implied)
        if missing:
            raise UnsupportedFeatureError(
                f"solver '{self.name}' lacks {', '.join(missing)}, which this problem needs; "
                f"solvers that have it: {_solvers_with(needed)}"
            )

    def parse_options(self, params: SolveParams) -> Any:
        """Return the solver's `Options` made from `params.options`.

        Raises
        ------
        SolverOptionError
            If an option is unknown, or its class refuses the value.
        """
        known = [f.name for f in dataclasses.fields(self.Options)]
        unknown = sorted(set(params.options) - set(known))
        if unknown:
            raise SolverOptionError(
                f"solver '{self.name}' has no option {', '.join(map(repr, unknown))}; "
                f"it has: {', '.join(known) or 'none'}"
            )
        try:
            return self.Options(**params.options)
        except (TypeError, ValueError) as error:
            raise SolverOptionError(f"solver '{self.name}': {error}") from error


def _solvers_with(needed: frozenset[Feature]) -> str:
    """Name the usable solvers that have all of these features."""
    # Here, because the registry needs the abstract class.
    from solvers import registry

    able = [p.name for p in registry.describe() if p.status == "ok" and needed <= p.features]
    return ", ".join(able) or "none that is installed"


def required_features(problem: AllocationProblem, params: SolveParams) -> frozenset[Feature]:
    """Return the features without which the problem would not be the one that was asked."""
    needed = set()
    if problem.priority is not None:
        needed.add(Feature.STRICT_PRIORITIES)
    if problem.split is not None:
        needed.add(Feature.SPLIT)
    if problem.links is not None:
        needed.add(Feature.AGREEMENTS if are_agreements(problem) else Feature.LINKS)
    if problem.chance is not None:
        needed.add(Feature.CHANCE)
    if params.time_limit_s is not None:
        needed.add(Feature.TIME_LIMIT)
    return frozenset(needed)
