"""Explorers: processes that play training tasks with the models as they are now.

Exploration is most of an online algorithm's time, and more threads do not speed up a small model. Each explorer is a
process with models of its own, which take over the learner's adapters before they play. What they play depends on
nothing but the settings and the adapters, so the records are the same whatever the number of explorers.
"""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from retro_gym.seeding import derive_seed
from retro_gym_agents.lm.planner import Planner
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.play.collection import CollectConfig, collect
from retro_gym_agents.play.policies import Policy, ReflectorPolicy
from retro_gym_agents.play.processes import process_pool

__all__ = ["Explorers", "Pair", "play_into"]

_PART = 64  # episodes: as many as a collection plays side by side


class Pair(NamedTuple):
    """A planner and a reflector, which may share a base model or all weights."""

    planner: Planner
    reflector: Reflector

    def play_into(self, settings: CollectConfig) -> Path:
        """Plays a collection with both roles, as :func:`play_into` does."""
        return play_into(settings, self.planner, ReflectorPolicy(self.reflector))


class Explorers:
    """Plays with a pair of models, in other processes if there are to be several.

    Args:
        pair: the models in training.
        make: makes such a pair in another process. It must be picklable: a function of a module, or a partial of one.
        processes: number of explorers; with one, the pair itself plays, in this process.
    """

    def __init__(self, pair: Pair, make: Callable[[], Pair], processes: int = 1) -> None:
        self._pair, self._make, self._processes = pair, make, processes
        self._pool: ProcessPoolExecutor | None = None

    def play(self, settings: CollectConfig) -> list[Path]:
        """Plays a collection in parts of 64 episodes; what was played in an earlier process is kept.

        Returns:
            The parts' files: ``NAME-0.jsonl``, ``NAME-1.jsonl``, … for an output ``NAME.jsonl``.

        Raises:
            ActorError: the planner failed in ten consecutive episodes.
        """
        parts = _parts(settings)
        if self._processes == 1:
            return [self._pair.play_into(part) for part in parts]
        if self._pool is None:
            self._pool = process_pool(self._processes, partial(_begin, self._make))
        states = _states_of(self._pair)
        playing = [self._pool.submit(_explore, part, states) for part in parts]
        return [part.result() for part in playing]

    def close(self) -> None:
        """Ends the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def _parts(settings: CollectConfig) -> list[CollectConfig]:
    """Returns a collection in parts, each with tasks and a seed of its own."""
    whole = Path(settings.output)
    return [
        dataclasses.replace(
            settings,
            output=whole.with_name(f"{whole.stem}-{part}{whole.suffix}"),
            num_episodes=min(_PART, left),
            seed=derive_seed(settings.seed, "part", part),
        )
        for part, left in enumerate(range(settings.num_episodes, 0, -_PART))
    ]


def play_into(settings: CollectConfig, actor: Any, policy: Policy) -> Path:
    """Plays a collection, unless its file is there: it appears when the collection is complete. Returns the file."""
    path = Path(settings.output)
    if not path.is_file():
        unfinished = path.with_name(path.name + ".part")
        unfinished.unlink(missing_ok=True)
        own = {**settings.env_kwargs, "actor": actor}
        collect(dataclasses.replace(settings, output=unfinished, env_kwargs=own), policy)
        os.replace(unfinished, path)
    return path


# -- in the other processes ------------------------------------------------------------------------------------------

_pair: Pair | None = None  # of this explorer, from its beginning


def _states_of(pair: Pair) -> bytes:
    """Returns the adapters' weights, and what they are called in records."""
    file = io.BytesIO()
    torch.save([(model.adapter_state(), model.version) for model in pair], file)
    return file.getvalue()


def _begin(make: Callable[[], Pair]) -> None:
    global _pair
    torch.set_num_threads(1)  # there are as many explorers as cores
    _pair = make()


def _explore(part: CollectConfig, states: bytes) -> Path:
    assert _pair is not None
    found = torch.load(io.BytesIO(states), map_location="cpu")
    for model, (adapter, _) in zip(_pair, found, strict=True):
        model.load_adapter_state(adapter)
    for model, (_, version) in zip(_pair, found, strict=True):
        model.version = version  # last, since the two may share weights, and a change of them ends a version
    return _pair.play_into(part)
