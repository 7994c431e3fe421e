"""Pages that open in a browser without a network: one file each, light and dark, fit for print."""

from optimizer.report.html.comparison_page import comparison_page as comparison_page
from optimizer.report.html.kv_study_page import kv_study_page as kv_study_page
from optimizer.report.html.lab_page import lab_fragment as lab_fragment
from optimizer.report.html.lab_page import lab_page as lab_page
from optimizer.report.html.pages import require_pages as require_pages
from optimizer.report.html.plan_page import PlanReport as PlanReport
from optimizer.report.html.plan_page import plan_fragment as plan_fragment
from optimizer.report.html.plan_page import plan_page as plan_page
from optimizer.report.html.sweep_page import sweep_page as sweep_page

__all__ = [
    "PlanReport",
    "comparison_page",
    "kv_study_page",
    "lab_fragment",
    "lab_page",
    "plan_fragment",
    "plan_page",
    "require_pages",
    "sweep_page",
]
