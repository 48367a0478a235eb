"""Sampling K texts for each prompt in one row of the batch: what they have in common is computed once.

The prompt's keys and values are stored once. Samples that have the same tokens so far are one *branch*, of which the
next token's distribution is computed once; they part where different tokens are drawn. The more a policy has learned,
the later that is.

Axes: see :mod:`retro_gym_agents.lm.samples`; V vocabulary, R samples in the batch, B branches of a prompt, C cached
columns.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import Tensor

from retro_gym_agents.lm.attention import additive_mask, attention_dtype
from retro_gym_agents.lm.batching import Prompts
from retro_gym_agents.lm.kv_cache import CACHE, roomy_cache

__all__ = ["SharedRows", "Step", "last_column", "read_prompts"]

Step: TypeAlias = tuple[Tensor, Tensor | None]
"""Logits (R, V) and hidden states (R, D)."""


class SharedRows:
    """The shared layout: a row of the batch for each prompt, with the branches of its samples after it.

    Args:
        model: a causal LM of transformers with full attention.
        prompts: P prompts.
        samples: K.
        limit: maximum number of tokens of a sample.
        hidden: whether to return hidden states.
    """

    def __init__(self, model: Any, prompts: Prompts, samples: int, limit: int, *, hidden: bool) -> None:
        self._model, self._prompts, self._samples, self._hidden = model, prompts, samples, hidden
        self._limit = limit
        self._steps = 0
        self._positions = prompts.lengths
        self._sees_PBC = prompts.mask_PS[:, None]
        self._prompt_R = torch.arange(len(prompts.ids_PS), device=prompts.ids_PS.device).repeat_interleave(samples)
        self._branch_R = torch.zeros_like(self._prompt_R)

    def start(self) -> Step:
        """Evaluates the prompts; returns logits (R, V) and hidden states (R, D) that predict the first token."""
        self._cache = roomy_cache(self._model, self._room())
        out = read_prompts(self._model, self._prompts, self._cache, hidden=self._hidden)
        return last_column(out, self._samples, self._hidden)

    def extend(self, token_R: Tensor) -> Step:
        """Appends a token to every row; returns logits (R, V) and hidden states (R, D) after it."""
        token_PB, parent_PB = self._part(token_R)
        sees_PBC = self._sees_PBC.gather(1, parent_PB[..., None].expand(-1, -1, self._sees_PBC.shape[-1]))
        own_BB = torch.eye(token_PB.shape[1], dtype=torch.bool, device=token_R.device)
        self._sees_PBC = torch.cat([sees_PBC, own_BB.expand(len(sees_PBC), -1, -1)], -1)
        out = self._model(
            input_ids=token_PB,
            attention_mask=additive_mask(self._sees_PBC, attention_dtype(self._model)),
            position_ids=(self._positions + self._steps)[:, None].expand_as(token_PB),
            use_cache=True,
            output_hidden_states=self._hidden,
            **{CACHE: self._cache},
        )
        self._steps += 1
        place = self._prompt_R, self._branch_R
        return out.logits[place], out.hidden_states[-1][place] if self._hidden else None

    def drop(self, running_R: Tensor) -> Tensor:
        """Keeps the running rows, and the prompts that have some; returns the numbers of the remaining rows."""
        kept_R = running_R.nonzero()[:, 0]
        kept_P, self._prompt_R = torch.unique(self._prompt_R[kept_R], return_inverse=True)
        self._branch_R = self._branch_R[kept_R]
        if len(kept_P) < len(self._positions):
            columns_PC = torch.arange(self._sees_PBC.shape[-1], device=kept_P.device).expand(len(kept_P), -1)
            for layer in self._cache.layers:
                layer.keep(kept_P, columns_PC, self._room())
            self._positions, self._sees_PBC = self._positions[kept_P], self._sees_PBC[kept_P]
        return kept_R

    def _room(self) -> int:
        """Returns how many columns can still be appended: at most one for each sample and step."""
        return (self._limit - 1 - self._steps) * self._samples

    def _part(self, token_R: Tensor) -> tuple[Tensor, Tensor]:
        """Parts the rows into new branches.

        Returns:
            The branches' tokens (P, B), and the numbers of the branches (P, B) that they continue.
        """
        found: list[dict[tuple[int, int], int]] = [{} for _ in self._positions]
        rows = torch.stack([self._prompt_R, self._branch_R, token_R], 1).tolist()  # waits for the device once
        branch = [found[prompt].setdefault((before, token), len(found[prompt])) for prompt, before, token in rows]
        width = max(map(len, found))
        # Prompts with fewer branches are filled up with some that nobody is in.
        pairs = [[*one, *[(0, 0)] * (width - len(one))] for one in found]
        self._branch_R = torch.tensor(branch, device=token_R.device)
        parent_PB, token_PB = torch.tensor(pairs, device=token_R.device).unbind(-1)
        return token_PB, parent_PB


def read_prompts(model: Any, prompts: Prompts, cache: Any, *, hidden: bool) -> Any:
    """Runs a forward pass over the prompts, with logits of the last token only.

    Args:
        model: a causal LM of transformers.
        prompts: P prompts.
        cache: key-value cache to fill; None for the model's default.
        hidden: whether to return hidden states.
    """
    return model(
        input_ids=prompts.ids_PS,
        attention_mask=prompts.mask_PS.long(),
        position_ids=(prompts.mask_PS.long().cumsum(-1) - 1).clamp(min=0),
        use_cache=True,
        logits_to_keep=1,
        output_hidden_states=hidden,
        **{CACHE: cache},
    )


def last_column(out: Any, samples: int, hidden: bool) -> Step:
    """Returns logits and hidden states of the last column, for every sample."""
    logits_RV = out.logits[:, -1].repeat_interleave(samples, 0)
    return logits_RV, out.hidden_states[-1][:, -1].repeat_interleave(samples, 0) if hidden else None
