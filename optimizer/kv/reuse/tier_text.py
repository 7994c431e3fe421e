"""A tier of the cache as one writes it: NAME=BLOCKS or NAME=SIZE GB."""

from __future__ import annotations

from optimizer.errors import Fault, SpecError
from optimizer.kv.reuse.reuse_study import Tier

__all__ = ["tier_named"]

_BYTES = {"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15}
_MOST_BLOCKS = 1e12


def tier_named(text: str, block_bytes: float | None) -> Tier:
    """Read a tier; its name may be a device of the catalogue, which says how it loads.

    Parameters
    ----------
    text
        `cpu=20000`, or `cpu=200GB` where a block's bytes are known.
    block_bytes
        Of a block; None: the model is not said.

    Raises
    ------
    SpecError
        If it is neither, or holds no block.
    """
    from optimizer.catalog import UnknownEntryError
    from optimizer.kv.device_text import device_named

    name, _, size = text.partition("=")
    name, size = name.strip(), size.strip().upper().replace(" ", "")
    if not name or not size:
        raise SpecError([Fault("must be NAME=BLOCKS or NAME=...GB", path="tier", value=repr(text))])
    unit = _BYTES.get(size[-2:])
    if unit is not None and block_bytes is None:
        message = "needs the model for its size in bytes: give --model, or blocks"
        raise SpecError([Fault(message, path="tier", value=repr(text))])
    try:
        number = float(size[:-2] if unit is not None else size)
    except ValueError:
        number = float("nan")
    blocks = number * unit / block_bytes if unit is not None and block_bytes else number
    if not 1 <= blocks <= _MOST_BLOCKS:
        message = "must hold at least 1 block and at most 1e12"
        raise SpecError([Fault(message, path="tier", value=repr(text))])
    try:
        device = device_named(name)
    except (SpecError, UnknownEntryError):
        device = None  # gpu, cpu: a name alone
    return Tier(name=name, capacity_blocks=int(blocks), device=device)
