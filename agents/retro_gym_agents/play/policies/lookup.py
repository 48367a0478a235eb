"""The baseline ``lookup``: the oracle's reflection on the training task whose text is most like the present one."""

from __future__ import annotations

import copy
import dataclasses
import weakref
from collections.abc import Sequence
from contextlib import closing

import numpy as np

from retro_gym.answers import checked_reset
from retro_gym.env import RetroEnv
from retro_gym.errors import ConfigError
from retro_gym.stage import Origin
from retro_gym_agents.play.policies.similarity import TextIndex

__all__ = ["nearest_oracle"]

_SPLIT = "train"
_MOST = 500  # training tasks that are searched
_SEED = 0  # of the draw of these tasks; the same for every run, as the training data of a memory would be

# One for an environment and its twins.
_indices: weakref.WeakKeyDictionary[Origin, _Index] = weakref.WeakKeyDictionary()


def nearest_oracle(env: RetroEnv) -> str:
    """Returns the oracle's reflection on the training task that is nearest to the present task by BM25.

    Tasks are compared by their first observations, of at most 500 training tasks other than the present one. An index
    of them is made once for an environment and its twins, with a copy of the task environment.

    Raises:
        ConfigError: there is no other training task, or the teacher does not define ``oracle_reflection``.
        UnknownTaskError: the task environment has no training split.
    """
    index = _indices.get(env.origin)
    if index is None:
        index = _indices[env.origin] = _Index.of(env)
    nearest = index.nearest(env.trajectory.task, other_than=env.trajectory.task_id)
    if nearest is None:
        raise ConfigError(
            f"'lookup' needs a training task other than {env.trajectory.task_id!r}; split {_SPLIT!r} has "
            f"{len(index.task_ids)} tasks. Give the task environment more training tasks."
        )
    return env.task_env.teacher.oracle_reflection(nearest)


@dataclasses.dataclass(frozen=True)
class _Index:
    """Texts of training tasks, indexed by their words."""

    task_ids: Sequence[str]
    texts: TextIndex

    @classmethod
    def of(cls, env: RetroEnv) -> _Index:
        task_ids = env.task_env.task_ids(_SPLIT)
        if len(task_ids) > _MOST:
            drawn = np.random.default_rng(_SEED).choice(len(task_ids), size=_MOST, replace=False)
            task_ids = [task_ids[index] for index in sorted(drawn)]
        with closing(copy.deepcopy(env.task_env)) as own:
            texts = [checked_reset(own, own.reset(options={"task_id": task_id}))[0] for task_id in task_ids]
        return cls(task_ids, TextIndex(texts))

    def nearest(self, text: str, other_than: str) -> str | None:
        """Returns the id of the most similar task, the first of several; None if there is no other one."""
        scores = self.texts.scores(text)
        others = [index for index, task_id in enumerate(self.task_ids) if task_id != other_than]
        return self.task_ids[max(others, key=lambda index: scores[index])] if others else None
