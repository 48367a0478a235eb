"""ALFWorld: household tasks in text, generated or from the public games."""

from retro_gym_envs.alfworld.env import ALFWorldEnv

__all__ = ["ALFWorldEnv"]
