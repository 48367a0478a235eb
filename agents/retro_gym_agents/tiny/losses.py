"""What the tiny model learns from a lesson: the loss of each role.

Axes beyond those of the package: F failures or trials, C columns whose logits are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from retro_gym_agents.lm.batching import Prompts
from retro_gym_agents.lm.logprobs import token_logprobs
from retro_gym_agents.lm.packing import pack
from retro_gym_agents.tiny.lessons import Failure, Played
from retro_gym_agents.tiny.settings import BuildConfig

__all__ = ["encode_trials", "play_loss", "reflect_loss", "reply_ids"]

_UNLEARNED = -100  # the target that cross_entropy ignores


def reply_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Returns the tokens of reflections or turns as the model writes them, with the end token."""
    return [[*ids, tokenizer.eos_token_id] for ids in _ids(tokenizer, texts)]


def reflect_loss(
    model: Any, tokenizer: Any, failures: Sequence[Failure], config: BuildConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Returns the mean negative log-likelihood of the reflections' tokens, without and with that of the prompts'.

    Each prompt is packed with its reflections and computed once. Most names occur in a prompt more than once, so
    predicting the prompts too preserves the network's ability to copy while it learns to write; a random part of their
    tokens is enough.
    """
    bos, pad, device = tokenizer.bos_token_id, tokenizer.pad_token_id, model.device
    observations = _ids(tokenizer, [one.observation for one in failures])
    short = _short(observations, config.longest)
    prompts = Prompts.from_rows([[bos, *observations[index]] for index in short], pad, device)
    rows = reply_ids(tokenizer, [f" {text}" for index in short for text in failures[index].reflections])
    width = max(map(len, rows))
    tokens_NT = torch.tensor([row + [pad] * (width - len(row)) for row in rows], device=device)
    mask_NT = torch.tensor([[True] * len(row) + [False] * (width - len(row)) for row in rows], device=device)

    packed = pack(prompts, tokens_NT, mask_NT)
    last, total = packed.prompt_width - 1, packed.ids_PL.shape[1]
    some = (torch.rand(last, generator=generator) < config.prompt_share).nonzero()[:, 0].to(device)
    logits_PCV = model(
        packed.ids_PL,
        attention_mask=packed.mask(model.dtype),
        position_ids=packed.positions_PL,
        logits_to_keep=torch.cat([some, torch.arange(last, total, device=device)]),
    ).logits
    prompt_PCV, rest_PCV = logits_PCV.tensor_split([len(some)], 1)
    loss = -packed.unpack(token_logprobs(rest_PCV, packed.next_PCX, 1.0))[mask_NT].mean()
    known_PC = prompts.mask_PS[:, some]
    prompt_loss = functional.cross_entropy(prompt_PCV[known_PC], prompts.ids_PS[:, some + 1][known_PC], reduction="sum")
    return loss, loss + config.prompt_weight * prompt_loss / max(1, int(known_PC.sum()))


def play_loss(model: Any, tokenizer: Any, trials: Sequence[Played], longest: int) -> Tensor:
    """Returns the mean negative log-likelihood of the tokens that the actor wrote, the end of each turn included.

    All turns of a trial are learned in one row, because each turn's prompt is the beginning of the next one's. Trials
    of more than ``longest`` tokens are left out.
    """
    encoded = encode_trials(tokenizer, trials)
    rows = [encoded[index] for index in _short([ids for ids, _ in encoded], longest)]
    width = max(len(ids) for ids, _ in rows)
    # Padding follows the tokens, so that no token attends to it.
    ids_BL = torch.tensor([ids + [tokenizer.pad_token_id] * (width - len(ids)) for ids, _ in rows]).to(model.device)
    targets_BL = torch.tensor([targets + [_UNLEARNED] * (width - len(targets)) for _, targets in rows]).to(model.device)
    learned_BL = targets_BL != _UNLEARNED
    hidden_BLD = model.model(ids_BL).last_hidden_state
    return functional.cross_entropy(model.lm_head(hidden_BLD[learned_BL]), targets_BL[learned_BL])


def encode_trials(tokenizer: Any, trials: Sequence[Played]) -> list[tuple[list[int], list[int]]]:
    """Returns the tokens of each trial, and what each of them predicts in the loss.

    The last token of a turn's reply predicts the end token, which later prompts do not hold: the text goes on there.
    """
    openings = _ids(tokenizer, [trial.opening for trial in trials])
    replies = iter(reply_ids(tokenizer, [said for trial in trials for said, _ in trial.turns]))
    texts = iter(_ids(tokenizer, [then for trial in trials for _, then in trial.turns]))
    encoded: list[tuple[list[int], list[int]]] = []
    for trial, ids in zip(trials, openings, strict=True):
        targets = [_UNLEARNED] * len(ids)
        for _ in trial.turns:
            reply, between = next(replies), next(texts)
            targets[-1] = reply[0]
            ids += [*reply[:-1], *between]
            targets += [*reply[1:], *[_UNLEARNED] * len(between)]
        encoded.append((ids, targets))
    return encoded


def _ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Tokenizes the texts in one call, which takes a fraction of the time of many."""
    return [list(ids) for ids in tokenizer(list(texts))["input_ids"]] if texts else []


def _short(rows: Sequence[Sequence[int]], longest: int) -> list[int]:
    """Returns the numbers of the rows that are not too long, or of the shortest row."""
    return [index for index, row in enumerate(rows) if len(row) <= longest] or [
        min(range(len(rows)), key=lambda index: len(rows[index]))
    ]
