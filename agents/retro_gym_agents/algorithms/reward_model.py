"""A reward model: which of two reflections on one failure helps more, learned from ratings.

Retroformer's third stage (arXiv 2308.02151, after the reward models of InstructGPT, arXiv 2203.02155): the base model
with a LoRA adapter of its own and a scalar head on the last token of a reflection,

    r(x, y) = w · h_last + α log π(y | x),

to which the adapted model's log-likelihood of the reflection is added, with a learned factor α. For a pair of
reflections on one failure with different ratings G' − G it minimises

    L = − log σ( r(x, y⁺) − r(x, y⁻) ).

A constant can be added to r without changing the loss, so after training its mean over the learned reflections is
subtracted, and it is divided by their standard deviation: PPO's KL coefficient then has a unit.

Kept from the paper: pairs on one failure, labelled by the rating; the loss; a head on the model that is trained as the
policy too.

Different: the log-likelihood. A model that can write reflections on a failure knows much of which of them fit it; a new
head must learn that from the ratings. On RetroHotpotQA's ratings (1,000 episodes, pairs of 70 failures held out), the
head alone had 56 % of the pairs in the right order after 50 updates, the likelihood 76 % before any update, and both
together 90 % after 40. ``likelihood=False`` is the paper's model. The released code trains a pointwise classifier with
two logits, which its reward function then flattens, so that scores and samples do not match; this is the pairwise loss
of the text. A pair of equal ratings teaches nothing and is left out.

How to run it::

    retro-gym collect RetroHotpotQA-v0 --reflector tiny --num-samples 4 --num-episodes 1000 --output runs/pairs.jsonl
    retro-gym reward-model runs/pairs.jsonl --output runs/reward-model

    train(RewardModelConfig(records=("runs/pairs.jsonl",), output=Path("runs/reward-model")))
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from retro_gym.errors import ConfigError
from retro_gym_agents.algorithms.optimizer_step import step
from retro_gym_agents.data.examples import Example, by_failure, load_examples
from retro_gym_agents.lm.adapter_folder import REWARD_HEAD
from retro_gym_agents.lm.batching import in_groups
from retro_gym_agents.lm.chains import Reply
from retro_gym_agents.lm.finite import check_finite
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.lm.reward_model import RewardModel
from retro_gym_agents.runs.log import print_status
from retro_gym_agents.runs.on_records import RecordsConfig, RecordsRun
from retro_gym_agents.runs.run import TrainResult

__all__ = [
    "Failure",
    "RewardModelConfig",
    "RewardModelRun",
    "accuracy",
    "improve",
    "pairs_in",
    "pairwise_loss",
    "train",
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RewardModelConfig(RecordsConfig):
    """The settings of a reward model's training: records with several reflections on each failure."""

    algorithm: ClassVar[str] = "reward_model"
    epochs: int = 2
    """Passes over the failures."""
    likelihood: bool = True
    """Whether the reflection's log-likelihood is a part of its score; False for the head alone, as in the paper."""


