"""Restoring a prefix from several devices at once, and from the accelerator: a linear program.

    min T  such that  L0_d + u_d x_d <= T  for each device d in use,
                      bytes over a shared link <= its bandwidth x (T - latency),
                      f(m) <= T,  sum_d x_d + m = P

f is convex, so that tangents at the solutions found so far close in on it from below (Kelley 1960).
A device is in use or not: by rising latency, each is taken whose latency is below the time
without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from optimizer.kv.devices import StorageDevice
from optimizer.kv.kv_shape import KvShape
from optimizer.kv.prefill import PrefillLaw
from optimizer.kv.ranges import Range, refuse_outside
from optimizer.kv.times import WholeModelTime

__all__ = ["StripingPlan", "plan_striping"]

FloatArray = NDArray[np.float64]

_BYTES_PER_GB_MS = 1e6
# Relative excess of f(m) over T at which tangents are close enough, and how many are drawn.
_CLOSE, _MOST_TANGENTS = 1e-10, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class StripingPlan:
    """Which tokens come from where.

    Parameters
    ----------
    time
        Until the last token is there.
    computed_tokens
        m, from the front.
    loaded_tokens
        Tokens from each device, by name; 0 where a device is not worth its latency.
    """

    time: WholeModelTime
    computed_tokens: float
    loaded_tokens: Mapping[str, float] = field(default_factory=dict)


def plan_striping(
    shape: KvShape,
    prefill: PrefillLaw,
    prefix_tokens: float,
    devices: Sequence[StorageDevice],
    *,
    stored_tokens: Mapping[str, float] | None = None,
    links: Mapping[frozenset[str], float] | None = None,
) -> StripingPlan:
    """Spread the restoring of a prefix over devices and the accelerator.

    Overheads per layer and per transfer are not counted, and of a model with sliding windows every
    token takes the mean of the prefix.

    Parameters
    ----------
    shape, prefill, prefix_tokens
        What is restored.
    devices
        With distinct names; may be empty.
    stored_tokens
        Tokens that a device holds, by name; by default all of them.
    links
        Bandwidth [GB/s] that sets of devices share, e.g. the PCIe root of two NVMe drives; a link
        is busy from the first byte of its quickest device on.

    Raises
    ------
    SpecError
        If a figure is outside its range.
    """
    refuse_outside(
        {
            "prefix_tokens": prefix_tokens,
            "stored_tokens": list((stored_tokens or {}).values()),
            "links": list((links or {}).values()),
        },
        {
            "prefix_tokens": Range("tokens", high=1e9),
            "stored_tokens": Range("tokens", high=1e9),
            "links": Range("GB/s", above=True, high=1e6),
        },
    )
    in_order = sorted(devices, key=lambda device: device.latency_ms)
    token_bytes = float(shape.total_bytes(prefix_tokens)) / max(prefix_tokens, 1.0)
    best = StripingPlan(time=prefill.time(prefix_tokens), computed_tokens=prefix_tokens)
    for used in range(1, len(in_order) + 1):
        # A device in use is waited for; before that time is up it can only help.
        if in_order[used - 1].latency_ms >= float(best.time.ms):
            break
        program = _Program(token_bytes, prefix_tokens, in_order[:used], stored_tokens, links)
        best = program.solve(prefill)
    loaded = {device.name: best.loaded_tokens.get(device.name, 0.0) for device in devices}
    return StripingPlan(time=best.time, computed_tokens=best.computed_tokens, loaded_tokens=loaded)


class _Program:
    """Variables: x of each device in use, m, T; in units of tokens and ms."""

    def __init__(
        self,
        token_bytes: float,
        prefix_tokens: float,
        devices: Sequence[StorageDevice],
        stored_tokens: Mapping[str, float] | None,
        links: Mapping[frozenset[str], float] | None,
    ) -> None:
        self._names = [device.name for device in devices]
        self._prefix = prefix_tokens
        count = len(devices)
        rows, right = [], []
        for k, device in enumerate(devices):
            row = np.zeros(count + 2)
            row[k] = token_bytes * device.sharers / (device.bandwidth_gb_s * _BYTES_PER_GB_MS)
            row[-1] = -1.0
            rows.append(row)
            right.append(-device.latency_ms)
        for sharers, bandwidth_gb_s in (links or {}).items():
            shared = [k for k, name in enumerate(self._names) if name in sharers]
            if shared:
                row = np.zeros(count + 2)
                row[shared] = token_bytes / (bandwidth_gb_s * _BYTES_PER_GB_MS)
                row[-1] = -1.0
                rows.append(row)
                right.append(-min(devices[k].latency_ms for k in shared))
        self._rows: list[FloatArray] = rows
        self._right: list[float] = right
        held = stored_tokens or {}
        most = [min(held.get(name, prefix_tokens), prefix_tokens) for name in self._names]
        self._bounds = [(0.0, tokens) for tokens in most] + [(0.0, prefix_tokens), (0.0, None)]

    def solve(self, prefill: PrefillLaw) -> StripingPlan:
        """Solve with more and more tangents of f until f(m) <= T."""
        rows, right = list(self._rows), list(self._right)
        tangent_at = self._prefix
        for _ in range(_MOST_TANGENTS):
            slope, intercept = _tangent(prefill, tangent_at, self._prefix)
            row = np.zeros(len(self._names) + 2)
            row[-2], row[-1] = slope, -1.0
            rows.append(row)
            right.append(-intercept)
            x = self._optimum(np.array(rows), np.array(right))
            tangent_at = float(x[-2])
            reached = max(float(x[-1]), float(prefill.time(tangent_at).ms))
            if reached <= float(x[-1]) * (1.0 + _CLOSE):
                break
        loaded = dict(zip(self._names, map(float, x[:-2]), strict=True))
        return StripingPlan(
            time=WholeModelTime(reached), computed_tokens=tangent_at, loaded_tokens=loaded
        )

    def _optimum(self, rows: FloatArray, right: FloatArray) -> FloatArray:
        from scipy.optimize import linprog

        every_token = np.ones((1, rows.shape[1]))
        every_token[0, -1] = 0.0
        objective = np.zeros(rows.shape[1])
        objective[-1] = 1.0
        found = linprog(
            objective,
            A_ub=rows,
            b_ub=right,
            A_eq=every_token,
            b_eq=[self._prefix],
            bounds=self._bounds,
            method="highs",
        )
        solution: FloatArray = np.asarray(found.x)
        return solution


def _tangent(prefill: PrefillLaw, at: float, prefix: float) -> tuple[float, float]:
    """Slope and intercept of f at a number of tokens, by a central difference within [0, P]."""
    step = max(prefix * 1e-6, 1e-9)
    low, high = max(at - step, 0.0), min(at + step, prefix)
    below, above = float(prefill.time(low).ms), float(prefill.time(high).ms)
    slope = (above - below) / max(high - low, 1e-300)
    # A central difference: exact for a quadratic f, off by O(step²) for others.
    return slope, float(prefill.time(at).ms) - slope * at
