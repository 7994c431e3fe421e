from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from optimizer.engine.language import NGramModel, built_in_model


def plain_kneser_ney(texts, order, size, discount, context):
    """The definition, by recursion over the texts themselves."""
    seen = {token for text in texts for token in text}
    base = np.array([1.0 if token in seen else 1e-3 for token in range(size)])

    def share(length):
        if length < 0:
            return base / base.sum()
        tail = tuple(context[len(context) - length :])
        found = Counter()
        wider = set()
        for text in texts:
            for place in range(length, len(text)):
                if tuple(text[place - length : place]) != tail:
                    continue
                if length == order - 1:
                    found[text[place]] += 1
                else:
                    wider.add(tuple(text[max(place - length - 1, 0) : place + 1]))
        found.update(gram[-1] for gram in wider)
        below = share(length - 1)
        if not found:
            return below
        total = sum(found.values())
        shares = below * (discount * len(found) / total)
        for token, count in found.items():
            shares[token] += (count - discount) / total
        return shares

    return share(min(order - 1, len(context)))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_the_model_is_the_definition(order: int) -> None:
    """For random texts and contexts, seen and unseen, the distribution is that of the formula."""
    rng = np.random.default_rng(order)
    texts = [rng.integers(0, 6, rng.integers(1, 30)).tolist() for _ in range(6)]
    model = NGramModel(texts, order, 8, discount=0.6)
    for _ in range(40):
        context = rng.integers(0, 8, rng.integers(0, 7)).tolist()
        got = model.distribution(context)
        assert got == pytest.approx(plain_kneser_ney(texts, order, 8, 0.6, context), abs=1e-14)
        assert got.sum() == pytest.approx(1.0, abs=1e-13)
        assert (got > 0).all()


def test_a_longer_memory_knows_its_text_better() -> None:
    """The built-in target gives its own corpus more probability than the draft does."""
    model = built_in_model()
    text = model.tokenizer.encode("The cook does not finish one dish before the next is begun.")
    logs = {}
    for which in (model.target, model.draft):
        logs[which.order] = sum(
            np.log(which.distribution(text[:place])[text[place]]) for place in range(1, len(text))
        )
    assert logs[model.target.order] > logs[model.draft.order] + 1


@pytest.mark.parametrize(("order", "discount"), [(0, 0.5), (9, 0.5), (2, 0.0), (2, float("nan"))])
def test_orders_and_discounts_out_of_range_are_refused(order: int, discount: float) -> None:
    """Contexts must fit into 64 bits, and a discount must leave something and take something."""
    with pytest.raises(ValueError, match="must be"):
        NGramModel([[1, 2]], order, 1024, discount=discount)
