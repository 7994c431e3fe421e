"""Sweeps: many scenarios of fleets, on one processor or a cluster, resumed where they stopped."""

from optimizer.experiments.sweep.engine import Engine as Engine
from optimizer.experiments.sweep.engine import EngineKind as EngineKind
from optimizer.experiments.sweep.engine import parse_engine as parse_engine
from optimizer.experiments.sweep.mapping import Ending as Ending
from optimizer.experiments.sweep.mapping import Outcome as Outcome
from optimizer.experiments.sweep.mapping import map_scenarios as map_scenarios
from optimizer.experiments.sweep.scenario import Scenario as Scenario
from optimizer.experiments.sweep.scenario import scenarios_of as scenarios_of
from optimizer.experiments.sweep.sweep import Sweep as Sweep
from optimizer.experiments.sweep.sweep import sweep as sweep
from optimizer.experiments.sweep.sweep_folder import is_sweep_folder as is_sweep_folder
from optimizer.experiments.sweep.sweep_folder import read_sweep_folder as read_sweep_folder
from optimizer.experiments.sweep.sweep_row import SweepRow as SweepRow
from optimizer.experiments.sweep.sweep_spec import AxisSpec as AxisSpec
from optimizer.experiments.sweep.sweep_spec import SweepSpec as SweepSpec
from optimizer.experiments.sweep.sweep_spec import load_sweep as load_sweep
from optimizer.experiments.sweep.sweep_spec import sweep_from_data as sweep_from_data

__all__ = [
    "AxisSpec",
    "Ending",
    "Engine",
    "EngineKind",
    "Outcome",
    "Scenario",
    "Sweep",
    "SweepRow",
    "SweepSpec",
    "is_sweep_folder",
    "load_sweep",
    "map_scenarios",
    "parse_engine",
    "read_sweep_folder",
    "scenarios_of",
    "sweep",
    "sweep_from_data",
]
