"""Surviving the loss of any zone, region or pool: what is left must carry the whole load."""

from __future__ import annotations

import numpy as np

from optimizer.fleet.linked import Linked
from solvers import Split

__all__ = ["add_survival"]


def add_survival(linked: Linked, split: Split) -> None:
    """Add, for every service that must survive and every place it may stand in, a row.

    sum over k outside the place of R_k n_k  >=  what is routed to the service

    so that with the place lost, every replica left still gets at most the rate at which it keeps
    every objective.
    """
    columns, table = linked.columns, linked.columns.table
    rate = np.zeros(len(columns.candidate))
    rate[split.edge_column] = split.edge_rate
    machines = table.spec.accelerators
    for owner, service in enumerate(table.spec.services):
        if service.survive is None or not columns.counted[owner]:
            continue
        mine = (columns.owner == owner) & ~columns.unserved
        place_of = [getattr(machine, service.survive.value) for machine in machines]
        places = np.array([""] * len(mine), dtype=object)
        places[mine] = [place_of[i] for i in table.accelerator[columns.candidate[mine]]]
        routed = -(columns.owner[split.edge_column] == owner).astype(np.float64)
        for place in dict.fromkeys(places[mine].tolist()):
            left = np.where(mine & (places != place), rate, 0.0)
            name = f"{service.name}: without {service.survive.value} {place}"
            linked.add_row(name, left, of_rates=routed, lower=0.0)
