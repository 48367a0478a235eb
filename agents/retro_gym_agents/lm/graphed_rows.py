"""Sampling K texts for each prompt as CUDA graphs.

On a GPU, where a small model's step is a thousand short kernels and the CPU cannot launch them as fast as they run, the
step is recorded once and then replayed as a whole. :func:`shared_rows` chooses between this layout and the other.

Axes: see :mod:`retro_gym_agents.lm.samples`; V vocabulary, R samples in the batch, C cached columns.
"""

from __future__ import annotations

import warnings
import weakref
from typing import Any

import torch
from torch import Tensor

from retro_gym_agents.lm.attention import additive_mask, attention_dtype
from retro_gym_agents.lm.batching import Prompts
from retro_gym_agents.lm.kv_cache import CACHE, FixedLayer, roomy_cache
from retro_gym_agents.lm.next_token import Step
from retro_gym_agents.lm.shared_rows import SharedRows, last_column, read_prompts
from retro_gym_agents.lm.trying import a_few_tokens, same_numbers

__all__ = ["GraphedRows", "shared_rows", "why_not_recorded"]

_RECORDED = 2  # number of the step that is recorded
_RECORDABLE: weakref.WeakKeyDictionary[torch.nn.Module, bool] = weakref.WeakKeyDictionary()
_WORTH_A_GRAPH = 12  # steps; recording one costs about as much as three


def shared_rows(model: Any, prompts: Prompts, samples: int, limit: int, *, hidden: bool) -> SharedRows | GraphedRows:
    """Returns the layout that suits the model's device; arguments are those of :class:`SharedRows`."""
    suits = prompts.ids_PS.is_cuda and limit >= _WORTH_A_GRAPH and not torch.is_autocast_enabled("cuda")
    layout: type[SharedRows | GraphedRows] = GraphedRows if suits and _can_be_recorded(model) else SharedRows
    return layout(model, prompts, samples, limit, hidden=hidden)


class GraphedRows:
    """A row of the batch for each prompt, with its samples interleaved after it, in buffers of a fixed size.

    Nothing that a step reads or writes moves between steps, so that the second step is recorded, and replayed from then
    on. (The first one runs as usual, since libraries allocate memory when they are first called.) Rows that have ended
    stay in the batch. Where there is no CUDA, every step runs as usual. Arguments are those of
    :class:`~retro_gym_agents.lm.shared_rows.SharedRows`.
    """

    def __init__(self, model: Any, prompts: Prompts, samples: int, limit: int, *, hidden: bool) -> None:
        self._model, self._prompts, self._samples, self._hidden = model, prompts, samples, hidden
        self._limit = limit
        self._steps = 0

    def start(self) -> Step:
        """Evaluates the prompts; returns what predicts the first token."""
        self._cache = roomy_cache(self._model, (self._limit - 1) * self._samples, FixedLayer)
        out = read_prompts(self._model, self._prompts, self._cache, hidden=self._hidden)
        prompts, width = self._prompts.ids_PS.shape
        device = self._prompts.ids_PS.device
        self._columns_K = torch.arange(width, width + self._samples, device=device)
        for layer in self._cache.layers:
            layer.fix(self._columns_K)
        self._token_PK = torch.zeros(prompts, self._samples, dtype=torch.long, device=device)
        self._position_PK = (self._prompts.lengths - 1)[:, None].repeat(1, self._samples)
        self._whole_P1KC = self._whole_mask()
        self._mask_P1KC = self._whole_P1KC.clone()
        self._mask_P1KC[..., width:] = torch.finfo(self._mask_P1KC.dtype).min
        self._graph: torch.cuda.CUDAGraph | None = None
        return last_column(out, self._samples, self._hidden)

    def extend(self, token_R: Tensor) -> Step:
        """Appends a token to every row; returns what predicts the one after it, until the next call."""
        self._token_PK.copy_(token_R.view_as(self._token_PK))
        self._position_PK += 1
        if self._steps:
            self._columns_K += self._samples
        start = self._prompts.ids_PS.shape[1] + self._steps * self._samples
        columns = slice(start, start + self._samples)
        self._mask_P1KC[..., columns] = self._whole_P1KC[..., columns]
        self._steps += 1
        if self._graph is None and self._steps == _RECORDED and token_R.is_cuda:
            self._record()
        if self._graph is None:
            return self._fixed_step()
        self._graph.replay()
        return self._recorded

    def drop(self, running_R: Tensor) -> Tensor:
        """Keeps all rows: without them the step would have to be recorded anew, which takes as long as many steps."""
        return torch.arange(len(running_R), device=running_R.device)

    def _fixed_step(self) -> Step:
        """Evaluates a token of every sample, and writes its keys and values into the cache."""
        out = self._model(
            input_ids=self._token_PK,
            attention_mask=self._mask_P1KC,
            position_ids=self._position_PK,
            use_cache=True,
            output_hidden_states=self._hidden,
            **{CACHE: self._cache},
        )
        rows = self._token_PK.numel()
        return Step(out.logits.reshape(rows, -1), out.hidden_states[-1].reshape(rows, -1) if self._hidden else None)

    def _whole_mask(self) -> Tensor:
        """Returns the additive mask of each sample for the prompt and all future columns."""
        sees_P1S = self._prompts.mask_PS[:, None].expand(-1, self._samples, -1)
        own_KK = torch.eye(self._samples, dtype=torch.bool, device=sees_P1S.device).repeat(1, self._limit - 1)
        sees_PKC = torch.cat([sees_P1S, own_KK.expand(len(sees_P1S), -1, -1)], -1)
        return additive_mask(sees_PKC, attention_dtype(self._model))

    def _record(self) -> None:
        """Records the step, which does not run it."""
        graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.Stream(self._token_PK.device)  # type: ignore[no-untyped-call] # torch has no types here
        torch.cuda.synchronize(self._token_PK.device)
        with torch.cuda.stream(stream):
            graph.capture_begin(capture_error_mode="thread_local")  # actors may use the device in other threads
            try:
                self._recorded = self._fixed_step()
            finally:
                graph.capture_end()
        self._graph = graph


@torch.no_grad()
def why_not_recorded(model: Any, layout: type[GraphedRows] = GraphedRows) -> str | None:
    """Returns why a model's steps cannot be recorded; None if they give the same logits as steps that run as usual.

    Args:
        model: a causal LM of transformers with full attention.
        layout: the layout that is compared with :class:`SharedRows`.
    """
    device = model.get_input_embeddings().weight.device
    some = a_few_tokens(model, 20)
    steps_T4 = torch.tensor(some[:16], device=device).view(4, 4)

    def logits(kind: type[SharedRows | GraphedRows]) -> Tensor:
        rows = kind(model, Prompts.from_rows([some[:5], some[5:8]], 0, device), 2, len(steps_T4) + 1, hidden=False)
        return torch.stack([rows.start().logits, *(rows.extend(token_R).logits.clone() for token_R in steps_T4)])

    usual = logits(SharedRows)
    try:
        recorded = logits(layout)
    except RuntimeError as error:  # the model waits for the device, or allocates memory outside torch
        return f"recording fails: {error}"
    if not same_numbers(model, usual, recorded):
        return f"its recorded steps give other logits: they differ by {float((usual - recorded).abs().max()):.2g}"
    return None


def _can_be_recorded(model: Any) -> bool:
    if model not in _RECORDABLE:
        reason = why_not_recorded(model)
        _RECORDABLE[model] = reason is None
        if reason is not None:
            warnings.warn(f"{type(model).__name__} is sampled from without CUDA graphs: {reason}.", stacklevel=3)
    return _RECORDABLE[model]
