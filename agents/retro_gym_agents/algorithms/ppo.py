"""PPO: several clipped gradient steps per batch, with tokens as actions.

Schulman et al. 2017 (arXiv 1707.06347), as used on language models since InstructGPT: a state is the prompt and the
tokens so far, an action is a token. Each token has a KL penalty relative to the policy at the start of RL as its
reward, −β (log π_old − log π_ref); the last token of a reflection also gets the environment's reward. The expected sum
over a reflection's tokens is the mean reward minus β times the KL divergence of whole reflections. With γ = λ = 1 the
first step of a batch follows the gradient of exactly this objective, whatever the values are.

Kept from the paper: the clipped ratio per token, generalised advantage estimation with a learned value function,
several epochs of minibatches, clipped gradients.

Different: the value head reads the policy's last hidden state without a gradient into it, so that the value loss cannot
disturb the adapter's few weights. It has its own learning rate, so the loss needs no coefficient between the two terms.
Advantages are not normalised by default. There is no entropy bonus and no value clipping: neither is needed here. The
old policy's log-probabilities and hidden states are kept from sampling, without another forward pass.

How to run it::

    retro-gym train RetroHotpotQA-v0 --algo ppo --reflector tiny --output runs/first --seed 0

    train(PPOConfig(output=Path("runs/first")))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from retro_gym.checks import check_whole
from retro_gym.errors import ConfigError
from retro_gym.seeding import derive_seed
from retro_gym_agents.algorithms.advantages import gae, kl_estimate, whiten
from retro_gym_agents.algorithms.optimizer_step import step
from retro_gym_agents.lm.finite import check_finite
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.lm.samples import Samples
from retro_gym_agents.lm.served import check_agreement
from retro_gym_agents.play.rollout import Rollout
from retro_gym_agents.runs.config import TrainConfig
from retro_gym_agents.runs.training import TrainingRun, TrainResult

__all__ = [
    "PPOConfig",
    "Targets",
    "ValueHead",
    "improve",
    "learn",
    "minibatches",
    "ppo_loss",
    "prepare",
    "token_rewards",
    "train",
    "value_loss",
    "whitened",
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PPOConfig(TrainConfig):
    """The settings of a run of PPO."""

    algorithm: ClassVar[str] = "ppo"
    learning_rate: float = 4e-4
    """Learning rate of AdamW for the adapter, without weight decay; lower than REINFORCE's, as batches are reused."""
    value_learning_rate: float = 3e-3
    """Learning rate of AdamW for the value head."""
    epochs: int = 3
    """Passes over each batch."""
    minibatches: int = 2
    """Minibatches per pass, each with a gradient step; the reflections on one failure stay together."""
    clip_ratio: float = 0.2
    """ε: how far the ratio π/π_old of a token may move from 1 before its gradient is clipped to 0."""
    gamma: float = 1.0
    """γ: discount per token."""
    gae_lambda: float = 0.95
    """λ of generalised advantage estimation."""
    whiten_advantages: bool = False
    """Whether advantages are normalised within the batch, as in many implementations. This amplifies noise when almost
    all rewards are equal: on RetroIdentity-v0 one run in six fell back from 0.95."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(1, epochs=self.epochs, minibatches=self.minibatches)
        for name in ("clip_ratio", "value_learning_rate"):
            self._check_size(name)
        for name in ("gamma", "gae_lambda"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must lie between 0 and 1.")


class ValueHead(nn.Module):
    """Predicts the return of a state from the policy's last hidden state. Its initial output is 0.

    Args:
        hidden_size: D.
        seed: seed of the initial weights.
    """

    def __init__(self, hidden_size: int, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "value head"))
            self.inner = nn.Linear(hidden_size, hidden_size)
            self.outer = nn.Linear(hidden_size, 1)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, hidden_NTD: Tensor) -> Tensor:
        """Returns values (N, T), float32, without a gradient to the hidden states."""
        inner_NTD = torch.tanh(self.inner(hidden_NTD.detach().float()))
        values_NT: Tensor = self.outer(inner_NTD)[..., 0]
        return values_NT


@dataclasses.dataclass(frozen=True)
class Targets:
    """Samples of one round with the quantities that stay fixed during all epochs."""

    samples: Samples
    mask_NT: Tensor
    """Sampled tokens of valid samples: those on which the actor did not fail."""
    advantages_NT: Tensor
    returns_NT: Tensor

    def select(self, prompts: Sequence[int]) -> Targets:
        """Returns the targets of some of the prompts."""
        rows, samples = self.samples.rows_of(prompts), self.samples.select(prompts)
        width = samples.mask_NT.shape[1]
        parts = (part[rows, :width] for part in (self.mask_NT, self.advantages_NT, self.returns_NT))
        return Targets(samples, *parts)


def token_rewards(
    rewards_N: Tensor, logprobs_NT: Tensor, reference_NT: Tensor, mask_NT: Tensor, *, kl_coef: float
) -> Tensor:
    """Returns token rewards: −β (log π_old − log π_ref) each, plus the reflection's reward on its last token."""
    rewards_NT = (-kl_coef * (logprobs_NT - reference_NT)).where(mask_NT, 0.0)
    last_N = mask_NT.sum(-1) - 1
    return rewards_NT.scatter_add(1, last_N[:, None], rewards_N[:, None])


