"""Options given apart from the document, on the command line or in a call."""

from __future__ import annotations

from pydantic import ValidationError

from optimizer.errors import SpecError
from optimizer.spec.coverage import check_penalties
from optimizer.spec.document import Document
from optimizer.spec.explanation import explain
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.objective_checks import check_objective
from optimizer.spec.options import OptimizerSpec
from optimizer.spec.parts import Part
from optimizer.spec.place_checks import check_power
from optimizer.spec.split_checks import check_split_objective

__all__ = ["with_options"]


def with_options(fleet: FleetSpec, **options: object) -> FleetSpec:
    """Return the fleet with some of its options replaced.

    Parameters
    ----------
    fleet
        A fleet.
    **options
        New values by field of `OptimizerSpec`; those not named stay.

    Raises
    ------
    SpecError
        If an option is unknown, out of range, or needs what the fleet does not give (weighted
        priorities need penalties), or contradicts it (inferno-value and splitting services).
    """
    merged = {**fleet.optimizer.model_dump(), **options}
    document = Document({"optimizer": merged}, "<options>")
    try:
        changed = OptimizerSpec.model_validate(merged, by_alias=True, by_name=False)
    except ValidationError as error:
        raise SpecError(document.faults(explain(error, ("optimizer",)))) from error
    result = fleet.model_copy(update={"optimizer": changed})
    whole = Part((), result.model_dump(by_alias=True))
    found = [
        *check_penalties(whole),
        *check_split_objective(whole),
        *check_objective(whole),
        *check_power(whole),
    ]
    if found:
        raise SpecError(document.faults(found))
    return result
