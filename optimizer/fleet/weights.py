"""How large a model's weights are as they are served."""

from __future__ import annotations

from optimizer.spec.model import ModelSpec

__all__ = ["weights_gb"]


def weights_gb(model: ModelSpec) -> float | None:
    """Return the size of the weights [GB = 1e9 bytes], or None where nobody knows.

    The stated size wins; else parameters times bits per parameter, each stated or from the
    catalogue.
    """
    if model.weights_gb is not None:
        return model.weights_gb
    parameters, bits = model.parameters, model.weight_bits
    if model.catalog is not None and (parameters is None or bits is None):
        from optimizer.catalog import model as facts_of

        facts = facts_of(model.catalog)
        parameters = facts.parameters_total if parameters is None else parameters
        bits = facts.weight_bits if bits is None else bits
    if parameters is None or bits is None:
        return None
    return parameters * bits / 8e9
