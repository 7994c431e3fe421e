"""The study of KV caches as one HTML page that needs nothing else."""

from __future__ import annotations

from html import escape
from importlib.util import find_spec

from optimizer.experiments.kv_study import KvStudy, StudyTable
from optimizer.report.kv_study_plots import draw_table
from optimizer.report.kv_study_text import heading, shown

__all__ = ["kv_study_page"]

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }
table { border-collapse: collapse; margin: .6rem 0 1.2rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
.note { color: #555; max-width: 46rem; } svg { max-width: 100%; height: auto; }
.wide { overflow-x: auto; }
"""


def kv_study_page(study: KvStudy) -> str:
    """Return the page; with pictures where matplotlib is installed, else with tables alone."""
    with_pictures = find_spec("matplotlib") is not None
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><title>KV caches</title>',
        f"<style>{_STYLE}</style></head><body>",
        "<h1>KV caches: latency, memory, reuse, offloading</h1>",
        f"<p>Devices: {escape(', '.join(study.devices))}.</p>",
    ]
    if not with_pictures:
        parts.append("<p>Pictures need matplotlib: pip install 'fleetopt[plot]'.</p>")
    for one in study.studies:
        parts.append(f"<h2>{escape(heading(one))}</h2>")
        parts.append(f'<p class="note">Iteration times: {escape(one.times_from)}.</p>')
        for table in one.tables:
            parts.append(f"<h3>{escape(table.title)}</h3>")
            parts.append(f'<p class="note">{escape(table.note)}</p>')
            if with_pictures:
                parts.append(draw_table(table))
            parts.append(_html(table))
    parts.append("</body></html>\n")
    return "\n".join(parts)


def _html(table: StudyTable) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(shown(cell))}</td>" for cell in row) + "</tr>"
        for row in table.rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'
