"""The reward model of Retroformer: a scalar score of a reflection; trained in ``algorithms/reward_model.py``.

A language model with an adapter of its own and a head on the last token of a reflection (arXiv 2308.02151),

    r(x, y) = w · h_last + α log π(y | x),

shifted and scaled. Axes: N replies, L columns of a padded batch, D hidden size, M packed tokens, T reflection tokens, V
vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from retro_gym_agents.lm.adapter_folder import reward_head_file
from retro_gym_agents.lm.adapters import activated
from retro_gym_agents.lm.batching import in_groups
from retro_gym_agents.lm.chains import Reply
from retro_gym_agents.lm.logprobs import token_logprobs
from retro_gym_agents.lm.reflector import Reflector

__all__ = ["RewardModel"]

_FACTOR = 0.3  # α at the beginning


class RewardModel(nn.Module):
    """Scores reflections: a language model with a head on the last token, and what it thinks of the text itself.

    Args:
        reflector: the model and its adapter.
        likelihood: whether the log-likelihood is a part of the score.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, reflector: Reflector, *, likelihood: bool = True) -> None:
        super().__init__()
        self._reflector = [reflector]  # in a list, so that its weights are not this module's
        self.head = nn.Linear(reflector.hidden_size, 1, bias=False).to(reflector.device)
        nn.init.zeros_(self.head.weight)
        self.factor = nn.Parameter(torch.tensor(_FACTOR if likelihood else 0.0, device=reflector.device), likelihood)
        self.register_buffer("mean", torch.zeros((), device=reflector.device))
        self.register_buffer("spread", torch.ones((), device=reflector.device))

    @property
    def reflector(self) -> Reflector:
        """The model and its adapter."""
        return self._reflector[0]

    @classmethod
    def load(
        cls, folder: str | Path, *, beside: Reflector | None = None, device: str = "cpu", dtype: str | None = None
    ) -> Self:
        """Loads what :func:`retro_gym_agents.algorithms.reward_model.train` wrote.

        Args:
            folder: the output of a run of ``retro-gym reward-model``.
            beside: a reflector whose base model is used, so that it is stored once.
            device: device of the model, unless it is used beside another one.
            dtype: likewise of its weights, as in :meth:`Reflector.load`.

        Raises:
            ConfigError: the folder holds no reward model.
        """
        path = reward_head_file(Path(folder))
        if beside is None:
            loaded = Reflector.load(path.parent, device=device, dtype=dtype)
        else:
            loaded = Reflector.beside(beside, folder=path.parent)
        state = torch.load(path, map_location=loaded.device, weights_only=True)
        model = cls(loaded, likelihood=bool(state["factor"]))
        model.load_state_dict(state)
        return model

    def forward(self, replies: Sequence[Reply]) -> Tensor:
        """Returns a score (N) for each reply, float32, differentiable."""
        reflector = self.reflector
        rows = [[*reply.prompt, *reply.tokens] for reply in replies]
        width = max(map(len, rows))
        ids_NL = torch.tensor([row + [reflector.sampling.pad_id] * (width - len(row)) for row in rows])
        with activated(reflector.model, reflector.adapter), reflector.precision():
            # Padding follows the tokens, so that no token attends to it.
            out = reflector.model(
                input_ids=ids_NL.to(reflector.device), use_cache=False, logits_to_keep=1, output_hidden_states=True
            )
            hidden_NLD = out.hidden_states[-1]
            last_ND = torch.stack([hidden_LD[len(row) - 1] for hidden_LD, row in zip(hidden_NLD, rows, strict=True)])
            scores_N: Tensor = self.head(last_ND.float())[:, 0]
            if self.factor.requires_grad:
                scores_N = scores_N + self.factor * self._loglikelihood(hidden_NLD, replies)
        return (scores_N - self.mean) / self.spread

    def _loglikelihood(self, hidden_NLD: Tensor, replies: Sequence[Reply]) -> Tensor:
        """Returns log π(y|x) (N), computed from the hidden states of the tokens before those of y alone."""
        lengths = [len(reply.tokens) for reply in replies]
        before_MD = torch.cat(
            [
                hidden_LD[len(reply.prompt) - 1 : len(reply.prompt) - 1 + length]
                for hidden_LD, reply, length in zip(hidden_NLD, replies, lengths, strict=True)
            ]
        )
        logits_MV = self.reflector.model.get_output_embeddings()(before_MD)
        targets_M1 = torch.tensor([[token] for reply in replies for token in reply.tokens], device=before_MD.device)
        logprobs_M = token_logprobs(logits_MV, targets_M1, temperature=1.0)[:, 0]
        return torch.stack([one_T.sum() for one_T in torch.split(logprobs_M, lengths)])

    def learned(self) -> list[nn.Parameter]:
        """Returns the weights to learn besides the adapter."""
        return [weight for weight in self.parameters() if weight.requires_grad]

    @torch.no_grad()
    def score(self, replies: Sequence[Reply], tokens: int | None = None) -> Tensor:
        """Returns the scores (N) without a gradient, in forward passes of at most so many tokens."""
        lengths = [len(reply.prompt) + len(reply.tokens) for reply in replies]
        scores_N = torch.zeros(len(replies))
        for rows in in_groups(range(len(replies)), lengths, None, tokens):
            scores_N[rows] = self([replies[row] for row in rows]).cpu()
        return scores_N
