"""Text to tokens and back: byte-level byte-pair encoding, and a few special tokens.

Tokens 0 to 255 are the bytes of UTF-8, so that every text can be written; then come the special
tokens, then the merges. Special tokens are never read out of a text: no user can write them.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence
from enum import IntEnum
from functools import lru_cache

from optimizer.engine.language.byte_pairs import Pair, merged, words

__all__ = ["SpecialToken", "TextStream", "Tokenizer"]


class SpecialToken(IntEnum):
    """Tokens that are no text."""

    END = 256  # end of a text, or of a turn of a chat
    SYSTEM = 257  # here speaks ...
    USER = 258
    ASSISTANT = 259


_FIRST_MERGE = 260
_ROLES = {
    "system": SpecialToken.SYSTEM,
    "developer": SpecialToken.SYSTEM,
    "user": SpecialToken.USER,
    "assistant": SpecialToken.ASSISTANT,
}


class Tokenizer:
    """Encodes any text; `decode(encode(text)) == text`, but for lone surrogates.

    A lone surrogate, which UTF-8 cannot write, becomes U+FFFD; a pair of them the character that it
    stands for.

    Parameters
    ----------
    merges
        Pairs of tokens, in the order in which they are merged.
    """

    def __init__(self, merges: Sequence[Pair]) -> None:
        self.merges = tuple(merges)
        ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        self._pieces = [bytes([byte]) for byte in range(256)] + [b""] * len(SpecialToken)
        for left, right in self.merges:
            self._pieces.append(self._pieces[left] + self._pieces[right])

        @lru_cache(maxsize=65536)
        def spelled(word: str) -> tuple[int, ...]:
            return tuple(merged(list(word.encode()), ranks, _FIRST_MERGE))

        self._spelled = spelled

    @property
    def vocabulary_size(self) -> int:
        """How many tokens there are; they are numbered from 0 on."""
        return len(self._pieces)

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        if not text.isascii():
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return [token for word in words(text) for token in self._spelled(word)]

    def encode_chat(self, messages: Iterable[tuple[str, str]]) -> list[int]:
        """Return the tokens of a chat at the assistant's turn.

        Parameters
        ----------
        messages
            Who speaks and what: system, developer, user or assistant; any other speaks as the user.
        """
        tokens: list[int] = []
        for role, text in messages:
            tokens.append(_ROLES.get(role, SpecialToken.USER))
            tokens += self.encode(text)
            tokens.append(SpecialToken.END)
        return [*tokens, SpecialToken.ASSISTANT]

    def piece(self, token: int) -> bytes:
        """Return the bytes that a token stands for; none for a special one."""
        return self._pieces[token]

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text of tokens; bytes that are no UTF-8 come out as U+FFFD."""
        return b"".join(self._pieces[token] for token in tokens).decode("utf-8", "replace")


class TextStream:
    """Tokens to text, one after another: a character comes out when its last byte is there."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token: int) -> str:
        """Return the characters that a token completes."""
        return self._decoder.decode(self._tokenizer.piece(token))

    def close(self) -> str:
        """Return U+FFFD for a character that was never completed, or nothing."""
        return self._decoder.decode(b"", final=True)
