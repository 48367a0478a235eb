"""REINFORCE with a leave-one-out baseline: policy gradient on whole reflections.

Williams 1992, with the baseline of RLOO (arXiv 2402.14740): K reflections are sampled on each failure, and the baseline
of each is the mean reward of the K - 1 others. The objective is Retroformer's (arXiv 2308.02151),

    E[ R(x, y) - β log(π(y|x) / π_ref(y|x)) ],

where R is the environment's reward for reflection y on failure x, and π_ref the policy at the start of RL.

Kept from the papers: whole reflections as actions (no discount within one), unscaled rewards, one gradient step for
each batch, no value network, no clipping, no replay.

With ``server``, vLLM or SGLang draws the reflections, and the loss of each is weighted by the learner's probability of
it over the server's (:mod:`retro_gym_agents.lm.served`).

Different: the KL term is a loss of its own instead of being subtracted from the reward. It is half the squared
log-ratio of a whole reflection, ½ ℓ² with ℓ = Σ_t log(π_t/π_ref,t): the expectation of its gradient ℓ ∇log π(y) under π
is exactly the gradient of the KL divergence between the distributions of whole reflections, whatever their lengths. A
square for each token ("k2" of http://joschu.net/blog/kl-approx.html, per token) would leave out a token's effect on the
ratios of later tokens. The value of the loss is not the KL; the logged KL is "k3", summed over the tokens, whose mean
is the KL and which is never negative.

How to run it::

    retro-gym train RetroHotpotQA-v0 --algo reinforce --reflector tiny --output runs/first --seed 0

    train(ReinforceConfig(output=Path("runs/first")))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from statistics import fmean
from typing import ClassVar

import torch
from torch import Tensor

from retro_gym_agents.algorithms.advantages import Baseline, advantages, check_baseline, kl_estimate
from retro_gym_agents.algorithms.optimizer_step import step
from retro_gym_agents.lm.finite import check_finite
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.lm.samples import Samples
from retro_gym_agents.lm.served import check_agreement, truncated_weights
from retro_gym_agents.lm.side_by_side import add_gradients, workers_for
from retro_gym_agents.play.rollout import Rollout
from retro_gym_agents.runs.config import TrainConfig
from retro_gym_agents.runs.training import TrainingRun, TrainResult

__all__ = ["ReinforceConfig", "improve", "reinforce_loss", "train"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReinforceConfig(TrainConfig):
    """The settings of a run of REINFORCE."""

    algorithm: ClassVar[str] = "reinforce"
    baseline: Baseline = "leave_one_out"
    """Subtracted from the reward: ``none`` (0), ``batch_mean``, or ``leave_one_out`` (mean reward of the other
    reflections on the same failure). For control trials as the baseline: ``none`` with the environment's reward
    ``over_control``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_baseline(self.baseline, self.group_size, self.num_prompts * self.group_size)


def reinforce_loss(
    logprobs_NT: Tensor,
    reference_NT: Tensor | None,
    mask_NT: Tensor,
    advantages_N: Tensor,
    *,
    kl_coef: float,
    weights_N: Tensor | None = None,
) -> Tensor:
    """Returns the loss, summed over the samples: −A log π(y) + β ½ (Σ_t log π_t − log π_ref,t)².

    The expectation of its gradient under π is the gradient of −E[A] + β KL(π‖π_ref) with A held fixed.

    Args:
        logprobs_NT: log-probabilities of the sampled tokens under the policy, with a gradient.
        reference_NT: log-probabilities of the same tokens under the reference policy; None leaves the KL term out.
        mask_NT: which tokens were sampled.
        advantages_N: advantage of each reflection.
        kl_coef: β.
        weights_N: importance weights of samples that another policy drew; 1 by default.
    """
    loss_N = -advantages_N * logprobs_NT.where(mask_NT, 0.0).sum(-1)
    if reference_NT is not None:
        loss_N = loss_N + kl_coef * 0.5 * (logprobs_NT - reference_NT).where(mask_NT, 0.0).sum(-1).square()
    return (loss_N if weights_N is None else weights_N * loss_N).sum()


