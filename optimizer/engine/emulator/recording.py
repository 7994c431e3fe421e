"""What came to an emulator, to be simulated again."""

from __future__ import annotations

import csv
import json
from typing import TextIO

import numpy as np

from optimizer.engine.emulator.emulator import Submitted
from optimizer.engine.live_fleet import Happened
from optimizer.engine.traffic import Traffic

__all__ = ["Recording"]


class Recording:
    """The requests that an emulator served, and what came out of them.

    Its methods `submitted` and `happened` are for `Emulator(on_submitted=..., on_happened=...)`.
    """

    def __init__(self) -> None:
        self._submitted: dict[int, Submitted] = {}
        self._emitted: dict[int, int] = {}

    def submitted(self, request: Submitted) -> None:
        """Note a request."""
        self._submitted[request.number] = request

    def happened(self, happened: Happened) -> None:
        """Note what came out of requests that are over."""
        columns = (happened.over[name].tolist() for name in ("id", "emitted"))
        self._emitted.update(zip(*columns, strict=True))

    def traffic(self) -> Traffic:
        """Return the requests that got tokens, as a simulation takes them.

        Those that were not served to their end ask for no more than they got.
        """
        kept = self._kept()
        count = len(kept)
        return Traffic(
            arrival_ms=np.array([one.arrival_ms for one in kept], dtype=np.float64),
            prompt=np.array([one.prompt for one in kept], np.int32),
            output=np.array([self._emitted[one.number] for one in kept], np.int32),
            given=np.zeros(count, np.int32),
            priority=np.ones(count, np.int32),
            deadline_ms=np.full(count, np.inf),
            first_ms=np.full(count, -1.0),
            segment_of=np.cumsum([0, *(len(one.content.keys) for one in kept)]),
            keys=np.array([key for one in kept for key in one.content.keys], np.int64),
            ends=np.array([end for one in kept for end in one.content.ends], np.int32),
        )

    def guesses(self) -> list[list[bool] | None]:
        """Return of the same requests which tokens were guessed: see `Submitted`."""
        return [one.guesses for one in self._kept()]

    def _kept(self) -> list[Submitted]:
        return [self._submitted[n] for n in sorted(self._submitted) if self._emitted.get(n, 0) > 0]

    def write_json_lines(self, file: TextIO) -> None:
        """Write arrivals, lengths and content as a trace, which `read_trace` reads.

        Simulated at the same arrivals, requests then find in the prefix cache what they found here.
        """
        kept = self._kept()
        for one in kept:
            row = {
                "timestamp": one.arrival_ms - kept[0].arrival_ms,
                "input_length": one.prompt,
                "output_length": self._emitted[one.number],
                "hash_block_tokens": one.content.unit,
                "hash_ids": list(one.content.keys[:-1]),
            }
            file.write(json.dumps(row) + "\n")

    def write_csv(self, file: TextIO) -> None:
        """Write arrivals and lengths as a trace, which `read_trace` reads."""
        traffic = self.traffic()
        writer = csv.writer(file)
        writer.writerow(["arrival_s", "input_tokens", "output_tokens"])
        first = float(traffic.arrival_ms[0]) if traffic.arrival_ms.size else 0.0
        columns = (traffic.arrival_ms.tolist(), traffic.prompt.tolist(), traffic.output.tolist())
        for arrival, prompt, output in zip(*columns, strict=True):
            writer.writerow([f"{(arrival - first) / 1e3:.6f}", prompt, output])
