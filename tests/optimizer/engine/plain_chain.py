"""Prefill, transfer and decode written down as plainly as they can be read: one replica of each,
one token at a time, no blocks; shares no code with the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Asked(NamedTuple):
    """What one request is."""

    arrival: float
    prompt: int
    output: int


class Seen(NamedTuple):
    """When its tokens came out."""

    times: list[float]


Time = Callable[[int, int, int], float]


def plain_chain(
    requests: Sequence[Asked],
    prefill_time: Time,
    decode_time: Time,
    *,
    budget: int,
    places: int,
    latency: float,
    per_token: float,
) -> list[Seen]:
    """Serve requests in the order of arrival; return what each saw."""
    seen = [Seen([]) for _ in requests]
    ready = _prefilled(requests, seen, prefill_time, budget, places, latency, per_token)
    _decode(requests, seen, sorted(ready), decode_time, places)
    return seen


def _prefilled(requests, seen, time, budget, places, latency, per_token):
    now, link, coming = 0.0, 0.0, list(range(len(requests)))
    running: list[list[int]] = []  # number and prompt tokens computed
    ready = []
    while coming or running:
        if not running:
            now = max(now, requests[coming[0]].arrival)
        left, scheduled = budget, {}
        for one in running:
            tokens = min(requests[one[0]].prompt - one[1], left)
            scheduled[one[0]] = tokens
            left -= tokens
        while coming and requests[coming[0]].arrival <= now and left and len(running) < places:
            number = coming.pop(0)
            tokens = min(requests[number].prompt, left)
            running.append([number, 0])
            scheduled[number] = tokens
            left -= tokens
        for one in running:
            one[1] += scheduled[one[0]]
        now += time(0, sum(scheduled.values()), sum(one[1] for one in running))
        for one in list(running):
            request = requests[one[0]]
            if one[1] == request.prompt:
                running.remove(one)
                seen[one[0]].times.append(now)
                # The engine sends the KV cache of whoever ends, wanted or not.
                link = max(link, now) + latency + per_token * request.prompt
                if request.output > 1:
                    ready.append((link, one[0]))
    return ready


def _decode(requests, seen, coming, time, places):
    now = 0.0
    running: list[int] = []
    while coming or running:
        if not running:
            now = max(now, coming[0][0])
        while coming and coming[0][0] <= now and len(running) < places:
            running.append(coming.pop(0)[1])
        tokens = sum(requests[n].prompt + len(seen[n].times) for n in running)
        now += time(len(running), 0, tokens)
        for number in list(running):
            seen[number].times.append(now)
            if len(seen[number].times) == requests[number].output:
                running.remove(number)
