"""Stable-Baselines3: the reflector as its policy, and a vector environment of its kind."""

from retro_gym_agents.bridges.sb3.policy import LoraCausalPolicy
from retro_gym_agents.bridges.sb3.vec_env import TokenVecEnv

__all__ = ["LoraCausalPolicy", "TokenVecEnv"]
