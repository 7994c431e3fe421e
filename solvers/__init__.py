"""Choosing one column per group within shared capacities, at least cost (MMKP).

The ground floor of selection: arrays in, a result with bounds out. Knows no accelerators.
"""

from solvers.base import Feature as Feature
from solvers.base import NoOptions as NoOptions
from solvers.base import SolveParams as SolveParams
from solvers.base import Solver as Solver
from solvers.base import Start as Start
from solvers.base import required_features as required_features
from solvers.cancellation import CancelFlag as CancelFlag
from solvers.chance import Chance as Chance
from solvers.checker import CheckReport as CheckReport
from solvers.checker import check as check
from solvers.description import SolverDescription as SolverDescription
from solvers.errors import BrokenPluginError as BrokenPluginError
from solvers.errors import MissingExtraError as MissingExtraError
from solvers.errors import ProblemError as ProblemError
from solvers.errors import SolverBackendError as SolverBackendError
from solvers.errors import SolverError as SolverError
from solvers.errors import SolverOptionError as SolverOptionError
from solvers.errors import UnknownSolverError as UnknownSolverError
from solvers.errors import UnsupportedFeatureError as UnsupportedFeatureError
from solvers.frozen_stages import with_stages_frozen as with_stages_frozen
from solvers.linear_sum import LinearSum as LinearSum
from solvers.linear_sum import cost_sum as cost_sum
from solvers.linear_sum import minimising as minimising
from solvers.linear_sum import with_limit as with_limit
from solvers.links import LINK_TOLERANCE as LINK_TOLERANCE
from solvers.links import Links as Links
from solvers.model_names import ModelNames as ModelNames
from solvers.problem import CAPACITY_TOLERANCE as CAPACITY_TOLERANCE
from solvers.problem import AllocationProblem as AllocationProblem
from solvers.problem_io import problem_from_json as problem_from_json
from solvers.problem_io import problem_to_json as problem_to_json
from solvers.problem_io import read_problem as read_problem
from solvers.problem_io import write_problem as write_problem
from solvers.progress import Progress as Progress
from solvers.registry import PluginInfo as PluginInfo
from solvers.registry import describe as describe
from solvers.registry import get as get
from solvers.registry import names as names
from solvers.relaxed_prices import RelaxedPrices as RelaxedPrices
from solvers.relaxed_prices import relaxed_prices as relaxed_prices
from solvers.result import GAP_TOLERANCE as GAP_TOLERANCE
from solvers.result import Limit as Limit
from solvers.result import PriceMeaning as PriceMeaning
from solvers.result import Reason as Reason
from solvers.result import RowPrices as RowPrices
from solvers.result import SolveResult as SolveResult
from solvers.result import SolveStatistics as SolveStatistics
from solvers.result import StageResult as StageResult
from solvers.result import Termination as Termination
from solvers.result import relative_gap as relative_gap
from solvers.saturation import SaturationPolicy as SaturationPolicy
from solvers.saturation import saturate as saturate
from solvers.solve import solve as solve
from solvers.sparse_columns import SparseColumns as SparseColumns
from solvers.split import RATE_TOLERANCE as RATE_TOLERANCE
from solvers.split import Split as Split
from solvers.write_model import write_model as write_model

__all__ = [
    "CAPACITY_TOLERANCE",
    "GAP_TOLERANCE",
    "LINK_TOLERANCE",
    "RATE_TOLERANCE",
    "AllocationProblem",
    "BrokenPluginError",
    "CancelFlag",
    "Chance",
    "CheckReport",
    "Feature",
    "Limit",
    "LinearSum",
    "Links",
    "MissingExtraError",
    "ModelNames",
    "NoOptions",
    "PluginInfo",
    "PriceMeaning",
    "ProblemError",
    "Progress",
    "Reason",
    "RelaxedPrices",
    "RowPrices",
    "SaturationPolicy",
    "SolveParams",
    "SolveResult",
    "SolveStatistics",
    "Solver",
    "SolverBackendError",
    "SolverDescription",
    "SolverError",
    "SolverOptionError",
    "SparseColumns",
    "Split",
    "StageResult",
    "Start",
    "Termination",
    "UnknownSolverError",
    "UnsupportedFeatureError",
    "check",
    "cost_sum",
    "describe",
    "get",
    "minimising",
    "names",
    "problem_from_json",
    "problem_to_json",
    "read_problem",
    "relative_gap",
    "relaxed_prices",
    "required_features",
    "saturate",
    "solve",
    "with_limit",
    "with_stages_frozen",
    "write_model",
    "write_problem",
]
