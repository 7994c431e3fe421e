"""Why not everyone can be served, and what would change it, as part of a page."""

from __future__ import annotations

from optimizer.fleet.conflict import Conflict
from optimizer.fleet.repair import RepairStudy
from optimizer.report.html.pages import rendered
from optimizer.report.repair_text import conflict_lines, repair_words

__all__ = ["repair_fragment"]


def repair_fragment(study: RepairStudy, currency: str) -> str:
    """Return a study of repairs to stand in somebody else's page, with a button to try each.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    return rendered(
        "repair.html.j2",
        study=study,
        conflict=_lines(study.conflict),
        repairs=[
            (repair_words(repair, currency), [str(change) for change in repair.assignments])
            for repair in study.repairs
        ],
    )


def _lines(conflict: Conflict | None) -> list[str]:
    return [] if conflict is None else conflict_lines(conflict)
