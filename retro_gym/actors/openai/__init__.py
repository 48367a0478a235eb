"""An actor that calls any OpenAI-compatible server."""

from retro_gym.actors.openai.actor import OpenAIActor

__all__ = ["OpenAIActor"]
