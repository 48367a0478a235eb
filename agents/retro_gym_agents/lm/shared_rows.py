"""Sampling K texts for each prompt in one row of the batch: the prompt's keys and values are stored once.

:class:`SharedRows` appends K columns to the cache in each step. :class:`GraphedRows` does the same in buffers of a
fixed size: on a GPU, where a small model's step is a thousand short kernels and the CPU cannot launch them as fast as
they run, the step is recorded once as a CUDA graph and then replayed as a whole.

Axes: see :mod:`retro_gym_agents.lm.samples`; V vocabulary, R samples in the batch, C cached columns.
"""

from __future__ import annotations

import warnings
import weakref
from typing import Any, TypeAlias

import torch
from torch import Tensor

from retro_gym_agents.lm.attention import additive_mask, attention_dtype
from retro_gym_agents.lm.batching import Prompts
from retro_gym_agents.lm.kv_cache import CACHE, FixedLayer, RoomyLayer, roomy_cache
from retro_gym_agents.lm.trying import a_few_tokens, same_numbers

__all__ = ["GraphedRows", "SharedRows", "last_column", "read_prompts", "shared_rows", "why_not_recorded"]

_Step: TypeAlias = tuple[Tensor, Tensor | None]
"""Logits (R, V) and hidden states (R, D)."""

_RECORDED = 2  # number of the step that is recorded
_RECORDABLE: weakref.WeakKeyDictionary[torch.nn.Module, bool] = weakref.WeakKeyDictionary()
_WORTH_A_GRAPH = 12  # steps; recording one costs about as much as three


def shared_rows(model: Any, prompts: Prompts, samples: int, limit: int, *, hidden: bool) -> SharedRows:
    """Returns the layout that suits the model's device; arguments are those of :class:`SharedRows`."""
    suits = prompts.ids_PS.is_cuda and limit >= _WORTH_A_GRAPH and not torch.is_autocast_enabled("cuda")
    layout = GraphedRows if suits and _can_be_recorded(model) else SharedRows
    return layout(model, prompts, samples, limit, hidden=hidden)


class SharedRows:
    """The shared layout: a row of the batch for each prompt, with the prompt's samples interleaved after it.

    Args:
        model: a causal LM of transformers with full attention.
        prompts: P prompts.
        samples: K.
        limit: maximum number of tokens of a sample.
        hidden: whether to return hidden states.
    """

    _layers: type[RoomyLayer] = RoomyLayer

    def __init__(self, model: Any, prompts: Prompts, samples: int, limit: int, *, hidden: bool) -> None:
        self._model, self._prompts, self._samples, self._hidden = model, prompts, samples, hidden
        self._limit = limit
        self._steps = 0
        self._positions = prompts.lengths
        self._mask_P1KC = self._whole_mask()

    def start(self) -> _Step:
        """Evaluates the prompts; returns logits (R, V) and hidden states (R, D) that predict the first token."""
        self._cache = roomy_cache(self._model, (self._limit - 1) * self._samples, self._layers)
        out = read_prompts(self._model, self._prompts, self._cache, hidden=self._hidden)
        return last_column(out, self._samples, self._hidden)

    def extend(self, token_R: Tensor) -> _Step:
        """Appends a token to every row; returns logits (R, V) and hidden states (R, D) after it."""
        prompts, width = self._prompts.ids_PS.shape
        self._steps += 1
        return self._step(
            token_R.view(prompts, self._samples),
            self._mask_P1KC[..., : width + self._steps * self._samples],
            (self._positions + self._steps - 1)[:, None].expand(-1, self._samples),
        )

    def _step(self, token_PK: Tensor, mask_P1KC: Tensor, position_PK: Tensor) -> _Step:
        """Evaluates a token of every sample, and appends its keys and values to the cache."""
        out = self._model(
            input_ids=token_PK,
            attention_mask=mask_P1KC,
            position_ids=position_PK,
            use_cache=True,
            output_hidden_states=self._hidden,
            **{CACHE: self._cache},
        )
        rows = token_PK.numel()
        return out.logits.reshape(rows, -1), out.hidden_states[-1].reshape(rows, -1) if self._hidden else None

    def drop(self, running_R: Tensor) -> Tensor:
        """Keeps prompts with running samples; each keeps as many samples as the prompt with most running ones."""
        running_PK = running_R.view(-1, self._samples)
        kept_P = running_PK.any(-1).nonzero()[:, 0]
        samples = int(running_PK.sum(-1).max())
        order_PK = running_PK[kept_P].int().argsort(dim=-1, descending=True, stable=True)[:, :samples]
        kept_PK, _ = order_PK.sort(-1)
        rows_R = (kept_P[:, None] * self._samples + kept_PK).flatten()
        width = self._prompts.ids_PS.shape[1]
        steps_T1 = torch.arange(self._steps, device=running_R.device)[:, None]
        own_PC = width + (steps_T1 * self._samples + kept_PK[:, None]).flatten(1)
        prompt_PS = torch.arange(width, device=running_R.device).expand(len(kept_P), -1)
        columns_PC = torch.cat([prompt_PS, own_PC], -1)
        for layer in self._cache.layers:
            layer.keep(kept_P, columns_PC, (self._limit - 1 - self._steps) * samples)
        self._prompts = Prompts(self._prompts.ids_PS[kept_P], self._prompts.mask_PS[kept_P])
        self._positions, self._samples = self._positions[kept_P], samples
        self._mask_P1KC = self._whole_mask()
        return rows_R

    def _whole_mask(self) -> Tensor:
        """Returns the additive mask of each sample for the prompt and all future columns."""
        sees_P1S = self._prompts.mask_PS[:, None].expand(-1, self._samples, -1)
        own_KK = torch.eye(self._samples, dtype=torch.bool, device=sees_P1S.device).repeat(1, self._limit)
        sees_PKC = torch.cat([sees_P1S, own_KK.expand(len(sees_P1S), -1, -1)], -1)
        return additive_mask(sees_PKC, attention_dtype(self._model))


