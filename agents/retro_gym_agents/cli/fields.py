"""Reads the learners' settings from their source, so that the help text needs no import of torch."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
from itertools import pairwise
from pathlib import Path

__all__ = ["Field", "config_fields"]


@dataclasses.dataclass(frozen=True)
class Field:
    """The description of a config field."""

    kind: str
    """The type annotation."""
    default: str
    """The default as a Python expression, or ``required``."""
    doc: str
    """The docstring under the field, in one line."""


def config_fields(module: str, name: str) -> dict[str, Field]:
    """Returns the fields of a dataclass by name, base classes first; a nested dataclass gives ``field.subfield`` names.

    Args:
        module: the module that defines the class.
        name: name of the class.

    >>> config_fields("retro_gym_agents.algorithms.ppo", "PPOConfig")["epochs"]
    Field(kind='int', default='3', doc='Passes over each batch.')
    >>> config_fields("retro_gym_agents.algorithms.ppo", "PPOConfig")["lora.rank"].kind
    'int | None'
    """
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    homes = {
        alias.name: str(node.module)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("retro_gym_agents.")
        for alias in node.names
    }
    homes |= {node.name: module for node in tree.body if isinstance(node, ast.ClassDef)}
    (body,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    fields: dict[str, Field] = {}
    for base in body.bases:
        if ast.unparse(base) in homes:
            fields |= config_fields(homes[ast.unparse(base)], ast.unparse(base))
    for item, after in pairwise([*body.body, ast.Pass()]):
        if not isinstance(item, ast.AnnAssign) or "ClassVar" in ast.unparse(item.annotation):
            continue
        own, kind = ast.unparse(item.target), ast.unparse(item.annotation)
        part = kind.partition(" | ")[0]
        if part in homes and isinstance(item.value, ast.Name):
            inner = config_fields(homes[part], part)
            fields |= {f"{own}.{each}": field for each, field in inner.items()}
        else:
            fields[own] = Field(kind, _default(item.value), _text(after))
    return fields


def _default(value: ast.expr | None) -> str:
    if value is None:
        return "required"
    if isinstance(value, ast.Call):  # dataclasses.field(default_factory=…)
        return f"{ast.unparse(value.keywords[0].value)}()"
    return ast.unparse(value)


def _text(node: ast.stmt) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return " ".join(str(node.value.value).split())
    return ""
