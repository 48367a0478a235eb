"""Reflectors as policies: language models that run in this process, trained or frozen."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retro_gym.actors.gguf_file import check_gguf, is_gguf
from retro_gym.actors.loading import check_dtype
from retro_gym.env import RetroEnv
from retro_gym.errors import ConfigError, MissingExtraError, did_you_mean
from retro_gym_agents.lm.adapter_folder import adapter_source, weights_digest
from retro_gym_agents.play.policies.baselines import BASELINES

if TYPE_CHECKING:
    from retro_gym_agents.lm.reflector import Reflector

__all__ = ["TINY", "ReflectorPolicy", "check_reflector", "reflector_class"]

TINY = "tiny"
"""Name of the reflector that ships with the package."""

_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w.-]+(@[\w./-]+)?)?")


class ReflectorPolicy:
    """A language model as a policy, loaded at its first use.

    Args:
        source: as in :meth:`Reflector.load`: ``"tiny"``, the folder of a run or of a model, a GGUF file, or the name of
            a model or an adapter on the hub, also with a revision: ``"owner/name@v1"``.
            It is also the policy's name, which may be changed. Or a reflector that is loaded already.
        greedy: greedy decoding; by default tokens are sampled at the temperature of the model's generation config.
        device: device of the model.
        dtype: of its weights, as in :meth:`Reflector.load`.
        batch_size: maximum number of observations per batch.

    Raises:
        ConfigError: there is no such folder, or it holds no model; ``dtype`` is unknown, or ``batch_size`` is below 1.
    """

    def __init__(
        self,
        source: str | Reflector,
        *,
        greedy: bool = False,
        device: str = "cpu",
        dtype: str | None = None,
        batch_size: int = 64,
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size is {batch_size}; it must be at least 1.")
        check_dtype(dtype)
        if isinstance(source, str):
            check_reflector(source)
        self.source = source
        self.name = source if isinstance(source, str) else source.model_id
        self.greedy = greedy
        self.device, self.dtype = device, dtype
        self.batch_size = batch_size
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self._reflector: Reflector | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """What the reflections depend on besides the observations, as JSON types."""
        weights = weights_digest(Path(self.source)) if isinstance(self.source, str) else None
        dtype = {} if self.dtype is None else {"dtype": self.dtype}
        return {"greedy": self.greedy, "source": self.adapter_source(), "weights": weights, **dtype}

    def adapter_source(self) -> str | None:
        """Describes the adapter of a training run that it uses; None if the source is no run's folder."""
        return adapter_source(Path(self.source)) if isinstance(self.source, str) else None

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
            self._reflector = self._load() if isinstance(self.source, str) else self.source
        return self._reflector

    def unload(self) -> None:
        """Releases the model; the next ``reflect`` loads it again."""
        self._reflector = None

    def _load(self) -> Reflector:
        return reflector_class().load(str(self.source), lora=None, device=self.device, dtype=self.dtype)


def reflector_class() -> type[Reflector]:
    """Imports the class of reflectors, and torch with it.

    Raises:
        MissingExtraError: torch or transformers is absent.
    """
    try:
        from retro_gym_agents.lm.reflector import Reflector
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "torch", "train") from error
    return Reflector


def check_reflector(spec: str) -> None:
    """Checks a reflector's name without contacting the hub.

    Raises:
        ConfigError: it is neither ``"tiny"`` nor a folder with a model nor a GGUF file nor like a hub name.
    """
    if spec == TINY:
        return
    path = Path(spec)
    if path.is_dir():
        _check_folder(path, spec)
        return
    if is_gguf(spec):
        check_gguf(spec)
        return
    if path.exists():
        raise ConfigError(f"reflector {spec!r} is a file. Give the folder of a run or of a model, or a GGUF file.")
    names = [*BASELINES, TINY]
    hint = did_you_mean(spec, [name for name in names if abs(len(name) - len(spec)) <= 1])
    if hint and "/" not in spec:  # a misspelt name of similar length; OWNER/NAME is always a hub name
        raise ConfigError(f"reflector {spec!r} is neither a baseline nor a folder.{hint}")
    in_folder = path.parent != Path() and path.parent.is_dir()
    if not _HUB_NAME.fullmatch(spec) or in_folder:
        raise ConfigError(
            f"reflector {spec!r}: there is no such folder. Give {', '.join(map(repr, names))}, the folder of a run of "
            "retro-gym train, the folder of a transformers model, a GGUF file, a hub name (OWNER/NAME[@REVISION]), "
            "'python:MODULE:NAME', 'openai:MODEL', 'hf:MODEL' or 'replay:FILE'."
        )


def _check_folder(path: Path, spec: str) -> None:
    for inner in (".", "best", "adapter"):
        if any((path / inner / name).is_file() for name in ("adapter_config.json", "config.json")):
            return
    raise ConfigError(
        f"reflector {spec!r} is a folder without an adapter or a model; it holds {sorted(os.listdir(path))[:5]}. Give "
        "the folder of a run that has saved a checkpoint, or of a model."
    )
