"""The contract of a queue model as checks that the author of any model can run.

    from queue_models.testing import check_contract
    check_contract(MyModel(), service)

Each check raises AssertionError with the model's name and what differs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from queue_models.arrays import FloatArray
from queue_models.base import Metric, QueueMetrics, QueueModel, Statistic, Target, Targets
from queue_models.errors import OutsideValidityError, ServiceProcessError
from queue_models.process import ServiceProcess

__all__ = [
    "check_bad_rates_are_refused",
    "check_broadcasting",
    "check_contract",
    "check_declaration",
    "check_littles_law",
    "check_max_rate_inverts_evaluate",
    "check_monotone_in_rate",
    "check_monotone_in_target",
    "check_zero_rate",
]

_LOADS = np.array([0.05, 0.3, 0.6, 0.8, 0.9, 0.97])
_MS_PER_S = 1000.0
_MEANS = tuple(Statistic(metric) for metric in Metric)


def check_contract(
    model: QueueModel, service: ServiceProcess, *, rate_tolerance: float = 1e-6
) -> None:
    """Run every check of this module, with warnings as errors.

    Parameters
    ----------
    model
        The model.
    service
        One-dimensional, at least two pairs, for which the model holds.
    rate_tolerance
        Relative precision of the model's `max_rate`.
    """
    checks: tuple[Callable[[QueueModel, ServiceProcess], None], ...] = (
        check_declaration,
        check_broadcasting,
        check_zero_rate,
        check_bad_rates_are_refused,
        check_littles_law,
        check_monotone_in_rate,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for check in checks:
            check(model, service)
        check_monotone_in_target(model, service, rate_tolerance)
        check_max_rate_inverts_evaluate(model, service, rate_tolerance)


def check_declaration(model: QueueModel, service: ServiceProcess) -> None:
    """Check that it says name, summary, timings and assumptions, and refuses in words."""
    what = f"queue model '{model.name}'"
    assert model.name, "a model must have a name"
    assert model.summary, f"{what}: summary is empty"
    assert model.assumptions, f"{what}: assumptions are empty"
    assert type(service.timing) in model.timings, f"{what}: timings leave out {service.timing}"
    assert not model.refusals(service), f"{what}: refuses {model.refusals(service)}"
    impossible = [Statistic(metric, 99.0) for metric in Metric]
    refusals = model.refusals(service, impossible)
    for reason, mask in refusals.items():
        assert reason, f"{what}: a refusal has no reason"
        assert mask.shape == service.shape, f"{what}: a refusal's mask has shape {mask.shape}"
        assert mask.any(), f"{what}: '{reason}' concerns no pair"
    if refusals:
        message = ""
        try:
            model.evaluate(service, 0.0, impossible)
        except OutsideValidityError as error:
            message = str(error)
        for reason in refusals:
            assert reason in message, f"{what}: does not raise, or hides why: '{reason}'"


def check_broadcasting(model: QueueModel, service: ServiceProcess) -> None:
    """Check that results have the broadcast shape and do not depend on neighbours."""
    rate = _LOADS[:, None] * _capacity(model, service)
    together = _evaluate(model, service, rate)
    assert together.ttft_ms.shape == rate.shape, f"{model.name}: shape {together.ttft_ms.shape}"
    for i in range(len(_LOADS)):
        alone = _evaluate(model, service.take(np.array([0])), rate[i, :1])
        for statistic in _MEANS:
            _close(model, together.value(statistic)[i, :1], alone.value(statistic), str(statistic))


def check_zero_rate(model: QueueModel, service: ServiceProcess) -> None:
    """Check that at rate 0 nothing is served, nobody waits and TTFT is positive."""
    metrics = _evaluate(model, service, np.zeros(service.shape))
    assert metrics.stable.all(), f"{model.name}: unstable at rate 0"
    for name in ("throughput_rps", "concurrency", "queue_length", "wait_ms", "utilization"):
        assert np.all(getattr(metrics, name) == 0), f"{model.name}: {name} is not 0 at rate 0"
    assert np.all(metrics.ttft_ms > 0), f"{model.name}: TTFT is not positive at rate 0"


def check_bad_rates_are_refused(model: QueueModel, service: ServiceProcess) -> None:
    """Check that negative, NaN and infinite rates raise `ServiceProcessError`."""
    for bad in (-1.0, float("nan"), float("inf")):
        try:
            model.evaluate(service, bad)
        except ServiceProcessError:
            continue
        raise AssertionError(f"{model.name}: accepts the rate {bad}")


def check_littles_law(model: QueueModel, service: ServiceProcess) -> None:
    """Check L = X T for the queue, and for queue and service together."""
    metrics = _evaluate(model, service, _LOADS[:, None] * _capacity(model, service))
    waiting = metrics.throughput_rps * metrics.wait_ms / _MS_PER_S
    _close(model, metrics.queue_length, waiting, "queue length = X W")
    inside = metrics.throughput_rps * metrics.e2e_ms / _MS_PER_S
    _close(model, metrics.queue_length + metrics.concurrency, inside, "L = X T")


def check_monotone_in_rate(model: QueueModel, service: ServiceProcess) -> None:
    """Check that waits, TTFT, utilisation and throughput do not fall as the rate grows."""
    metrics = _evaluate(model, service, _LOADS[:, None] * _capacity(model, service))
    for name in ("wait_ms", "ttft_ms", "e2e_ms", "utilization", "throughput_rps"):
        values = getattr(metrics, name)
        falls = np.diff(values, axis=0) < -1e-9 * np.abs(values[1:])
        assert not falls.any(), f"{model.name}: {name} falls as the rate grows"


def check_monotone_in_target(
    model: QueueModel, service: ServiceProcess, rate_tolerance: float = 1e-6
) -> None:
    """Check that a looser TTFT never lowers the rate, and that an impossible one gives 0."""
    bounds = _evaluate(model, service, _LOADS[:, None] * _capacity(model, service)).ttft_ms
    rates = np.array([_sized(model, service, bound) for bound in bounds])
    falls = np.diff(rates, axis=0) < -rate_tolerance * rates[1:]
    assert not falls.any(), f"{model.name}: a looser TTFT lowers the rate"
    least = _evaluate(model, service, np.zeros(service.shape)).ttft_ms
    tight = _sized(model, service, least * 1e-6)
    assert np.all(tight == 0), f"{model.name}: a rate for a TTFT that cannot be met"


def check_max_rate_inverts_evaluate(
    model: QueueModel, service: ServiceProcess, rate_tolerance: float = 1e-6
) -> None:
    """Check that the rate for the TTFT at some load is that load's throughput."""
    rate = 0.9 * _capacity(model, service)
    metrics = _evaluate(model, service, rate)
    # Where TTFT does not depend on the load, any rate is right.
    varies = _evaluate(model, service, 0.99 * rate).ttft_ms < metrics.ttft_ms * (1 - 1e-9)
    sized = _sized(model, service, metrics.ttft_ms)
    wanted = metrics.throughput_rps
    _close(model, sized[varies], wanted[varies], "max_rate(evaluate)", rate_tolerance)


def _evaluate(model: QueueModel, service: ServiceProcess, rate: FloatArray) -> QueueMetrics:
    metrics = model.evaluate(service, rate)
    for statistic in _MEANS:
        assert not np.isnan(metrics.value(statistic)).any(), f"{model.name}: {statistic} is NaN"
    return metrics


def _capacity(model: QueueModel, service: ServiceProcess) -> FloatArray:
    """Return the largest rate without targets."""
    capacity = model.max_rate(service, Targets())
    assert np.all((capacity > 0) & np.isfinite(capacity)), f"{model.name}: capacity {capacity}"
    return capacity


def _sized(model: QueueModel, service: ServiceProcess, bound: FloatArray) -> FloatArray:
    return model.max_rate(service, Targets((Target(Statistic(Metric.TTFT), bound),)))


def _close(
    model: QueueModel, came: FloatArray, wanted: FloatArray, what: str, tolerance: float = 1e-9
) -> None:
    good = np.isclose(came, wanted, rtol=tolerance, atol=1e-12)
    assert good.all(), f"{model.name}: {what}: {came[~good][:3]} against {wanted[~good][:3]}"
