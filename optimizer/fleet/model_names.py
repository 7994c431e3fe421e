"""Services, accelerators and resources as the names of a fleet's array problem."""

from __future__ import annotations

from optimizer.fleet.problem import FleetProblem
from solvers import ModelNames

__all__ = ["model_names"]


def model_names(problem: FleetProblem) -> ModelNames:
    """Return what a fleet's columns and rows are called in files of models.

    A column is `service@accelerator`, with configuration, batch and who else it serves where there
    are such, and what it counts: all the replicas, or one of a service that splits.
    """
    table, columns, linked = problem.table, problem.columns, problem.linked
    services = [service.name for service in table.spec.services]
    names = []
    for candidate, owner in zip(columns.candidate.tolist(), columns.owner.tolist(), strict=True):
        if candidate < 0:
            names.append(f"{services[owner]}.unserved")
        elif int(table.accelerator[candidate]) < 0:
            names.append(f"{services[owner]}.none")
        else:
            what = "replicas" if columns.counted[owner] else f"{int(table.replicas[candidate])}"
            batch = int(table.max_batch[candidate])
            place = table.place_of(candidate).replace(" ", ".")
            names.append(f"{services[owner]}@{place}.batch{batch}.{what}")
    return ModelNames(
        columns=tuple(names),
        rows=tuple(problem.resources[row].name for row in problem.rows.tolist()),
        groups=tuple(services),
        further=() if linked is None else tuple(linked.names),
        links=() if linked is None else tuple(linked.row_names),
    )
