"""What ``retro-gym COMMAND --help`` prints: the directive ``command-help``."""

from __future__ import annotations

import contextlib
import io
import os
import re
from unittest import mock

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from retro_gym_agents.cli import main

__all__ = ["CommandHelp", "help_of", "setup"]

_WIDTH = "88"  # columns
_COMMANDS = re.compile(r"\{([a-z,-]+)\}")  # in the line on usage


def setup(app: Sphinx) -> ExtensionMetadata:
    """Adds the directive; called by Sphinx."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class CommandHelp(SphinxDirective):
    """Shows the help of each subcommand of ``retro-gym``."""

    def run(self) -> list[nodes.Node]:
        """Returns a section for each subcommand."""
        made: list[nodes.Node] = []
        for name in _commands():
            section = nodes.section(ids=[f"retro-gym-{name}"], names=[f"retro-gym-{name}"])
            section += nodes.title("", "", nodes.literal(name, name))
            text = help_of(name)
            section += nodes.literal_block(text, text, language="text")
            made.append(section)
        return made


def help_of(*command: str) -> str:
    """The help of ``retro-gym``, or of one of its commands."""
    printed = io.StringIO()
    plain = {"COLUMNS": _WIDTH, "NO_COLOR": "1", "TERM": "dumb"}
    with mock.patch.dict(os.environ, plain), contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        main([*command, "--help"])
    return "\n".join(line.rstrip() for line in printed.getvalue().strip("\n").splitlines())


def _commands() -> list[str]:
    found = _COMMANDS.search(help_of())
    assert found is not None
    return found[1].split(",")
