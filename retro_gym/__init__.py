"""Reflection writing as a Gymnasium environment.

>>> import gymnasium as gym
>>> import retro_gym
>>> env = gym.make("RetroHotpotQA-v0")
>>> failure, info = env.reset(seed=0)
>>> info["success"]
False
"""

from retro_gym.actors import Actor, CallableActor, Reply, make_actor
from retro_gym.checker import check_retro_env, token_text_equivalence
from retro_gym.env import RetroEnv
from retro_gym.foreign import TextTask, register, wrap
from retro_gym.generation import Generation, Reflection
from retro_gym.memory import Memory
from retro_gym.prompts import Prompt, TaskPrompt
from retro_gym.records import FailureBank, RecordWriter, RunHeader, RunRecords, load_run, read_records
from retro_gym.registration import register_all
from retro_gym.spaces import UnicodeText
from retro_gym.task_env import TaskEnv
from retro_gym.teacher import ReflectionCheck, Teacher
from retro_gym.token_view.token_env import ReflectionEnv, TokenEnv
from retro_gym.token_view.token_vector import TokenVectorEnv
from retro_gym.trajectory import EndReason, Outcome, Trajectory, Turn
from retro_gym.vector import RetroVectorEnv

__all__ = [
    "Actor",
    "CallableActor",
    "EndReason",
    "FailureBank",
    "Generation",
    "Memory",
    "Outcome",
    "Prompt",
    "RecordWriter",
    "Reflection",
    "ReflectionCheck",
    "ReflectionEnv",
    "Reply",
    "RetroEnv",
    "RetroVectorEnv",
    "RunHeader",
    "RunRecords",
    "TaskEnv",
    "TaskPrompt",
    "Teacher",
    "TextTask",
    "TokenEnv",
    "TokenVectorEnv",
    "Trajectory",
    "Turn",
    "UnicodeText",
    "check_retro_env",
    "load_run",
    "make_actor",
    "read_records",
    "register",
    "token_text_equivalence",
    "wrap",
]

register_all()
