"""The reflector as a policy of Stable-Baselines3, whose unmodified PPO and A2C train the LoRA adapter.

Example::

    reflector = Reflector.load("tiny")  # for its tokenizer
    failures = gym.make_vec("RetroHotpotQA-v0", num_envs=32, max_reflections=1)
    env = TokenVecEnv(TokenVectorEnv(failures, reflector.tokenizer, **token_options(reflector)))
    settings = {"n_steps": 96, "batch_size": 32 * 96, "n_epochs": 4, "learning_rate": 1e-3}
    model = PPO(LoraCausalPolicy, env, policy_kwargs={"reflector": "tiny"}, gamma=1.0, gae_lambda=1.0, **settings)
    model.learn(20 * 32 * 96)
    model.policy.reflector.save("adapter")

Set ``gamma=1.0`` for PPO: the reward comes with a reflection's last token and should not be discounted by its length.
Any vector environment of Stable-Baselines3 that consists of ``TokenEnv`` works; ``TokenVecEnv`` plays trials in
parallel.

A step costs one token, not the whole prompt: keys and values of every environment are cached between steps until the
weights change (:mod:`retro_gym_agents.lm.prefixes`). In the update, the observations of a minibatch that belong to one
reflection are evaluated in one pass. Large minibatches gain most; the best is ``batch_size = n_steps * n_envs``.

**Saving.** ``model.save(path)`` writes a zip file. If the reflector was given by name, it holds settings, adapter and
value head; a reflector given as an object would be pickled with its base model. ``PPO.load`` unpickles the file, which
can execute arbitrary code, so use it only for files that you trust. For other files, create the model anew and load
only the weights: ``PPO(LoraCausalPolicy, env, policy_kwargs=…).set_parameters(path)`` does not unpickle. Or share the
adapter: ``model.policy.reflector.save(folder)`` writes peft's format, and the folder can be given as a reflector.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from retro_gym.actors.loading import context_of
from retro_gym.actors.token_rows import pick
from retro_gym.errors import ConfigError, MissingExtraError, one_line
from retro_gym_agents.algorithms.ppo import ValueHead
from retro_gym_agents.lm.adapters import LoraSettings
from retro_gym_agents.lm.prefixes import CausalModel, IncrementalReader, NextToken, Row, read_plain
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.lm.token_reader import TokenReader, next_logprobs, rows_of

try:
    from stable_baselines3.common.distributions import CategoricalDistribution, Distribution
    from stable_baselines3.common.policies import ActorCriticPolicy
except ImportError as error:
    raise MissingExtraError("stable_baselines3", "sb3") from error

__all__ = ["LoraCausalPolicy"]

_Observation: TypeAlias = Tensor | Mapping[str, Tensor]


class LoraCausalPolicy(ActorCriticPolicy):
    """A reflector with a value head: ``PPO(LoraCausalPolicy, env, policy_kwargs={"reflector": …})``.

    The environment is a :class:`~retro_gym.TokenEnv` or a :class:`~retro_gym.ReflectionEnv`, with either observation
    and either padding. The value is computed from the detached last hidden state. Only adapter and value head are
    parameters of this module, which are trained, clipped and saved. The model stays in evaluation mode, without
    dropout, because the probabilities in the update must equal those in sampling.

    Args:
        observation_space: observation space of the environment.
        action_space: action space of the environment.
        lr_schedule: learning rate schedule.
        use_sde: must be False; it applies to continuous actions.
        reflector: a name or a folder, see :meth:`Reflector.load`; or a reflector.
        reflector_kwargs: further arguments of :meth:`Reflector.load`, where ``lora`` may be a dict.
        incremental: False evaluates every observation from its first token, without a cache; the results are the same.
        optimizer_class: Adam by default.
        optimizer_kwargs: arguments of the optimiser, without the learning rate.

    Raises:
        ConfigError: the spaces are not those of a token view, or exceed the model's vocabulary or context window, or an
            argument is invalid.
    """

    reflector: Reflector

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Callable[[float], float],
        use_sde: bool = False,
        *,
        reflector: str | Reflector,
        reflector_kwargs: Mapping[str, Any] | None = None,
        incremental: bool = True,
        optimizer_class: type[torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
    ) -> None:
        _check_spaces(observation_space, action_space)
        if use_sde:
            raise ConfigError("use_sde is True; state-dependent exploration is for continuous actions, not for tokens.")
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            net_arch=[],
            ortho_init=False,
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
        )
        self._given = {"reflector": reflector, "reflector_kwargs": reflector_kwargs, "incremental": incremental}
        self.incremental = incremental
        self.reflector = reflector if isinstance(reflector, Reflector) else _load(str(reflector), reflector_kwargs)
        if not self.reflector.trainable:
            raise ConfigError("this reflector has no adapter, so there is nothing to train. Load it with lora=….")
        # The same parameters under names without dots, which torch reserves for submodules. The base model is no
        # submodule, so its weights are neither trained nor saved.
        self.adapter = nn.ParameterDict(
            {name.replace(".", "/"): weight for name, weight in self.reflector.trainable.items()}
        )
        self.value_head = ValueHead(self.reflector.hidden_size).to(self.reflector.device)
        self._model = CausalModel(self.reflector.model)
        self._check_sizes()
        self._reader = TokenReader(
            self._model, self.adapter.values(), self._width, most_rows=sys.maxsize, incremental=incremental
        )
        self.optimizer = optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]

    # -- interface of Stable-Baselines3 ------------------------------------------------------------------------------

    def forward(self, obs: _Observation, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Returns actions (B) or (B, T), values (B, 1) and log-probabilities (B)."""
        rows = rows_of(obs)[0]
        if self.tokens_per_action is not None:
            return self._write(rows, self.tokens_per_action, deterministic)
        next_token = self._reader.read(rows)
        logprobs_BV = self._logprobs(next_token)
        action_B = _choose(logprobs_BV, deterministic)
        return action_B, self._values(next_token), logprobs_BV.gather(-1, action_B[:, None])[:, 0]

    def evaluate_actions(self, obs: _Observation, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns values (B, 1), log-probabilities (B) and entropies (B, in nats; summed over a whole reflection)."""
        rows = rows_of(obs)[0]
        if self.tokens_per_action is None:
            next_token = self._reader.reread(rows)
            logprobs_BV = self._logprobs(next_token)
            logprob_B = logprobs_BV.gather(-1, actions.long().view(-1, 1))[:, 0]
            return self._values(next_token), logprob_B, _entropy(logprobs_BV)
        return self._evaluate_reflections(rows, actions.long().view(len(rows), -1).cpu().numpy())

    def get_distribution(self, obs: _Observation) -> Distribution:
        """Returns the distribution of the next token.

        Raises:
            ConfigError: an action is a whole reflection, whose later tokens depend on the earlier ones.
        """
        if self.tokens_per_action is not None:
            raise ConfigError("a whole reflection has no distribution token by token; use forward or evaluate_actions.")
        logprobs_BV = self._logprobs(self._reader.read(rows_of(obs)[0]))
        return CategoricalDistribution(logprobs_BV.shape[-1]).proba_distribution(logprobs_BV)

    def predict_values(self, obs: _Observation) -> Tensor:
        """Returns values (B, 1)."""
        return self._values(self._reader.read(rows_of(obs)[0]))

    def _predict(self, observation: Any, deterministic: bool = False) -> Tensor:
        return self.forward(observation, deterministic)[0]

    def set_training_mode(self, mode: bool) -> None:
        """Clears the caches when training begins, because weights will change; has no other effect."""
        super().set_training_mode(mode)
        if mode:
            self._reader.clear()

    def _build(self, lr_schedule: Callable[[float], float]) -> None:
        """Does nothing: the networks that Stable-Baselines3 would build are not needed."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> LoraCausalPolicy:
        """Also moves the base model, whose weights are not parameters of this module."""
        self.reflector.model._apply(fn)
        self._reader.clear()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def _get_constructor_parameters(self) -> dict[str, Any]:
        if isinstance(self._given["reflector"], Reflector):
            raise ConfigError(
                "this policy was given a reflector, not its name, so it cannot be saved by Stable-Baselines3 without "
                "pickling the model. Save the adapter (policy.reflector.save(folder)) and give the folder's name."
            )
        spaces_ = {"observation_space": self.observation_space, "action_space": self.action_space}
        return {**spaces_, "lr_schedule": self._dummy_schedule, **self._given}

    # -- forward passes ----------------------------------------------------------------------------------------------

    @property
    def tokens_per_action(self) -> int | None:
        """T if an action is a whole reflection, None if it is a token."""
        return len(self.action_space.nvec) if isinstance(self.action_space, spaces.MultiDiscrete) else None

    @property
    def num_tokens(self) -> int:
        """V: the number of token ids that may be chosen."""
        space = self.action_space
        return int(space.nvec[0] if isinstance(space, spaces.MultiDiscrete) else space.n)  # type: ignore[attr-defined]

    def _logprobs(self, next_token: NextToken) -> Tensor:
        return next_logprobs(next_token, self.reflector.sampling.temperature, self.num_tokens)

    def _values(self, next_token: NextToken) -> Tensor:
        values_B1: Tensor = self.value_head(next_token.hidden_BD)[:, None]
        return values_B1

    @property
    def _width(self) -> int:
        """Maximum length of a row."""
        space = self.observation_space
        shape = space["ids"].shape if isinstance(space, spaces.Dict) else space.shape
        assert shape is not None
        return int(shape[0]) + (self.tokens_per_action or 1) - 1

    def _check_sizes(self) -> None:
        vocabulary = int(self._model.head.weight.shape[0])
        if self.num_tokens > vocabulary:
            raise ConfigError(
                f"the environment has {self.num_tokens} tokens to choose from, the model only {vocabulary}. Make the "
                "environment with the reflector's tokenizer and token_options(reflector)."
            )
        context = context_of(self.reflector.model)
        if context is not None and self._width > context:
            raise ConfigError(
                f"an observation has up to {self._width} tokens, but the model's context only {context}. Make the "
                "environment with a smaller max_prompt_tokens, or with token_options(reflector)."
            )

    # -- whole reflections as actions --------------------------------------------------------------------------------

    def _write(self, rows: list[Row], length: int, deterministic: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Samples a reflection after each row."""
        device, ends = self._model.device, torch.tensor(self.reflector.sampling.end_ids, device=self._model.device)
        reader = IncrementalReader(self._model, len(rows), self._width) if self.incremental else None
        logprob_B = torch.zeros(len(rows), device=device)
        running_B = torch.ones(len(rows), dtype=torch.bool, device=device)
        tokens: list[Tensor] = []
        values_B1: Tensor | None = None
        for _ in range(length):
            next_token = read_plain(self._model, rows) if reader is None else reader.read(rows)
            values_B1 = self._values(next_token) if values_B1 is None else values_B1
            logprobs_BV = self._logprobs(next_token)
            token_B = _choose(logprobs_BV, deterministic).where(running_B, self.reflector.sampling.pad_id)
            logprob_B = logprob_B + logprobs_BV.gather(-1, token_B[:, None])[:, 0].where(running_B, 0.0)
            tokens.append(token_B)
            running_B = running_B & ~torch.isin(token_B, ends)
            if not running_B.any():
                break
            rows = [np.append(row, token) for row, token in zip(rows, token_B.tolist(), strict=True)]
        assert values_B1 is not None
        tokens += [torch.full_like(tokens[0], self.reflector.sampling.pad_id)] * (length - len(tokens))
        return torch.stack(tokens, 1), values_B1, logprob_B

    def _evaluate_reflections(self, prompts: list[Row], actions_BT: Row) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the results of :meth:`evaluate_actions` if each action is a whole reflection."""
        ends = self.reflector.sampling.end_ids
        rows: list[Row] = []
        tokens: list[int] = []
        owner: list[int] = []  # which reflection a row belongs to
        for number, (prompt, action_T) in enumerate(zip(prompts, actions_BT, strict=True)):
            ended = np.flatnonzero(np.isin(action_T, ends))
            written = action_T[: ended[0] + 1] if len(ended) else action_T
            rows += [np.concatenate([prompt, written[:t]]) for t in range(len(written))]
            tokens += written.tolist()
            owner += [number] * len(written)
        next_token = self._reader.reread(rows)
        logprobs_NV = self._logprobs(next_token)
        token_N = torch.tensor(tokens, device=logprobs_NV.device)
        owner_N = torch.tensor(owner, device=logprobs_NV.device)
        zeros_B = logprobs_NV.new_zeros(len(prompts))
        logprob_B = zeros_B.index_add(0, owner_N, logprobs_NV.gather(-1, token_N[:, None])[:, 0])
        first_B = torch.tensor([owner.index(number) for number in range(len(prompts))], device=owner_N.device)
        values_B1 = self._values(NextToken(next_token.logits_BV[first_B], next_token.hidden_BD[first_B]))
        return values_B1, logprob_B, zeros_B.index_add(0, owner_N, _entropy(logprobs_NV))


def _load(name: str, kwargs: Mapping[str, Any] | None) -> Reflector:
    options = dict(kwargs or {})
    if isinstance(options.get("lora"), Mapping):
        options["lora"] = LoraSettings(**options["lora"])
    return Reflector.load(name, **options)


def _check_spaces(observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> None:
    """Checks that the spaces are those of a token view."""
    ids: Any = observation_space
    if isinstance(ids, spaces.Dict) and set(ids.spaces) == {"ids", "mask"}:
        ids = ids["ids"]
    shown = isinstance(ids, spaces.Box) and ids.dtype == np.int64 and len(ids.shape) == 1
    chosen = (isinstance(action_space, spaces.Discrete) and action_space.start == 0) or (
        isinstance(action_space, spaces.MultiDiscrete)
        and action_space.nvec.ndim == 1
        and len(set(action_space.nvec.tolist())) == 1
    )
    if not (shown and chosen):
        raise ConfigError(
            "LoraCausalPolicy plays TokenEnv and ReflectionEnv; received the spaces "
            f"{one_line(observation_space)} and {one_line(action_space)}. Wrap the environment: "
            "TokenEnv(env, reflector.tokenizer, **token_options(reflector))."
        )


def _choose(logprobs_BV: Tensor, deterministic: bool) -> Tensor:
    """Returns the most likely token (B), or one sampled with torch's generator."""
    if deterministic:
        return logprobs_BV.argmax(-1)
    uniform_B = torch.rand(len(logprobs_BV), dtype=torch.float64).to(logprobs_BV.device)
    return pick(logprobs_BV.detach().exp(), uniform_B)


def _entropy(logprobs_BV: Tensor) -> Tensor:
    return -(logprobs_BV.exp() * logprobs_BV.clamp(min=torch.finfo(logprobs_BV.dtype).min)).sum(-1)
