"""Writes an environment's episodes to a records file, with the ids that link the rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from retro_gym.actors.secrets import mask, secrets_of
from retro_gym.branching import Control
from retro_gym.generation import Generation
from retro_gym.memory import Memory
from retro_gym.prompts import TaskPrompt
from retro_gym.records.schema import GenerationRecord, LostRecord, Record, ReflectionRecord, RunHeader, TrialRecord
from retro_gym.stage import PlannedTrial, Stage
from retro_gym.trajectory import Outcome, Trajectory

if TYPE_CHECKING:
    from retro_gym.env import RetroEnv

__all__ = ["Recorder"]


@dataclasses.dataclass
class Recorder:
    """Writes the rows of one environment, and keeps the ids of the rows that led to its present state.

    Without a records file, nothing is written and every id is empty.
    """

    stage: Stage
    """Plays the environment's trials."""
    trial: str = ""
    """Row of the trial that the next reflection is about; empty if it has not been written."""
    parent: str = ""
    """Row of the reflection that the trial was played with."""
    _episode: int = 0
    _run: RunHeader | None = None
    _held: list[Callable[[], object]] | None = None
    """What is to be written once the rows are released; None if rows are written at once."""

    def begin(self, episode: int) -> None:
        """Starts an episode.

        Args:
            episode: seed of the episode.
        """
        self.trial, self.parent, self._episode = "", "", episode

    def hold(self) -> None:
        """Keeps back the rows of the first trials that follow, until :meth:`release`."""
        self._held = []

    def release(self) -> None:
        """Writes what was kept back."""
        held, self._held = self._held or [], None
        for write in held:
            write()

    def drop(self) -> None:
        """Forgets what was kept back."""
        self._held = None

    def follow(self, outcome: Outcome) -> None:
        """Continues the episode from an outcome."""
        self.trial, self.parent = outcome.trial_record, outcome.record

    def trials(self, env: RetroEnv, planned: Sequence[PlannedTrial], played: Sequence[Trajectory]) -> list[str]:
        """Writes trials that were played in parallel: the first trial of an episode, or the trials of reflections.

        Returns:
            The ids of the rows.
        """
        if env.records is None or not planned:
            return [""] * len(planned)
        told = self.stage.prompts(len(planned))
        if self._held is not None:
            self._held.append(partial(self._write_trials, env, planned, played, told))
            return [""] * len(planned)
        return self._write_trials(env, planned, played, told)

    def _write_trials(
        self,
        env: RetroEnv,
        planned: Sequence[PlannedTrial],
        played: Sequence[Trajectory],
        told: Sequence[TaskPrompt],
    ) -> list[str]:
        assert env.records is not None
        is_first = planned[0].trial == 0
        if not is_first and not self.trial:  # trial 0 is a stored one, not yet in this file
            self.trial = self._add_trial(env, env.trajectory, env.memory)
        run = self._header(env)
        prompts = [env.records.append_prompt(prompt, run) for prompt in told]
        ids = [
            self._add_trial(env, trajectory, one.memory, replica=one.replica, source=one.source, prompt=prompt)
            for one, trajectory, prompt in zip(planned, played, prompts, strict=True)
        ]
        if is_first:
            self.trial = ids[-1]
        return ids

    def reflections(
        self,
        env: RetroEnv,
        outcomes: Sequence[Outcome],
        trials: Sequence[str],
        controls: Mapping[int, Control],
        *,
        pairs: int,
        observation: str,
        source: str,
    ) -> list[Outcome]:
        """Writes reflections and their rewards.

        Args:
            env: the environment, in the state in which the reflections were tried.
            outcomes: one for each reflection.
            trials: rows of the trials played with the reflections, reflection by reflection, followed by other rows.
            controls: controls of the state, by pair.
            pairs: pairs of trial and control for each reflection; 0 for one trial without control.
            observation: the observation that the reflections answer.
            source: ``"step"`` or ``"branch"``.

        Returns:
            The outcomes, each with the id of its row.
        """
        if env.records is None:
            return list(outcomes)
        before, size = env.trajectory, max(1, pairs)
        noted = []
        for number, outcome in enumerate(outcomes):
            tried: dict[str, Any] = {
                "episode": self._episode,
                "task_id": before.task_id,
                "trial": before.trial,
                "source": source,
                "group": trials[0],
                "parent": self.parent,
                "before": self.trial,
                "after": tuple(trials[number * size : (number + 1) * size]),
                "controls": tuple(controls[i].record if i in controls else "" for i in range(pairs)),
                "policy": getattr(outcome.reflection, "policy", "") or env.records.header.policy,
                "observation": observation,
                "reflection": outcome.reflection,
                "leak": bool(outcome.leak),
            }
            if outcome.reward is None:
                record = self._add(
                    env, LostRecord(**tried, error=mask(outcome.actor_error or "", secrets_of(env.actor)))
                )
            else:
                tried |= {"reward": outcome.reward, "return_before": before.return_, "success": outcome.success}
                record = self._add(env, ReflectionRecord(**tried, return_=outcome.trajectory.return_))
            self._add_generation(env, record, -1, getattr(outcome.reflection, "generation", None))
            noted.append(dataclasses.replace(outcome, record=record))
        return noted

    def _add_trial(self, env: RetroEnv, trajectory: Trajectory, memory: Memory, **about: Any) -> str:
        if trajectory.error is not None:
            trajectory = dataclasses.replace(trajectory, error=mask(trajectory.error, secrets_of(env.actor)))
        about |= {"episode": self._episode, "last_trial": memory.last_trial}
        record = self._add(env, TrialRecord.of(trajectory, memory.reflections, **about))
        for number, turn in enumerate(trajectory.turns):
            self._add_generation(env, record, number, turn.generation)
        return record

    def _add_generation(self, env: RetroEnv, of: str, turn: int, generation: Generation | None) -> None:
        if generation is not None:
            self._add(env, GenerationRecord(of=of, turn=turn, **vars(generation)))

    def _add(self, env: RetroEnv, record: Record) -> str:
        assert env.records is not None
        return env.records.append(record, self._header(env))

    def _header(self, env: RetroEnv) -> RunHeader:
        if self._run is None:
            assert env.records is not None
            self._run = env.header(env.records.header)
        return self._run
