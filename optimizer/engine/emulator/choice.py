"""One output of a request: its text, drawn a little ahead of the engine's schedule."""

from __future__ import annotations

from collections import deque

from optimizer.engine.emulator.content import Content
from optimizer.engine.emulator.mailbox import Mailbox
from optimizer.engine.language import Emission, Generation
from optimizer.engine.live_fleet import LiveFleet

__all__ = ["Choice"]


class Choice:
    """An output that the engine has scheduled, with the text that will come out.

    What a text says does not depend on when it comes out, so it can be drawn before; and the engine
    must know one iteration before a text ends that it does.

    Parameters
    ----------
    index
        Of the outputs of its request.
    mailbox
        Of its request.
    generation
        Draws the text.
    content
        Of the prompt; the output goes on with it.
    guesses
        Which tokens a draft model guessed; goes on with the text. None: drafts do not follow it.
    """

    def __init__(
        self,
        index: int,
        mailbox: Mailbox,
        generation: Generation,
        content: Content,
        guesses: list[bool] | None = None,
    ) -> None:
        self.index = index
        self.mailbox = mailbox
        self._generation = generation
        self._content = content
        self._guesses = guesses
        self._drawn: deque[Emission] = deque()
        self._ended = False

    def draw(self, fleet: LiveFleet, number: int, tokens: int) -> None:
        """Draw until so many tokens are in store, or the text ends.

        The fleet, where this is request `number`, is told what the blocks contain, which drafts are
        right, and where a text stops by itself.
        """
        first = len(self._generation.output)
        while len(self._drawn) < tokens and not self._ended:
            emission = self._generation.next()
            self._drawn.append(emission)
            self._ended = emission.finish_reason is not None
            block = self._content.append(emission.token)
            if block is not None:
                fleet.extend_content(number, *block)
            if emission.finish_reason == "stop" and fleet.has(number):
                fleet.shorten(number, len(self._generation.output))
            if self._guesses is not None:
                self._guesses.append(emission.guessed)
        if self._guesses is not None:
            fleet.tell_guesses(number, first, self._guesses[first:])

    def take(self) -> Emission:
        """Return the next token of the text."""
        return self._drawn.popleft()
