"""Templates become pages; whatever comes from a spec is text in them, never markup."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from optimizer.report.figures import number
from solvers import MissingExtraError

__all__ = ["rendered", "require_pages"]


def require_pages() -> None:
    """Refuse at once what would fail after hours of runs.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed; says how to add them.
    """
    for name in ("jinja2", "matplotlib"):
        if find_spec(name) is None:
            raise MissingExtraError(
                f"HTML reports need {name}, which is not installed; "
                f"try: pip install 'fleetopt[report]'"
            )


def rendered(template: str, **values: Any) -> str:
    """Return a template filled in.

    Parameters
    ----------
    template
        Its file's name.
    **values
        What it speaks of.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    return str(_environment().get_template(template).render(**values, fleetopt=version("fleetopt")))


@cache
def _environment() -> Any:
    require_pages()
    jinja2 = import_module("jinja2")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("optimizer.report.html"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "money": lambda value: "-" if value is None else f"{value:,.2f}",
        "change": lambda value: "-" if value is None else f"{value:+,.2f}",
        "share": lambda value: "-" if value is None else f"{value:.1%}",
        "fine_share": lambda value: "-" if value is None else f"{value:.2%}",
        "signed_share": lambda value: "-" if value is None else f"{value:+.1%}",
        "change_share": lambda value: f"{value:+.0%}",
        "whole_share": lambda value: f"{value:.0%}",
        "gap": lambda value: "-" if value is None else f"{value:.4%}",
        "words": lambda value: str(value).replace("_", " "),
    }
    return environment
