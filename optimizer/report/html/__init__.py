"""Pages that open in a browser without a network: one file each, light and dark, fit for print."""

from optimizer.report.html.comparison_page import comparison_page as comparison_page
from optimizer.report.html.difference_section import difference_fragment as difference_fragment
from optimizer.report.html.explanation_section import explanation_fragment as explanation_fragment
from optimizer.report.html.front_section import front_fragment as front_fragment
from optimizer.report.html.horizon_page import horizon_body as horizon_body
from optimizer.report.html.horizon_page import horizon_page as horizon_page
from optimizer.report.html.kv_study_page import kv_study_page as kv_study_page
from optimizer.report.html.lab_page import lab_fragment as lab_fragment
from optimizer.report.html.lab_page import lab_page as lab_page
from optimizer.report.html.memory_section import kv_fragment as kv_fragment
from optimizer.report.html.memory_section import memory_fragment as memory_fragment
from optimizer.report.html.pages import rendered as rendered
from optimizer.report.html.pages import require_pages as require_pages
from optimizer.report.html.plan_page import PlanReport as PlanReport
from optimizer.report.html.plan_page import plan_body as plan_body
from optimizer.report.html.plan_page import plan_fragment as plan_fragment
from optimizer.report.html.plan_page import plan_page as plan_page
from optimizer.report.html.repair_section import repair_fragment as repair_fragment
from optimizer.report.html.sweep_page import sweep_page as sweep_page
from optimizer.report.html.tornado_section import tornado_fragment as tornado_fragment
from optimizer.report.html.uncertain_page import uncertain_body as uncertain_body
from optimizer.report.html.uncertain_page import uncertain_page as uncertain_page

__all__ = [
    "PlanReport",
    "comparison_page",
    "difference_fragment",
    "explanation_fragment",
    "front_fragment",
    "horizon_body",
    "horizon_page",
    "kv_fragment",
    "kv_study_page",
    "lab_fragment",
    "lab_page",
    "memory_fragment",
    "plan_body",
    "plan_fragment",
    "plan_page",
    "rendered",
    "repair_fragment",
    "require_pages",
    "sweep_page",
    "tornado_fragment",
    "uncertain_body",
    "uncertain_page",
]
