"""Runs the command line inside a test."""

from __future__ import annotations

import re

from retro_gym_agents.cli import main

__all__ = ["refused", "run"]


def run(capsys, *words) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    got = capsys.readouterr()
    return code, got.out, got.err


def refused(capsys, *words, code: int = 2) -> str:
    """The line that a failing command leaves, behind those of its progress."""
    got, _, err = run(capsys, *words)
    assert got == code
    *before, line = err.splitlines()
    assert all(re.fullmatch(r".*: \d+ of \d+, \d+:\d\d min", each) for each in before)
    assert line.startswith("error: ")
    return line
