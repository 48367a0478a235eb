"""Text environments of other packages, played as task environments."""

from retro_gym.foreign.text_task import TextTask
from retro_gym.foreign.wrapping import register, wrap

__all__ = ["TextTask", "register", "wrap"]