def ppo_loss(
    logprobs_NT: Tensor, old_NT: Tensor, advantages_NT: Tensor, mask_NT: Tensor, *, clip_ratio: float
) -> tuple[Tensor, Tensor]:
    """Returns the clipped surrogate −min(ρ A, clip(ρ, 1 − ε, 1 + ε) A) with ρ = π/π_old, summed over the tokens.

    Returns:
        The loss, and the number of clipped tokens, which have no gradient.
    """
    ratio_NT = (logprobs_NT - old_NT).where(mask_NT, 0.0).exp()
    free_NT = ratio_NT * advantages_NT
    clipped_NT = ratio_NT.clamp(1 - clip_ratio, 1 + clip_ratio) * advantages_NT
    loss = -torch.minimum(free_NT, clipped_NT).where(mask_NT, 0.0).sum()
    return loss, (clipped_NT < free_NT).logical_and(mask_NT).sum()


def value_loss(values_NT: Tensor, returns_NT: Tensor, mask_NT: Tensor) -> Tensor:
    """Returns half the squared error of the values, summed over the tokens."""
    return 0.5 * (values_NT - returns_NT).where(mask_NT, 0.0).square().sum()


@torch.no_grad()
def prepare(
    reflector: Reflector, value_head: ValueHead, rollout: Rollout, config: PPOConfig
) -> tuple[list[Targets], float]:
    """Computes advantages and returns of a rollout, with the log-probabilities and hidden states kept from sampling.

    Returns:
        The targets of each round, and the KL in nats per reflection.
    """
    targets, kl = [], 0.0
    for one in rollout.rounds:
        samples = one.samples
        if samples.hidden_NTD is None:
            raise RuntimeError("PPO needs hidden states. Collect the rollout with keep_hidden=True.")
        reference_NT = torch.zeros_like(samples.logprobs_NT)
        for rows, part in samples.parts(config.micro_prompts, config.micro_tokens):
            reference_NT[rows, : part.mask_NT.shape[1]] = reflector.reference_logprobs(part)
        rewards_N = one.rewards_N.to(reference_NT)
        rewards_NT = token_rewards(
            rewards_N, samples.logprobs_NT, reference_NT, samples.mask_NT, kl_coef=config.kl_coef
        )
        estimates = gae(
            rewards_NT, value_head(samples.hidden_NTD), samples.mask_NT, gamma=config.gamma, lam=config.gae_lambda
        )
        valid_NT = samples.mask_NT & one.valid_N[:, None].to(samples.mask_NT.device)
        targets.append(Targets(samples, valid_NT, *estimates))
        kl += kl_estimate(samples.logprobs_NT, reference_NT, samples.mask_NT).item() / len(rollout.valid_N)
    return (whitened(targets) if config.whiten_advantages else targets), kl


def whitened(targets: Sequence[Targets]) -> list[Targets]:
    """Returns the targets with advantages of mean 0 and standard deviation 1 over all rounds."""
    flat = [torch.cat([getattr(one, name).flatten() for one in targets]) for name in ("advantages_NT", "mask_NT")]
    parts = torch.split(whiten(*flat), [one.mask_NT.numel() for one in targets])
    return [
        dataclasses.replace(one, advantages_NT=part.view_as(one.mask_NT))
        for one, part in zip(targets, parts, strict=True)
    ]


