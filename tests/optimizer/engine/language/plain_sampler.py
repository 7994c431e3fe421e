"""vLLM's sampler in plain numpy, one rule after another over the whole vocabulary; shares no code
with the engine."""

from __future__ import annotations

import numpy as np

END = 256


def plain_shaped(model, params, prompt, output):
    size = model.size
    logits = np.log(model)
    for token, bias in params.logit_bias.items():
        logits[token] += bias
    if len(output) < params.min_tokens:
        logits[list(params.stop_token_ids)] = -np.inf
        if not params.ignore_eos:
            logits[END] = -np.inf
    times = np.bincount(np.array(output, int), minlength=size)
    either = times + np.bincount(np.array(prompt, int), minlength=size) > 0
    factor = np.where(logits > 0, 1 / params.repetition_penalty, params.repetition_penalty)
    logits = np.where(either, logits * factor, logits)
    logits = logits - params.frequency_penalty * times - params.presence_penalty * (times > 0)
    if params.temperature == 0:
        return np.eye(size)[logits.argmax()]
    logits = logits / params.temperature
    share = np.exp(logits - logits.max())
    logits[share / share.sum() < params.min_p * (share / share.sum()).max()] = -np.inf
    if params.top_k > 0:
        logits[logits < np.sort(logits)[-min(params.top_k, size)]] = -np.inf
    order = np.argsort(logits, kind="stable")
    share = np.exp(logits[order] - logits.max())
    cut = np.cumsum(share / share.sum()) <= 1 - params.top_p
    cut[-1] = False
    logits[order[cut]] = -np.inf
    share = np.exp(logits - logits.max())
    return share / share.sum()
