"""The generated families by name, and instances of them by sizes and seed."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType

from solvers.errors import ProblemError
from solvers.instances.classical import classical
from solvers.instances.correlated import correlated
from solvers.instances.fleet import fleet, lumpy
from solvers.instances.many_rows import many_rows
from solvers.instances.two_resource import two_resource
from solvers.problem import AllocationProblem

__all__ = ["FAMILIES", "family_parameters", "generate", "maximises"]

# Changes with any change of what a family draws, so that results of other draws are told apart.
DRAWS_VERSION = 1

FAMILIES: Mapping[str, Callable[..., AllocationProblem]] = MappingProxyType(
    {
        "classical": classical,
        "correlated": correlated,
        "fleet": fleet,
        "lumpy": lumpy,
        "many-rows": many_rows,
        "two-resource": two_resource,
    }
)

# The families that speak of profit, as their literature does: values are minus costs.
_MAXIMISED = frozenset({"classical", "correlated"})

_LARGEST_SEED = 2**31 - 1


def generate(
    family: str, groups: int, *, seed: int = 0, **parameters: int | str
) -> AllocationProblem:
    """Return the instance of a family: equal arguments and numpy version give equal arrays.

    Parameters
    ----------
    family
        A name in `FAMILIES`.
    groups
        Number of groups, at least 1.
    seed
        0..2147483647.
    **parameters
        The family's own, see its function; whole numbers are at least 1.

    Raises
    ------
    ProblemError
        If the family or a parameter is unknown, or a value out of range.
    """
    known = family_parameters(family)
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise ProblemError(
            f"family '{family}' has no parameter {', '.join(unknown)}; "
            f"it has: {', '.join(['seed', *known])}"
        )
    for name, value in {"groups": groups, **parameters}.items():
        whole = name == "groups" or isinstance(known[name], int)
        if whole and (not isinstance(value, int) or value < 1):
            raise ProblemError(f"{family}: {name} = {value}: a whole number >= 1 is wanted")
    if not 0 <= seed <= _LARGEST_SEED:
        raise ProblemError(f"{family}: seed = {seed}: 0 to {_LARGEST_SEED} is wanted")
    return FAMILIES[family](groups, seed=seed, **parameters)


def family_parameters(family: str) -> dict[str, int | str]:
    """Return the parameters of a family besides groups and seed, with their defaults.

    Raises
    ------
    ProblemError
        If there is no such family.
    """
    if family not in FAMILIES:
        close = difflib.get_close_matches(family, FAMILIES, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ";"
        raise ProblemError(f"unknown family '{family}'{hint} there are: {', '.join(FAMILIES)}")
    signature = inspect.signature(FAMILIES[family]).parameters
    return {
        name: parameter.default
        for name, parameter in signature.items()
        if name not in ("groups", "seed")
    }


def maximises(family: str) -> bool:
    """Whether the family speaks of profit: its values are minus costs."""
    return family in _MAXIMISED
