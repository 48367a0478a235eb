"""What runs that learn from files of records share: their config, and the passes over what the files hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol, TypeVar

from retro_gym.checks import check_whole
from retro_gym.errors import ConfigError
from retro_gym_agents.data.passes import Passes, held_out
from retro_gym_agents.runs.config import RunConfig
from retro_gym_agents.runs.run import Run

__all__ = ["RecordsConfig", "RecordsRun"]


class _OfTask(Protocol):
    @property
    def task_id(self) -> str: ...


T = TypeVar("T")
OfTaskT = TypeVar("OfTaskT", bound=_OfTask)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordsConfig(RunConfig):
    """The fields that learners on records share."""

    records: tuple[str, ...]
    """Files of records to learn from."""
    model: str = "tiny"
    """The model to train: ``tiny``, a folder (an adapter in it is trained further), or a hub name."""
    epochs: int = 1
    """Passes over what is learned."""
    batch_size: int = 16
    """Reflections or trials per update; of a reward model, failures, each with all pairs of its reflections."""
    learning_rate: float = 1e-3
    """Learning rate of AdamW, without weight decay. It falls linearly towards 0 over the whole run."""
    held_out: float = 0.1
    """Share of the tasks of which nothing is learned, but measured at each validation."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(1, epochs=self.epochs, batch_size=self.batch_size)
        if not 0 <= self.held_out < 1:
            raise ConfigError(f"held_out is {self.held_out}; it is a share, at least 0 and below 1.")
        if not self.records:
            raise ConfigError("records is empty; give a file that 'retro-gym collect' or a run wrote.")


class RecordsRun(Run):
    """A run that makes passes over what records hold."""

    config: RecordsConfig

    @property
    def decay_updates(self) -> int:
        """The learning rate falls over the whole run, unless the config says otherwise."""
        return self.config.decay_updates or self.num_updates

    def divide(self, items: Sequence[OfTaskT]) -> tuple[list[OfTaskT], list[OfTaskT]]:
        """Returns the items to learn, and those of the tasks that are held out."""
        apart = held_out((one.task_id for one in items), self.config.held_out, self.config.seed)
        return [one for one in items if one.task_id not in apart], [one for one in items if one.task_id in apart]

    def passes_over(self, items: Sequence[T], size: int | None = None) -> Passes[T]:
        """Returns the batches of all passes, of ``batch_size`` items by default; there is an update for each."""
        size = size or self.config.batch_size
        passes = Passes(items, size=size, epochs=self.config.epochs, seed=self.config.seed)
        self.num_updates = passes.num_batches
        return passes
