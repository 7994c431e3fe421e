"""How long the capacity of the whole catalogue takes: models, accelerators, degrees, precisions."""

from __future__ import annotations

import time
from statistics import median

from optimizer.capacity import GPU_LIBRARY, ModelArchitecture, capacity_grid
from optimizer.catalog import model_names

# What was asked: about 10,000 combinations in so many seconds of CPU.
ASKED_CPU_S = 0.3
DEGREES = ((1, 2, 4), (1, 2, 4, 8))
PRECISIONS = ("bfloat16", "fp8", "int4")


def run(repeats: int) -> None:
    """Print a row per set of degrees: combinations, CPU of models and grid, least and median."""
    print(f"Capacity of the catalogue (imports excluded; asked: {ASKED_CPU_S} s)")
    print(f"{'combinations':>13}{'reading models':>16}{'grid':>18}{'together':>10}")
    for degrees in DEGREES:
        reading, filling = [], []
        for _ in range(repeats + 1):
            begin = time.process_time()
            models = [ModelArchitecture(name).architecture for name in model_names()]
            read = time.process_time()
            grid = capacity_grid(
                models,
                list(GPU_LIBRARY.values()),
                tensor_parallel=degrees,
                precisions=PRECISIONS,
            )
            reading.append(read - begin)
            filling.append(time.process_time() - read)
        del reading[0], filling[0]  # the warm-up
        print(
            f"{grid.size:>13,}{median(reading):>16.4f}"
            f"{f'{median(filling):.4f} ({min(filling):.4f})':>18}"
            f"{median(reading) + median(filling):>10.4f}"
        )
