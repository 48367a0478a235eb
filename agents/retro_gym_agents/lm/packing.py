"""Packs a group into one sequence: a prompt followed by the tree of its K reflections.

The reflections of a group share their prompt, so it is computed once; and so is what several of them begin with. A
block mask lets every token attend to the prompt and to what its own reflection says before it, and positions continue
the prompt's: for the model, each reflection directly follows the prompt. The more a policy has learned, the more its
reflections have in common. Only the ends of the rows are padded.

Axes: P prompts, K reflections per prompt, N = P·K (prompt by prompt), S prompt tokens (padded on the left), T
reflection tokens (padded on the right), M packed tokens of a row, L = S + M columns, C = 1 + M columns that predict: a
prompt's last token and the packed ones; X the most different tokens that follow one of these, D hidden size.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from retro_gym_agents.lm.attention import additive_mask
from retro_gym_agents.lm.batching import Prompts

__all__ = ["Packed", "pack"]


@dataclasses.dataclass(frozen=True)
class Packed:
    """Prompts and their reflections, a row for each prompt."""

    ids_PL: Tensor
    positions_PL: Tensor
    sees_PML: Tensor
    """Which columns each packed token attends to; padding attends to the prompt."""
    prompt_mask_PS: Tensor
    """True for the prompts' tokens, False for padding."""
    next_PCX: Tensor
    """The tokens that follow each column that predicts, in some reflection; filled up with 0."""
    places_NT: Tensor
    """Which of the C · X predictions of its prompt is that of a reflection's token; 0 for padding."""

    @property
    def prompt_width(self) -> int:
        """S."""
        return self.prompt_mask_PS.shape[1]

    @property
    def num_packed(self) -> int:
        """M."""
        return self.sees_PML.shape[1]

    def mask(self, dtype: torch.dtype, *, of_prompts: bool = True) -> Tensor:
        """Returns the additive attention mask (P, 1, L, L): 0 or the type's minimum.

        Args:
            dtype: data type of the model.
            of_prompts: False omits the prompts' rows: (P, 1, M, L).
        """
        if not of_prompts:
            return additive_mask(self.sees_PML, dtype)
        width, device = self.prompt_width, self.prompt_mask_PS.device
        sees_PSS = self.prompt_mask_PS[:, None] & torch.ones(width, width, dtype=torch.bool, device=device).tril()
        return additive_mask(torch.cat([pad(sees_PSS, (0, self.num_packed)), self.sees_PML], 1), dtype)

    def unpack(self, values_PCX: Tensor) -> Tensor:
        """Returns what was computed for each reflection token's prediction (N, T); values of padding mean nothing."""
        return values_PCX.flatten(1)[self._prompts(), self.places_NT]

    def unpack_states(self, states_PCD: Tensor) -> Tensor:
        """Returns the state that each reflection's token is predicted from (N, T, D)."""
        return states_PCD[self._prompts(), self.places_NT // self.next_PCX.shape[-1]]

    def _prompts(self) -> Tensor:
        """Returns the prompt of each row (N, 1)."""
        rows, prompts = len(self.places_NT), len(self.ids_PL)
        return torch.arange(prompts, device=self.ids_PL.device).repeat_interleave(rows // prompts)[:, None]


class _Tree:
    """What the reflections of one prompt have in common: column 0 is the prompt's last token, the others follow it."""

    def __init__(self, rows: Sequence[Sequence[int]]) -> None:
        self.tokens, self.parents, self.depths = [0], [0], [0]
        self.next: list[dict[int, int]] = [{}]
        """For each column, the tokens that follow it, numbered."""
        self.places: list[list[tuple[int, int]]] = []
        """For each token of each reflection, the column that predicts it, and its number there."""
        children: dict[tuple[int, int], int] = {}
        for row in rows:
            at, places = 0, []
            for step, token in enumerate(row):
                places.append((at, self.next[at].setdefault(token, len(self.next[at]))))
                if step + 1 == len(row):  # the last token predicts nothing
                    break
                child = children.setdefault((at, token), len(self.next))
                if child == len(self.next):
                    self.tokens.append(token)
                    self.parents.append(at)
                    self.depths.append(step)
                    self.next.append({})
                at = child
            self.places.append(places)

    def ancestors(self) -> NDArray[np.bool_]:
        """Returns for each column, without the first, which of them it attends to, itself included."""
        sees = np.eye(len(self.next), dtype=bool)
        for column, parent in enumerate(self.parents):
            sees[column] |= sees[parent]  # a column follows its parent
        return sees[1:, 1:]


def pack(prompts: Prompts, tokens_NT: Tensor, mask_NT: Tensor) -> Packed:
    """Packs reflections after their prompts. The last token of a reflection predicts nothing, so it is left out.

    Args:
        prompts: P prompts.
        tokens_NT: K reflections for each prompt.
        mask_NT: True for a reflection's tokens; each row is True up to some column and False after it.
    """
    device, count = tokens_NT.device, len(prompts.ids_PS)
    samples = len(tokens_NT) // count
    lengths = mask_NT.sum(-1).tolist()
    rows = [row[:length] for row, length in zip(tokens_NT.tolist(), lengths, strict=True)]
    trees = [_Tree(rows[start : start + samples]) for start in range(0, len(rows), samples)]
    packed = max(len(tree.next) for tree in trees) - 1
    most = max(1, max(len(following) for tree in trees for following in tree.next))

    tokens_PM, depths_PM = np.zeros((count, packed), np.int64), np.full((count, packed), -1)
    sees_PMM = np.zeros((count, packed, packed), np.bool_)
    next_PCX = np.zeros((count, 1 + packed, most), np.int64)
    places_NT = np.zeros(tuple(tokens_NT.shape), np.int64)
    for number, tree in enumerate(trees):
        own = len(tree.next) - 1
        tokens_PM[number, :own], depths_PM[number, :own] = tree.tokens[1:], tree.depths[1:]
        sees_PMM[number, :own, :own] = tree.ancestors()
        for column, following in enumerate(tree.next):
            next_PCX[number, column, : len(following)] = list(following)
        for row, places in enumerate(tree.places, start=number * samples):
            places_NT[row, : len(places)] = [column * most + place for column, place in places]

    def there(array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(device)

    depth_PM = there(depths_PM)
    inside_PS = (prompts.mask_PS.long().cumsum(-1) - 1).clamp(min=0)
    after_PM = (prompts.lengths[:, None] + depth_PM).where(depth_PM >= 0, 0)
    sees_PMS = prompts.mask_PS[:, None].expand(-1, packed, -1)
    return Packed(
        ids_PL=torch.cat([prompts.ids_PS, there(tokens_PM)], -1),
        positions_PL=torch.cat([inside_PS, after_PM], -1),
        sees_PML=torch.cat([sees_PMS, there(sees_PMM)], -1),
        prompt_mask_PS=prompts.mask_PS,
        next_PCX=there(next_PCX),
        places_NT=there(places_NT),
    )
