"""Real text for the requests of an online engine."""

from __future__ import annotations

from optimizer.engine.language.generation import Emission, Generation

__all__ = ["TextSampler"]


class TextSampler:
    """The `Sampler` of an `OnlineEngine` whose requests each have a `Generation`.

    With `EngineConfig.draft_tokens` and generations that speculate, how many tokens come out of an
    iteration follows from the draft and the target model; `acceptance_rate` is not used then.

        sampler = TextSampler()
        engine = OnlineEngine(config, timing, sampler=sampler)
        request = engine.submit(len(prompt), params.max_tokens, ...)
        sampler.begin(request, Generation(model, prompt, params, speculate=True))
        for event in engine.advance(until_ms):
            if isinstance(event, Tokens):
                emissions = sampler.take(event.request, event.tokens)
    """

    def __init__(self) -> None:
        self._generations: dict[int, Generation] = {}
        self._emissions: dict[int, list[Emission]] = {}

    def begin(self, request: int, generation: Generation) -> None:
        """Say where the text of a request comes from, before the engine goes on."""
        self._generations[request] = generation
        self._emissions[request] = []

    def __call__(self, request: int, most: int) -> tuple[int, bool]:
        """Return how many tokens come out, and whether the request ends with them."""
        generation = self._generations[request]
        emissions = generation.step(most)
        self._emissions[request] += emissions
        return len(emissions), generation.finish_reason is not None

    def take(self, request: int, tokens: int) -> list[Emission]:
        """Return the next tokens of a request that the engine has told of."""
        waiting = self._emissions[request]
        taken = waiting[:tokens]
        del waiting[:tokens]
        return taken

    def end(self, request: int) -> None:
        """Forget a request that is over."""
        self._generations.pop(request, None)
        self._emissions.pop(request, None)
