"""An actor behind any server that speaks OpenAI's protocol."""

from retro_gym.actors.openai.actor import OpenAIActor

__all__ = ["OpenAIActor"]
