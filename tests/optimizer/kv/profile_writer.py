"""Writes prefill times for ever, and tells of each commit: the victim of a test that kills it."""

from __future__ import annotations

import sys
from itertools import count

from optimizer.kv.profiles import PrefillTime, ProfileDatabase


def main(path: str, start: int) -> None:
    with ProfileDatabase(path, create=True) as database:
        for number in count(start):
            database.record(
                PrefillTime(
                    model=f"m{number % 7}",
                    accelerator="a",
                    context_tokens=1 + number // 14,
                    prefill_ms=1.0 + number,
                    source=str(number) * 50,
                )
                for _ in range(1)
            )
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
