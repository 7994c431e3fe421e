"""The profile of a model in a database."""

from __future__ import annotations

from difflib import get_close_matches

from optimizer.errors import Fault, SpecError
from optimizer.kv.profiles.database import ProfileDatabase
from optimizer.kv.profiles.interpolation import ProfiledPrefill

__all__ = ["profile_of"]


def profile_of(path: str, model: str, accelerator: str | None) -> ProfiledPrefill:
    """Return the prefill profile of a model on an accelerator.

    Parameters
    ----------
    path
        The database.
    model
        Name.
    accelerator
        None: the only one that there is.

    Raises
    ------
    SpecError
        If there is none, or several accelerators and none is named; says what there is.
    """
    with ProfileDatabase(path) as database:
        points = database.prefills(model)
        models = sorted({point.model for point in database.prefills()})
    if not points:
        near = get_close_matches(model, models, n=3, cutoff=0.3)
        message = f"has no prefill of {model!r}; it has {', '.join(near or models) or 'none'}"
        raise SpecError([Fault(message, source=path)])
    there = sorted({point.accelerator for point in points})
    if accelerator is None and len(there) > 1:
        raise SpecError([Fault(f"name one: {', '.join(there)}", path="accelerator")])
    chosen = accelerator or there[0]
    if chosen not in there:
        message = f"is not measured with {model}; there is {', '.join(there)}"
        raise SpecError([Fault(message, path="accelerator", value=repr(chosen))])
    return ProfiledPrefill.of_records([point for point in points if point.accelerator == chosen])