class GraphedRows(SharedRows):
    """The same layout in buffers of a fixed size, in which each step writes its own columns.

    Nothing that a step reads or writes moves between steps, so that the second step is recorded, and replayed from then
    on. (The first one runs as usual, since libraries allocate memory when they are first called.) Rows that have ended
    stay in the batch. Where there is no CUDA, every step runs as usual.
    """

    _layers = FixedLayer

    def start(self) -> _Step:
        """Evaluates the prompts; returns logits (R, V) and hidden states (R, D) that predict the first token."""
        first = super().start()
        prompts, width = self._prompts.ids_PS.shape
        device = self._prompts.ids_PS.device
        self._columns_K = torch.arange(width, width + self._samples, device=device)
        for layer in self._cache.layers:
            layer.fix(self._columns_K)
        self._token_PK = torch.zeros(prompts, self._samples, dtype=torch.long, device=device)
        self._position_PK = (self._positions - 1)[:, None].repeat(1, self._samples)
        self._whole_P1KC = self._mask_P1KC[..., : width + (self._limit - 1) * self._samples]
        self._mask_P1KC = self._whole_P1KC.clone()
        self._mask_P1KC[..., width:] = torch.finfo(self._mask_P1KC.dtype).min
        self._graph: torch.cuda.CUDAGraph | None = None
        return first

    def extend(self, token_R: Tensor) -> _Step:
        """Appends a token to every row; returns logits (R, V) and hidden states (R, D), until the next call."""
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

    def _fixed_step(self) -> _Step:
        return self._step(self._token_PK, self._mask_P1KC, self._position_PK)

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
def why_not_recorded(model: Any, layout: type[SharedRows] = GraphedRows) -> str | None:
    """Returns why a model's steps cannot be recorded; None if they give the same logits as steps that run as usual.

    Args:
        model: a causal LM of transformers with full attention.
        layout: the layout that is compared with :class:`SharedRows`.
    """
    device = model.get_input_embeddings().weight.device
    some = a_few_tokens(model, 20)
    steps_T4 = torch.tensor(some[:16], device=device).view(4, 4)

    def logits(kind: type[SharedRows]) -> Tensor:
        rows = kind(model, Prompts.from_rows([some[:5], some[5:8]], 0, device), 2, len(steps_T4) + 1, hidden=False)
        return torch.stack([rows.start()[0], *(rows.extend(token_R)[0].clone() for token_R in steps_T4)])

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


def last_column(out: Any, samples: int, hidden: bool) -> _Step:
    """Returns logits and hidden states of the last column, for every sample."""
    logits_RV = out.logits[:, -1].repeat_interleave(samples, 0)
    return logits_RV, out.hidden_states[-1][:, -1].repeat_interleave(samples, 0) if hidden else None
