"""TRL: failures as its data set, the next trial as its reward, and the reflector's sampler as its rollout."""

from retro_gym_agents.bridges.trl.dataset import failures, prompt_of
from retro_gym_agents.bridges.trl.reward import ReflectorRollout, RetroReward, trl_settings

__all__ = ["ReflectorRollout", "RetroReward", "failures", "prompt_of", "trl_settings"]
