"""Several task environments in one."""

from retro_gym_envs.mix.env import MixEnv

__all__ = ["MixEnv"]
