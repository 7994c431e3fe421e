"""Mean wait in M/M/8 at nine tenths: simulated by Ciw, and from our closed form.

The detail of `Found` is, for Ciw, the half-width of the 95 % interval over replications [s].
"""

from __future__ import annotations

from importlib.metadata import version
from statistics import fmean, stdev

from benchmarks.peers.found import Found

SERVERS, SERVICE_RATE, ARRIVAL_RATE = 8, 1.0, 7.2
_CUSTOMERS_S = 4000.0
_WARM_UP_S = 500.0
_REPLICATIONS = 5
_T_95 = 2.776  # Student's t with 4 degrees of freedom


def simulated() -> Found:
    """Five replications of 4,000 s, of which the first 500 s do not count."""
    import ciw

    waits = []
    for seed in range(_REPLICATIONS):
        network = ciw.create_network(
            arrival_distributions=[ciw.dists.Exponential(ARRIVAL_RATE)],
            service_distributions=[ciw.dists.Exponential(SERVICE_RATE)],
            number_of_servers=[SERVERS],
        )
        ciw.seed(seed)
        simulation = ciw.Simulation(network)
        simulation.simulate_until_max_time(_CUSTOMERS_S)
        records = simulation.get_all_records()
        waits.append(fmean(r.waiting_time for r in records if r.arrival_date > _WARM_UP_S))
    width = _T_95 * stdev(waits) / _REPLICATIONS**0.5
    return Found(fmean(waits), None, f"Ciw {version('ciw')}", f"{width:.3f}")


def closed_form() -> Found:
    """Erlang's formula."""
    from queue_models import erlang_c

    load = ARRIVAL_RATE / SERVICE_RATE
    wait = erlang_c(SERVERS, load) / (SERVERS * SERVICE_RATE - ARRIVAL_RATE)
    return Found(float(wait), None, f"fleetopt {version('fleetopt')}")
