"""Pages that open in a browser without a network: one file each, light and dark, fit for print."""

from optimizer.report.html.comparison_page import comparison_page as comparison_page
from optimizer.report.html.plan_page import PlanReport as PlanReport
from optimizer.report.html.plan_page import plan_fragment as plan_fragment
from optimizer.report.html.plan_page import plan_page as plan_page
from optimizer.report.html.sweep_page import sweep_page as sweep_page

__all__ = ["PlanReport", "comparison_page", "plan_fragment", "plan_page", "sweep_page"]
