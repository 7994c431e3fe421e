"""Options that several commands share, or that belong together, written once as a dataclass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints

import typer

__all__ = ["panel_option", "with_option_groups"]


def panel_option(name: str, words: str, panel: str, metavar: str | None = None) -> Any:
    """Make an option in a panel of the help."""
    # Units stand in brackets, which would be read as styles.
    literal = words.replace("[", r"\[")
    return typer.Option(
        name, help=literal, rich_help_panel=panel, metavar=metavar, show_default=False
    )


def with_option_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Make each field of a command's dataclass parameters an option of the command.

    The command line is made from signatures: what is returned has that of `command` with every
    such parameter replaced by its fields, and hands `command` the dataclasses filled in.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    parameters: list[Parameter] = []
    for parameter in signature(command).parameters.values():
        group = groups.get(parameter.name)
        if group is None:
            parameters.append(parameter.replace(annotation=hints[parameter.name]))
            continue
        kinds = get_type_hints(group, include_extras=True)
        parameters += [
            Parameter(
                option.name,
                Parameter.KEYWORD_ONLY,
                default=option.default,
                annotation=kinds[option.name],
            )
            for option in fields(group)
        ]

    def run(**given: Any) -> None:
        for name, group in groups.items():
            options = {option.name: given.pop(option.name) for option in fields(group)}
            given[name] = group(**options)
        command(**given)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__module__ = command.__module__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return run
