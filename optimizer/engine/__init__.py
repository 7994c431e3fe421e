"""A serving engine's scheduling rules, fast enough to replay days of traffic of a whole fleet."""

from __future__ import annotations

from optimizer.engine.arrivals import (
    AbstractRate,
    Arrivals,
    ConstantRate,
    MarkovModulatedRate,
    PeriodicRate,
)
from optimizer.engine.beams import Beam, BeamSearch, beam_search
from optimizer.engine.errors import (
    LiveFleetError,
    SimulationError,
    SimulationStoppedError,
    WorkloadError,
)
from optimizer.engine.fleet_metrics import Histogram, ReplicaMetrics
from optimizer.engine.live_fleet import Happened, LiveFleet
from optimizer.engine.live_replica import Phase, ReplicaStatus
from optimizer.engine.measurement import Estimate
from optimizer.engine.meters import Distribution
from optimizer.engine.offered_load import (
    OfferedLoad,
    parse_arrivals,
    parse_lengths,
    parse_statistic,
)
from optimizer.engine.online import (
    OUTCOMES,
    Ended,
    Event,
    Iteration,
    OnlineEngine,
    Sampler,
    Tokens,
)
from optimizer.engine.parallel_sampling import ParallelTexts, sample_in_parallel
from optimizer.engine.plan_simulation import PlanProgress, simulate
from optimizer.engine.replica_pool import Pool
from optimizer.engine.routing import Router, RouterPolicy
from optimizer.engine.rules import (
    EngineConfig,
    EngineConfigError,
    KvAccounting,
    Policy,
    Preemption,
    ReplicaRole,
)
from optimizer.engine.run import Run, RunUsage
from optimizer.engine.simulated_plan import (
    DecodePool,
    LatencyDistribution,
    PlanSimulation,
    SimulatedService,
    SimulatedStatistic,
    Usage,
)
from optimizer.engine.simulation import Progress, simulate_pools, simulate_replicas
from optimizer.engine.traces import Trace, read_trace
from optimizer.engine.traffic import Traffic
from optimizer.engine.verification import Outcome, VerifiedPlan, verify
from optimizer.engine.workload import (
    AbstractWorkload,
    DrawnWorkload,
    LengthPairs,
    ThinnedWorkload,
    TraceWorkload,
)

__all__ = [
    "OUTCOMES",
    "AbstractRate",
    "AbstractWorkload",
    "Arrivals",
    "Beam",
    "BeamSearch",
    "ConstantRate",
    "DecodePool",
    "Distribution",
    "DrawnWorkload",
    "Ended",
    "EngineConfig",
    "EngineConfigError",
    "Estimate",
    "Event",
    "Happened",
    "Histogram",
    "Iteration",
    "KvAccounting",
    "LatencyDistribution",
    "LengthPairs",
    "LiveFleet",
    "LiveFleetError",
    "MarkovModulatedRate",
    "OfferedLoad",
    "OnlineEngine",
    "Outcome",
    "ParallelTexts",
    "PeriodicRate",
    "Phase",
    "PlanProgress",
    "PlanSimulation",
    "Policy",
    "Pool",
    "Preemption",
    "Progress",
    "ReplicaMetrics",
    "ReplicaRole",
    "ReplicaStatus",
    "Router",
    "RouterPolicy",
    "Run",
    "RunUsage",
    "Sampler",
    "SimulatedService",
    "SimulatedStatistic",
    "SimulationError",
    "SimulationStoppedError",
    "ThinnedWorkload",
    "Tokens",
    "Trace",
    "TraceWorkload",
    "Traffic",
    "Usage",
    "VerifiedPlan",
    "WorkloadError",
    "beam_search",
    "parse_arrivals",
    "parse_lengths",
    "parse_statistic",
    "read_trace",
    "sample_in_parallel",
    "simulate",
    "simulate_pools",
    "simulate_replicas",
    "verify",
]
