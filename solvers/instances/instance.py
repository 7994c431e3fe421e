"""A named instance that is read or generated when asked for."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Instance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One problem of a comparison; `load_instance` makes its arrays.

    Parameters
    ----------
    name
        Safe in file names and shells, such as `fleet-1000-seed3` or `INST01`.
    family
        What it is tabulated with: the generated family and size, or the folder or test set.
    source
        What `instances` resolves to this one instance: `fleet:1000:seed=3`, a path,
        or `path#number` in a file of many problems.
    maximise
        Whether the source speaks of profit: the value of a solution is minus its cost.
    fingerprint
        Of the file's bytes or of the generator's arguments: equal for equal instances.
    """

    name: str
    family: str
    source: str
    maximise: bool
    fingerprint: str
