"""The part of the command line that one call asks for: making all options takes a while."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy

import typer

__all__ = ["asked_part"]


def asked_part(app: typer.Typer, words: Sequence[str]) -> typer.Typer:
    """Return the application with the options of the verb asked for alone.

    The other verbs keep their names and their help, so that listing them, and naming the nearest
    to one that is misspelt, answers the same.

    Parameters
    ----------
    app
        The whole.
    words
        What was typed after the command's name.
    """
    verb = next((word for word in words if not word.startswith("-")), None)
    part = copy(app)
    part.registered_commands = []
    for command in app.registered_commands:
        listed = copy(command)
        if command.name != verb and command.callback is not None:
            listed.callback = _only_told(command.callback)
        part.registered_commands.append(listed)
    part.registered_groups = []
    for group in app.registered_groups:
        listed_group = copy(group)
        if group.name != verb and group.typer_instance is not None:
            listed_group.typer_instance = typer.Typer(help=group.typer_instance.info.help)
        part.registered_groups.append(listed_group)
    return part


def _only_told(callback: Callable[..., object]) -> Callable[[], None]:
    def told() -> None:
        raise AssertionError("only the verb that was asked for is run")

    told.__doc__ = callback.__doc__
    return told
