"""Sampling under TRL as the reflector samples: by settings, or by its own sampler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from retro_gym.seeding import derive_seed
from retro_gym.token_view.tokens import CHAT_TEMPLATE_OPTIONS
from retro_gym_agents.bridges.trl.dataset import Messages

if TYPE_CHECKING:
    from retro_gym_agents.lm.reflector import Reflector

__all__ = ["ReflectorRollout", "trl_settings"]


class ReflectorRollout:
    """The reflector's own sampler as TRL's ``rollout_func`` (``GRPOTrainer`` alone has one, and calls it experimental).

    It reads a prompt once for all samples of a group. And what it draws follows from the seed, the step and the
    group's place in the global batch: not from the number of processes that share the batch, as with TRL, whose
    processes each have a random state of their own.

    For weights that each process holds whole: one device, or data-parallel ones. Not for DeepSpeed's ZeRO-3 or FSDP.

    Args:
        reflector: whose ``model`` and ``tokenizer`` the trainer has.
        seed: of the draws.
    """

    def __init__(self, reflector: Reflector, *, seed: int = 0) -> None:
        self.reflector = reflector
        self.seed = seed

    def __call__(self, prompts: Sequence[str | Messages], trainer: Any) -> dict[str, list[list[Any]]]:
        """Samples a reflection for each prompt.

        Args:
            prompts: this process's part of the batch, K times each.
            trainer: a ``GRPOTrainer``.

        Returns:
            ``prompt_ids``, ``completion_ids`` and ``logprobs`` (of the sampled tokens), a list for each prompt.
        """
        model = self.reflector.model
        training = model.training
        group_size = trainer.num_generations if training else trainer.num_generations_eval
        start = trainer.accelerator.process_index * len(prompts)
        out: dict[str, list[list[Any]]] = {"prompt_ids": [], "completion_ids": [], "logprobs": []}
        model.eval()  # gradient checkpointing, which is on in training, would drop the cache
        try:
            place = start
            while place < start + len(prompts):
                end = min((place // group_size + 1) * group_size, start + len(prompts))
                self._sample(out, prompts[place - start], range(place, end), group_size, trainer.state.global_step)
                place = end
        finally:
            model.train(training)
        return out

    def _sample(
        self, out: dict[str, list[list[Any]]], prompt: str | Messages, places: range, group_size: int, step: int
    ) -> None:
        """The samples of one group at some places of the global batch. The whole group is drawn, wherever it is cut."""
        observation = self._observation_of(prompt)
        seed = derive_seed(self.seed, "rollout", step, places.start // group_size, observation)
        samples = self.reflector.sample([observation], num_samples=group_size, seed=seed)
        prompt_ids = samples.prompts.ids_PS[0][samples.prompts.mask_PS[0]].tolist()
        for place in places:
            row = place % group_size
            length = int(samples.mask_NT[row].sum())
            out["prompt_ids"].append(list(prompt_ids))
            out["completion_ids"].append(samples.tokens_NT[row, :length].tolist())
            out["logprobs"].append(samples.logprobs_NT[row, :length].tolist())

    def _observation_of(self, prompt: str | Messages) -> str:
        """What :func:`prompt_of` was given, cut as it was."""
        if isinstance(prompt, str):
            return prompt.removeprefix(self.reflector.tokenizer.bos_token or "")
        return str(prompt[-1]["content"])


def trl_settings(reflector: Reflector) -> dict[str, Any]:
    """The fields of ``GRPOConfig`` and ``RLOOConfig`` by which TRL samples as the reflector does.

    Temperature and length limit are the reflector's, nothing cuts the distribution, prompts are rendered alike, and
    weights of float32 are computed with in float32 (TRL would choose bfloat16).
    """
    import torch

    return {
        "temperature": reflector.sampling.temperature,
        "max_completion_length": reflector.sampling.max_new_tokens,
        "top_k": 0,
        "top_p": 1.0,
        "chat_template_kwargs": dict(CHAT_TEMPLATE_OPTIONS),
        "bf16": reflector.model.dtype == torch.bfloat16,
        "remove_unused_columns": False,
    }
