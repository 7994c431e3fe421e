"""Options given apart from the document."""

from __future__ import annotations

import pytest

from optimizer.errors import SpecError
from optimizer.spec import Objective, loads, with_options

from .documents import VALID


def test_options_replace_those_of_the_fleet() -> None:
    """Named options change, all else stays."""
    fleet = loads(VALID)
    changed = with_options(fleet, solver="milp", seed=3, objective="inferno-value")
    assert (changed.optimizer.solver, changed.optimizer.seed) == ("milp", 3)
    assert changed.optimizer.objective is Objective.INFERNO_VALUE
    assert changed.model_copy(update={"optimizer": fleet.optimizer}) == fleet


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"solvr": "milp"},
            "<options>: optimizer.solvr: unknown key 'solvr': did you mean 'solver'?",
        ),
        ({"seed": -1}, "<options>: optimizer.seed = -1: must be at least 0"),
        ({"time_limit_s": 0}, "optimizer.time_limit_s = 0: must be greater than 0 (s)"),
        ({"objective": "cst"}, "lexicographic, inferno-value: did you mean 'cost'?"),
        ({"priorities": "weighted"}, "classes[0].unserved_penalty_per_hour: is missing"),
    ],
)
def test_wrong_options_are_faults(options: dict[str, object], message: str) -> None:
    """An option is refused with the same words as in a document."""
    with pytest.raises(SpecError) as caught:
        with_options(loads(VALID), **options)
    assert message in str(caught.value)
