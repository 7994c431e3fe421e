"""A pair of the queue models as a simulation: settings, iteration times, load and routing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.engine.arrivals import Arrivals, ConstantRate
from optimizer.engine.routing import Router
from optimizer.engine.rules import EngineConfig, KvAccounting, ReplicaRole
from optimizer.engine.run import Run
from optimizer.engine.simulation import Progress, simulate_replicas
from optimizer.engine.workload import DrawnWorkload
from queue_models import Metric, Role, ServiceProcess, Statistic, Timing

__all__ = ["LONGEST", "SimulatedPair"]

LONGEST = 65536
"""What is drawn beyond is cut [tokens]."""

_NO_LIMIT = 2**31 - 1


@dataclass(frozen=True)
class SimulatedPair:
    """Replicas of one service, and what they are asked for."""

    config: EngineConfig
    timing: Timing
    workload: DrawnWorkload
    router: Router
    replicas: int

    @classmethod
    def of(
        cls, service: ServiceProcess, rate_rps: float, *, blocks: bool = False, block_size: int = 16
    ) -> SimulatedPair:
        """Return the simulation of one pair.

        Parameters
        ----------
        service
            A process of one pair, of shape (1,).
        rate_rps
            Offered to one replica on average, > 0.
        blocks
            Whether a limited KV cache is kept in blocks, as a serving engine does, with
            preemption; else a request is admitted when its prompt and whole output fit, as the
            queue models have it. Without a limit both give the same, and the lean account is
            taken.
        block_size
            Tokens per block.
        """
        replicas = int(service.replicas[0])
        role = Role(int(service.role[0]))
        capacity = float(service.kv_capacity_tokens[0])
        in_blocks = blocks and np.isfinite(capacity)
        places = np.inf if service.queue_capacity is None else float(service.queue_capacity[0])
        config = EngineConfig(
            kv_accounting=KvAccounting.BLOCKS if in_blocks else KvAccounting.RESERVED,
            block_size=block_size,
            num_blocks=1 + max(int(capacity // block_size), 1) if in_blocks else 2,
            kv_capacity_tokens=max(capacity, 1.0),
            max_num_seqs=int(service.max_batch[0]),
            max_num_batched_tokens=int(min(service.chunk_tokens[0], _NO_LIMIT)),
            max_model_len=2 * LONGEST,
            draft_tokens=int(service.draft_tokens[0]),
            acceptance_rate=float(service.acceptance_rate[0]),
            role=ReplicaRole.DECODE if role is Role.DECODE else ReplicaRole.AGGREGATED,
            max_waiting=int(places) if places < _NO_LIMIT else None,
        )
        workload = DrawnWorkload(
            Arrivals(ConstantRate(rate_rps * replicas), float(service.arrival_scv[0])),
            service.input_lengths.take(np.array([0])),
            service.output_lengths.take(np.array([0])),
            longest=LONGEST,
            prefix_hit_rate=float(service.prefix_hit_rate[0]),
            prefix_is_given=not in_blocks,
            role=ReplicaRole(int(role)),
        )
        router = Router(int(service.routing[0]))
        return cls(config, service.timing, workload, router, replicas)

    def run(
        self,
        statistics: Sequence[Statistic],
        *,
        bounds: Mapping[Metric, float] | None = None,
        precision: float,
        least_requests: int,
        most_requests: int,
        seed: int,
        kind: int = 0,
        progress: Progress | None = None,
    ) -> Run:
        """Simulate it; see `optimizer.engine.simulation.simulate_replicas`."""
        return simulate_replicas(
            self.config,
            self.timing,
            self.workload,
            statistics,
            replicas=self.replicas,
            router=self.router,
            bounds=bounds,
            precision=precision,
            least_requests=least_requests,
            most_requests=most_requests,
            seed=seed,
            kind=kind,
            progress=progress,
        )
