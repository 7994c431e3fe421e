"""Very large fleets: blocks of services sized on any engine, then one problem solved by prices."""

from __future__ import annotations

from collections.abc import Callable
from operator import methodcaller
from typing import Any

from optimizer.errors import PlanError
from optimizer.experiments.errors import ExperimentError
from optimizer.experiments.sweep.engine import Engine
from optimizer.experiments.sweep.mapping import Ending, map_scenarios
from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.optimize import plan_of
from optimizer.fleet.plan import FleetPlan
from optimizer.fleet.problem import problem_of
from optimizer.fleet.service_blocks import ServiceBlock, service_blocks, table_of_blocks
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.overriding import with_options
from queue_models import get as get_queue_model
from solvers import CancelFlag, Progress

__all__ = ["candidates_in_blocks", "optimize_in_blocks"]


def optimize_in_blocks(
    spec: FleetSpec,
    *,
    engine: Engine | str = "serial",
    blocks: int | None = None,
    block_limit_s: float | None = None,
    told: Callable[[int, int], None] | None = None,
    progress: Callable[[Progress], None] | None = None,
    cancel: CancelFlag | None = None,
    **options: Any,
) -> FleetPlan:
    """Decide a whole fleet whose candidates are sized block by block on an engine.

    Parameters
    ----------
    spec
        A validated fleet; its loads are known.
    engine, blocks, block_limit_s, told
        See `candidates_in_blocks`.
    progress, cancel, **options
        See `optimizer.optimize`.

    Returns
    -------
    FleetPlan
        The one that `optimizer.optimize` returns, whatever the engine and the blocks.

    Raises
    ------
    ExperimentError
        If the engine does not answer, or a block cannot be sized.
    KeyboardInterrupt
        If the flag is set before every block is sized: there is no plan yet.
    PlanError
        If the loads are uncertain, or as from `optimizer.optimize`.

    Notes
    -----
    Sizing asks the queue model about every candidate; with an accurate model it takes nine tenths
    of the time, and no block needs to know of another. Prices of what all services share come
    after, over all columns at once: a round of prices takes less time than sending them would.
    """
    if options:
        spec = with_options(spec, **options)
    table = candidates_in_blocks(
        spec, engine=engine, blocks=blocks, block_limit_s=block_limit_s, told=told, cancel=cancel
    )
    return plan_of(problem_of(table), progress=progress, cancel=cancel)


def candidates_in_blocks(
    spec: FleetSpec,
    *,
    engine: Engine | str = "serial",
    blocks: int | None = None,
    block_limit_s: float | None = None,
    told: Callable[[int, int], None] | None = None,
    cancel: CancelFlag | None = None,
) -> CandidateTable:
    """Size every candidate of a fleet, block by block on an engine.

    Parameters
    ----------
    spec
        A validated fleet; its loads are known.
    engine
        Who sizes, see `parse_engine`.
    blocks
        Into how many blocks services are divided, see `service_blocks`.
    block_limit_s
        Wall-clock seconds after which the sizing of a block is given up; None: never.
    told
        Called with how many blocks are sized, and how many there are, as each ends.
    cancel
        Set from another thread, it ends the sizing.

    Raises
    ------
    ExperimentError
        If the engine does not answer, or a block cannot be sized.
    KeyboardInterrupt
        If the flag is set before every block is sized.
    PlanError
        If the loads are uncertain.
    queue_models.QueueModelError
        If the model is unknown or broken.
    """
    if spec.uncertainty is not None:
        raise PlanError(
            "the loads of this fleet are uncertain, and blocks are sized for one load; leave out "
            "the engine, or remove `uncertainty`"
        )
    spec, parts = service_blocks(spec, blocks)
    tables: dict[str, CandidateTable] = {}
    get_queue_model(spec.optimizer.queue_model)  # better refused here than by a block
    items = {part.name: part for part in parts}
    sized: Callable[[ServiceBlock], CandidateTable] = methodcaller("sized")
    for outcome in map_scenarios(sized, items, engine=engine, limit_s=block_limit_s):
        if outcome.ending is not Ending.DONE or outcome.value is None:
            raise ExperimentError(f"{outcome.name} cannot be sized: {outcome.error}")
        tables[outcome.name] = outcome.value
        if told is not None:
            told(len(tables), len(parts))
        if cancel is not None and cancel.is_set() and len(tables) < len(parts):
            raise KeyboardInterrupt
    return table_of_blocks(spec, parts, [tables[part.name] for part in parts])
