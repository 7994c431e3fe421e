"""Choosing, chunk by chunk, how a context travels: at a compression level, or as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from optimizer.errors import Fault, SpecError
from optimizer.kv.ranges import Range, refuse_outside

if TYPE_CHECKING:
    from optimizer.catalog import KvCompression

__all__ = ["TEXT", "ChunkChoice", "ChunkPlan", "CompressionLevel", "ContextChunk", "plan_chunks"]

_BYTES_PER_GB_MS = 1e6

TEXT = "text"
"""Name of the choice to send the text and compute the chunk's KV."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionLevel:
    """One way in which KV caches are stored.

    Parameters
    ----------
    name
        Unique, not `text`.
    compression
        Factor by which it is smaller than the KV cache as it is.
    quality_loss
        What it costs, in the metric's scale.
    decode_gb_s
        Throughput of decoding in bytes of the uncompressed KV [GB/s]; it overlaps the transfer.
        None: unlimited.
    """

    name: str
    compression: float
    quality_loss: float = 0.0
    decode_gb_s: float | None = None

    def __post_init__(self) -> None:
        names = ("compression", "quality_loss", "decode_gb_s")
        refuse_outside(
            {name: getattr(self, name) for name in names},
            {
                "compression": Range(above=True, high=1e6),
                "quality_loss": Range(high=1e6),
                "decode_gb_s": Range("GB/s", above=True, high=1e6),
            },
        )

    def delay_ms(self, size_bytes: float, bandwidth_gb_s: float) -> float:
        """Time to transfer and decode `size_bytes` of uncompressed KV [ms]."""
        transfer = size_bytes / self.compression / (bandwidth_gb_s * _BYTES_PER_GB_MS)
        if self.decode_gb_s is None:
            return transfer
        return max(transfer, size_bytes / (self.decode_gb_s * _BYTES_PER_GB_MS))

    @classmethod
    def of_catalog(cls, facts: KvCompression) -> Self:
        """Take a compression of the catalogue; a loss that was not measured is 0."""
        return cls(
            name=facts.name,
            compression=facts.compression,
            quality_loss=max(facts.quality_loss or 0.0, 0.0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextChunk:
    """Some 1,500 consecutive tokens.

    Parameters
    ----------
    size_bytes
        Uncompressed KV.
    recompute_ms
        Time to compute it, given the chunks before it.
    """

    size_bytes: float
    recompute_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkChoice:
    """How one chunk travels.

    Parameters
    ----------
    level
        Name of the level, or `text`.
    expected_ms
        Remaining delay that was expected when it was chosen, at this level to the end.
    delay_ms
        What the chunk took at the bandwidth it met.
    """

    level: str
    expected_ms: float
    delay_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkPlan:
    """The choices, and what came of them."""

    choices: tuple[ChunkChoice, ...]
    total_ms: float
    meets_slo: bool
    worst_quality_loss: float


def plan_chunks(
    chunks: Sequence[ContextChunk],
    levels: Sequence[CompressionLevel],
    *,
    slo_ms: float,
    expected_gb_s: float,
    observed_gb_s: Sequence[float] | None = None,
) -> ChunkPlan:
    """Choose for each chunk the least lossy option that still meets the SLO.

    Before each chunk, every option is taken to the end of the context: the remaining bytes at a
    level over the bandwidth that the chunk before met, or the remaining recompute times. The least
    lossy one whose delay is within what is left of the SLO is taken, computing before loading at
    equal loss; where none is, the quickest.

    Parameters
    ----------
    chunks, levels
        In order; any number of chunks, at least one level.
    slo_ms
        For the whole context [ms].
    expected_gb_s
        Bandwidth before anything was measured.
    observed_gb_s
        Bandwidth that each chunk meets if it is loaded; by default the expected one.

    Raises
    ------
    SpecError
        If there is no level, a name comes twice, or figures are out of range or missing.

    References
    ----------
    .. [1] Liu et al., *CacheGen*, SIGCOMM 2024 (arXiv 2310.07240), section 5.3.
    """
    observed = [expected_gb_s] * len(chunks) if observed_gb_s is None else list(observed_gb_s)
    _check(chunks, levels, slo_ms, expected_gb_s, observed)
    by_name = {level.name: level for level in levels}
    losses = {TEXT: 0.0} | {level.name: level.quality_loss for level in levels}
    choices: list[ChunkChoice] = []
    elapsed, bandwidth = 0.0, expected_gb_s
    for k, chunk in enumerate(chunks):
        expected = _remaining_ms(chunks[k:], levels, bandwidth)
        name = _least_lossy(expected, losses, slo_ms - elapsed)
        if name == TEXT:
            delay = chunk.recompute_ms
        else:
            bandwidth = observed[k]
            delay = by_name[name].delay_ms(chunk.size_bytes, bandwidth)
        elapsed += delay
        choices.append(ChunkChoice(level=name, expected_ms=expected[name], delay_ms=delay))
    return ChunkPlan(
        choices=tuple(choices),
        total_ms=elapsed,
        meets_slo=elapsed <= slo_ms,
        worst_quality_loss=max((losses[choice.level] for choice in choices), default=0.0),
    )


def _remaining_ms(
    chunks: Sequence[ContextChunk], levels: Sequence[CompressionLevel], bandwidth_gb_s: float
) -> dict[str, float]:
    """Delay to the end of the context, by option; computing first."""
    size = sum(chunk.size_bytes for chunk in chunks)
    options = {TEXT: sum(chunk.recompute_ms for chunk in chunks)}
    return options | {level.name: level.delay_ms(size, bandwidth_gb_s) for level in levels}


def _least_lossy(expected: dict[str, float], losses: dict[str, float], left_ms: float) -> str:
    within = [name for name, delay in expected.items() if delay <= left_ms]
    if within:
        return min(within, key=lambda name: losses[name])
    return min(expected, key=lambda name: expected[name])


def _check(
    chunks: Sequence[ContextChunk],
    levels: Sequence[CompressionLevel],
    slo_ms: float,
    expected_gb_s: float,
    observed_gb_s: list[float],
) -> None:
    refuse_outside(
        {
            "slo_ms": slo_ms,
            "expected_gb_s": expected_gb_s,
            "observed_gb_s": observed_gb_s,
            "size_bytes": [chunk.size_bytes for chunk in chunks],
            "recompute_ms": [chunk.recompute_ms for chunk in chunks],
        },
        {
            "slo_ms": Range("ms", above=True, high=1e12),
            "expected_gb_s": Range("GB/s", above=True, high=1e6),
            "observed_gb_s": Range("GB/s", above=True, high=1e6),
            "size_bytes": Range("bytes", high=1e18),
            "recompute_ms": Range("ms", high=1e12),
        },
    )
    names = [level.name for level in levels]
    faults = [
        Fault("is the name of several levels", "levels", repr(name))
        for name in sorted({name for name in names if names.count(name) > 1})
    ]
    if TEXT in names:
        faults.append(Fault("is the name of computing", "levels", repr(TEXT)))
    if not names:
        faults.append(Fault("must hold a level or more", "levels", "none"))
    if len(observed_gb_s) != len(chunks):
        message = f"must hold one bandwidth per chunk, {len(chunks)}"
        faults.append(Fault(message, "observed_gb_s", f"{len(observed_gb_s)} of them"))
    if faults:
        raise SpecError(faults)
