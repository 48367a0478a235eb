"""Best of n: of several sampled reflections the one that a reward model prefers.

It spends computation where training a reflector spends updates, and needs the same ratings: a claim about a trained
reflector should be compared with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retro_gym.actors.loading import check_dtype
from retro_gym.checks import check_positive, check_whole
from retro_gym.env import RetroEnv
from retro_gym.errors import ConfigError
from retro_gym_agents.lm.adapter_folder import adapter_source, reward_head_file, weights_digest
from retro_gym_agents.play.policies.baselines import BASELINES
from retro_gym_agents.play.policies.reflectors import TINY, check_reflector, reflector_class

if TYPE_CHECKING:
    from retro_gym_agents.lm.reflector import Reflector
    from retro_gym_agents.lm.reward_model import RewardModel

__all__ = ["BestOfPolicy"]

_TOKENS = 8_192  # of a forward pass of the reward model


class BestOfPolicy:
    """Samples n reflections on each failure and returns the one with the highest score; of equal scores the first.

    Both models are loaded at the first use. They share the base model if it is the same. The tokens are those of both:
    what they read (``prompt_tokens``), and what was sampled (``completion_tokens``).

    Args:
        folder: the reward model, the output of ``retro-gym reward-model``.
        reflector: the model that samples, as for :class:`~retro_gym_agents.play.policies.ReflectorPolicy`.
        num_samples: n.
        temperature: of sampling; by default that of the model's generation config.
        device: device of the models.
        dtype: of their weights, as in :meth:`Reflector.load`.
        batch_size: maximum number of reflections that are sampled together, but at least those on one failure.

    Raises:
        ConfigError: there is no such reward model or reflector, or a number or ``dtype`` is invalid.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        reflector: str = TINY,
        num_samples: int = 8,
        temperature: float | None = None,
        device: str = "cpu",
        dtype: str | None = None,
        batch_size: int = 64,
    ) -> None:
        check_whole(1, num_samples=num_samples, batch_size=batch_size)
        check_dtype(dtype)
        if temperature is not None:
            check_positive(temperature=temperature)
        self.folder = Path(folder)
        reward_head_file(self.folder)
        if reflector in BASELINES or ":" in reflector:
            raise ConfigError(
                f"best_of samples with the reflector {reflector!r}, which is no model in this process. Give 'tiny', "
                "the folder of a run or of a model, or a hub name."
            )
        check_reflector(reflector)
        self.name = f"best_of:{folder}"
        self.reflector, self.num_samples, self.temperature = reflector, num_samples, temperature
        self.device, self.dtype, self.batch_size = device, dtype, batch_size
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self._models: tuple[Reflector, RewardModel] | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """What the reflections depend on besides the observations, as JSON types."""
        dtype = {} if self.dtype is None else {"dtype": self.dtype}
        return {
            "source": self.adapter_source(),
            "weights": weights_digest(Path(self.reflector)),
            "reflector": self.reflector,
            "reward_model": weights_digest(self.folder / "adapter"),
            "num_samples": self.num_samples,
            "temperature": self.temperature,
            **dtype,
        }

    def adapter_source(self) -> str | None:
        """Describes the adapter of a training run that the reflector uses; None if it is no run's folder."""
        return adapter_source(Path(self.reflector))

    def reflect(self, observations: Sequence[str], envs: Sequence[RetroEnv], seeds: Sequence[int]) -> list[str]:
        """Returns the best of n reflections for each observation.

        Raises:
            ConfigError: a model cannot be loaded.
            MissingExtraError: torch or transformers is absent.
        """
        models = self.load()
        size = max(1, self.batch_size // self.num_samples)
        texts: list[str] = []
        for start in range(0, len(observations), size):
            batch = slice(start, start + size)
            texts += self._best(*models, observations[batch], seeds[batch])
        return texts

    def load(self) -> tuple[Reflector, RewardModel]:
        """Returns the reflector and the reward model, loading them if necessary.

        Raises:
            ConfigError: a model cannot be loaded.
            MissingExtraError: torch or transformers is absent.
        """
        if self._models is None:
            # An adapter, if only one without effect, lets the reward model have its own on the same base model.
            where: dict[str, Any] = {"device": self.device, "dtype": self.dtype}
            reflector = reflector_class().load(self.reflector, temperature=self.temperature, **where)
            from retro_gym_agents.lm.reward_model import RewardModel
            from retro_gym_agents.lm.sources import base_of

            shared = base_of(self.folder / "adapter").name == reflector.name
            beside = reflector if shared else None
            self._models = reflector, RewardModel.load(self.folder, beside=beside, **where)
        return self._models

    def unload(self) -> None:
        """Releases both models; the next ``reflect`` loads them again."""
        self._models = None

    def _best(
        self, reflector: Reflector, model: RewardModel, observations: Sequence[str], seeds: Sequence[int]
    ) -> list[str]:
        from retro_gym_agents.lm.chains import Reply

        samples = reflector.sample(observations, num_samples=self.num_samples, seed=seeds)
        # As plain texts: learners would take the log-probabilities of the samples for those of the best one.
        texts = [str(text) for text in samples.texts]
        starts = range(0, len(texts), self.num_samples)
        tried = [list(dict.fromkeys(texts[start : start + self.num_samples])) for start in starts]
        replies = []
        for observation, group in zip(observations, tried, strict=True):
            prompt = model.reflector.encode(observation)
            replies += [Reply(prompt, model.reflector.encode_reply(text)) for text in group]
        scores = iter(model.score(replies, _TOKENS).tolist())
        self.prompt_tokens += int(samples.prompts.lengths.sum())
        self.prompt_tokens += sum(len(reply.prompt) + len(reply.tokens) for reply in replies)
        self.completion_tokens += samples.num_tokens
        scored = [{text: next(scores) for text in group} for group in tried]
        return [max(group, key=group.__getitem__) for group in scored]
