"""Renders the environments' docstrings, which are their manuals, to ``docs/environments.md``: run it as a script."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import gymnasium as gym

import retro_gym
from retro_gym.registration import TASK_IDS

PAGE = Path(__file__).parent / "environments.md"
_HEAD = """# Environments

This page is made from the docstrings by `python docs/render_environments.py`. Every task environment `X-v0` is an
ordinary Gymnasium environment; `RetroX-v0` is the meta-environment around it, in which a reflector is the agent.
"""
_ARGUMENT = re.compile(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", re.MULTILINE)


def render() -> str:
    """The whole page."""
    parts = [_HEAD, _section("RetroX-v0", retro_gym.RetroEnv)]
    for env_id in TASK_IDS:
        env = gym.make(env_id, disable_env_checker=True)
        parts.append(_section(env_id, type(env.unwrapped)))
        env.close()
    return "\n".join(parts)


def _section(title: str, env: type) -> str:
    text, _, rest = inspect.cleandoc(env.__doc__ or "").partition("\nArgs:\n")
    text = text.partition("\nRaises:\n")[0].strip()
    arguments = [
        f"- `{name}`: {' '.join(said.split())}" for name, said in _ARGUMENT.findall(rest.partition("\nRaises:")[0])
    ]
    if arguments:
        text += "\n\n## All arguments\n" + "\n".join(arguments)
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text.replace("``", "`"))
    return f"## {title}\n\n{text.replace(chr(10) + '## ', chr(10) + '### ')}\n"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8", newline="\n")
