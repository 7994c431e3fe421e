"""A solver with options on one line: `milp:backend=CBC`."""

from __future__ import annotations

import json
from typing import Any

from optimizer.experiments.errors import ExperimentError

__all__ = ["parse_solver"]


def parse_solver(spec: str) -> tuple[str, dict[str, Any]]:
    """Return the solver's name and its options.

    Parameters
    ----------
    spec
        `name[:option=value]...`; a value that reads as a JSON number, true, false or null is that,
        any other is text.

    Raises
    ------
    ExperimentError
        If an option has no value, is given twice, or is a parameter that every run shares.
    """
    name, *pairs = spec.split(":")
    options: dict[str, Any] = {}
    for pair in pairs:
        option, equals, value = pair.partition("=")
        if not equals or not option.isidentifier():
            raise ExperimentError(f"{spec}: '{pair}': option=value is wanted after the name")
        if option in options:
            raise ExperimentError(f"{spec}: option {option} is given twice")
        if option in ("time_limit_s", "relative_gap", "seed", "threads"):
            raise ExperimentError(f"{spec}: {option} is the same for every solver of a comparison")
        options[option] = _value(value)
    return name, options


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(value, dict | list | str) else value
