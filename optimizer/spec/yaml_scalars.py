"""What a plain YAML scalar stands for: the core schema of YAML 1.2.2, section 10.3.2.

Under it `no` and `2024-01-01` are texts, `1e3` is a number, `010` is ten.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["CORE_TAGS", "resolve"]

_CONSTANTS: Final[dict[str, bool | float | None]] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **{sign + name: float("inf") for sign in ("", "+") for name in (".inf", ".Inf", ".INF")},
    **{"-" + name: float("-inf") for name in (".inf", ".Inf", ".INF")},
}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_FIRST_OF_NUMBER: Final = frozenset("0123456789+-.")
# Whole numbers of more digits are beyond every float, and reading them takes quadratic time.
_MOST_DIGITS: Final = 400

CORE_TAGS: Final[dict[str, tuple[type, ...]]] = {
    "tag:yaml.org,2002:null": (type(None),),
    "tag:yaml.org,2002:bool": (bool,),
    "tag:yaml.org,2002:int": (int,),
    "tag:yaml.org,2002:float": (float, int),
    "tag:yaml.org,2002:str": (str,),
}
"""Tags of the core schema's scalars, and what a scalar so tagged may resolve to."""


def resolve(text: str) -> str | int | float | bool | None:
    """Turn the text of a plain scalar into its value.

    Numbers beyond the range of floats become infinite, which the models refuse.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in _FIRST_OF_NUMBER:
        return text
    if _DECIMAL.fullmatch(text):
        return int(text) if len(text) <= _MOST_DIGITS else float(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if len(text) <= _MOST_DIGITS:
        if _OCTAL.fullmatch(text):
            return int(text[2:], 8)
        if _HEXADECIMAL.fullmatch(text):
            return int(text[2:], 16)
    return text
