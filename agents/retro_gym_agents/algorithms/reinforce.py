"""REINFORCE: push up what earned more than expected, push down what earned less.

Williams 1992, with the baseline of RLOO (arXiv 2402.14740): K reflections are tried on each failure, and each is
compared with the mean of the K - 1 others. The objective is Retroformer's (arXiv 2308.02151),

    E[ R(x, y) - β log(π(y|x) / π_ref(y|x)) ],

with R what the environment pays for reflection y on failure x, and π_ref the policy at the start of RL.

Kept from the papers: whole reflections as actions (no discount within one), rewards as the environment pays them,
one gradient step for each batch, no value network, no clipping, no replay.

Different: the KL term is differentiated as a loss of its own instead of being subtracted from the reward. It is half
the squared log-ratio of a whole reflection, ½ ℓ² with ℓ = Σ_t log(π_t/π_ref,t): in expectation over what π writes, its
gradient ℓ ∇log π(y) is exactly that of the KL divergence between the distributions of whole reflections, whatever their
lengths. A square for each token ("k2" of http://joschu.net/blog/kl-approx.html, token by token) would leave out what a
token does to the later ones' ratios. The loss's value is not the KL: what is logged is "k3", summed over the tokens,
which has the KL as its mean and never falls below 0.

How to run it::

    retro-gym train RetroHotpotQA-v0 --algo reinforce --reflector tiny --output runs/first --seed 0

    train(ReinforceConfig(output=Path("runs/first")))
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from retro_gym_agents.algorithms.advantages import Baseline, advantages, check_baseline, kl_estimate
from retro_gym_agents.algorithms.optimizer_step import step
from retro_gym_agents.lm.finite import check_finite
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.play.rollout import Rollout
from retro_gym_agents.runs.config import TrainConfig
from retro_gym_agents.runs.run import TrainingRun, TrainResult

__all__ = ["ReinforceConfig", "improve", "reinforce_loss", "train"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReinforceConfig(TrainConfig):
    """The settings of a run of REINFORCE."""

    algorithm: ClassVar[str] = "reinforce"
    baseline: Baseline = "leave_one_out"
    """What is expected of a reflection: ``none`` (nothing), ``batch_mean``, or ``leave_one_out`` (what the other
    reflections on the same failure earned)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_baseline(self.baseline, self.group_size, self.num_prompts * self.group_size)


def reinforce_loss(
    logprobs_NT: Tensor, reference_NT: Tensor, mask_NT: Tensor, advantages_N: Tensor, *, kl_coef: float
) -> Tensor:
    """The loss, summed over the samples: −A log π(y) + β ½ (Σ_t log π_t − log π_ref,t)².

    Its gradient, in expectation over reflections that π writes, is that of −E[A] + β KL(π‖π_ref), A held fixed.

    Args:
        logprobs_NT: of the sampled tokens under the policy, with a gradient.
        reference_NT: of the same tokens under the reference policy.
        mask_NT: which tokens were sampled.
        advantages_N: of each reflection.
        kl_coef: β.
    """
    policy_N = -advantages_N * logprobs_NT.where(mask_NT, 0.0).sum(-1)
    kl_N = 0.5 * (logprobs_NT - reference_NT).where(mask_NT, 0.0).sum(-1).square()
    return (policy_N + kl_coef * kl_N).sum()


def improve(
    reflector: Reflector, optimizer: torch.optim.Optimizer, rollout: Rollout, config: ReinforceConfig
) -> dict[str, float]:
    """One update from one rollout; returns the loss, the KL in nats per reflection, and the gradient's norm.

    Raises:
        DivergedError: one of them is not finite. No step was taken.
    """
    sizes = [len(one.valid_N) for one in rollout.rounds]
    advantages_N = advantages(config.baseline, rollout.rewards_N, rollout.valid_N, config.group_size)
    total, loss_sum, kl_sum = len(advantages_N), 0.0, 0.0
    optimizer.zero_grad()
    for one, part_N in zip(rollout.rounds, torch.split(advantages_N, sizes), strict=True):
        for rows, samples in one.samples.parts(config.micro_prompts, config.micro_tokens):
            reference_NT = reflector.reference_logprobs(samples)
            logprobs_NT = reflector.logprobs(samples)
            loss = reinforce_loss(
                logprobs_NT,
                reference_NT,
                samples.mask_NT,
                part_N[rows].to(logprobs_NT),
                kl_coef=config.kl_coef,
            )
            torch.autograd.backward(loss / total)
            loss_sum += loss.item()
            kl_sum += kl_estimate(logprobs_NT.detach(), reference_NT, samples.mask_NT).item()
    check_finite({"the loss": loss_sum, "the KL": kl_sum})
    norms = step(optimizer, {"adapter": reflector.trainable.values()}, config.max_grad_norm)
    return {"loss": loss_sum / total, "kl": kl_sum / total, "grad_norm": norms["adapter"]}


def train(config: ReinforceConfig) -> TrainResult:
    """Trains a reflector by REINFORCE.

    Raises:
        ConfigError: a field is out of its rule, or the folder is not empty.
        CheckpointError: the run to resume was made with other settings.
        ActorError: the actor cannot be reached; what was learned until then can be resumed.
        DivergedError: a number is not finite; the run can be resumed from before it, with a lower learning rate.
    """
    with TrainingRun(config) as run:
        optimizer = torch.optim.AdamW(run.reflector.trainable.values(), lr=config.learning_rate, weight_decay=0.0)
        for _ in run.updates(optimizer):
            rollout = run.collect()
            run.log(improve(run.reflector, optimizer, rollout, config))
        return run.result()
