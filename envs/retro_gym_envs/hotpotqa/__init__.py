"""HotpotQA: multi-hop question answering by Search, Lookup and Finish."""

from retro_gym_envs.hotpotqa.env import HotpotQAEnv
from retro_gym_envs.hotpotqa.tasks import HotpotTask, load_tasks

__all__ = ["HotpotQAEnv", "HotpotTask", "load_tasks"]
