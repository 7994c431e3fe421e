"""How much one request may ask for."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.engine.errors import require_within

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Caps of the emulator; what is beyond them is refused.

    Parameters
    ----------
    body_bytes
        Of a request's body.
    outputs
        Outputs of one request: `n` times its prompts.
    max_tokens
        Tokens of one output.
    logprobs
        Most probable tokens told with each.

    Raises
    ------
    LiveFleetError
        If a cap is below 1.
    """

    body_bytes: int = 4 * 2**20
    outputs: int = 128
    max_tokens: int = 16_384
    logprobs: int = 20

    def __post_init__(self) -> None:
        for name in ("body_bytes", "outputs", "max_tokens", "logprobs"):
            require_within(name, getattr(self, name), 1, 2**40)
