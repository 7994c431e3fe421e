"""A small language model of our own, and sampling as vLLM does it: what makes output real text.

    model = built_in_model()
    prompt = model.tokenizer.encode_chat([("user", "What is a token?")])
    generation = Generation(model, prompt, SamplingParams(temperature=0.7, seed=1, max_tokens=64))
    while generation.finish_reason is None:
        emission = generation.next()

`NGramModel.distribution` gives the next token's probabilities after any tokens; `TextStream` turns
tokens into text one after another.
"""

from __future__ import annotations

from optimizer.engine.language.built_in import LanguageModel, built_in_model
from optimizer.engine.language.generation import Emission, Generation
from optimizer.engine.language.ngram import NGramModel
from optimizer.engine.language.sampling_params import SamplingError, SamplingParams
from optimizer.engine.language.stop_strings import StopStrings
from optimizer.engine.language.text_sampler import TextSampler
from optimizer.engine.language.tokenizer import SpecialToken, TextStream, Tokenizer

__all__ = [
    "Emission",
    "Generation",
    "LanguageModel",
    "NGramModel",
    "SamplingError",
    "SamplingParams",
    "SpecialToken",
    "StopStrings",
    "TextSampler",
    "TextStream",
    "Tokenizer",
    "built_in_model",
]
