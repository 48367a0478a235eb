"""What tests of environments, actors and learners stand on: an environment whose best reflection is known, doubles."""

from retro_gym.testing.doubles import EchoActor, FlakyActor, LuckyActor, ScriptedActor
from retro_gym.testing.identity import IdentityActor, IdentityEnv

__all__ = ["EchoActor", "FlakyActor", "IdentityActor", "IdentityEnv", "LuckyActor", "ScriptedActor"]
