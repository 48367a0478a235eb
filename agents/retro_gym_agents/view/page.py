"""Writes the page: one HTML file that needs nothing else.

Every text that a model or a user wrote is in blocks of data that are compressed and in base64, so that it holds no
character that HTML knows. The page's scripts put texts on the page as text only; its Content-Security-Policy allows the
scripts and the style of this package by their digests, and nothing from any address.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from retro_gym.errors import MissingExtraError
from retro_gym.prompts import valid_text
from retro_gym_agents.evaluation.outputs import check_output
from retro_gym_agents.view.document import as_json, blocks_of, index_of, words_of
from retro_gym_agents.view.model import Panel

__all__ = ["render_page", "write_page"]

SCRIPTS = ("base.js", "text.js", "filters.js", "list.js", "trial.js", "detail.js", "curve.js", "main.js")
"""The page's scripts, in the order in which they run."""


def write_page(panels: Sequence[Panel], path: str | os.PathLike[str]) -> Path:
    """Writes the page atomically, and returns its path.

    Raises:
        ConfigError: the file cannot be written.
        MissingExtraError: jinja2 is absent.
    """
    target = check_output(path)
    text = render_page(panels)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8", newline="\n")
    draft.replace(target)
    return target


def render_page(panels: Sequence[Panel]) -> str:
    """Returns the page as text. The same panels give the same text.

    Raises:
        MissingExtraError: jinja2 is absent.
    """
    try:
        from jinja2 import Environment
    except ImportError as error:
        raise MissingExtraError("jinja2", "report") from error
    style, scripts = _asset("page.css"), [_asset(name) for name in SCRIPTS]
    blocks, places = blocks_of(panels)
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(_asset("page.html"))
    return template.render(
        title=valid_text(", ".join(dict.fromkeys(panel.files[0] for panel in panels))),
        style=style,
        scripts=scripts,
        policy=_policy(style, scripts),
        index=_packed(index_of(panels, places)),
        words=_packed(words_of(panels)),
        blocks=[_packed(block) for block in blocks],
    )


def _asset(name: str) -> str:
    return (resources.files("retro_gym_agents.view") / "assets" / name).read_text(encoding="utf-8")


def _packed(content: object) -> str:
    """Returns JSON, compressed, in base64: letters, digits, ``+``, ``/`` and ``=`` only."""
    return base64.b64encode(gzip.compress(as_json(content).encode(), 9, mtime=0)).decode()


def _policy(style: str, scripts: Sequence[str]) -> str:
    """Returns the Content-Security-Policy: what the page may run, and that it may load nothing."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(map(_digest, scripts))}",
            f"style-src {_digest(style)}",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