def minibatches(targets: Sequence[Targets], config: PPOConfig, seed: int) -> Iterator[list[Targets]]:
    """Yields minibatches in random order, each a list of the parts that share a forward pass."""
    prompts = [(number, prompt) for number, one in enumerate(targets) for prompt in range(one.samples.num_prompts)]
    order = torch.randperm(len(prompts), generator=torch.Generator().manual_seed(seed))
    for part in order.tensor_split(min(config.minibatches, len(prompts))):
        chosen = [prompts[index] for index in part.tolist()]
        passes = []
        for number, one in enumerate(targets):
            here = [prompt for where, prompt in chosen if where == number]
            groups = one.samples.batches(here, config.micro_prompts, config.micro_tokens)
            passes += [one.select(group) for group in groups]
        yield passes


def improve(
    reflector: Reflector,
    value_head: ValueHead,
    optimizer: torch.optim.Optimizer,
    rollout: Rollout,
    config: PPOConfig,
    update: int,
) -> dict[str, float]:
    """Runs all epochs on one rollout; returns mean losses, KL in nats per reflection, norm of the last gradient.

    Raises:
        DivergedError: one of these is not finite. No step was taken with it.
    """
    targets, kl = prepare(reflector, value_head, rollout, config)
    check_finite({"the KL": kl})
    weights = {"adapter": list(reflector.trainable.values()), "value head": list(value_head.parameters())}
    sums = dict.fromkeys(("loss", "value_loss", "clipped"), 0.0)
    norms, steps = dict.fromkeys(weights, 0.0), 0
    for epoch in range(config.epochs):
        for passes in minibatches(targets, config, derive_seed(config.seed, "minibatches", update, epoch)):
            tokens = max(1, sum(int(one.mask_NT.sum()) for one in passes))
            optimizer.zero_grad()
            for one in passes:
                scores = reflector.score(one.samples, keep_hidden=True)
                values_NT = value_head(scores.hidden_NTD)
                old_NT = one.samples.logprobs_NT  # with a server its own, so that the ratio corrects for it as well
                if reflector.server is not None and steps == 0:
                    check_agreement(scores.logprobs_NT, old_NT, one.samples.mask_NT)
                policy, clipped = ppo_loss(
                    scores.logprobs_NT, old_NT, one.advantages_NT, one.mask_NT, clip_ratio=config.clip_ratio
                )
                value = value_loss(values_NT, one.returns_NT, one.mask_NT)
                torch.autograd.backward((policy + value) / tokens)
                for name, figure in (("loss", policy), ("value_loss", value), ("clipped", clipped)):
                    sums[name] += figure.item() / tokens
            check_finite({f"the {name}".replace("_", " "): figure for name, figure in sums.items()})
            norms = step(optimizer, weights, config.max_grad_norm)
            steps += 1
    return {**{name: total / steps for name, total in sums.items()}, "kl": kl, "grad_norm": norms["adapter"]}


def train(config: PPOConfig) -> TrainResult:
    """Trains a reflector by PPO.

    Raises:
        ConfigError: a field has an invalid value, or the folder is not empty.
        CheckpointError: the run to resume was made with other settings.
        ActorError: the actor cannot be reached; the run can be resumed.
        DivergedError: a number is not finite; the run can be resumed from before it, with a lower learning rate.
    """
    with TrainingRun(config) as run:
        return learn(run, config)


def learn(run: TrainingRun, config: PPOConfig) -> TrainResult:
    """Makes all updates of a run, whatever pays its rewards: an environment, or a reward model (``retroformer.py``)."""
    value_head = ValueHead(run.reflector.hidden_size, config.seed).to(run.reflector.device)
    groups = [
        {"params": list(run.reflector.trainable.values()), "lr": config.learning_rate},
        {"params": list(value_head.parameters()), "lr": config.value_learning_rate},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
    for rollout in run.rollouts(optimizer, keep_hidden=True, value_head=value_head):
        run.log(improve(run.reflector, value_head, optimizer, rollout, run.fitted(config), run.update))
    return run.result()
