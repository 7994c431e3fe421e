"""The documents that answers are made of: OpenAI's completions and chat completions, and chunks."""

from __future__ import annotations

import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from optimizer.engine.emulator.asked import Asked
from optimizer.engine.emulator.mailbox import Ended
from optimizer.engine.language import Emission, Tokenizer

__all__ = ["AbstractDocuments", "ChatDocuments", "CompletionDocuments"]

Document = dict[str, Any]


class AbstractDocuments(ABC):
    """Makes the documents of one answer.

    Parameters
    ----------
    asked
        What the answer is to.
    model
        The name that the model is served under.
    tokenizer
        For tokens shown beside the text.
    """

    prefix: str
    whole_object: str
    chunk_object: str

    def __init__(self, asked: Asked, model: str, tokenizer: Tokenizer) -> None:
        self.asked = asked
        self.tokenizer = tokenizer
        self._head = {
            "id": f"{self.prefix}-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": model,
        }

    def whole(self, outputs: Sequence[Sequence[Emission]], cached_tokens: int) -> Document:
        """Return the answer at once, given all tokens of every output."""
        completion_tokens = sum(map(len, outputs))
        return {
            **self._head,
            "object": self.whole_object,
            "choices": [self._choice(k, output) for k, output in enumerate(outputs)],
            "usage": self.usage(completion_tokens, cached_tokens),
        }

    def chunk(self, choices: Sequence[Document], usage: Document | None = None) -> Document:
        """Return a chunk of a stream."""
        document = {**self._head, "object": self.chunk_object, "choices": list(choices)}
        if self.asked.tells_usage:
            document["usage"] = usage
        return document

    def usage(self, completion_tokens: int, cached_tokens: int) -> Document:
        """Return how many tokens went in, came out and were found in the prefix cache."""
        prompt_tokens = sum(map(len, self.asked.prompts))
        return {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
            "prompt_tokens_details": {"cached_tokens": cached_tokens},
        }

    def cached_tokens(self, ended: Ended) -> int:
        """Return what counts as found in the prefix cache: a prompt counts once, as in the usage.

        Its first output stands for it, as the others may find what that one has computed.
        """
        return ended.cached_tokens if ended.choice % self.asked.choices == 0 else 0

    @abstractmethod
    def opening(self, choice: int) -> Document | None:
        """Return what the stream of an output begins with, before any token."""

    @abstractmethod
    def delta(self, choice: int, emission: Emission, place: int) -> Document:
        """Return a token of an output; `place` counts the characters of it that came before."""

    def with_prompt(self, document: Document, choice: int) -> Document:
        """Add the prompt by number to an output, or to the first token of it, where asked for."""
        if self.asked.tells_tokens:
            document["prompt_token_ids"] = self.asked.prompts[choice // self.asked.choices]
        return document

    @abstractmethod
    def _choice(self, choice: int, output: Sequence[Emission]) -> Document:
        """Return a whole output."""

    def _with_tokens(self, document: Document, output: Sequence[Emission]) -> Document:
        """Add the tokens by number where they are asked for."""
        if self.asked.tells_tokens:
            document["token_ids"] = [emission.token for emission in output]
        return document

    def _shown(self, token: int) -> str:
        return self.tokenizer.decode([token])


class CompletionDocuments(AbstractDocuments):
    """Of `/v1/completions`."""

    prefix = "cmpl"
    whole_object = chunk_object = "text_completion"

    def opening(self, choice: int) -> Document | None:
        """Return the prompt where it is to be echoed."""
        echo = self.asked.echoes[choice // self.asked.choices]
        if not echo:
            return None
        return {"index": choice, "text": echo, "logprobs": None, "finish_reason": None}

    def delta(self, choice: int, emission: Emission, place: int) -> Document:
        """Return a token of an output."""
        document = {
            "index": choice,
            "text": emission.text,
            "logprobs": self._logprobs([emission], place),
            "finish_reason": emission.finish_reason,
            "stop_reason": emission.stop_reason,
        }
        return self._with_tokens(document, [emission])

    def _choice(self, choice: int, output: Sequence[Emission]) -> Document:
        last = output[-1]
        document = {
            "index": choice,
            "text": self.asked.echoes[choice // self.asked.choices]
            + "".join(emission.text for emission in output),
            "logprobs": self._logprobs(output, 0),
            "finish_reason": last.finish_reason,
            "stop_reason": last.stop_reason,
        }
        return self.with_prompt(self._with_tokens(document, output), choice)

    def _logprobs(self, output: Sequence[Emission], place: int) -> Document | None:
        if self.asked.params.logprobs is None:
            return None
        offsets = []
        for emission in output:
            offsets.append(place)
            place += len(emission.text)
        return {
            "tokens": [self._shown(emission.token) for emission in output],
            "token_logprobs": [emission.logprob for emission in output],
            "top_logprobs": [
                {self._shown(token): value for token, value in emission.top} for emission in output
            ],
            "text_offset": offsets,
        }


class ChatDocuments(AbstractDocuments):
    """Of `/v1/chat/completions`."""

    prefix = "chatcmpl"
    whole_object = "chat.completion"
    chunk_object = "chat.completion.chunk"

    def opening(self, choice: int) -> Document | None:
        """Return who speaks."""
        return {
            "index": choice,
            "delta": {"role": "assistant", "content": ""},
            "logprobs": None,
            "finish_reason": None,
        }

    def delta(self, choice: int, emission: Emission, place: int) -> Document:
        """Return a token of an output."""
        del place
        document = {
            "index": choice,
            "delta": {"content": emission.text},
            "logprobs": self._logprobs([emission]),
            "finish_reason": emission.finish_reason,
            "stop_reason": emission.stop_reason,
        }
        return self._with_tokens(document, [emission])

    def _choice(self, choice: int, output: Sequence[Emission]) -> Document:
        last = output[-1]
        text = "".join(emission.text for emission in output)
        document = {
            "index": choice,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": self._logprobs(output),
            "finish_reason": last.finish_reason,
            "stop_reason": last.stop_reason,
        }
        return self.with_prompt(self._with_tokens(document, output), choice)

    def _logprobs(self, output: Sequence[Emission]) -> Document | None:
        if self.asked.params.logprobs is None:
            return None
        content = [
            {
                **self._token(emission.token, emission.logprob),
                "top_logprobs": [self._token(token, value) for token, value in emission.top],
            }
            for emission in output
        ]
        return {"content": content, "refusal": None}

    def _token(self, token: int, logprob: float | None) -> Document:
        return {
            "token": self._shown(token),
            "logprob": logprob,
            "bytes": list(self.tokenizer.piece(token)),
        }
