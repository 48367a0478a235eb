"""A run on an environment: rollouts of a reflector, validation by success, and records of every trial and reflection.

Beside the files of every run (see :mod:`retro_gym_agents.runs.run`), its folder holds ``records.jsonl`` and, with
validations, ``validations.jsonl`` (see :mod:`retro_gym_agents.runs.validations`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from retro_gym.errors import ActorError
from retro_gym.records import RecordWriter, RunHeader
from retro_gym.seeding import derive_seed
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.lm.served import ServedSampler
from retro_gym_agents.play.envs import make_envs
from retro_gym_agents.play.roller import Roller
from retro_gym_agents.play.rollout import Rollout
from retro_gym_agents.play.validation import Validation
from retro_gym_agents.runs.config import TrainConfig
from retro_gym_agents.runs.run import Run, Stateful, TrainResult
from retro_gym_agents.runs.splits import warn_of_shared_splits
from retro_gym_agents.runs.validations import FILE, ValidationLog

__all__ = ["TrainResult", "TrainingRun"]

_AHEAD = 2.0  # updates left with which there is surely a next one, whose first trials may be played in advance


class TrainingRun(Run):
    """A run of an algorithm that learns from live rewards.

    ::

        with TrainingRun(config) as run:
            optimizer = torch.optim.AdamW(run.reflector.trainable.values())
            for rollout in run.rollouts(optimizer):
                ...
                run.log({"loss": ...})
            return run.result()

    Args:
        config: the algorithm's config.

    Raises:
        ConfigError: the folder is not empty and ``resume`` is not set, or it holds no run to resume.
        CheckpointError: the folder's run was started with other settings.
    """

    config: TrainConfig

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self.num_updates, self.stop_after_calls = config.updates, config.stop_after_calls
        self.reflector = config.load(Reflector, config.reflector)
        self.reflector.freeze_reference()
        if config.server is not None:
            self.reflector.server = ServedSampler(config.server, config.output / "served")
        self.learner = self.reflector
        settings = json.dumps(config.recorded(), sort_keys=True)
        about = RunHeader(policy=f"{config.reflector} + {config.algorithm}", seed=config.seed, settings=settings)
        self._records = RecordWriter(config.output / "records.jsonl", about)
        self._envs = make_envs(
            config.env_id,
            config.env_kwargs,
            actor=config.actor,
            actor_kwargs=config.actor_kwargs,
            num=self.num_envs,
            records=self._records,
        )
        self._roller = Roller(
            self._envs,
            self.reflector,
            seed=config.seed,
            num_samples=config.group_size,
            trial_discount=config.trial_discount,
            revisit=config.revisit,
        )
        self._validation: Validation | None = None
        self._validations = ValidationLog(config.output / FILE)
        self._counted = 0

    @property
    def num_envs(self) -> int:
        """Number of episodes that are played side by side."""
        return self.config.num_prompts

    def prepare(self) -> None:
        """Plays the first trials of the validation tasks."""
        warn_of_shared_splits(self._envs[0])
        if self.config.validate_every is not None:
            self._validation = Validation(
                self.config.env_id,
                self.config.env_kwargs,
                actor=self._envs[0].actor,
                num_tasks=self.config.validation_tasks,
                seed=self.config.seed,
            )
            self._count_calls()

    def validate(self) -> tuple[dict[str, float], float] | None:
        """Measures success on the validation tasks."""
        if self._validation is None:
            return None
        success = self._validation.success(self.reflector)
        self._count_calls()
        self._validations.add(self._update, self._validation.tried)
        return {"validation_success": success}, success

    def close(self) -> None:
        """Closes the environments, and takes the adapter from the server."""
        self._roller.close()
        if self.reflector.server is not None:
            self.reflector.server.close()
        self._validations.close()
        if self._validation is not None:
            self._validation.close()
        for env in self._envs:
            env.close()

    @property
    def records_position(self) -> int:
        """Size of the records file, in bytes."""
        return self._records.position

    def truncate_records(self, position: int) -> None:
        """Removes the rows that later updates wrote."""
        self._records.truncate(position)
        self._validations.cut(self._update)

    @property
    def carried(self) -> dict[str, Tensor]:
        """The failures that wait to be met again."""
        return self._roller.revisits.state_dict()

    def carry(self, state: Mapping[str, Tensor]) -> None:
        """Goes on with them."""
        if state:
            self._roller.revisits.load_state_dict(state)

    def rollouts(
        self, optimizer: torch.optim.Optimizer, *, keep_hidden: bool = False, **modules: Stateful
    ) -> Iterator[Rollout]:
        """Yields one rollout for each of :meth:`updates`: the loop of an on-policy algorithm.

        Args:
            optimizer: as in :meth:`updates`.
            keep_hidden: see :meth:`roll_out`.
            modules: as in :meth:`updates`.
        """
        for _ in self.updates(optimizer, **modules):
            yield self.roll_out(keep_hidden=keep_hidden)

    def roll_out(self, *, keep_hidden: bool = False) -> Rollout:
        """Samples this update's reflections and pays them.

        Raises:
            ActorError: the actor failed on every reflection. Resume the run when the actor can be reached again.
        """
        self.reflector.version = f"update-{self._update}"  # of the weights that generations in the records are from
        rollout = self.sample(keep_hidden=keep_hidden)
        self._count_calls()
        if not rollout.valid_N.any():
            raise ActorError(
                f"the actor failed on all {len(rollout.valid_N)} reflections of update {self.update}. Resume the run "
                "from its last checkpoint when the actor can be reached again."
            )
        self.log({"tokens": float(rollout.num_tokens), **rollout.metrics()})
        if self.config.shuffle_rewards:
            rollout = rollout.with_shuffled_rewards(derive_seed(self.config.seed, "shuffle", self.update))
        return rollout

    def _count_calls(self) -> None:
        """Spends the actor calls that were made since the last time."""
        validated = [] if self._validation is None else self._validation.envs
        made = self._roller.calls + sum(env.stats.calls for env in validated)
        self.spend(made - self._counted)
        self._counted = made

    def sample(self, *, keep_hidden: bool) -> Rollout:
        """Plays this update's episodes; see :class:`retro_gym_agents.play.roller.Roller`."""
        return self._roller.roll_out(self.update, keep_hidden=keep_hidden, ahead=self.updates_left >= _AHEAD)
