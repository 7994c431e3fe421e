"""The window: a fleet in a browser, solved anew as its figures move (extra `dashboard`)."""

from optimizer.dashboard.application import DashboardSettings as DashboardSettings
from optimizer.dashboard.application import create_dashboard as create_dashboard
from optimizer.dashboard.study_routes import GivenScenario as GivenScenario

__all__ = ["DashboardSettings", "GivenScenario", "create_dashboard"]
