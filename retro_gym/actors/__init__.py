"""The frozen model that plays."""

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
from retro_gym.actors.hf import HfActor
from retro_gym.actors.parsing import parse_reply, split_reasoning
from retro_gym.actors.replay import RecordingActor, ReplayActor
from retro_gym.actors.specs import actor_name, make_actor

__all__ = [
    "Actor",
    "ActorFunction",
    "ActorSpec",
    "CallableActor",
    "ConcurrentActor",
    "HfActor",
    "RecordingActor",
    "ReplayActor",
    "Reply",
    "actor_name",
    "make_actor",
    "parse_reply",
    "reply_all",
    "reply_of",
    "split_reasoning",
]
