"""Policies, which write reflections: the baselines, the oracle, and reflectors, behind one protocol.

======================  ================================================================================
``none``                an empty reflection; the actor just tries again (ReAct)
``vague``               one generic sentence that asks for more care
``shuffled``            the oracle's reflection on another task: right form, wrong content
``noisy``               the teacher of the tiny reflector, which is often wrong
``oracle``              the best possible reflection, from the task's solution
``tiny``, PATH, a hub   a reflector: the shipped one, a run of ``retro-gym train``, or any causal language
name                    model, frozen (Reflexion) or trained
======================  ================================================================================
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from retro_gym.env import RetroEnv
from retro_gym.errors import ConfigError, MissingExtraError, did_you_mean

if TYPE_CHECKING:
    from retro_gym_agents.lm.reflector import Reflector

__all__ = [
    "BASELINES",
    "VAGUE_REFLECTION",
    "BaselinePolicy",
    "Policy",
    "ReflectorPolicy",
    "check_teacher",
    "make_policy",
]

VAGUE_REFLECTION = "I should be more careful next time and check every step before I answer."
TINY = "tiny"

_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?")


@runtime_checkable
class Policy(Protocol):
    """Writes reflections. An evaluation passes it all failures of one trial as a batch."""

    @property
    def name(self) -> str:
        """Name in tables and files."""
        ...

    def reflect(self, observations: Sequence[str], envs: Sequence[RetroEnv], seeds: Sequence[int]) -> list[str]:
        """Writes one reflection for each failure.

        Args:
            observations: the environments' last observations.
            envs: the environments, in the state to reflect on; the policy must not change them.
            seeds: random seed of each reflection.
        """
        ...


def _nothing(env: RetroEnv, seed: int) -> str:
    return ""


def _vague(env: RetroEnv, seed: int) -> str:
    return VAGUE_REFLECTION


def _shuffled(env: RetroEnv, seed: int) -> str:
    others = [task_id for task_id in env.task_env.task_ids(env.split) if task_id != env.trajectory.task_id]
    if not others:
        raise ConfigError(f"'shuffled' needs another task; split {env.split!r} has only one. Use a larger split.")
    return env.task_env.teacher.oracle_reflection(others[int(np.random.default_rng(seed).integers(len(others)))])


def _noisy(env: RetroEnv, seed: int) -> str:
    return env.task_env.teacher.noisy_reflection(env.trajectory, np.random.default_rng(seed))


def _oracle(env: RetroEnv, seed: int) -> str:
    return env.task_env.teacher.oracle_reflection(env.trajectory.task_id)


BASELINES: dict[str, Callable[[RetroEnv, int], str]] = {
    "none": _nothing,
    "vague": _vague,
    "shuffled": _shuffled,
    "noisy": _noisy,
    "oracle": _oracle,
}
"""The policies without a model, by name: functions that write one reflection from an environment and a seed."""


class BaselinePolicy:
    """One of :data:`BASELINES`.

    Args:
        name: a key of :data:`BASELINES`.

    Raises:
        ConfigError: the name is unknown.
    """

    def __init__(self, name: str) -> None:
        if name not in BASELINES:
            raise ConfigError(f"baseline {name!r} is not one of {list(BASELINES)}.{did_you_mean(name, BASELINES)}")
        self.name = name

    def reflect(self, observations: Sequence[str], envs: Sequence[RetroEnv], seeds: Sequence[int]) -> list[str]:
        """Returns one reflection for each environment; the observations are not used."""
        write = BASELINES[self.name]
        return [write(env, seed) for env, seed in zip(envs, seeds, strict=True)]


_TAUGHT = {"shuffled": "oracle_reflection", "noisy": "noisy_reflection", "oracle": "oracle_reflection"}


def check_teacher(policy: Policy, env: RetroEnv) -> None:
    """Checks that an environment's teacher has what a baseline needs, before an actor is called.

    Raises:
        ConfigError: it has not.
    """
    if isinstance(policy, BaselinePolicy) and policy.name in _TAUGHT:
        env.task_env.teacher.require(_TAUGHT[policy.name])


class ReflectorPolicy:
    """A language model as a policy, loaded at its first use.

    Args:
        source: as in :meth:`Reflector.load`: ``"tiny"``, the folder of a run or of a model, or a hub name; also the
            policy's name.
        greedy: greedy decoding; by default tokens are sampled at the temperature of the model's generation config.
        device: device of the model.
        batch_size: maximum number of observations per batch.

    Raises:
        ConfigError: there is no such folder.
    """

    def __init__(self, source: str, *, greedy: bool = False, device: str = "cpu", batch_size: int = 64) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size is {batch_size}; it must be at least 1.")
        _check_source(source)
        self.name = source
        self.greedy = greedy
        self.device = device
        self.batch_size = batch_size
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self._reflector: Reflector | None = None

    def reflect(self, observations: Sequence[str], envs: Sequence[RetroEnv], seeds: Sequence[int]) -> list[str]:
        """Returns one reflection for each observation.

        Raises:
            ConfigError: the model cannot be loaded.
            MissingExtraError: torch or transformers is absent.
        """
        reflector = self.load()
        texts: list[str] = []
        for start in range(0, len(observations), self.batch_size):
            batch = slice(start, start + self.batch_size)
            samples = reflector.sample(observations[batch], greedy=self.greedy, seed=seeds[batch])
            texts += samples.texts
            self.prompt_tokens += int(samples.prompts.lengths.sum())
            self.completion_tokens += samples.num_tokens
        return texts

    def load(self) -> Reflector:
        """Returns the model, loading it if necessary.

        Raises:
            ConfigError: the model cannot be loaded.
            MissingExtraError: torch or transformers is absent.
        """
        if self._reflector is None:
            self._reflector = self._load()
        return self._reflector

    def unload(self) -> None:
        """Releases the model; the next ``reflect`` loads it again."""
        self._reflector = None

    def _load(self) -> Reflector:
        try:
            from retro_gym_agents.lm.reflector import Reflector
        except ModuleNotFoundError as error:
            raise MissingExtraError(error.name or "torch", "train") from error
        return Reflector.load(self.name, lora=None, device=self.device)


def make_policy(spec: str, *, greedy: bool = False, device: str = "cpu", batch_size: int = 64) -> Policy:
    """Returns the policy that a spec names. Checks everything that can be checked without loading a model.

    Args:
        spec: a key of :data:`BASELINES`, ``"tiny"``, the folder of a run or of a model, or a hub name.
        greedy: for reflectors, see :class:`ReflectorPolicy`.
        device: for reflectors.
        batch_size: for reflectors.

    Raises:
        ConfigError: the spec is none of these.

    >>> make_policy("oracle").name
    'oracle'
    >>> make_policy("orcale")
    Traceback (most recent call last):
    ...
    retro_gym.errors.ConfigError: reflector 'orcale' is neither a baseline nor a folder. Did you mean 'oracle'?
    """
    if spec in BASELINES:
        return BaselinePolicy(spec)
    return ReflectorPolicy(spec, greedy=greedy, device=device, batch_size=batch_size)


def _check_source(spec: str) -> None:
    """Checks a reflector's name without contacting the hub."""
    if spec == TINY:
        return
    path = Path(spec)
    if path.is_dir():
        _check_folder(path, spec)
        return
    if path.exists():
        raise ConfigError(f"reflector {spec!r} is a file. Give the folder of a run or of a model.")
    names = [*BASELINES, TINY]
    hint = did_you_mean(spec, [name for name in names if abs(len(name) - len(spec)) <= 1])
    if hint and "/" not in spec:  # a misspelt name of similar length; OWNER/NAME is always a hub name
        raise ConfigError(f"reflector {spec!r} is neither a baseline nor a folder.{hint}")
    in_folder = path.parent != Path() and path.parent.is_dir()
    if not _HUB_NAME.fullmatch(spec) or in_folder:
        raise ConfigError(
            f"reflector {spec!r}: there is no such folder. Give {', '.join(map(repr, names))}, the folder of a run of "
            "retro-gym train, the folder of a transformers model, or a hub name (OWNER/NAME)."
        )


def _check_folder(path: Path, spec: str) -> None:
    for inner in (".", "best", "adapter"):
        if any((path / inner / name).is_file() for name in ("adapter_config.json", "config.json")):
            return
    raise ConfigError(
        f"reflector {spec!r} is a folder without an adapter or a model; it holds {sorted(os.listdir(path))[:5]}. Give "
        "the folder of a run that has saved a checkpoint, or of a model."
    )
