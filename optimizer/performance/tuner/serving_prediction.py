"""What a queue model predicts of observed loads, and how that depends on the parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.performance.tuner.law import TimingLaw
from optimizer.performance.tuner.observation import ServingObservation
from optimizer.performance.tuner.settings import TunedReplica
from queue_models import QueueMetrics, ServiceProcess, get

__all__ = ["TIMES", "Prediction", "ServedLoads", "ServingPredictor"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

TIMES = ("ttft_ms", "itl_ms")
"""Times that are predicted, in order."""

# Step of the logarithms in central differences.
_STEP = 1e-3
# Share of the batch from which the wait hangs on the last percent of the load.
_NEARLY_FULL = 0.95
# A rate that saturates any replica of nearly this capacity, as a multiple.
_BEYOND = 10.0
# The rate of a window is known to this, relative, or to one over the root of its requests.
_RATE_LOG_SD = 0.01
# Logarithm of the least and largest ratio of a predicted time to be told apart.
_FURTHEST = 3.0
# Stands for the logarithm of an infinite time.
_LARGEST = 1e3


@dataclass(frozen=True, eq=False)
class ServedLoads:
    """Observed windows as arrays, (k,).

    Parameters
    ----------
    rate_rps, input_tokens, output_tokens
        The loads.
    log_times
        (k, 2): logarithms of observed TTFT and ITL [ms]; NaN where missing.
    full
        Whether the replica's batch was full: then neither rate nor TTFT tell anything.
    rate_log_sd
        How exactly the rate is known.
    """

    rate_rps: FloatArray
    input_tokens: FloatArray
    output_tokens: FloatArray
    log_times: FloatArray
    full: BoolArray
    rate_log_sd: FloatArray

    @classmethod
    def of(cls, seen: Sequence[ServingObservation], max_batch: int) -> ServedLoads:
        """Read observations without faults; an unknown rate is told by Little's law."""
        rows = [_row(one, max_batch) for one in seen]
        table = np.array(rows, dtype=np.float64).reshape(len(rows), 7)
        return cls(
            rate_rps=table[:, 0],
            input_tokens=table[:, 1],
            output_tokens=table[:, 2],
            log_times=np.log(table[:, 3:5]),
            full=table[:, 5] > 0,
            rate_log_sd=table[:, 6],
        )


@dataclass(frozen=True, eq=False)
class Prediction:
    """Observed against predicted times at some parameters; each of k windows has 2 rows.

    Parameters
    ----------
    log_predicted
        (k, 2): logarithms of the times; inf where the model says that the replica is overloaded.
    innovation
        (k, 2): logarithm of observed over predicted, 0 where it does not count.
    jacobian
        (k, 2, n): derivatives of `log_predicted` by the logarithms of the parameters, >= 0.
    counts
        (k, 2): whether the time tells anything.
    more_variance
        (k, 2): variance of the innovation that comes from the rate.
    """

    log_predicted: FloatArray
    innovation: FloatArray
    jacobian: FloatArray
    counts: BoolArray
    more_variance: FloatArray


