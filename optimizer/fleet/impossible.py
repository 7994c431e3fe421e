"""Why a candidate cannot serve its service, in words and with the figures that decide."""

from __future__ import annotations

from optimizer.fleet.candidates import CandidateTable, Verdict
from optimizer.fleet.estimates import why_not_estimated
from optimizer.fleet.reachable import best_reachable
from optimizer.fleet.stores import stores_of
from optimizer.fleet.weights import weights_gb
from optimizer.spec.service import BatchRangeSpec

__all__ = ["why_not"]


def why_not(table: CandidateTable, row: int) -> str:
    """Return the reason of a candidate's verdict; "" for a possible one."""
    verdict = Verdict(int(table.verdict[row]))
    service = table.spec.services[int(table.service[row])]
    match verdict:
        case Verdict.POSSIBLE:
            return ""
        case Verdict.NO_PERFORMANCE:
            return _no_performance(table, service.model, row)
        case Verdict.PINNED:
            return f"the service is pinned to {service.accelerator}"
        case Verdict.PRECISION:
            return _precision(table, row)
        case Verdict.NO_TIMING:
            return f"no timing of the kind that queue model '{table.queue_model}' needs"
        case Verdict.WEIGHTS:
            return _weights(table, row)
        case Verdict.BATCH:
            wanted = service.max_batch
            low = wanted.min if isinstance(wanted, BatchRangeSpec) else wanted
            return f"maximum batch {table.max_batch[row]}, below the service's least {low}"
        case Verdict.STORE:
            return _store(table, row)
        case Verdict.OUTSIDE_VALIDITY:
            return table.refusals[row]
        case Verdict.SLO:
            return _slo(table, row)
        case Verdict.AGGREGATED:
            return "the service prefills and decodes in pools of their own"
        case Verdict.REPLICAS:
            return _replicas(table, row)


def _no_performance(table: CandidateTable, model: str, row: int) -> str:
    pair = model, table.inventory.names[int(table.accelerator[row])]
    # Estimates look at the requests of all services, and thousands may ask about one pair.
    if pair not in table.not_estimated:
        table.not_estimated[pair] = why_not_estimated(table.spec, *pair)
    return f"no performance data for {model}, {table.not_estimated[pair]}"


def _slo(table: CandidateTable, row: int) -> str:
    broken = [
        f"{statistic} at best {value:.4g}, the SLO wants {bound:.4g}"
        for statistic, (value, bound) in best_reachable(table, row).items()
        if value > bound
    ]
    return "; ".join(broken) or "no positive rate keeps every objective"


def _replicas(table: CandidateTable, row: int) -> str:
    most = table.spec.services[int(table.service[row])].replicas.max
    if most is None:
        return "needs more replicas than can be counted: its load is beyond any fleet"
    return f"needs {table.replicas[row]} replicas, at most {most} are allowed"


def _precision(table: CandidateTable, row: int) -> str:
    entry = table.spec.performance[int(table.performance[row])]
    service = table.spec.services[int(table.service[row])]
    group = next(c for c in table.spec.classes if c.name == service.service_class)
    reasons = []
    for what, precision, rules in (
        ("weights", entry.weight_precision, (service.weight_precisions, group.weight_precisions)),
        ("the KV cache", entry.kv_precision, (service.kv_precisions, group.kv_precisions)),
    ):
        for allowed in rules:
            if allowed is not None and precision not in allowed:
                came = "a precision that is not stated" if precision is None else precision.value
                reasons.append(f"{what} in {came}, allowed: {', '.join(allowed)}")
                break
    return "; ".join(reasons)


def _store(table: CandidateTable, row: int) -> str:
    store = stores_of(table.spec)[int(table.reuse.store[row])]
    return (
        f"{table.reuse.kept_gb[row]:.4g} GB are kept for it, {store.name} holds "
        f"{store.device.free_gb:.4g} GB"
    )


def _weights(table: CandidateTable, row: int) -> str:
    spec = table.spec
    entry = spec.performance[int(table.performance[row])]
    model = next(m for m in spec.models if m.name == entry.model)
    memory = table.inventory.memory_gb[int(table.accelerator[row])] * entry.instances
    return (
        f"weights of {weights_gb(model, entry.weight_precision):.4g} GB do not fit in the "
        f"replica's {memory:.4g} GB "
        f"(state models[].weight_bits or weights_gb if they are served quantised)"
    )
