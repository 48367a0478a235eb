"""ALFWorld: household tasks in text, built-in or the public games."""

from retro_gym_envs.alfworld.env import ALFWorldEnv

__all__ = ["ALFWorldEnv"]
