"""What simulates the allocations of a plan: replicas, pools after one another, and their load."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.engine.errors import SimulationError
from optimizer.engine.mixed_workload import MixedWorkload
from optimizer.engine.offered_load import OfferedLoad
from optimizer.engine.queue_model import SimulationModel
from optimizer.engine.replica_pool import Pool
from optimizer.engine.rules import KvAccounting, ReplicaRole
from optimizer.engine.run import Run
from optimizer.engine.simulated_pair import LONGEST, SimulatedPair
from optimizer.engine.simulation import simulate_pools
from optimizer.engine.store_loading import StoreLoading
from optimizer.engine.workload import (
    AbstractWorkload,
    DrawnWorkload,
    LengthPairs,
    ThinnedWorkload,
    TraceWorkload,
)
from optimizer.fleet.plan import Allocation, FleetPlan
from optimizer.fleet.prefill_time import prefill_ms
from optimizer.fleet.processes import PairProcesses
from optimizer.fleet.reuse import cached_gb
from optimizer.fleet.stores import stores_of
from optimizer.kv.delays import RECOMPUTE_OVERHEAD
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.service import ServiceSpec
from optimizer.spec.storage import ReuseKind
from queue_models import Metric, Role, Statistic

__all__ = ["PlanServers", "ServiceSimulation"]


@dataclass(frozen=True)
class ServiceSimulation:
    """Replicas of a service, or its prefill and decode pools, and what they are asked for."""

    pools: tuple[Pool, ...]
    workload: AbstractWorkload
    notes: tuple[str, ...]
    kind: int = 0
    loading: StoreLoading | None = None

    def run(
        self,
        statistics: Sequence[Statistic],
        *,
        bounds: Mapping[Metric, float],
        precision: float,
        precise: Sequence[Statistic] | None,
        least_requests: int,
        most_requests: int,
        seed: int,
        progress: Callable[[int, float], None] | None,
        stopped: Callable[[], bool],
    ) -> Run:
        """Simulate it; see `optimizer.engine.simulation.simulate_pools`."""
        return simulate_pools(
            self.pools,
            self.workload,
            statistics,
            bounds=bounds,
            precision=precision,
            precise=precise,
            least_requests=least_requests,
            most_requests=most_requests,
            seed=seed,
            kind=self.kind,
            loading=self.loading,
            progress=progress,
            stopped=stopped,
        )


class PlanServers:
    """Makes simulations of the allocations of a plan for a fleet."""

    def __init__(self, plan: FleetPlan, spec: FleetSpec) -> None:
        self._plan, self._spec = plan, spec
        self._processes = PairProcesses(spec, SimulationModel())
        self._service = {service.name: i for i, service in enumerate(spec.services)}

    def why_not(self, unit: Sequence[Allocation], load: OfferedLoad) -> str | None:
        """Return why something cannot be simulated; None if it can."""
        first = unit[0]
        if first.service not in self._service:
            return "the fleet has no such service"
        if any(a.accelerator is None or self.with_replicas(a).replicas == 0 for a in unit):
            return "it has no replicas"
        if first.admitted_rate_rps <= 0:
            return "nothing arrives"
        entries = [self._performance(allocation) for allocation in unit]
        if any(entry < 0 for entry in entries):
            return "the fleet has no performance figures for it"
        if any(self._processes.clock[entry] < 0 for entry in entries):
            return "its times are by phase (prefill_decode); a simulation takes iteration times"
        if first.storage is not None and (len(unit) > 1 or first.shared_with):
            return (
                "it loads KV caches from a store, which is simulated of replicas that serve one "
                "service, prefill and decode"
            )
        if len(unit) > 1 and self._spec.kv_transfer is None:
            return "the fleet has no kv_transfer, the way from its prefill to its decode pool"
        if first.shared_with and load.trace is not None:
            return "it shares replicas with others, whose requests a trace does not have"
        return self._why_not_routed(first, load)

    def _why_not_routed(self, allocation: Allocation, load: OfferedLoad) -> str | None:
        if not allocation.routes:
            return None
        buckets = self._spec_of(allocation).length_buckets
        if buckets is None or buckets.input_tokens is None or buckets.output_tokens is None:
            return "its requests are routed by length, and its buckets do not say their lengths"
        if load.trace is not None or load.input_lengths is not None or load.output_lengths:
            return (
                "its requests are routed by the buckets of its own lengths; a trace or other "
                "lengths have none"
            )
        return None

    def with_replicas(self, allocation: Allocation) -> Allocation:
        """Return the allocation in which the replicas stand that serve one."""
        if allocation.replicas_of is None:
            return allocation
        lead = self._plan.allocations_of(allocation.replicas_of)
        return lead[0] if lead else allocation

    def carrying(self, allocation: Allocation) -> int:
        """Return the replicas that carry the load: all but the spares, as in the prediction."""
        lead = self.with_replicas(allocation)
        spares = 0 if allocation.partial else self._spec_of(lead).spares
        return max(lead.replicas - spares, 1)

    def simulation(
        self,
        unit: Sequence[Allocation],
        load: OfferedLoad,
        loads: Mapping[str, OfferedLoad] | None = None,
    ) -> ServiceSimulation:
        """Return the simulation of an allocation, or of a prefill and its decode pool.

        Parameters
        ----------
        unit
            The allocation, or both pools.
        load
            What its service is asked for.
        loads
            What services are asked for with which it shares replicas, by name; "" for the others.
        """
        first = unit[0]
        roles = (Role.PREFILL, Role.DECODE) if len(unit) > 1 else (Role.AGGREGATED,)
        pairs = [self._pair(a, role) for a, role in zip(unit, roles, strict=True)]
        notes = []
        if (left := self.with_replicas(first).replicas - self.carrying(first)) > 0:
            notes.append(f"{left} spare {'replica' if left == 1 else 'replicas'} left out")
        in_blocks = pairs[0].config.kv_accounting is KvAccounting.BLOCKS
        if load.trace is not None and load.trace.has_prefixes and not in_blocks:
            notes.append(
                "prefixes of the trace are not reused: the fleet does not say kv_capacity_tokens"
            )
        pools = [
            Pool(config=p.config, timing=p.timing, replicas=p.replicas, router=p.router)
            for p in pairs
        ]
        if len(unit) > 1:
            pools = self._linked(first, *pools)
        if first.shared_with:
            workload, kind = self._mixed(first, load, loads or {})
            notes.append("gaps between tokens and use are those of all that share the replicas")
            return ServiceSimulation(tuple(pools), workload, tuple(notes), kind)
        alone = self._workload(first, load, pairs[0], in_blocks=in_blocks)
        loading = None if first.storage is None else self._loading(first)
        return ServiceSimulation(tuple(pools), alone, tuple(notes), loading=loading)

    def _loading(self, allocation: Allocation) -> StoreLoading:
        """Return what requests load: from a store that others of the plan read from, too."""
        said, service = allocation.storage, self._spec_of(allocation)
        assert said is not None
        reuse = service.kv_reuse
        if reuse is None or said.store not in (names := [one.name for one in self._spec.stores]):
            raise SimulationError(
                f"service {service.name!r} loads KV caches from {said.store!r} in this plan, and "
                f"in the fleet it has no kv_reuse, or there is no such store"
            )
        place, index = names.index(said.store), self._performance(allocation)
        store = stores_of(self._spec)[place]
        overhead = 0.0 if reuse.kind is ReuseKind.PREFIX else RECOMPUTE_OVERHEAD
        loaded = 1.0 - said.recompute_ratio if reuse.kind is ReuseKind.PREFIX else 1.0
        entry = self._spec.performance[index]
        model = next(model for model in self._spec.models if model.name == entry.model)
        size_gb = cached_gb(model, entry.kv_precision, reuse.cached_tokens) / reuse.compression
        recomputed = said.recompute_ratio * (1.0 + overhead)
        # The whole of the device, less what the plan's other services read of it on average.
        whole = store.device.bandwidth_gb_s / self._spec.stores[place].bandwidth_share
        others = 0.0
        if store.is_shared:
            stored = [a.storage for a in self._plan.allocations if a is not allocation]
            others = sum(s.read_gb_s for s in stored if s is not None and s.store == said.store)
        bandwidth = max(whole - others, said.read_gb_s)
        return StoreLoading(
            hit_rate=reuse.hit_rate if loaded > 0 else 0.0,
            tokens=int(reuse.cached_tokens * max(1.0 - recomputed, 0.0)),
            own_share=service.load.prefix_hit_rate,
            latency_ms=float(store.device.latency_ms),
            transfer_ms=1e3 * size_gb * loaded / bandwidth if loaded > 0 else 0.0,
            hidden_ms=recomputed * prefill_ms(entry, reuse.cached_tokens),
            stores=1 if store.is_shared else self.carrying(allocation),
        )

    def _mixed(
        self, allocation: Allocation, load: OfferedLoad, loads: Mapping[str, OfferedLoad]
    ) -> tuple[MixedWorkload, int]:
        """Return the requests of all that share replicas, and the number of one's kind."""
        others = [a for name in allocation.shared_with for a in self._plan.allocations_of(name)]
        sharers = sorted((allocation, *others), key=lambda a: self._service[a.service])
        kinds = []
        for one in sharers:
            own = loads.get(one.service, loads.get("", OfferedLoad()))
            own = load if one is allocation else own
            pair = self._pair(one, Role.AGGREGATED)
            arrivals = own.arrivals(one.admitted_rate_rps, self._spec_of(one).load.arrival_scv)
            kinds.append(
                replace(
                    pair.workload,
                    arrivals=arrivals,
                    input_lengths=own.input_lengths or pair.workload.input_lengths,
                    output_lengths=own.output_lengths or pair.workload.output_lengths,
                )
            )
        return MixedWorkload(tuple(kinds)), 1 + sharers.index(allocation)

    def _pair(self, allocation: Allocation, role: Role) -> SimulatedPair:
        entry = self._performance(allocation)
        process = self._processes.process(
            int(self._processes.clock[entry]),
            np.array([self._service[allocation.service]]),
            np.array([entry]),
            np.array([allocation.max_batch or 1]),
            np.array([self.carrying(allocation)]),
            role=role,
        )
        rate = allocation.admitted_rate_rps / self.carrying(allocation)
        return SimulatedPair.of(process, rate, blocks=True)

    def _linked(self, prefill: Allocation, first: Pool, second: Pool) -> list[Pool]:
        """Return pools with the fleet's link between them."""
        link = self._spec.kv_transfer
        assert link is not None
        entry = self._spec.performance[self._performance(prefill)]
        model = next(model for model in self._spec.models if model.name == entry.model)
        # Per token of a mean prompt: of windows and states not every token is sent.
        tokens = self._spec_of(prefill).load.mean_input_tokens
        per_token = 1e9 * cached_gb(model, entry.kv_precision, tokens) / max(tokens, 1.0)
        sending = replace(
            first.config,
            role=ReplicaRole.PREFILL,
            link_gb_per_s=link.bandwidth_gb_s,
            link_latency_ms=link.latency_ms,
            kv_bytes_per_token=per_token,
        )
        receiving = replace(second.config, prefix_caching=False)
        return [replace(first, config=sending), replace(second, config=receiving)]

    def _workload(
        self, allocation: Allocation, load: OfferedLoad, pair: SimulatedPair, *, in_blocks: bool
    ) -> AbstractWorkload:
        """Return what is sent to an allocation: a random part of what its service is asked for."""
        service = self._spec_of(allocation)
        whole_rps = max(allocation.arrival_rate_rps, allocation.admitted_rate_rps)
        share = min(allocation.admitted_rate_rps / whole_rps, 1.0)
        if load.trace is not None:
            trace = load.trace if load.as_recorded else load.trace.at_rate(whole_rps)
            whole: AbstractWorkload = TraceWorkload(
                trace,
                prefix_hit_rate=service.load.prefix_hit_rate,
                prefix_is_given=not in_blocks,
            )
            return whole if share == 1.0 else ThinnedWorkload(whole, share)
        arrivals = load.arrivals(whole_rps, service.load.arrival_scv)
        thinned = share < 1.0
        if thinned and arrivals.scv == 1.0:
            # A random part of a Poisson process is one.
            arrivals, thinned = replace(arrivals, rate=arrivals.rate.scaled(share)), False
        own = pair.workload
        whole = DrawnWorkload(
            arrivals,
            own.input_lengths if load.input_lengths is None else load.input_lengths,
            own.output_lengths if load.output_lengths is None else load.output_lengths,
            longest=LONGEST,
            prefix_hit_rate=service.load.prefix_hit_rate,
            prefix_is_given=not in_blocks,
            pairs=_routed(allocation, service),
        )
        return ThinnedWorkload(whole, share) if thinned else whole

    def _spec_of(self, allocation: Allocation) -> ServiceSpec:
        return self._spec.services[self._service[allocation.service]]

    def _performance(self, allocation: Allocation) -> int:
        """Return the performance entry of an allocation; -1 without any.

        Where a fleet with other figures has a single entry for the model on the accelerator, it
        is that one.
        """
        found = [
            index
            for index, entry in enumerate(self._spec.performance)
            if (entry.model, entry.accelerator) == (allocation.model, allocation.accelerator)
        ]
        for index in found:
            if self._spec.performance[index].configuration == allocation.configuration:
                return index
        return found[0] if len(found) == 1 else -1


def _routed(allocation: Allocation, service: ServiceSpec) -> LengthPairs | None:
    """Return the lengths of the buckets that are routed to an allocation."""
    buckets = service.length_buckets
    if not allocation.routes or buckets is None:
        return None
    assert buckets.input_tokens is not None
    assert buckets.output_tokens is not None
    return LengthPairs(
        np.array([buckets.input_tokens[route.input_row] for route in allocation.routes]),
        np.array([buckets.output_tokens[route.output_column] for route in allocation.routes]),
        np.array([route.rate_rps for route in allocation.routes]),
    )
