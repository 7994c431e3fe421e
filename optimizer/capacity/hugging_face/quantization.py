"""How a checkpoint is quantised, from its `quantization_config`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from optimizer.capacity.errors import CapacityError
from optimizer.capacity.hugging_face.fields import Fields
from optimizer.capacity.number_formats import NumberFormat, number_format
from optimizer.capacity.tensors import QUANTIZED_BY_DEFAULT, Role
from optimizer.capacity.weight_formats import WeightFormat, weight_format

__all__ = ["read_kv_format", "read_native_format", "read_weight_format"]

# How names of modules speak of the roles of weights, the more particular first. A component of the
# dotted name must match, so that `post_attention_layernorm` says nothing of attention.
_ROLE_PATTERNS = (
    (Role.SHARED_EXPERTS, re.compile(r"shared_experts?(?!_gate)")),
    (Role.EXPERTS, re.compile(r"(?<!shared_)experts")),
    (Role.RECURRENT, re.compile(r"(^|[.*])(linear_attn|mamba|mixer)($|[.*])")),
    (Role.ATTENTION, re.compile(r"(^|[.*])(self_attn|self_attention|attention|attn)($|[.*])")),
    (Role.FEED_FORWARD, re.compile(r"(^|[.*])mlp($|\*|\.(gate_proj|up_proj|down_proj))")),
)
_SMALL_PARTS = re.compile(r"norm|indexer|\.gate$|router|conv1d")

# Weights of a role count as not quantised when the checkpoint leaves out this part of its layers.
_MOST_LAYERS = 0.5


def read_weight_format(config: Fields, native: NumberFormat, layers: int) -> WeightFormat:
    """Format of the checkpoint's weights; the native one without a `quantization_config`."""
    section = config.section("quantization_config", "compression_config")
    if section is None:
        return weight_format(native.name)
    method = section.text("quant_method", default="compressed-tensors").lower()
    readers: dict[str, Callable[[Fields], WeightFormat]] = {
        "fp8": _fp8,
        "fbgemm_fp8": lambda _: weight_format("fp8"),
        "mxfp4": lambda _: weight_format("mxfp4-experts"),
        "gptq": _grouped,
        "auto-round": _grouped,
        "awq": _grouped,
        "bitsandbytes": _bitsandbytes,
        "compressed-tensors": _compressed,
        "modelopt": _modelopt,
        "modelopt_fp4": lambda _: weight_format("nvfp4"),
    }
    if method not in readers:
        section.note("quant_method", f"not known; known: {', '.join(readers)}")
        return weight_format(native.name)
    found = readers[method](section)
    return found.only(_quantized_roles(section, found.roles, layers))


def read_kv_format(config: Fields) -> str | None:
    """Format of the KV cache that the checkpoint asks for; None: the engine's default."""
    section = config.section("quantization_config", "compression_config")
    if section is None:
        return None
    scheme = section.section("kv_cache_scheme")
    if scheme is not None and scheme.count("num_bits", default=0) == 8:
        return "fp8" if scheme.text("type", default="float") == "float" else "int8"
    named = section.text("kv_cache_quant_algo")
    return {"FP8": "fp8", "NVFP4": "nvfp4"}.get(named.upper()) if named else None


def _fp8(section: Fields) -> WeightFormat:
    block = section.sequence("weight_block_size")
    if block is None:
        return weight_format("fp8")
    if len(block) != 2 or not all(isinstance(side, int) and side > 0 for side in block):
        section.note("weight_block_size", "must be two whole numbers above 0")
        return weight_format("fp8-block")
    return replace(weight_format("fp8-block"), block_rows=block[0], group=block[1])


def _grouped(section: Fields) -> WeightFormat:
    """GPTQ and AWQ: groups with a 16-bit scale, and a zero point unless symmetric."""
    bits = section.count("bits", "w_bit", default=4, least=1)
    group = section.raw("group_size")
    symmetric = section.flag("sym", default=not section.flag("zero_point", default=False))
    return WeightFormat(
        name=f"int{bits}",
        number=NumberFormat(f"int{bits}", Fraction(bits)),
        scale_bits=16 if symmetric else 16 + bits,
        group=group if isinstance(group, int) and group > 0 else None,
    )


def _bitsandbytes(section: Fields) -> WeightFormat:
    if section.flag("load_in_8bit", default=False):
        return weight_format("int8")
    return weight_format("nf4")


def _modelopt(section: Fields) -> WeightFormat:
    nested = section.section("quantization") or section
    algorithm = nested.text("quant_algo", default="FP8").upper()
    if "NVFP4" in algorithm or algorithm in {"W4A8_NVFP4_FP8", "MIXED_PRECISION"}:
        return weight_format("nvfp4")
    if algorithm.startswith("FP8"):
        return weight_format("fp8")
    section.note("quant_algo", f"{algorithm} is not known; known: FP8, NVFP4")
    return weight_format("fp8")


def _compressed(section: Fields) -> WeightFormat:
    """Compressed-tensors: the first group's weights."""
    groups = section.section("config_groups")
    first = None if groups is None else groups.section(*(name for name, _ in groups.items()))
    weights = None if first is None else first.section("weights")
    if weights is None:
        section.note("config_groups", "must have a group with `weights`")
        return weight_format("bfloat16")
    bits = weights.count("num_bits", default=8, least=1)
    size = weights.optional("group_size")
    if weights.text("type", default="int") == "float":
        if bits == 4:
            return weight_format("mxfp4" if size == 32 else "nvfp4")
        block = weights.sequence("block_structure")
        return weight_format("fp8" if block is None else "fp8-block")
    return WeightFormat(
        name=f"int{bits}",
        number=NumberFormat(f"int{bits}", Fraction(bits)),
        scale_bits=16,
        group=size,
    )


def _quantized_roles(section: Fields, roles: frozenset[Role], layers: int) -> frozenset[Role]:
    """Roles that are quantised, after those the checkpoint leaves out."""
    left_out: list[Any] = []
    for name in ("modules_to_not_convert", "ignored_layers", "ignore", "exclude_modules"):
        value = section.raw(name)
        if isinstance(value, list | tuple):
            left_out.extend(value)
    return roles - set(_left_out(map(str, left_out), layers)) & QUANTIZED_BY_DEFAULT


def _left_out(names: Iterable[str], layers: int) -> list[Role]:
    places: dict[Role, set[str]] = {}
    everywhere: set[Role] = set()
    for name in names:
        role = next((role for role, pattern in _ROLE_PATTERNS if pattern.search(name)), None)
        if role is None or _SMALL_PARTS.search(name):
            continue
        number = re.search(r"layers?\.(\d+)\.", name)
        if number is None:
            everywhere.add(role)
        else:
            places.setdefault(role, set()).add(number.group(1))
    most = {role for role, seen in places.items() if len(seen) > _MOST_LAYERS * layers}
    return sorted(everywhere | most)


def read_native_format(config: Fields) -> NumberFormat:
    """Native format of weights and activations; bfloat16 where the configuration is silent."""
    for name in ("torch_dtype", "dtype"):
        given = config.text(name)
        if given and given != "auto":
            try:
                return number_format(given, field=name)
            except CapacityError as error:
                config.note(name, error.wanted)
    return number_format("bfloat16")
