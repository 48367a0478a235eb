"""Log-probabilities of many replies in few rows: a trial's turns, or what was written on other prompts.

The prompt of a trial's next turn usually begins with the prompt and the reply of the turn before. Such replies form a
*chain*, which is one row of tokens and is computed once. A reply's end token is predicted where the chain goes on with
something else. Replies whose prompts do not continue one another are rows of their own, so the result is the same.

Axes: B rows, L tokens of a row, C columns whose logits are kept, N replies, T reply tokens, V vocabulary.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from retro_gym_agents.lm.batching import in_groups
from retro_gym_agents.lm.logprobs import token_logprobs

__all__ = ["Chain", "Reply", "chained", "chains_in_groups", "score_chains"]


@dataclasses.dataclass(frozen=True)
class Reply:
    """Token ids of a prompt, and of what a model wrote, or should write, on it."""

    prompt: Sequence[int]
    tokens: Sequence[int]
    """Including the end token."""


@dataclasses.dataclass
class Chain:
    """A row of tokens that holds one reply or several."""

    ids: list[int]
    """Without the last reply's last token, which predicts nothing."""
    spans: list[tuple[int, Sequence[int]]]
    """For each reply, the position that predicts its first token, and its tokens."""

    def take(self, reply: Reply) -> bool:
        """Adds a reply if its prompt continues the chain; returns whether it does."""
        if not _begins_with(reply.prompt, self.ids):
            return False
        self.ids += [*reply.prompt[len(self.ids) :], *reply.tokens[:-1]]
        self.spans.append((len(reply.prompt) - 1, reply.tokens))
        return True


def _begins_with(tokens: Sequence[int], start: Sequence[int]) -> bool:
    return len(tokens) > len(start) and list(tokens[: len(start)]) == list(start)


def chained(replies: Sequence[Reply]) -> list[Chain]:
    """Returns the replies as chains, in their order.

    >>> turns = [Reply([1, 2], [3, 0]), Reply([1, 2, 3, 4], [5, 0]), Reply([1, 2], [6, 0])]
    >>> [(chain.ids, [at for at, _ in chain.spans]) for chain in chained(turns)]
    [([1, 2, 3, 4, 5], [1, 3]), ([1, 2, 6], [1])]
    """
    chains: list[Chain] = []
    for reply in replies:
        if not chains or not chains[-1].take(reply):
            chains.append(Chain([*reply.prompt, *reply.tokens[:-1]], [(len(reply.prompt) - 1, reply.tokens)]))
    return chains


def chains_in_groups(chains: Sequence[Chain], tokens: int | None, workers: int = 1) -> list[list[Chain]]:
    """Returns the chains in groups of at most so many tokens, padding included; None for one group per worker."""
    groups = in_groups(range(len(chains)), [len(chain.ids) for chain in chains], None, tokens, workers)
    return [[chains[number] for number in group] for group in groups]


def score_chains(
    model: Any, chains: Sequence[Chain], *, pad_id: int, temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Computes the log-probabilities of all replies in some chains, in one forward pass.

    Args:
        model: a causal LM of transformers.
        chains: B of them.
        pad_id: padding, which follows the tokens, so that no token attends to it.
        temperature: at which the tokens are scored.

    Returns:
        Log-probabilities (N, T), float32 and differentiable, 0 for padding; and the mask of the replies' tokens.
    """
    device = model.get_input_embeddings().weight.device
    width = max(len(chain.ids) for chain in chains)
    ids_BL = torch.tensor([chain.ids + [pad_id] * (width - len(chain.ids)) for chain in chains], device=device)
    places = [
        (row, at + step) for row, chain in enumerate(chains) for at, said in chain.spans for step in range(len(said))
    ]
    tokens = [token for chain in chains for _, said in chain.spans for token in said]
    lengths = [len(said) for chain in chains for _, said in chain.spans]
    columns = sorted({column for _, column in places})
    logits_BCV = model(input_ids=ids_BL, use_cache=False, logits_to_keep=torch.tensor(columns, device=device)).logits
    number = {column: index for index, column in enumerate(columns)}
    rows = torch.tensor([row for row, _ in places], device=device)
    kept = torch.tensor([number[column] for _, column in places], device=device)
    said_X1 = torch.tensor(tokens, device=device)[:, None]
    flat_X = token_logprobs(logits_BCV[rows, kept], said_X1, temperature)[:, 0]
    mask_NT = torch.arange(max(lengths), device=device) < torch.tensor(lengths, device=device)[:, None]
    logprobs_NT = flat_X.new_zeros(mask_NT.shape).masked_scatter(mask_NT, flat_X)
    return logprobs_NT, mask_NT
