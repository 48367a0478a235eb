"""The reflector as the network of any token-level learner: log-probabilities of the next token, and a value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from retro_gym.errors import ConfigError
from retro_gym_agents.algorithms.ppo import ValueHead
from retro_gym_agents.lm.prefixes import CausalModel, NextToken, Row, read_shared
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.lm.token_reader import Observation, TokenReader, next_logprobs, rows_of

__all__ = ["TokenPolicy"]


class TokenPolicy(nn.Module):
    """A reflector as a policy over tokens, with a value head, for the learner of your choice.

    ::

        policy = TokenPolicy(Reflector.load("tiny"))
        logprobs_BV, values_B = policy(observation)  # of TokenEnv or TokenVectorEnv, as arrays or tensors

    Its parameters are the adapter and the value head, and nothing else: an optimiser of ``policy.parameters()`` leaves
    the base model alone, and ``state_dict`` is small. ``policy.reflector.save(folder)`` writes the adapter as
    ``retro-gym evaluate`` reads it. The model stays in evaluation mode, without dropout, because the probabilities in
    an update must equal those in sampling.

    It is fast in both of a learner's phases. Without gradients, keys and values are kept between calls, so that a step
    of ``num_envs`` episodes costs one token each. With gradients, the rows of a minibatch that are prefixes of others
    are read in one pass: give minibatches that hold whole reflections, best the whole rollout. The caches are dropped
    when the weights change; after ``weight.data`` was written to by a very small amount, call :meth:`clear_cache`.

    Args:
        reflector: a reflector with an adapter.
        cached_rows: batches of more rows are read without caches, which take memory for each row. At least the number
            of environments.

    Raises:
        ConfigError: the reflector has no adapter.
    """

    def __init__(self, reflector: Reflector, *, cached_rows: int = 64) -> None:
        super().__init__()
        if not reflector.trainable:
            raise ConfigError("this reflector has no adapter, so there is nothing to train. Load it with lora=….")
        self.reflector = reflector
        # The same parameters under names without dots, which torch reserves for submodules. The base model is no
        # submodule, so its weights are neither trained nor saved.
        self.adapter = nn.ParameterDict(
            {name.replace(".", "/"): weight for name, weight in reflector.trainable.items()}
        )
        self.value_head = ValueHead(reflector.hidden_size).to(reflector.device)
        self._model = CausalModel(reflector.model)
        self._cached_rows = cached_rows
        self._reader: TokenReader | None = None

    @property
    def num_tokens(self) -> int:
        """V: the number of tokens that it predicts, ``vocab_size`` of ``token_options(reflector)``."""
        return int(self._model.head.weight.shape[0])

    def forward(self, observation: Observation) -> tuple[Tensor, Tensor]:
        """Returns the next token's log-probabilities (…, V) at the reflector's temperature, and values (…), float32.

        Args:
            observation: ids (…, W) with −1 as padding, or a mapping of ``ids`` and ``mask``: arrays or tensors, also of
                floats. The axes before W may be any.

        Raises:
            ConfigError: it is no observation of a token view.
            DivergedError: the log-probabilities are not numbers.
        """
        rows, axes, width = rows_of(observation)
        if self._reader is None or self._reader.width < width:
            self._reader = TokenReader(self._model, self.adapter.values(), width, most_rows=self._cached_rows)
        next_token = self._reader.read(rows)
        logprobs_BV = next_logprobs(next_token, self.reflector.sampling.temperature, self.num_tokens)
        values_B: Tensor = self.value_head(next_token.hidden_BD)
        return logprobs_BV.reshape(*axes, -1), values_B.reshape(axes)

    def read(self, rows: Sequence[Row]) -> NextToken:
        """Returns logits (B, V) and last hidden states (B, D) after rows of token ids, arrays without padding.

        For heads and losses of your own; differentiable, and without a cache.
        """
        return read_shared(self._model, rows)

    def clear_cache(self) -> None:
        """Drops keys and values that are kept between calls."""
        self._reader = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_reader": None}

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> TokenPolicy:
        """Also moves the base model, whose weights are not parameters of this module."""
        self.reflector.model._apply(fn)
        self.clear_cache()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self