def improve(
    reflector: Reflector, optimizer: torch.optim.Optimizer, rollout: Rollout, config: ReinforceConfig
) -> dict[str, float]:
    """Makes one update from one rollout; returns the loss, the KL in nats per reflection, and the gradient's norm.

    With ``kl_coef=0`` the reference policy is not asked, so there is no KL, and failures whose reflections all earned
    the same are left out: they have no gradient.

    Raises:
        DivergedError: one of these is not finite. No step was taken.
    """
    sizes = [len(one.valid_N) for one in rollout.rounds]
    advantages_N = advantages(config.baseline, rollout.rewards_N, rollout.valid_N, config.group_size)
    total, weights = len(advantages_N), list(reflector.trainable.values())
    workers = workers_for(reflector, config.micro_tokens)
    losses = []
    for one, part_N in zip(rollout.rounds, torch.split(advantages_N, sizes), strict=True):
        prompts: Sequence[int] = range(one.samples.num_prompts)
        if not config.kl_coef:
            prompts = part_N.view(len(prompts), -1).any(-1).nonzero().flatten().tolist()
        for rows, samples in one.samples.parts(config.micro_prompts, config.micro_tokens, prompts, workers):
            reference_NT = reflector.reference_logprobs(samples) if config.kl_coef else None
            losses.append(partial(_part_loss, reflector, samples, reference_NT, part_N[rows], config.kl_coef, total))
    optimizer.zero_grad()
    with reflector.for_scoring():
        parts = add_gradients(losses, weights, workers)
    sums = {name: sum(part[name] for part in parts) for name in ("loss", "kl")}
    check_finite({"the loss": sums["loss"], "the KL": sums["kl"]})
    norms = step(optimizer, {"adapter": weights}, config.max_grad_norm)
    gaps = [part["server_gap"] for part in parts if "server_gap" in part]
    metrics = {"loss": sums["loss"] / total, "grad_norm": norms["adapter"]}
    kl = {"kl": sums["kl"] / total} if config.kl_coef else {}
    return metrics | kl | ({"server_gap": fmean(gaps)} if gaps else {})


def _part_loss(
    reflector: Reflector,
    samples: Samples,
    reference_NT: Tensor | None,
    advantages_N: Tensor,
    kl_coef: float,
    total: int,
) -> tuple[Tensor, dict[str, float]]:
    """Returns the loss of some samples over the number of all; and the sums of loss and KL, and the server's gap."""
    logprobs_NT = reflector.logprobs(samples)
    told, weights_N = {"kl": 0.0}, None
    if reflector.server is not None:
        told["server_gap"] = check_agreement(logprobs_NT, samples.logprobs_NT, samples.mask_NT)
        weights_N = truncated_weights(logprobs_NT, samples.logprobs_NT, samples.mask_NT)
    loss = reinforce_loss(
        logprobs_NT,
        reference_NT,
        samples.mask_NT,
        advantages_N.to(logprobs_NT),
        kl_coef=kl_coef,
        weights_N=weights_N,
    )
    if reference_NT is not None:
        told["kl"] = kl_estimate(logprobs_NT.detach(), reference_NT, samples.mask_NT).item()
    return loss / total, told | {"loss": loss.item()}


def train(config: ReinforceConfig) -> TrainResult:
    """Trains a reflector by REINFORCE.

    Raises:
        ConfigError: a field has an invalid value, or the folder is not empty.
        CheckpointError: the run to resume was made with other settings.
        ActorError: the actor cannot be reached; the run can be resumed.
        DivergedError: a number is not finite; the run can be resumed from before it, with a lower learning rate.
    """
    with TrainingRun(config) as run:
        optimizer = torch.optim.AdamW(run.reflector.trainable.values(), lr=config.learning_rate, weight_decay=0.0)
        for rollout in run.rollouts(optimizer):
            run.log(improve(run.reflector, optimizer, rollout, run.fitted(config)))
        return run.result()
