"""One sequence for a whole group: a prompt, then its K reflections side by side, each blind to the others.

The reflections of a group share their prompt, so it is computed once. A block mask lets every reflection see the
prompt and itself, and the positions of each begin where the prompt ends: to the model every one of them stands behind
the prompt alone.

Axes: P prompts, K reflections per prompt, N = P·K (prompt by prompt), S prompt tokens (padded on the left), T
reflection tokens (padded on the right), L = S + K·(T - 1) columns of a packed row. The last token of a reflection
predicts nothing, so it is not fed.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["block_mask", "pack", "unpack"]


def pack(ids_PS: Tensor, mask_PS: Tensor, tokens_NT: Tensor) -> tuple[Tensor, Tensor]:
    """Token ids and positions of the packed rows, both (P, L).

    Args:
        ids_PS: prompts.
        mask_PS: True where a token of theirs stands.
        tokens_NT: reflections; what fills their rows is fed too, which nothing that counts can see.
    """
    prompts, fed = len(ids_PS), tokens_NT.shape[1] - 1
    samples = len(tokens_NT) // prompts
    ids_PL = torch.cat([ids_PS, tokens_NT[:, :-1].reshape(prompts, samples * fed)], -1)
    inside_PS = (mask_PS.long().cumsum(-1) - 1).clamp(min=0)
    after_PT = mask_PS.sum(-1, keepdim=True) + torch.arange(fed, device=ids_PS.device)
    return ids_PL, torch.cat([inside_PS, after_PT.repeat(1, samples)], -1)


def block_mask(mask_PS: Tensor, num_samples: int, width: int, dtype: torch.dtype) -> Tensor:
    """What may attend to what: additive, (P, 1, L, L), 0 or the least number of the type.

    Args:
        mask_PS: True where a token of a prompt stands.
        num_samples: K.
        width: T.
        dtype: of the model.
    """
    columns, fed = mask_PS.shape[1], width - 1
    device = mask_PS.device
    group_L = torch.cat(
        [torch.zeros(columns, device=device), torch.arange(1, num_samples + 1, device=device).repeat_interleave(fed)]
    )
    total = len(group_L)
    causal_LL = torch.ones(total, total, dtype=torch.bool, device=device).tril()
    kin_LL = (group_L == group_L[:, None]) | (group_L == 0)
    there_PL = torch.cat([mask_PS, mask_PS.new_ones(len(mask_PS), total - columns)], -1)
    seen_PLL = (causal_LL & kin_LL) & there_PL[:, None]
    return torch.zeros((), dtype=dtype, device=device).where(seen_PLL, torch.finfo(dtype).min)[:, None]


def unpack(values_PLX: Tensor, prompt_width: int, num_samples: int) -> Tensor:
    """What predicts each reflection token: rows (N, T, X) of a packed result (P, L, X).

    The first token of every reflection is predicted by the prompt's last.

    Args:
        values_PLX: logits or hidden states; columns before the prompt's last may be left out.
        prompt_width: how many of the columns are the prompt's.
        num_samples: K.
    """
    prompts, _, size = values_PLX.shape
    first_N1X = values_PLX[:, prompt_width - 1 : prompt_width].repeat_interleave(num_samples, 0)
    rest_NtX = values_PLX[:, prompt_width:].reshape(prompts * num_samples, -1, size)
    return torch.cat([first_N1X, rest_NtX], 1)
