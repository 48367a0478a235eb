"""Failures that are met again: those on which not every reflection succeeded.

Late in training most failures teach nothing, since every reflection on them succeeds; and what is rare, such as an
unusual word, comes up two or three times in a run. So a share of the episodes begins on tasks that were not yet solved,
as in prioritised level replay (Jiang et al. 2021, arXiv 2010.03934); simpler than there, with one queue and no scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from retro_gym.seeding import derive_seed
from retro_gym_agents.play.rollout import Round

__all__ = ["Revisits"]

_VISITS = 4  # after which a failure is given up: some tasks cannot be solved


class _Met(NamedTuple):
    """A failure, or a new episode that will begin with one."""

    seed: int
    visits: int
    update: int
    """The last one in which it was met."""


class Revisits:
    """The seeds of an update's episodes: some of those of earlier failures, and new ones.

    An update sees what was learned up to the one before the last, so that the first trials of an update may be played
    while the one before it is not over, with the same result.

    Args:
        share: share of an update's episodes that begin with failures met before, as far as some wait.
        seed: seed of the run, from which those of new episodes are derived.
    """

    def __init__(self, share: float, seed: int) -> None:
        self._share, self._seed = share, seed
        self._waiting: list[_Met] = []
        """The longest waiting first."""
        self._chosen: dict[int, list[_Met]] = {}
        """The failures of the updates that are under way."""

    def seeds(self, update: int, episodes: int) -> list[int]:
        """Returns the seeds of an update's episodes, earlier failures first; the same ones if asked again."""
        if update not in self._chosen:
            most = int(self._share * episodes)
            ready = [one for one in self._waiting if one.update < update - 1][:most]
            self._waiting = self._waiting[len(ready) :]
            new = range(len(ready), episodes)
            fresh = [_Met(derive_seed(self._seed, "episode", update, index), 0, update) for index in new]
            self._chosen[update] = ready + fresh
        return [one.seed for one in self._chosen[update]]

    def learn(self, update: int, first: Round) -> None:
        """Puts the failures of an update that are not yet solved back into the queue.

        Args:
            update: the number of the update.
            first: the first round of its rollout, a failure of each episode.
        """
        met = self._chosen.pop(update)
        if not self._share or first.success_N is None:
            return
        solved_P = (first.success_N.bool() & first.valid_N).view(len(met), -1).all(-1)
        for one, solved in zip(met, solved_P.tolist(), strict=True):
            if not solved and one.visits + 1 < _VISITS:
                self._waiting.append(_Met(one.seed, one.visits + 1, update))

    def state_dict(self) -> dict[str, Tensor]:
        """Returns what waits, with what was chosen for updates under way."""
        early = [one for update in sorted(self._chosen) for one in self._chosen[update] if one.update < update]
        return {"waiting": torch.tensor([*early, *self._waiting], dtype=torch.int64).view(-1, 3)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from a state."""
        self._waiting = [_Met(*row) for row in state["waiting"].tolist()]
        self._chosen = {}
