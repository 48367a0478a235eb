"""The command ``retro-gym``, one file a command."""

from retro_gym_agents.cli.program import main

__all__ = ["main"]
