"""mmck: exact at any load and length of the waiting room, and wants one."""

from __future__ import annotations

import csv
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
import pytest

from queue_models import (
    Metric,
    OutsideValidityError,
    PrefillDecodeTiming,
    QueueMetrics,
    ServiceProcess,
    Statistic,
    Target,
    Targets,
    erlang_b,
    mmck_wait_quantile,
)
from queue_models.mmc import MMcModel
from queue_models.mmck import MMcKModel
from tests.queue_models.processes import limited, prefill_decode

TABLE = Path(__file__).resolve().parents[3] / "shared" / "data" / "queueing_reference.csv"
MODEL = MMcKModel()
LOADS = (1e-6, 1e-3, 0.5, 0.99, 0.999999, 1.0, 1.000001, 1.5, 100.0)


def _rows() -> list[dict[str, str]]:
    if not TABLE.exists():
        return []
    with TABLE.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["model"] in ("M/M/1/K", "M/M/c/K")]


def _replica(service_rate: float, servers: int, places: float) -> ServiceProcess:
    """A replica of which every slot serves requests of a single token at this rate."""
    timing = PrefillDecodeTiming(1.0, 0.0, 1000.0 / service_rate, 0.0)
    return ServiceProcess(timing, 1.0, 1.0, servers, queue_capacity=places)


@pytest.mark.skipif(not _rows(), reason=f"no reference table at {TABLE}")
@pytest.mark.parametrize("row", _rows(), ids=[row["case_id"] for row in _rows()])
def test_the_plug_in_equals_the_table(row: dict[str, str]) -> None:
    """Means, blocking and percentiles of the wait agree to 1e-9 relative."""
    servers, capacity = int(float(row["c"])), float(row["capacity_K"])
    service = _replica(float(row["mu"]), servers, capacity - servers)
    shares = {"p95_wait": Statistic(Metric.WAIT, 95), "p99_wait": Statistic(Metric.WAIT, 99)}
    came = MODEL.evaluate(service, float(row["lambda"]), tuple(shares.values()))
    wanted = {
        "Lq": came.queue_length,
        "Wq": came.wait_ms / 1000.0,
        "W": came.e2e_ms / 1000.0,
        "throughput": came.throughput_rps,
        "blocking_prob": came.blocking_probability,
        "mean_in_service": came.concurrency,
        **{column: came.value(share) / 1000.0 for column, share in shares.items()},
    }
    for column, value in wanted.items():
        if row[column]:
            assert value == pytest.approx(float(row[column]), rel=1e-9, abs=1e-14), column


def _by_decimals(rate: float, speed: float, servers: int, places: int) -> dict[str, Decimal]:
    """Blocking, mean queue, mean wait, throughput and busy servers, by sums of sixty digits."""
    with localcontext() as context:
        context.prec, context.Emax, context.Emin = 60, 10**9, -(10**9)
        offered = Decimal(rate) / Decimal(speed)
        load = offered / servers
        weight = below = Decimal(1)
        moment = Decimal(0)
        for n in range(1, servers):
            weight *= offered / n
            below += weight
            moment += n * weight
        full = weight * offered / servers
        if load == 1:
            above, queue = Decimal(places + 1), Decimal(places * (places + 1)) / 2
        else:
            last = load**places
            above = (1 - load * last) / (1 - load)
            queue = load * (1 - (places + 1) * last + places * load * last) / (1 - load) ** 2
        total = below + full * above
        refused = full * load**places / total
        accepted = Decimal(rate) * (1 - refused)
        return {
            "blocking_probability": refused,
            "throughput_rps": accepted,
            "queue_length": full * queue / total,
            "wait_ms": 1000 * full * queue / total / accepted,
            "concurrency": (moment + servers * full * above) / total,
        }


@pytest.mark.parametrize("servers", [1, 64, 4096])
@pytest.mark.parametrize("places", [0, 1, 1000, 10**6])
@pytest.mark.parametrize("load", LOADS)
def test_exact_for_many_servers_and_places(servers: int, places: int, load: float) -> None:
    """K up to a million, 4096 servers, loads from 1e-6 to 100: 1e-9 relative to long decimals."""
    speed = 0.8
    rate = load * servers * speed
    came: QueueMetrics = MODEL.evaluate(_replica(speed, servers, places), rate)
    for name, wanted in _by_decimals(rate, speed, servers, places).items():
        assert getattr(came, name) == pytest.approx(float(wanted), rel=1e-9, abs=1e-290), name


def test_without_places_it_is_erlangs_loss_system() -> None:
    """With K = c nobody waits and Erlang B is refused, below and above capacity."""
    rates = np.array([1.0, 40.0, 64.0, 200.0])
    came = MODEL.evaluate(_replica(1.0, 64, 0.0), rates)
    assert came.blocking_probability == pytest.approx(erlang_b(64, rates), rel=1e-12)
    assert np.all(came.wait_ms == 0.0)
    assert came.stable.all()


def test_percentiles_of_the_wait_in_overload_are_the_mixtures() -> None:
    """At twice the capacity the wait's median and p99 are those of `mmck_wait_quantile`."""
    statistics = [Statistic(Metric.WAIT, p) for p in (50, 99)]
    came = MODEL.evaluate(_replica(0.5, 16, 300.0), 16.0, statistics)
    for statistic, share in zip(statistics, (0.5, 0.99), strict=True):
        wanted = 1000.0 * mmck_wait_quantile(16.0, 0.5, 16, 316, share)
        assert came.value(statistic) == pytest.approx(wanted, rel=1e-10)


def test_answers_are_those_of_mmc_with_the_same_limit() -> None:
    """mmc with a limited queue is the same queue: equal metrics and equal rates."""
    service = limited(prefill_decode(), 40)
    target = Targets((Target(Statistic(Metric.TTFT), 600.0),))
    rate = MODEL.max_rate(service, target)
    assert np.array_equal(rate, MMcModel().max_rate(service, target))
    assert np.array_equal(
        MODEL.evaluate(service, rate).ttft_ms, MMcModel().evaluate(service, rate).ttft_ms
    )


@pytest.mark.parametrize("places", [None, np.inf])
def test_an_endless_queue_is_refused_in_words(places: float | None) -> None:
    """A service without a limit is refused, naming the field and the model for it."""
    service = ServiceProcess(
        PrefillDecodeTiming(1.0, 0.1, 5.0, 0.0), 1, 2, 8, queue_capacity=places
    )
    with pytest.raises(OutsideValidityError, match=r"queue_capacity must be given \(mmc takes"):
        MODEL.evaluate(service, 1.0)
