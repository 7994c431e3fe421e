"""Experiments: solvers compared over instances and seeds, and the figures made of the results."""

from optimizer.experiments.anytime import AnytimeCurve as AnytimeCurve
from optimizer.experiments.anytime import anytime_curves as anytime_curves
from optimizer.experiments.best_known import best_values as best_values
from optimizer.experiments.best_known import gap_to_best as gap_to_best
from optimizer.experiments.best_known import read_best_known as read_best_known
from optimizer.experiments.comparison import Comparison as Comparison
from optimizer.experiments.comparison import compare as compare
from optimizer.experiments.comparison import read_comparison as read_comparison
from optimizer.experiments.csv_tables import profiles_csv as profiles_csv
from optimizer.experiments.csv_tables import rows_csv as rows_csv
from optimizer.experiments.csv_tables import summary_csv as summary_csv
from optimizer.experiments.errors import ExperimentError as ExperimentError
from optimizer.experiments.performance_profile import Profile as Profile
from optimizer.experiments.performance_profile import performance_profile as performance_profile
from optimizer.experiments.protocol import Protocol as Protocol
from optimizer.experiments.run import RunRow as RunRow
from optimizer.experiments.run import RunStatus as RunStatus
from optimizer.experiments.settings import Settings as Settings
from optimizer.experiments.summary import Cell as Cell
from optimizer.experiments.summary import Summary as Summary
from optimizer.experiments.summary import TableRules as TableRules
from optimizer.experiments.summary import shifted_geometric_mean as shifted_geometric_mean
from optimizer.experiments.summary import summarise as summarise

__all__ = [
    "AnytimeCurve",
    "Cell",
    "Comparison",
    "ExperimentError",
    "Profile",
    "Protocol",
    "RunRow",
    "RunStatus",
    "Settings",
    "Summary",
    "TableRules",
    "anytime_curves",
    "best_values",
    "compare",
    "gap_to_best",
    "performance_profile",
    "profiles_csv",
    "read_best_known",
    "read_comparison",
    "rows_csv",
    "shifted_geometric_mean",
    "summarise",
    "summary_csv",
]
