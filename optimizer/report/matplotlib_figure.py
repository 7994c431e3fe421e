"""Figures of matplotlib without its global state; it is an extra."""

from __future__ import annotations

import hashlib
import io
import re
import threading
import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from solvers import MissingExtraError

__all__ = ["inline_svg", "new_figure", "plain", "require_matplotlib", "save_figure", "short"]

# Names longer than this [characters] would leave no room for what they are the names of.
_LONGEST, _HEAD = 44, 27

_DRAWING = threading.Lock()
# The same drawing has the same bytes. Type 42: publishers refuse PDF's own Type 3 fonts.
_SETTINGS = {"svg.hashsalt": "fleetopt", "pdf.fonttype": 42}
_DATELESS = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}


def require_matplotlib() -> None:
    """Refuse at once what would fail after hours of runs.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed; says how to add it.
    """
    if find_spec("matplotlib") is None:
        raise MissingExtraError(
            "plots need matplotlib, which is not installed; try: pip install 'fleetopt[plot]'"
        )


def new_figure(width_inches: float, height_inches: float) -> Any:
    """Return an empty figure, made without pyplot: no window, no global state.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    require_matplotlib()
    size = (width_inches, height_inches)
    return import_module("matplotlib.figure").Figure(figsize=size, layout="constrained")


def plain(text: str) -> str:
    """Return a text that is drawn as it is.

    Between dollar signs there would be formulas, and what begins with an underscore is left out of
    legends.
    """
    zero_width = "\u200b" if text.startswith("_") else ""
    return zero_width + text.replace("$", r"\$")


def save_figure(figure: Any, path: Path, *, dots_per_inch: float | None = None) -> None:
    """Write a drawing to a file whose ending says in which format; equal drawings, equal files.

    Parameters
    ----------
    figure
        Of matplotlib.
    dots_per_inch
        Of pictures of dots; None: matplotlib's own.
    """
    matplotlib = import_module("matplotlib")
    # The context is the process's own, whichever thread draws.
    with _DRAWING, matplotlib.rc_context(_SETTINGS):
        figure.savefig(
            path, dpi=dots_per_inch or "figure", metadata=_DATELESS.get(path.suffix.lower())
        )


def short(name: str) -> str:
    """Return a name as it is drawn beside a row or in a legend; of a long one, both its ends."""
    cut = name if len(name) <= _LONGEST else f"{name[:_HEAD]}…{name[_HEAD + 1 - _LONGEST :]}"
    return plain(cut)


def inline_svg(figure: Any, title: str) -> str:
    """Return a drawing as markup to stand in a page; black is whatever the page's ink is.

    Parameters
    ----------
    figure
        Of matplotlib.
    title
        Read out instead of the picture.
    """
    matplotlib = import_module("matplotlib")
    figure.patch.set_visible(False)
    text = io.StringIO()
    context = matplotlib.rc_context({**_SETTINGS, "svg.fonttype": "none"})
    with _DRAWING, context, warnings.catch_warnings():
        # Texts stay texts: the browser finds the glyphs that matplotlib's font lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(text, format="svg", metadata={"Date": None, "Title": title})
    markup = text.getvalue()
    markup = markup[markup.index("<svg") :]
    markup = re.sub(r"<metadata>.*?</metadata>", "", markup, flags=re.DOTALL)
    markup = re.sub(r"(stroke|fill): #000000", r"\1: currentColor", markup)
    return _with_own_ids(markup)


def _with_own_ids(markup: str) -> str:
    """Keep the names inside one drawing apart from those of the others on its page."""
    mine = f"c{hashlib.sha256(markup.encode()).hexdigest()[:10]}-"
    markup = re.sub(r'\bid="', f'id="{mine}', markup)
    markup = re.sub(r'(xlink:href|href)="#', rf'\1="#{mine}', markup)
    return re.sub(r"url\(#", f"url(#{mine}", markup)
