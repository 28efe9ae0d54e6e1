"""Renders the tables of the rule language from the code that reads it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import rules
from rules.condition_reader import OPERATORS
from rules.conditions import Op
from rules.yaml_errors import YAML_SENTENCES

_MEANINGS = {
    Op.EQ: "is this value; what a fact without an operator means",
    Op.NE: "is another value",
    Op.GT: "is more than this",
    Op.GTE: "is at least this",
    Op.LT: "is less than this",
    Op.LTE: "is at most this",
    Op.IN: "is one of these values, or of a named list",
    Op.NOT_IN: "is none of them",
    Op.BETWEEN: "lies from the first to the second, both included",
    Op.MATCHES: "is matched somewhere by one of these patterns, case ignored",
    Op.CONTAINS: "has one of these phrases in it, case ignored",
    Op.MISSING: "`true`: is not known; `false`: is known",
}
_PROBLEM_FUNCTIONS = {"_problem_at", "_warning_at"}
_PROBLEM_METHODS = ("add", "wrong")
_MIN_LENGTH = 12  # characters: shorter strings are names of fields


def render_operators() -> str:
    """Return the table of operators: their meaning, and the types of fact that they apply to."""
    lines = ["| operator | the fact … | types |", "| --- | --- | --- |"]
    for op, meaning in _MEANINGS.items():
        types = ", ".join(str(kind) for kind, allowed in OPERATORS.items() if op in allowed)
        lines.append(f"| `{op}` | {meaning} | {types} |")
    return "\n".join(lines)


def render_problem_sentences() -> str:
    """Return the list of sentences about problems in rule files; `…` takes the place of values."""
    folder = Path(rules.__file__).parent
    found = {text for path in sorted(folder.glob("*.py")) for text in _iter_sentences(path)}
    found |= {sentence for _, sentence in YAML_SENTENCES}
    return "\n".join(f"- {text}" for text in sorted(found, key=str.casefold))


def _iter_sentences(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        local = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in _PROBLEM_METHODS or local in _PROBLEM_FUNCTIONS:
            text = _sentence_pattern(node.args[-1])
            # Some calls pass a field's name last.
            if len(text) >= _MIN_LENGTH:
                yield text.replace("……", "…")


def _sentence_pattern(node: ast.expr) -> str:
    """Return a sentence from its source, with `…` in place of values."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(
                str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts
            )
    return ""
