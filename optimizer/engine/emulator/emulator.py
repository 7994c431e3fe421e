"""A live fleet in step with a clock: requests in, text out, every token at its scheduled time."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.engine.emulator.choice import Choice
from optimizer.engine.emulator.clock import ScaledClock
from optimizer.engine.emulator.content import Content
from optimizer.engine.emulator.mailbox import Ended, Mailbox, Piece
from optimizer.engine.language import Generation, LanguageModel, SamplingParams
from optimizer.engine.live_fleet import Happened, LiveFleet
from optimizer.engine.online import OUTCOMES

__all__ = ["Answer", "Emulator", "Submitted"]

_LOGGER = logging.getLogger(__name__)

# Iterations that a replica may end between two looks at the texts, and tokens that may come out of
# them, about: a few hundredths of a second, in which nobody else has a turn.
_ITERATIONS = 12
_TOKENS = 1024
# What is on its way when a text is found to end must not be beyond it.
_MARGIN = 3


@dataclass(frozen=True, slots=True)
class Submitted:
    """A request as the engine got it, to be simulated again.

    Its content grows with its output, and so does `guesses`: which of its tokens a draft model
    guessed; None where drafts are accepted by chance, or there are none.
    """

    number: int
    arrival_ms: float
    prompt: int
    content: Content
    guesses: list[bool] | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back for the prompts of one call: outputs, `n` for each prompt in its order."""

    mailbox: Mailbox
    numbers: tuple[int, ...]


