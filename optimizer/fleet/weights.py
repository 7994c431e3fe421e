"""How large a model's weights are as they are served."""

from __future__ import annotations

from optimizer.spec.model import ModelSpec
from optimizer.spec.precision import WEIGHT_BITS, Precision

__all__ = ["weights_gb"]


def weights_gb(model: ModelSpec, precision: Precision | None = None) -> float | None:
    """Return the size of the weights [GB = 1e9 bytes], or None where nobody knows.

    Parameters
    ----------
    model
        Its stated size; else parameters times bits per parameter, each stated or from the
        catalogue.
    precision
        That they are served in, where a configuration says so: then parameters times its bits, and
        the stated size only where nobody knows the parameters.
    """
    if model.weights_gb is not None and precision is None:
        return model.weights_gb
    parameters = model.parameters
    bits = model.weight_bits if precision is None else WEIGHT_BITS[precision]
    if model.catalog is not None and (parameters is None or bits is None):
        from optimizer.catalog import model as facts_of

        facts = facts_of(model.catalog)
        parameters = facts.parameters_total if parameters is None else parameters
        bits = facts.weight_bits if bits is None else bits
    if parameters is None or bits is None:
        return model.weights_gb
    return parameters * bits / 8e9
