"""Distributions on a lattice of token counts, and their discrete Fourier transforms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from queue_models.arrays import FloatArray, IntArray
from queue_models.compilation import compiled

__all__ = ["CELLS", "HALF", "ComplexArray", "deposit", "fourier", "probabilities_of"]

ComplexArray = NDArray[np.complex128]

CELLS = 128
"""Cells of a lattice, a power of two."""

HALF = CELLS // 2 + 1
"""Frequencies that determine the transform of a real lattice."""

_BITS = CELLS.bit_length() - 1
_REVERSED: IntArray = np.array(
    [int(format(i, f"0{_BITS}b")[::-1], 2) for i in range(CELLS)], dtype=np.int64
)
_TWIDDLES: ComplexArray = np.exp(-2j * np.pi * np.arange(CELLS // 2) / CELLS)


@compiled
def fourier(values: ComplexArray, out: ComplexArray, inverse: bool) -> None:
    """Write the discrete Fourier transform (its unscaled inverse) of `values` to `out`.

    Cooley and Tukey's algorithm, radix 2, decimation in time.
    """
    for i in range(CELLS):
        out[_REVERSED[i]] = values[i]
    half = 1
    while half < CELLS:
        step = CELLS // (2 * half)
        for k in range(half):
            twiddle = _TWIDDLES[k * step]
            if inverse:
                twiddle = twiddle.conjugate()
            for i in range(k, CELLS, 2 * half):
                lower = twiddle * out[i + half]
                out[i + half] = out[i] - lower
                out[i] += lower
        half *= 2


@compiled
def probabilities_of(
    transform: ComplexArray, scratch: ComplexArray, probabilities: FloatArray
) -> None:
    """Invert a transform known at its first HALF frequencies into probabilities.

    Rounding below 0 is cut, and the sum made 1.
    """
    for k in range(1, CELLS // 2):
        transform[CELLS - k] = transform[k].conjugate()
    fourier(transform, scratch, True)
    total = 0.0
    for i in range(CELLS):
        probabilities[i] = max(scratch[i].real, 0.0)
        total += probabilities[i]
    for i in range(CELLS):
        probabilities[i] /= total


@compiled
def deposit(value: float, probability: float, cell: float, lattice: FloatArray) -> None:
    """Add a probability at a value, split over the two neighbouring cells so that its mean is kept.

    What lies beyond the lattice goes to its last cell.
    """
    place = value / cell
    if not place < CELLS - 1:
        lattice[CELLS - 1] += probability
        return
    left = int(place)
    lattice[left] += probability * (1.0 - (place - left))
    lattice[left + 1] += probability * (place - left)
