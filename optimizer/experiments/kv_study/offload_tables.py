"""Moving KV caches out and in again, against computing them anew."""

from __future__ import annotations

from collections.abc import Sequence

from optimizer.experiments.kv_study.served_model import ServedModel
from optimizer.experiments.kv_study.study_table import StudyTable
from optimizer.kv import StorageDevice

__all__ = ["offload", "prefetch_links", "swap"]

_GB = 1e9
_PROMPT, _OUTPUT = 16 * 1024.0, 2 * 1024.0
SPARSE_SHARE = 0.2
"""Of the KV cache that is kept when it is sparsified: H2O's budget."""
_LINKS = (1, 2, 4, 8)


def swap(served: ServedModel, devices: Sequence[StorageDevice]) -> StudyTable:
    """Swap-out and swap-in against recomputing, in full and sparsified."""
    prefill = float(served.prefill_ms(_PROMPT))
    decode = float(served.decode_ms(_PROMPT, _OUTPUT))
    rows: list[list[float | str | None]] = []
    for device in devices:
        load = float(device.load(served.shape, _PROMPT).whole.ms)
        sparse = device.latency_ms + SPARSE_SHARE * (load - device.latency_ms)
        rows.append(
            [
                device.name, load, load, sparse, prefill, prefill / load, prefill / sparse,
                load + decode, sparse + decode, prefill + decode,
                100 * (1 - (load + decode) / (prefill + decode)),
                100 * (1 - (sparse + decode) / (prefill + decode)),
            ]
        )  # fmt: skip
    return StudyTable(
        name="swap-or-recompute",
        title="Swap against recompute: prompt 16K, output 2K",
        note=(
            f"Writing is taken to be as fast as reading. Sparse: {SPARSE_SHARE:.0%} of the KV "
            "cache is kept (H2O's budget; loses quality, and holds for one query only). Overall: "
            "until the last token of the answer."
        ),
        columns=[
            "device", "swap-out ms", "swap-in ms", "swap-in ms sparse", "recompute ms",
            "speed-up", "speed-up sparse", "overall ms swap", "overall ms sparse",
            "overall ms recompute", "overall saved %", "overall saved % sparse",
        ],
        rows=rows,
        x="device",
        lines=["swap-in ms", "swap-in ms sparse", "recompute ms"],
        y_label="time until the prompt's KV is there [ms]",
        log_y=True,
    )  # fmt: skip


def offload(served: ServedModel, devices: Sequence[StorageDevice]) -> StudyTable:
    """When to offload and when to prefetch, device by device."""
    prefill = float(served.prefill_ms(_PROMPT))
    size_gb = float(served.kv_bytes(_PROMPT)) / _GB
    rows: list[list[float | str | None]] = []
    for device in devices:
        load = float(device.load(served.shape, _PROMPT).whole.ms)
        layer = device.load(served.shape, _PROMPT).layer
        wait = max(load - prefill, 0.0)
        rows.append(
            [
                device.name, size_gb, load, prefill, "yes" if load < prefill else "prefetched",
                2 * load, load, float(layer.ms), wait,
            ]
        )  # fmt: skip
    return StudyTable(
        name="offload-and-prefetch",
        title="When to offload, when to prefetch: 16K tokens",
        note=(
            "Offload what stays idle longer than out and in take. Without notice, loading pays "
            "where it is quicker than recomputing; else prefetch as long ahead as loading takes "
            "(all hidden) or as it takes beyond recomputing (no worse than that). Layer by layer "
            "only the first layer is waited for if computing covers the rest."
        ),
        columns=[
            "device", "KV GB", "load ms", "recompute ms", "load on demand", "idle ms to offload",
            "prefetch ms ahead", "first layer ms", "least ms ahead",
        ],
        rows=rows,
        x="device",
        lines=["load ms", "recompute ms"],
        y_label="time [ms]",
        log_y=True,
    )  # fmt: skip


def prefetch_links(served: ServedModel, devices: Sequence[StorageDevice]) -> StudyTable:
    """Sequence-parallel prefetch: parts of the sequence over several links at once."""
    rows: list[list[float | str | None]] = []
    for device in devices:
        load = device.load(served.shape, _PROMPT).whole.ms
        moving = float(load) - device.latency_ms
        rows.append([device.name, *(device.latency_ms + moving / links for links in _LINKS)])
    prefill = float(served.prefill_ms(_PROMPT))
    rows.append(["recompute", *(prefill for _ in _LINKS)])
    columns = [f"{links} link{'s' if links > 1 else ''} ms" for links in _LINKS]
    return StudyTable(
        name="prefetch-over-links",
        title="Sequence-parallel prefetch of 16K tokens over several links",
        note="Each link reads its part of the sequence from a device of its own.",
        columns=["device", *columns],
        rows=rows,
        x="device",
        lines=columns,
        y_label="time [ms]",
        log_y=True,
    )
