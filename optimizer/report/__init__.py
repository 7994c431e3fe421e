"""Views of plans and plug-ins: they compute nothing."""

from __future__ import annotations

from optimizer.report.difference_text import difference_view
from optimizer.report.explanation_text import explanation_view
from optimizer.report.horizon_text import horizon_view
from optimizer.report.kv_mode_text import mode_view
from optimizer.report.kv_text import device_view, ratio_view, restoration_view
from optimizer.report.pareto_text import pareto_view
from optimizer.report.plan_text import plan_view
from optimizer.report.plugin_text import description_view, plugin_view
from optimizer.report.repair_text import repair_view
from optimizer.report.replica_text import replica_view
from optimizer.report.shadow_prices_text import shadow_prices_view
from optimizer.report.simulation_text import simulation_view
from optimizer.report.uncertain_text import uncertain_view
from optimizer.report.whatif_text import whatif_view

__all__ = [
    "description_view",
    "device_view",
    "difference_view",
    "explanation_view",
    "horizon_view",
    "mode_view",
    "pareto_view",
    "plan_view",
    "plugin_view",
    "ratio_view",
    "repair_view",
    "replica_view",
    "restoration_view",
    "shadow_prices_view",
    "simulation_view",
    "uncertain_view",
    "whatif_view",
]
