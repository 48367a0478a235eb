"""Makes TRL sample like the reflector: by settings of TRL, or by the reflector's own sampler."""

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
    """The reflector's own sampler as TRL's ``rollout_func`` (experimental in TRL, and only in ``GRPOTrainer``).

    It processes a prompt once for all samples of a group. Samples depend on the seed, the step and the group's position
    in the global batch, but not on the number of processes; in TRL's own sampling each process has its random state.

    Each process must hold all weights: one device, or data parallelism. Not for DeepSpeed's ZeRO-3 or FSDP.

    Args:
        reflector: the reflector whose ``model`` and ``tokenizer`` the trainer has.
        seed: seed of the samples.
    """

    def __init__(self, reflector: Reflector, *, seed: int = 0) -> None:
        self.reflector = reflector
        self.seed = seed

    def __call__(self, prompts: Sequence[str | Messages], trainer: Any) -> dict[str, list[list[Any]]]:
        """Samples a reflection for each prompt.

        Args:
            prompts: this process's part of the batch; each prompt occurs K times.
            trainer: a ``GRPOTrainer``.

        Returns:
            ``prompt_ids``, ``completion_ids`` and ``logprobs`` (of the sampled tokens), each with a list per prompt.
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
        """Appends a group's samples at ``places`` of the global batch; always draws the whole group."""
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
        """Returns the observation that ``prompt_of`` made the prompt from, as shortened there."""
        if isinstance(prompt, str):
            return prompt.removeprefix(self.reflector.tokenizer.bos_token or "")
        return str(prompt[-1]["content"])


def trl_settings(reflector: Reflector) -> dict[str, Any]:
    """Returns the fields of ``GRPOConfig`` and ``RLOOConfig`` with which TRL samples like the reflector.

    Temperature and token limit are the reflector's, top-k and top-p are off, prompts are rendered in the same way, and
    float32 weights are used in float32 (TRL's default is bfloat16).
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
