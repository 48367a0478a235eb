"""Renders the environments' docstrings, which are their manuals, to ``docs/environments``: run it as a script."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import gymnasium as gym

import retro_gym
from retro_gym.registration import TASK_IDS

FOLDER = Path(__file__).parent / "environments"
_ARGUMENT = re.compile(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", re.MULTILINE)


def render() -> dict[str, str]:
    """The pages by the names of their files."""
    pages = {"retro.md": _page("RetroX-v0", retro_gym.RetroEnv)}
    for env_id in TASK_IDS:
        env = gym.make(env_id, disable_env_checker=True)
        pages[f"{env_id.partition('-')[0].lower()}.md"] = _page(env_id, type(env.unwrapped))
        env.close()
    return pages


def _page(title: str, env: type) -> str:
    text, _, rest = inspect.cleandoc(env.__doc__ or "").partition("\nArgs:\n")
    text = text.partition("\nRaises:\n")[0].strip()
    arguments = [
        f"- `{name}`: {' '.join(said.split())}" for name, said in _ARGUMENT.findall(rest.partition("\nRaises:")[0])
    ]
    if arguments:
        text += "\n\n## All arguments\n" + "\n".join(arguments)
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text.replace("``", "`"))
    return f"# {title}\n\n{text}\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, page in render().items():
        (FOLDER / name).write_text(page, encoding="utf-8", newline="\n")
