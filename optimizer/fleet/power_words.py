"""What a plan's reader is told of power that more replicas would save."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from optimizer.fleet.columns import Columns
from optimizer.fleet.objective import counted_kinds
from optimizer.fleet.power_curve import PowerCurve, power_curve
from optimizer.spec.wording import listed

__all__ = ["power_words"]

# Services that are named; of more their number is said.
_MOST_NAMED = 3


def power_words(columns: Columns) -> tuple[str, ...]:
    """Say who takes the fewest replicas where more, each with less to do, might draw less.

    Services that choose have as many replicas of a candidate as keep their objectives; those that
    split have as many as are best, power included.
    """
    table = columns.table
    if "power_kw" not in counted_kinds(table.spec):
        return ()
    curves = [power_curve(machine) for machine in table.spec.accelerators]
    bends = np.array([curve is not None and _bends_upwards(curve) for curve in curves])
    served = columns.candidate[~columns.unserved]
    served = served[table.accelerator[served] >= 0]
    mine = bends[table.accelerator[served]] & ~columns.counted[table.service[served]]
    mine &= table.targets.rate_rps[table.service[served]] > 0
    names = [table.spec.services[s].name for s in np.unique(table.service[served[mine]]).tolist()]
    if not names:
        return ()
    who = listed(names) if len(names) <= _MOST_NAMED else f"{len(names)} services"
    return (
        f"{who}: as few replicas as keep the objectives, of accelerators whose power bends upwards "
        f"over their load; more of them may draw less: allocation: split with max_different: 1 "
        f"decides how many",
    )


def _bends_upwards(curve: PowerCurve) -> bool:
    points = list(zip(curve.utilizations, curve.powers_w, strict=True))
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(points)]
    return any(later > earlier for earlier, later in pairwise(slopes))
