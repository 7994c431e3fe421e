"""The language model that ships with the engine: small, and the same everywhere.

`corpus.txt` is text of our own, stories, notes on serving and short chats, a paragraph each;
`merges.txt` has the merges learned from it. The model is made of them at its first use.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from optimizer.engine.language.ngram import NGramModel
from optimizer.engine.language.tokenizer import SpecialToken, Tokenizer

__all__ = ["LanguageModel", "built_in_model", "corpus"]

_ORDER = 5
_DISCOUNT = 0.15  # small, so that it writes sentences rather than syllables
_DRAFT_ORDER = 3


@dataclass(frozen=True)
class LanguageModel:
    """A tokenizer, a model of its tokens, and a weaker model that guesses for it.

    Parameters
    ----------
    tokenizer, target, draft
        Of one vocabulary.
    """

    tokenizer: Tokenizer
    target: NGramModel
    draft: NGramModel


@cache
def built_in_model() -> LanguageModel:
    """Return the built-in model; a fifth of a second at the first call, nothing later."""
    merges = [tuple(map(int, line.split())) for line in _read("merges.txt").splitlines()]
    tokenizer = Tokenizer([(left, right) for left, right in merges])
    texts = [_learned(tokenizer, paragraph) for paragraph in corpus()]
    target = NGramModel(texts, _ORDER, tokenizer.vocabulary_size, discount=_DISCOUNT)
    return LanguageModel(tokenizer, target, target.of_order(_DRAFT_ORDER))


def corpus() -> list[list[tuple[str, str]]]:
    """Return the texts: turns of a chat, or one with nobody who speaks."""
    texts = []
    for paragraph in _read("corpus.txt").strip().split("\n\n"):
        turns: list[tuple[str, str]] = []
        for line in paragraph.splitlines():
            role, found, said = line.partition(": ")
            if found and role in ("user", "assistant"):
                turns.append((role, said))
            else:
                role, said = turns.pop() if turns else ("", "")
                turns.append((role, f"{said} {line.strip()}".strip()))
        texts.append(turns)
    return texts


def _learned(tokenizer: Tokenizer, turns: list[tuple[str, str]]) -> list[int]:
    """Return a text as the model learns it: in a chat, the same tokens as of a prompt."""
    (role, said), *_ = turns
    if not role:
        return [*tokenizer.encode(said), SpecialToken.END]
    return [*tokenizer.encode_chat(turns)[:-1]]


def _read(name: str) -> str:
    return files("optimizer.engine.language").joinpath(name).read_text(encoding="utf-8")