@dataclasses.dataclass(frozen=True)
class Failure:
    """The reflections that were tried on one failure."""

    task_id: str
    replies: tuple[Reply, ...]
    """K of them, all different."""
    ratings: tuple[float, ...]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The better and the worse one of every two that differ in their rating."""
        both = itertools.permutations(range(len(self.ratings)), 2)
        return [(better, worse) for better, worse in both if self.ratings[better] > self.ratings[worse]]


def pairwise_loss(better_N: Tensor, worse_N: Tensor) -> Tensor:
    """Returns − log σ(better − worse), summed over the pairs."""
    return -nn.functional.logsigmoid(better_N - worse_N).sum()


def pairs_in(examples: Sequence[Example], reflector: Reflector) -> list[Failure]:
    """Returns the failures on which reflections with different ratings were tried, with their tokens.

    Raises:
        ConfigError: there is none.
    """
    found = []
    for tried in by_failure(examples):
        if len({one.reward for one in tried}) < 2:
            continue
        prompt = reflector.encode(str(tried[0].written[0].prompt))
        replies = tuple(Reply(prompt, reflector.encode_reply(one.written[0].text)) for one in tried)
        found.append(Failure(tried[0].task_id, replies, tuple(one.reward for one in tried)))
    if not found:
        raise ConfigError(
            f"among {len(examples)} reflections there are no two on one failure with different ratings. Collect "
            "several on each: retro-gym collect ENV_ID --num-samples 4."
        )
    return found


def improve(
    model: RewardModel, optimizer: torch.optim.Optimizer, failures: Sequence[Failure], config: RewardModelConfig
) -> dict[str, float]:
    """Makes one update; returns the loss per pair, the share of pairs in the right order, and the gradient's norm.

    Raises:
        DivergedError: one of these is not finite. No step was taken.
    """
    pairs = sum(len(failure.pairs) for failure in failures)
    optimizer.zero_grad()
    total, right, tokens = 0.0, 0, 0
    for part in _parts(failures, config):
        better_N, worse_N = _compared(model, part)
        loss = pairwise_loss(better_N, worse_N) / pairs
        torch.autograd.backward(loss)
        total += loss.item()
        right += int((better_N > worse_N).sum())
        tokens += sum(len(reply.prompt) + len(reply.tokens) for failure in part for reply in failure.replies)
    check_finite({"the loss": total})
    weights = {"adapter": model.reflector.trainable.values(), "reward head": model.learned()}
    norms = step(optimizer, weights, config.max_grad_norm)
    return {"loss": total, "accuracy": right / pairs, "tokens": float(tokens), "grad_norm": norms["adapter"]}


@torch.no_grad()
def accuracy(model: RewardModel, failures: Sequence[Failure], config: RewardModelConfig) -> float:
    """Returns the share of pairs of which the better reflection has the higher score."""
    right = pairs = 0
    for part in _parts(failures, config):
        better_N, worse_N = _compared(model, part)
        right += int((better_N > worse_N).sum())
        pairs += len(better_N)
    return right / pairs


def _parts(failures: Sequence[Failure], config: RewardModelConfig) -> list[list[Failure]]:
    lengths = [sum(len(reply.prompt) + len(reply.tokens) for reply in failure.replies) for failure in failures]
    limit = config.micro_tokens
    groups = in_groups(range(len(failures)), lengths, config.micro_prompts, limit)
    return [[failures[number] for number in group] for group in groups]


def _compared(model: RewardModel, failures: Sequence[Failure]) -> tuple[Tensor, Tensor]:
    """Returns the scores of the better and of the worse reflection of every pair."""
    scores_N = model([reply for failure in failures for reply in failure.replies])
    better, worse, start = [], [], 0
    for failure in failures:
        better += [start + one for one, _ in failure.pairs]
        worse += [start + other for _, other in failure.pairs]
        start += len(failure.replies)
    return scores_N[better], scores_N[worse]


class RewardModelRun(RecordsRun):
    """A run: the model, and the failures to learn and to measure."""

    config: RewardModelConfig

    def __init__(self, config: RewardModelConfig) -> None:
        super().__init__(config)
        examples = load_examples(config.records, "reflector")
        self.learner = config.load(Reflector, config.model)
        self.model = RewardModel(self.learner, likelihood=config.likelihood)
        failures = pairs_in(examples, self.learner)
        learned, self.apart = self.divide(failures)
        self.passes = self.passes_over(learned)
        pairs = [sum(len(one.pairs) for one in part) for part in (learned, self.apart)]
        print_status(f"{pairs[0]} pairs on {len(learned)} failures to learn, {pairs[1]} pairs held out")

    def validate(self) -> tuple[dict[str, float], float] | None:
        """Measures the accuracy on the pairs held out."""
        if not self.apart:
            return None
        share = accuracy(self.model, self.apart, self.config)
        return {"validation_accuracy": share}, share

    def conclude(self) -> None:
        """Sets mean and spread so that the learned reflections' scores have mean 0 and standard deviation 1."""
        self.model.mean.zero_()
        self.model.spread.fill_(1.0)
        replies = [reply for failure in self.passes.items for reply in failure.replies]
        scores_N = self.model.score(replies, self.config.micro_tokens or 8_192)
        self.model.mean.copy_(scores_N.mean())
        self.model.spread.copy_(scores_N.std().clamp(min=1e-6))


def train(config: RewardModelConfig) -> TrainResult:
    """Trains a reward model on the pairs in records.

    Raises:
        ConfigError: a field has an invalid value, the folder is not empty, or there are no pairs.
        RecordError: a file of records cannot be read.
        CheckpointError: the run to resume was made with other settings.
        DivergedError: a number is not finite; the run can be resumed from before it, with a lower learning rate.
    """
    with RewardModelRun(config) as run:
        weights = [*run.learner.trainable.values(), *run.model.learned()]
        optimizer = torch.optim.AdamW(weights, lr=config.learning_rate, weight_decay=0.0)
        for update in run.updates(optimizer, **{REWARD_HEAD: run.model}):
            run.log(improve(run.model, optimizer, run.passes.batch(update), run.fitted(config)))
        return run.result()
