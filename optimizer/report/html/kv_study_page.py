"""The study of KV caches as a page."""

from __future__ import annotations

from optimizer.experiments.kv_study import KvStudy
from optimizer.report.html.pages import rendered
from optimizer.report.kv_study_plots import draw_table
from optimizer.report.kv_study_text import heading, shown

__all__ = ["kv_study_page"]


def kv_study_page(study: KvStudy) -> str:
    """Return the page.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    return rendered(
        "kv_study.html.j2",
        study=study,
        studies=[
            {
                "heading": heading(one),
                "times_from": one.times_from,
                "tables": [(table, draw_table(table)) for table in one.tables],
            }
            for one in study.studies
        ],
        shown=shown,
    )