class ServingPredictor:
    """Predicts TTFT and ITL with a queue model.

    Parameters
    ----------
    law
        Law of timing.
    replica
        The replica.
    """

    def __init__(self, law: TimingLaw, replica: TunedReplica) -> None:
        self._law = law
        self._replica = replica
        self._model = get(replica.queue_model)
        size = len(law.parameters)
        nothing = np.zeros((1, size))
        up = _STEP * np.eye(size)
        # The state itself, up and down along each parameter, and itself at a larger rate.
        self._steps = np.concatenate([nothing, up, -up, nothing])

    def log_times(self, states: FloatArray, loads: ServedLoads) -> FloatArray:
        """Return logarithms of predicted times, (s, k, 2), at states (s, n)."""
        shape = (len(states), loads.rate_rps.size)
        rate = np.where(loads.full, _BEYOND * loads.rate_rps, loads.rate_rps)
        metrics = self._evaluated(states, loads, np.broadcast_to(rate, shape))
        return _logs(metrics)

    def predict(
        self, state: FloatArray, loads: ServedLoads, anchor: FloatArray | None = None
    ) -> Prediction:
        """Return what is predicted at one state, with derivatives by central differences.

        Derivatives are taken at `anchor`, by default at the state itself. A time is predicted to
        rise with every parameter; rounding near saturation must not say otherwise, for then slow
        observations would make the replica fast.
        """
        size = state.size
        states = self._steps + (state if anchor is None else anchor)
        states[0] = states[-1] = state
        rate = np.where(loads.full, _BEYOND * loads.rate_rps, loads.rate_rps)
        rates = np.repeat(rate[None, :], len(states), axis=0)
        rates[-1] *= 1 + _STEP
        metrics = self._evaluated(states, loads, rates)
        logs = _logs(metrics)
        over: BoolArray = np.asarray(np.isinf(logs[..., 0]).any(axis=0))
        if over.any():
            logs[:, over, 1] = self._full_batch(states, loads, over)
        nearly = metrics.utilization[0] > _NEARLY_FULL
        # TTFT of loads that some of the states cannot carry has no derivative; it does not count.
        tame = np.minimum(logs, _LARGEST)
        jacobian = np.moveaxis(tame[1 : size + 1] - tame[size + 1 : -1], 0, -1) / (2 * _STEP)
        by_rate = (tame[-1] - tame[0]) / _STEP
        known = ~np.isnan(loads.log_times)
        counts = known.copy()
        counts[:, 0] &= ~(over | nearly | loads.full)
        known[:, 0] &= ~loads.full
        # Where the model is overloaded and the replica is not, that counts against the model.
        far = np.minimum(np.maximum(loads.log_times - tame[0], -_FURTHEST), _FURTHEST)
        return Prediction(
            log_predicted=logs[0],
            innovation=np.where(known, far, 0.0),
            jacobian=np.maximum(jacobian, 0.0) * counts[..., None],
            counts=counts,
            more_variance=(by_rate * loads.rate_log_sd[:, None] * counts) ** 2,
        )

    def _full_batch(self, states: FloatArray, loads: ServedLoads, over: BoolArray) -> FloatArray:
        """Return the logarithms of ITL at a full batch, for loads some states cannot carry."""
        part = ServedLoads(
            loads.rate_rps[over],
            loads.input_tokens[over],
            loads.output_tokens[over],
            loads.log_times[over],
            loads.full[over],
            loads.rate_log_sd[over],
        )
        rate = np.broadcast_to(_BEYOND * part.rate_rps, (len(states), part.rate_rps.size))
        return _logs(self._evaluated(states, part, rate))[..., 1]

    def _evaluated(self, states: FloatArray, loads: ServedLoads, rates: FloatArray) -> QueueMetrics:
        service = self._service(states, loads)
        return self._model.evaluate(service, rates.ravel()).reshape(rates.shape)

    def _service(self, states: FloatArray, loads: ServedLoads) -> ServiceProcess:
        """Return the process of every state with every load, (s k,)."""
        count = loads.rate_rps.size
        replica = self._replica
        kv = replica.kv_capacity_tokens
        return ServiceProcess(
            self._law.timing(np.exp(np.repeat(states, count, axis=0))),
            np.tile(loads.input_tokens, len(states)),
            np.tile(loads.output_tokens, len(states)),
            replica.max_batch,
            input_tokens_scv=replica.input_tokens_scv,
            output_tokens_scv=replica.output_tokens_scv,
            arrival_scv=replica.arrival_scv,
            chunk_tokens=replica.chunk_tokens,
            kv_capacity_tokens=np.inf if kv is None else kv,
        )


def _row(seen: ServingObservation, max_batch: int) -> list[float]:
    ttft = np.nan if seen.ttft_ms is None else seen.ttft_ms
    itl = np.nan if seen.itl_ms is None else seen.itl_ms
    assert seen.input_tokens is not None
    assert seen.output_tokens is not None
    rate = seen.arrival_rate_rps
    if rate is None:
        assert seen.concurrency is not None
        stay_ms = np.nan_to_num(ttft) + (seen.output_tokens - 1) * np.nan_to_num(itl)
        rate = 1e3 * seen.concurrency / max(stay_ms, 1e-9)
    full = seen.concurrency is not None and seen.concurrency >= _NEARLY_FULL * max_batch
    requests = np.inf if seen.requests is None else seen.requests
    sd = max(_RATE_LOG_SD, float(min(requests**-0.5, 1.0)))
    return [rate, seen.input_tokens, seen.output_tokens, ttft, itl, float(full), sd]


def _logs(metrics: QueueMetrics) -> FloatArray:
    times = np.stack([metrics.ttft_ms, metrics.itl_ms], axis=-1)
    return np.log(np.maximum(times, 1e-300))
