"""All tables of the study, for each model."""

from __future__ import annotations

from collections.abc import Sequence

from optimizer.experiments.kv_study.hot_cold import hot_cold
from optimizer.experiments.kv_study.latency_tables import (
    output_share,
    prefill_share,
    prefill_time,
    reuse_latency,
)
from optimizer.experiments.kv_study.memory_tables import (
    batch_limit,
    kv_memory,
    micro_batches,
    reuse_memory,
)
from optimizer.experiments.kv_study.offload_tables import offload, prefetch_links, swap
from optimizer.experiments.kv_study.served_model import ServedModel
from optimizer.experiments.kv_study.study_table import KvStudy, ModelStudy, StudyTable
from optimizer.kv import StorageDevice
from optimizer.kv.reuse import BlockTrace

__all__ = ["study_kv"]


def study_kv(
    models: Sequence[ServedModel],
    devices: Sequence[StorageDevice],
    trace: BlockTrace,
    *,
    trace_name: str,
    hit_rate: float,
) -> KvStudy:
    """Make every table of every model.

    Parameters
    ----------
    models
        Models on their accelerators.
    devices
        Where KV caches may go, at least one; the first is where cold blocks and micro-batches are.
    trace, trace_name
        For hot and cold.
    hit_rate
        Share of a prompt that is found, where reuse is compared with none.
    """
    return KvStudy(
        devices=[device.name for device in devices],
        studies=[
            ModelStudy(
                model=served.name,
                accelerator=served.accelerator,
                accelerators=served.tensor_parallel,
                kv_bytes_per_token=float(served.shape.bytes_per_token),
                kv_capacity_tokens=served.kv_capacity_tokens,
                times_from="computed from the model's shape and the accelerator's peaks",
                tables=_tables(served, devices, trace, trace_name, hit_rate),
            )
            for served in models
        ],
    )


def _tables(
    served: ServedModel,
    devices: Sequence[StorageDevice],
    trace: BlockTrace,
    trace_name: str,
    hit_rate: float,
) -> list[StudyTable]:
    cold = devices[0]
    return [
        prefill_share(served),
        prefill_time(served),
        output_share(served),
        kv_memory(served),
        batch_limit(served),
        reuse_latency(served, hit_rate),
        reuse_memory(served, hit_rate),
        swap(served, devices),
        micro_batches(served, cold.name, cold.bandwidth_gb_s / cold.sharers),
        offload(served, devices),
        prefetch_links(served, devices),
        hot_cold(served, cold, trace, trace_name),
    ]
