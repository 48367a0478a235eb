"""Sampling K texts for each prompt in one row of the batch: what they have in common is computed once.

The prompt's keys and values are stored once. Samples that have the same tokens so far are one *branch*, of which the
next token's distribution is computed once; they part where different tokens are drawn. The more a policy has learned,
the later that is.

Axes: see :mod:`retro_gym_agents.lm.samples`; V vocabulary, R samples in the batch, B branches of a prompt, C cached
columns.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from retro_gym_agents.lm.attention import additive_mask, attention_dtype
from retro_gym_agents.lm.batching import Prompts, in_groups
from retro_gym_agents.lm.kv_cache import CACHE, roomy_cache
from retro_gym_agents.lm.next_token import Step

__all__ = ["SharedRows", "last_column", "read_prompts"]

_CPU_TOKENS = 1_500  # of prompts that are read at a time on a CPU: few enough for its cache, with little padding


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
        """Evaluates the prompts; returns what predicts the first token."""
        limit = _CPU_TOKENS if self._prompts.ids_PS.device.type == "cpu" else None
        groups = in_groups(range(len(self._positions)), self._positions.tolist(), None, limit)
        self._cache = roomy_cache(self._model, self._room())
        if len(groups) == 1:
            out = read_prompts(self._model, self._prompts, self._cache, hidden=self._hidden)
            return last_column(out, self._samples, self._hidden)
        return self._start_in(groups)

    def _start_in(self, groups: list[list[int]]) -> Step:
        """Evaluates one group of prompts after the other."""
        caches, steps = [], []
        for group in groups:
            caches.append(roomy_cache(self._model, 0))
            out = read_prompts(self._model, self._prompts.select(group), caches[-1], hidden=self._hidden)
            steps.append(last_column(out, 1, self._hidden))
        width = self._prompts.ids_PS.shape[1]
        for layer, *parts in zip(self._cache.layers, *(cache.layers for cache in caches), strict=True):
            layer.join(parts, groups, width)
        order_P = torch.tensor([prompt for group in groups for prompt in group], device=self._positions.device)
        hidden = [step.hidden_BD for step in steps if step.hidden_BD is not None]
        logits_PV = torch.cat([step.logits_BV for step in steps])
        return Step(logits_PV, torch.cat(hidden) if hidden else None, order_P.argsort()[self._prompt_R])

    def extend(self, token_R: Tensor) -> Step:
        """Appends a token to every row; returns what predicts the one after it."""
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
        hidden_BD = out.hidden_states[-1].flatten(0, 1) if self._hidden else None
        return Step(out.logits.flatten(0, 1), hidden_BD, self._prompt_R * token_PB.shape[1] + self._branch_R)

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
    """Returns logits and hidden states of the last column, from which all samples of a prompt draw."""
    logits_PV = out.logits[:, -1]
    of_R = torch.arange(len(logits_PV), device=logits_PV.device).repeat_interleave(samples)
    return Step(logits_PV, out.hidden_states[-1][:, -1] if hidden else None, of_R)
