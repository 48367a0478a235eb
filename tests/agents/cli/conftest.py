from __future__ import annotations

import sys
import types

import pytest

from retro_gym.actors import Reply
from retro_gym.errors import ActorError


def dead_actor(prompts):
    """Cannot be reached."""
    return [ActorError("no connection (simulated)") for _ in prompts]


def half_dead_actor(prompts):
    """Cannot be reached on one word of four."""
    return [ActorError("down") if "red" in prompt.task else Reply("Say[]", 7, 3) for prompt in prompts]


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch):
    """Output has the width that it has in a file, whatever the terminal or pytest-xdist says."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def actors(monkeypatch):
    """A module that the command line finds actors in."""
    module = types.ModuleType("actors_of_test_cli")
    module.dead_actor = dead_actor
    module.half_dead_actor = half_dead_actor
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return f"python:{module.__name__}:"
