"""Actors: the models that play trials."""

from typing import TYPE_CHECKING

from retro_gym.actors.base import (
    Actor,
    ActorFunction,
    ActorSpec,
    CallableActor,
    ConcurrentActor,
    Reply,
    reply_all,
    reply_of,
)
from retro_gym.actors.budget import Budget, BudgetedActor, Spent
from retro_gym.actors.hf import HfActor
from retro_gym.actors.parsing import parse_reply, split_reasoning
from retro_gym.actors.specs import actor_name, make_actor
from retro_gym.actors.tape.cassette import parameters_of
from retro_gym.actors.tape.replay import RecordingActor, ReplayActor

if TYPE_CHECKING:
    from retro_gym.actors.openai.actor import OpenAIActor

__all__ = [
    "Actor",
    "ActorFunction",
    "ActorSpec",
    "Budget",
    "BudgetedActor",
    "CallableActor",
    "ConcurrentActor",
    "HfActor",
    "OpenAIActor",
    "RecordingActor",
    "ReplayActor",
    "Reply",
    "Spent",
    "actor_name",
    "make_actor",
    "parameters_of",
    "parse_reply",
    "reply_all",
    "reply_of",
    "split_reasoning",
]


def __getattr__(name: str) -> object:
    if name == "OpenAIActor":  # imported lazily, since asyncio alone would double the time of `import retro_gym`
        from retro_gym.actors.openai.actor import OpenAIActor

        return OpenAIActor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
