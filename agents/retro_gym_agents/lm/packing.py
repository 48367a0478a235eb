"""Packs a group into one sequence: a prompt followed by its K reflections, which do not attend to each other.

The reflections of a group share their prompt, so it is computed once. A block mask lets every reflection attend to the
prompt and itself, and its positions start at the end of the prompt: for the model, each reflection directly follows the
prompt. Only the ends of the rows are padded.

Axes: P prompts, K reflections per prompt, N = P·K (prompt by prompt), S prompt tokens (padded on the left), T
reflection tokens (padded on the right), M packed reflection tokens of a row, L = S + M columns, X any.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from retro_gym_agents.lm.attention import additive_mask
from retro_gym_agents.lm.batching import Prompts

__all__ = ["Packed", "pack"]


@dataclasses.dataclass(frozen=True)
class Packed:
    """Prompts and their reflections, a row for each prompt."""

    ids_PL: Tensor
    positions_PL: Tensor
    group_PL: Tensor
    """0 for a prompt's tokens, 1 to K for the tokens of its reflections, -1 for padding."""
    targets_PM: Tensor
    """The token that each packed reflection token predicts."""
    first_PK: Tensor
    """The first token of each reflection: the prompt's last token predicts it."""
    places_PM: Tensor
    """Index of each target in the flattened rows (K, T) of its prompt."""
    width: int
    """T."""

    @property
    def prompt_width(self) -> int:
        """S."""
        return self.ids_PL.shape[1] - self.targets_PM.shape[1]

    def mask(self, dtype: torch.dtype, *, of_prompts: bool = True) -> Tensor:
        """Returns the additive attention mask (P, 1, L, L): 0 or the type's minimum.

        Args:
            dtype: data type of the model.
            of_prompts: False omits the prompts' rows: (P, 1, M, L).
        """
        start = 0 if of_prompts else self.prompt_width
        causal_LL = torch.ones(self.ids_PL.shape[1], self.ids_PL.shape[1], dtype=torch.bool, device=self.ids_PL.device)
        key_P1L, query_PL1 = self.group_PL[:, None], self.group_PL[:, start:, None]
        seen_PLL = ((key_P1L == query_PL1) & (key_P1L > 0) | (key_P1L == 0)) & causal_LL.tril()[start:]
        return additive_mask(seen_PLL, dtype)

    def unpack(self, first_PKX: Tensor, rest_PMX: Tensor) -> Tensor:
        """Rearranges values of the reflections' tokens to rows (N, T, X), with 0 for padding.

        Args:
            first_PKX: values of each reflection's first token.
            rest_PMX: values of the tokens that the packed tokens predict.
        """
        prompts, samples, size = first_PKX.shape
        rows = first_PKX.new_zeros(prompts, samples, self.width, size)
        rows[:, :, 0] = first_PKX
        there_PM = self.group_PL[:, self.prompt_width :] > 0
        which_PM = torch.arange(prompts, device=there_PM.device)[:, None].expand_as(there_PM)
        flat = rows.view(prompts, samples * self.width, size)
        flat = flat.index_put((which_PM[there_PM], self.places_PM[there_PM]), rest_PMX[there_PM])
        return flat.view(prompts * samples, self.width, size)


def pack(prompts: Prompts, tokens_NT: Tensor, mask_NT: Tensor) -> Packed:
    """Packs reflections after their prompts. The last token of a reflection predicts nothing, so it is left out.

    Args:
        prompts: P prompts.
        tokens_NT: K reflections for each prompt.
        mask_NT: True for a reflection's tokens; each row is True up to some column and False after it.
    """
    count = len(prompts.ids_PS)
    samples, length = len(tokens_NT) // count, tokens_NT.shape[1]
    tokens_PKT = tokens_NT.view(count, samples, length)
    fed = max(length - 1, 1)  # maximum number of packed tokens of a reflection
    predicts_PX = mask_NT[:, 1:].reshape(count, -1)
    used = int(predicts_PX.sum(-1).max()) if length > 1 else 0
    order_PM = predicts_PX.int().argsort(dim=-1, descending=True, stable=True)[:, :used]
    there_PM = predicts_PX.gather(1, order_PM)
    which_PM, place_PM = order_PM.div(fed, rounding_mode="floor"), order_PM % fed

    inside_PS = (prompts.mask_PS.long().cumsum(-1) - 1).clamp(min=0)
    after_PM = (prompts.lengths[:, None] + place_PM).where(there_PM, 0)
    return Packed(
        ids_PL=torch.cat([prompts.ids_PS, tokens_PKT[..., :-1].reshape(count, -1).gather(1, order_PM)], -1),
        positions_PL=torch.cat([inside_PS, after_PM], -1),
        group_PL=torch.cat([prompts.mask_PS.long() - 1, (which_PM + 1).where(there_PM, -1)], -1),
        targets_PM=tokens_PKT[..., 1:].reshape(count, -1).gather(1, order_PM),
        first_PK=tokens_PKT[..., 0],
        places_PM=which_PM * length + place_PM + 1,
        width=length,
    )
