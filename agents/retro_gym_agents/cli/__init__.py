"""The command ``retro-gym``, with one file per subcommand."""

from retro_gym_agents.cli.program import main

__all__ = ["main"]