class Emulator:
    """Serves requests on a live fleet that tells tokens.

    Not safe in threads: everything happens in the event loop that `run` runs in.

    Parameters
    ----------
    fleet
        Whose time only the emulator moves.
    model
        What writes the text.
    clock
        What time it is.
    drafts_by_chance
        Whether drafts are accepted at `acceptance_rate`; by default, as often as a second built-in
        model guesses what the first one says.
    on_submitted, on_happened
        Told of every request and of everything that comes out, for records.
    """

    def __init__(
        self,
        fleet: LiveFleet,
        model: LanguageModel,
        clock: ScaledClock,
        *,
        drafts_by_chance: bool = False,
        on_submitted: Callable[[Submitted], None] | None = None,
        on_happened: Callable[[Happened], None] | None = None,
    ) -> None:
        self.fleet = fleet
        self.model = model
        self.clock = clock
        self.failed = False
        self._on_submitted = on_submitted
        self._on_happened = on_happened
        self._choices: dict[int, Choice] = {}
        self._wake = asyncio.Event()
        self._catching_up = asyncio.Lock()  # what one has worked off the next need not
        self._until_ms = 0.0
        self._is_even = True
        self._speculates = fleet.config.draft_tokens > 0 and not drafts_by_chance
        burst = 1 + fleet.config.draft_tokens
        self._ahead = (_ITERATIONS + _MARGIN) * burst

    @property
    def open_outputs(self) -> int:
        """Outputs that are not over."""
        return len(self._choices)

    async def submit(
        self,
        prompts: Sequence[Sequence[int]],
        params: SamplingParams,
        *,
        choices: int = 1,
        priority: int = 1,
        salt: str = "",
    ) -> Answer:
        """Hand in prompts, each for so many outputs of at most `params.max_tokens` tokens.

        All arrive at once, at the time of the call, or where the fleet is late when it has caught
        up with that.
        """
        await self.catch_up()
        mailbox = Mailbox()
        numbers = []
        for place, prompt in enumerate(prompts):
            for turn in range(choices):
                index = place * choices + turn
                own = params.for_choice(turn)
                numbers.append(self._submit(mailbox, index, prompt, own, choices, priority, salt))
        self._wake.set()
        return Answer(mailbox, tuple(numbers))

    def cancel(self, answer: Answer) -> None:
        """Take back what is left of a request, and free its blocks."""
        if not any(number in self._choices for number in answer.numbers):
            return
        # At the time of the call, unless the fleet is so late that others would have to wait.
        self._work(self.clock.now_ms())
        for number in answer.numbers:
            if self._choices.pop(number, None) is not None:
                self.fleet.abort(number)
        self._wake.set()

    def end_all(self) -> None:
        """Take back everything that is not over, and tell those who wait."""
        for number in list(self._choices):
            self.fleet.abort(number)
            self._end(number, "aborted", 0)

    def changed(self) -> None:
        """Say that the fleet was changed from outside."""
        self._wake.set()

    async def catch_up(self) -> None:
        """Let the fleet work until the time of the call; others have their turn meanwhile.

        Time that passes by then is left to `run`: a fleet that is slower than its clock would never
        catch up, and nobody who goes be noticed.
        """
        now_ms = self.clock.now_ms()
        async with self._catching_up:
            while not self._work(now_ms):
                await asyncio.sleep(0)

    async def run(self) -> None:
        """Keep the fleet in step with the clock until cancelled."""
        try:
            while True:
                self._wake.clear()
                if not self._work(self.clock.now_ms()):
                    await asyncio.sleep(0)
                    continue
                await self._sleep()
        except asyncio.CancelledError:
            raise
        except Exception:
            _LOGGER.exception("the emulator has failed")
            self.failed = True
            raise
        finally:
            for number in list(self._choices):
                self._end(number, "failed", 0)

    def _submit(
        self,
        mailbox: Mailbox,
        index: int,
        prompt: Sequence[int],
        params: SamplingParams,
        choices: int,
        priority: int,
        salt: str,
    ) -> int:
        config = self.fleet.config
        number = self.fleet.next_number
        unit = config.prefix_match_unit or config.block_size
        content = Content(prompt, unit, number, salt)
        generation = Generation(
            self.model, prompt, params, seed=config.seed + number, speculate=self._speculates
        )
        guesses: list[bool] | None = [] if self._speculates else None
        choice = Choice(index, mailbox, generation, content, guesses)
        output = params.max_tokens or 1
        # No time must pass here, in which more could come out than has been drawn.
        arrival = self.fleet.now_ms
        self.fleet.submit(
            len(prompt),
            output,
            priority=priority,
            keys=content.keys,
            ends=content.ends,
            segments=(len(prompt) + output) // unit + 2,
            choices=choices,
        )
        self._choices[number] = choice
        choice.draw(self.fleet, number, self._ahead)
        if self._on_submitted is not None:
            self._on_submitted(Submitted(number, arrival, len(prompt), content, guesses))
        return number

    def _work(self, until_ms: float) -> bool:
        """Let the fleet work for a few iterations; return whether all of it has until then.

        Replicas that have begun to work until some time end that first: only then are all of them
        at the same time, at which requests can come.
        """
        if self._is_even:
            self._until_ms = max(until_ms, self.fleet.now_ms)
        # What ends exactly then has come out.
        until = np.nextafter(self._until_ms, math.inf)
        iterations = min(max(_TOKENS // max(len(self._choices), 1), 1), _ITERATIONS)
        happened = self.fleet.advance(until, most_iterations=iterations)
        self._deliver(happened)
        if self._on_happened is not None:
            self._on_happened(happened)
        self._is_even = happened.reached
        return self._is_even and self._until_ms >= until_ms

    def _deliver(self, happened: Happened) -> None:
        emitted = zip(happened.request.tolist(), happened.tokens.tolist(), strict=True)
        for number, tokens in emitted:
            choice = self._choices.get(number)
            if choice is None:
                continue  # nobody waits for it any more
            for _ in range(tokens):
                choice.mailbox.put(Piece(choice.index, choice.take()))
            choice.draw(self.fleet, number, self._ahead)
        over = happened.over
        if over.size:
            columns = (over[name].tolist() for name in ("id", "outcome", "hit"))
            for number, outcome, hit in zip(*columns, strict=True):
                self._end(number, OUTCOMES[outcome], hit)

    def _end(self, number: int, outcome: str, cached_tokens: int) -> None:
        choice = self._choices.pop(number, None)
        if choice is not None:
            choice.mailbox.put(Ended(choice.index, outcome, cached_tokens))

    async def _sleep(self) -> None:
        """Wait until something is due, or something is new."""
        due = self.fleet.next_event_ms()
        if due == math.inf:
            await self._wake.wait()
            return
        seconds = self.clock.seconds_until(due)
        timer = asyncio.get_running_loop().call_later(seconds, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()
