"""Hit rates of every policy against the bound, and block references per second, on given traces.

python -m benchmarks.prefix_reuse TRACE...
"""

from __future__ import annotations

import sys
import time

from optimizer.kv.reuse import (
    BlockTrace,
    CacheRules,
    EvictionPolicy,
    belady_hits,
    read_trace,
    replay,
)

_CAPACITIES = (2000, 6000, 20_000)


def main(paths: list[str]) -> None:
    for path in paths:
        trace = read_trace(path)
        end = float(trace.times_s[-1])
        parts = {"all": (0.0, end + 1), "first half": (0.0, end / 2), "second": (end / 2, end + 1)}
        for name, (start, stop) in parts.items():
            part = read_trace(path, from_s=start, to_s=stop, block_tokens=trace.block_tokens)
            for capacity in _CAPACITIES:
                print(path.rpartition("/")[2], name, capacity, *_cells(part, capacity))


def _cells(trace: BlockTrace, capacity: int) -> list[str]:
    bound = belady_hits(trace, capacity).sum()
    cells = [f"bound {bound / trace.prompt_references:.4f}"]
    for policy in EvictionPolicy:
        start = time.process_time()
        done = replay(trace, capacity, CacheRules(policy=policy))
        rate = len(trace.nodes) / (time.process_time() - start) / 1e6
        cells.append(f"{policy} {done.hit_blocks.sum() / bound:.3f} ({rate:.2f} M/s)")
    return cells


if __name__ == "__main__":
    main(sys.argv[1:])
