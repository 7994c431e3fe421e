"""Why a service got what it got, as part of a page."""

from __future__ import annotations

from optimizer.fleet.explain import Explanation
from optimizer.report.explanation_text import best_of_each, remark_words
from optimizer.report.html.pages import rendered

__all__ = ["explanation_fragment"]


def explanation_fragment(explanation: Explanation) -> str:
    """Return the best option of every configuration beside the others.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    rows = [
        (option, remark_words(option, others))
        for option, others in best_of_each(explanation.options)
    ]
    return rendered("explanation.html.j2", explanation=explanation, rows=rows)
