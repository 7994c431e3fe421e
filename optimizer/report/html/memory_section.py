"""How a model divides an accelerator's memory, and where a KV cache is kept, as parts of a page."""

from __future__ import annotations

from collections.abc import Sequence

from optimizer.capacity import DeploymentMemory
from optimizer.kv.device_study import DeviceStudy
from optimizer.kv.ratio_study import RatioStudy
from optimizer.report.html.charts import bar_chart
from optimizer.report.html.pages import rendered

__all__ = ["kv_fragment", "memory_fragment"]

_BYTES_PER_GB = 1e9


def memory_fragment(found: DeploymentMemory, command: str) -> str:
    """Return the memory of a deployment to stand in somebody else's page.

    Parameters
    ----------
    found
        The memory.
    command
        The command line that says the same.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    stages = found.budget.stages
    rows = [
        (
            "each accelerator" if len(stages) == 1 else f"stage {place + 1}",
            {
                "weights": stage.weight_bytes / _BYTES_PER_GB,
                "activations": stage.activation_bytes / _BYTES_PER_GB,
                "outside the framework": stage.non_torch_bytes / _BYTES_PER_GB,
                "KV pool": max(stage.kv_pool_bytes, 0.0) / _BYTES_PER_GB,
            },
        )
        for place, stage in enumerate(stages)
    ]
    chart = bar_chart(rows, "GB", "how the memory of an accelerator is divided")
    return rendered(
        "memory.html.j2", found=found, budget=found.budget, chart=chart, command=command
    )


def kv_fragment(ratio: RatioStudy, places: DeviceStudy, commands: Sequence[str]) -> str:
    """Return the ratio and the devices for a KV cache to stand in somebody else's page.

    Parameters
    ----------
    ratio, places
        What the loading controller says.
    commands
        The command lines that say the same of each.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    return rendered("kv.html.j2", ratio=ratio, places=places, commands=commands)
