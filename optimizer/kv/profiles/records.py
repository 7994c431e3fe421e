"""What a profiling database holds."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.errors import Fault, SpecError
from optimizer.kv.ranges import Range, faults_outside

__all__ = ["DeviceProfile", "PrefillTime"]

_RANGES = {
    "context_tokens": Range("tokens", low=1, high=1e12),
    "prefill_ms": Range("ms", above=True, high=1e11),
}
_DEVICE_RANGES = {
    "context_tokens": Range("tokens", high=1e12),
    "bandwidth_gb_s": Range("GB/s", above=True, high=1e5),
    "latency_ms": Range("ms", high=1e8),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillTime:
    """A measured prefill.

    Parameters
    ----------
    model, accelerator
        Names; an accelerator may name several, as `2x A40`.
    context_tokens
        Length of the prompt.
    prefill_ms
        Time of the whole model.
    source
        Who measured, and how.
    recorded_at, superseded_at
        UTC, ISO 8601; None: still valid. Set by the database.

    Raises
    ------
    SpecError
        Naming each figure outside its range.
    """

    model: str
    accelerator: str
    context_tokens: int
    prefill_ms: float
    source: str = ""
    recorded_at: str = ""
    superseded_at: str | None = None

    def __post_init__(self) -> None:
        _check(self, ("model", "accelerator"), _RANGES)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceProfile:
    """A measured storage device.

    Parameters
    ----------
    device
        Name.
    model, accelerator, context_tokens
        With which it was measured; "" and 0: with any.
    bandwidth_gb_s, latency_ms
        Of reading KV caches.
    source, recorded_at, superseded_at
        As in `PrefillTime`.

    Raises
    ------
    SpecError
        Naming each figure outside its range.
    """

    device: str
    model: str = ""
    accelerator: str = ""
    context_tokens: int = 0
    bandwidth_gb_s: float
    latency_ms: float = 0.0
    source: str = ""
    recorded_at: str = ""
    superseded_at: str | None = None

    def __post_init__(self) -> None:
        _check(self, ("device",), _DEVICE_RANGES)


def _check(
    record: PrefillTime | DeviceProfile, names: tuple[str, ...], ranges: dict[str, Range]
) -> None:
    faults = [
        Fault("must not be empty", path=name) for name in names if not getattr(record, name).strip()
    ]
    faults += faults_outside({name: getattr(record, name) for name in ranges}, ranges)
    if faults:
        raise SpecError(faults)
