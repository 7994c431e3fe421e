"""Where the answer to a request is put down for the connection that waits for it."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from optimizer.engine.language import Emission

__all__ = ["Ended", "Item", "Mailbox", "Piece"]


class Piece(NamedTuple):
    """A token of one of the outputs."""

    choice: int
    emission: Emission


class Ended(NamedTuple):
    """One of the outputs is over."""

    choice: int
    outcome: str  # as in `OUTCOMES`
    cached_tokens: int


Item = Piece | Ended


class Mailbox:
    """Items in the order in which they came, for one reader."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False

    def put(self, item: Item) -> None:
        """Add an item."""
        self._items.append(item)
        self._wake()

    def close(self) -> None:
        """Say that nobody will read any more."""
        self._closed = True
        self._wake()

    async def take(self) -> list[Item] | None:
        """Return all items that are there, at least one; None once the mailbox is closed."""
        if not self._items and not self._closed:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self._closed:
            return None
        items, self._items = self._items, []
        return items

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
