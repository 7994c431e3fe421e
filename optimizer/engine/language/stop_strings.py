"""Texts that end an output, wherever the borders of tokens are."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["StopStrings"]


class StopStrings:
    """Looks for stops in a text that comes piece by piece.

    What may yet turn out to be the beginning of a stop is not told before that is clear. Of several
    stops in one piece the one named first counts, as in vLLM.

    Parameters
    ----------
    stops
        Texts to look for.
    include
        Whether the stop itself is told; then nothing has to be held back.
    """

    def __init__(self, stops: Sequence[str], *, include: bool = False) -> None:
        self._stops = tuple(stops)
        self._include = include
        self._kept = max(map(len, self._stops), default=1) - 1
        self._recent = ""  # the end of the text, long enough for the beginning of any stop
        self._held = 0  # characters at its end that were not told

    def feed(self, piece: str, *, armed: bool = True) -> tuple[str, str | None]:
        """Return what can be told now, and the stop that was found.

        Parameters
        ----------
        armed
            Whether a stop may end in this piece; it may have begun in an earlier one.
        """
        if not self._stops:
            return piece, None
        text = self._recent + piece
        told = len(self._recent) - self._held
        for stop in self._stops if armed else ():
            begin = text.find(stop, max(len(self._recent) - len(stop) + 1, 0))
            if begin >= 0:
                self._held = 0
                return text[told : begin + (len(stop) if self._include else 0)], stop
        self._held = 0 if self._include else self._open_end(text)
        self._recent = text[max(len(text) - self._kept, 0) :]
        return text[told : len(text) - self._held], None

    def close(self) -> str:
        """Return what was held back, once nothing comes any more."""
        held = self._recent[len(self._recent) - self._held :]
        self._held = 0
        return held

    def _open_end(self, text: str) -> int:
        """Return how long the longest end of a text is that a stop begins with."""
        for length in range(min(self._kept, len(text)), 0, -1):
            end = text[len(text) - length :]
            if any(len(stop) > length and stop.startswith(end) for stop in self._stops):
                return length
        return 0
