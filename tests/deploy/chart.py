"""Renders the chart without Helm: the part of Go's templates that it uses, and nothing more.

What is not known here fails, so that a template that uses more is noticed.
"""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.conftest import REPOSITORY

CHART = REPOSITORY / "deploy" / "helm" / "fleetopt"
_ACTION = re.compile(r"(\s*)\{\{(-?)\s*(.*?)\s*(-?)\}\}(\s*)", re.DOTALL)
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s]+')


def read_yaml(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def read_documents(text: str) -> list[dict[str, Any]]:
    """Every document of a text that is not empty."""
    return [one for one in YAML(typ="safe", pure=True).load_all(text) if one]


def values(**changes: Any) -> dict[str, Any]:
    found = read_yaml((CHART / "values.yaml").read_text(encoding="utf-8"))
    for path, value in changes.items():
        *outer, last = path.split("__")
        part = found
        for key in outer:
            part = part[key]
        assert last in part, f"the chart has no value {path}"
        part[last] = value
    return dict(found)


def rendered(**changes: Any) -> list[dict[str, Any]]:
    """Every object of the chart with some values changed (`outer__inner=...`)."""
    chart = read_yaml((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    root = {
        "Values": values(**changes),
        "Chart": {k[0].upper() + k[1:]: v for k, v in chart.items()},
        "Release": {"Name": "llm", "Namespace": "serving", "Service": "Helm"},
    }
    templates = CHART / "templates"
    names = _definitions((templates / "_names.tpl").read_text(encoding="utf-8"))
    found = []
    for path in sorted(templates.glob("*.yaml")):
        text = _Template(path.read_text(encoding="utf-8"), names).render(root)
        found += read_documents(text)
    return found


def _definitions(text: str) -> dict[str, str]:
    blocks = re.findall(r'\{\{- define "([^"]+)" -\}\}\s*(.*?)\s*\{\{- end -\}\}', text, re.DOTALL)
    return dict(blocks)


class _Template:
    """One text: pieces between actions, and blocks of `if` and `with`."""

    def __init__(self, text: str, names: dict[str, str]) -> None:
        self._names = names
        self._tokens: list[tuple[str, str]] = []
        last = 0
        for action in _ACTION.finditer(text):
            before = "" if action[2] else action[1]
            after = "" if action[4] else action[5]
            self._tokens += [("text", text[last : action.start()] + before), ("do", action[3])]
            self._tokens.append(("text", after))
            last = action.end()
        self._tokens.append(("text", text[last:]))

    def render(self, root: dict[str, Any]) -> str:
        out, rest = self._block(0, root, root)
        assert rest == len(self._tokens), "an `end` without a beginning"
        return out

    def _block(self, place: int, dot: Any, root: Any, *, inner: bool = False) -> tuple[str, int]:
        out = StringIO()
        while place < len(self._tokens):
            kind, text = self._tokens[place]
            place += 1
            if kind == "text":
                out.write(text)
            elif text == "end":
                assert inner, "an `end` without a beginning"
                return out.getvalue(), place
            elif text.startswith(("if ", "with ")):
                word, _, expression = text.partition(" ")
                value = self._value(expression, dot, root)
                within = value if word == "with" and value else dot
                body, place = self._block(place, within, root, inner=True)
                out.write(body if value else "")
            else:
                value = self._value(text, dot, root)
                out.write(str(value).lower() if isinstance(value, bool) else str(value))
        assert not inner, "a block without its `end`"
        return out.getvalue(), place

    def _value(self, expression: str, dot: Any, root: Any) -> Any:
        first, *rest = expression.split(" | ")
        value = self._call(_WORD.findall(first), dot, root)
        for step in rest:
            value = self._call([*_WORD.findall(step), value], dot, root)
        return value

    def _call(self, words: list[Any], dot: Any, root: Any) -> Any:
        name, *given = words
        arguments = [self._word(word, dot, root) for word in given]
        match name:
            case "include":
                text = self._names[arguments[0]]
                return _Template(text, self._names).render(root)
            case "toYaml":
                out = StringIO()
                YAML().dump(arguments[0], out)
                return out.getvalue().rstrip("\n")
            case "nindent":
                return "".join(f"\n{' ' * arguments[0]}{line}" for line in arguments[1].split("\n"))
            case "quote":
                return '"' + str(arguments[0]).replace("\\", "\\\\").replace('"', '\\"') + '"'
            case "default":
                return arguments[1] or arguments[0]
            case "trunc":
                return arguments[1][: arguments[0]]
            case "trimSuffix":
                return arguments[1].removesuffix(arguments[0])
            case "printf":
                return re.sub("%[sv]", "%s", arguments[0]) % tuple(arguments[1:])
            case ".Files.Get":
                return Path(CHART, arguments[0]).read_text(encoding="utf-8")
        assert not arguments, f"the function {name} is not known here"
        return self._word(name, dot, root)

    def _word(self, word: Any, dot: Any, root: Any) -> Any:
        if not isinstance(word, str) or (word[:1] not in ('"', ".") and not word.isdecimal()):
            return word  # what came through a pipe
        if word.isdecimal():
            return int(word)
        if word.startswith('"'):
            return word[1:-1]
        if word == ".":
            return dot
        part = root
        for key in word[1:].split("."):
            assert key in part, f"{word} is nowhere in the values"
            part = part[key]
        return part
