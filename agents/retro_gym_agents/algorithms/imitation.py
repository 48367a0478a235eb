"""Imitation: supervised fine-tuning of a reflector or a planner on what records hold.

The first stage of Retroformer (arXiv 2308.02151: on reflections with a positive rating) and of RetroAct (arXiv
2503.01490, section 3.2: on trials that succeeded, and on reflections after which the next trial did). The loss is the
token cross-entropy

    L_IL = − Σ_t log π(y_t | x, y_<t),

summed over the tokens y that the role wrote, the end token included, and divided by their number in the batch. Prompts
and observations are read, not learned.

Kept from the papers: expert data filtered by what came of it, one pass over all tokens of a text, LoRA.

Different: RetroAct's released code also learns the observations of a trial, to save cost, and calls leaving them out
optimal; they are left out here. The code of Retroformer learns the prompt and no end token, and filters nothing.

How to run it::

    retro-gym collect RetroHotpotQA-v0 --reflector noisy --num-episodes 2000 --output runs/expert.jsonl
    retro-gym imitate runs/expert.jsonl --role reflector --min-rating 0.01 --output runs/imitation

    train(ImitationConfig(records=("runs/expert.jsonl",), output=Path("runs/imitation")))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from retro_gym.checks import check_choice
from retro_gym.errors import ConfigError, PromptTooLongError
from retro_gym_agents.algorithms.optimizer_step import step
from retro_gym_agents.data.examples import ROLES, Example, Role, load_examples
from retro_gym_agents.lm.batching import in_groups
from retro_gym_agents.lm.chains import Reply, chained, chains_in_groups
from retro_gym_agents.lm.finite import check_finite
from retro_gym_agents.lm.language_model import LanguageModel
from retro_gym_agents.lm.planner import Planner
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.lm.side_by_side import add_gradients, workers_for
from retro_gym_agents.runs.config import RunConfig
from retro_gym_agents.runs.log import print_status
from retro_gym_agents.runs.on_records import RecordsConfig, RecordsRun
from retro_gym_agents.runs.run import TrainResult

__all__ = [
    "ImitationConfig",
    "ImitationRun",
    "by_prompt",
    "chain_passes",
    "chosen",
    "encode",
    "imitation_loss",
    "improve",
    "loss_on",
    "num_tokens",
    "shared_passes",
    "train",
]

Pass: TypeAlias = Callable[[], tuple[Tensor, Tensor]]
"""A forward pass that is still to be made: it returns log-probabilities (N, T) of replies, and their mask."""
_KINDS: dict[Role, type[LanguageModel]] = {"reflector": Reflector, "planner": Planner}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImitationConfig(RecordsConfig):
    """The settings of imitation."""

    algorithm: ClassVar[str] = "imitation"
    role: Role = "reflector"
    """What is learned: to reflect or to play."""
    min_rating: float | None = None
    """Least rating G' − G of a reflection, or least return of a trial."""
    together: bool = False
    """What was written on one failure stands in one batch, so that its prompt is computed once: with a large model as
    many times faster as there are reflections on a failure. Batches then hold fewer failures."""
    successful: bool = False
    """Only trials that solved their task, or reflections after which the next trial did."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("role", self.role, ROLES)

    def settings(self) -> dict[str, str]:
        """Returns the fields that a run's result depends on, each as JSON text."""
        settings = super().settings()
        if not self.together:  # left out, so that runs from before this field can be resumed
            del settings["together"]
        return settings


def imitation_loss(logprobs_NT: Tensor, mask_NT: Tensor) -> Tensor:
    """Returns − Σ log π over the tokens that the mask holds."""
    return -logprobs_NT.where(mask_NT, 0.0).sum()


def chosen(examples: Sequence[Example], config: ImitationConfig) -> list[Example]:
    """Returns the examples that pass the filters.

    Raises:
        ConfigError: none does.
    """
    kept = [one for one in examples if one.passes(config.min_rating, successful=config.successful)]
    if not kept:
        raise ConfigError(
            f"none of {len(examples)} examples passes min_rating={config.min_rating} and "
            f"successful={config.successful}. Collect more, or a looser filter."
        )
    return kept


def encode(model: LanguageModel, examples: Sequence[Example]) -> list[list[Reply]]:
    """Returns the token ids of each example; a turn whose prompt is too long for the model is left out."""
    found: list[list[Reply]] = []
    for example in examples:
        replies = []
        for one in example.written:
            try:
                replies.append(Reply(model.encode(one.prompt), model.encode_reply(one.text)))
            except PromptTooLongError:
                break  # later turns have longer prompts
        if replies:
            found.append(replies)
    return found


def chain_passes(
    model: LanguageModel, examples: Sequence[Sequence[Reply]], tokens: int | None, workers: int = 1
) -> list[Pass]:
    """Returns the forward passes over some trials; all turns of a trial share a row.

    Args:
        model: the planner or reflector.
        examples: what was written in each trial.
        tokens: of a pass.
        workers: no pass has more rows than a worker's share.
    """
    chains = [chain for one in examples for chain in chained(one)]
    groups = chains_in_groups(chains, tokens, workers)
    return [partial(model.score_chains, group) for group in groups]


def shared_passes(
    model: LanguageModel, examples: Sequence[Sequence[Reply]], tokens: int | None, workers: int = 1
) -> list[Pass]:
    """Returns the same; what was written on one prompt shares its computation, and each turn of a trial has its own."""
    groups = [
        [reply for (reply,) in group] for group in by_prompt([[one] for part in examples for one in part]).values()
    ]
    prompts = [1 if model.share_prompt else len(group) for group in groups]  # computed for each group
    lengths = [
        many * len(group[0].prompt) + sum(len(reply.tokens) for reply in group)
        for many, group in zip(prompts, groups, strict=True)
    ]
    rows = in_groups(range(len(groups)), lengths, None, tokens, workers)
    return [partial(model.score_groups, [groups[row] for row in some]) for some in rows]


def by_prompt(examples: Sequence[Sequence[Reply]]) -> dict[tuple[int, ...], list[Sequence[Reply]]]:
    """Returns the examples by their first prompts, in order."""
    found: dict[tuple[int, ...], list[Sequence[Reply]]] = {}
    for one in examples:
        found.setdefault(tuple(one[0].prompt), []).append(one)
    return found


def improve(
    model: LanguageModel,
    optimizer: torch.optim.Optimizer,
    examples: Sequence[Sequence[Reply]],
    config: ImitationConfig,
) -> dict[str, float]:
    """Makes one update; returns the loss per token, the number of tokens and the gradient's norm.

    Raises:
        DivergedError: one of these is not finite. No step was taken.
    """
    optimizer.zero_grad()
    loss = loss_on(model, examples, config, together=config.together)
    check_finite({"the loss": loss})
    norms = step(optimizer, {"adapter": model.trainable.values()}, config.max_grad_norm)
    return {"nll": loss, "tokens": float(num_tokens(examples)), "grad_norm": norms["adapter"]}


def loss_on(
    model: LanguageModel,
    examples: Sequence[Sequence[Reply]],
    config: RunConfig,
    *,
    weight: float = 1.0,
    together: bool = False,
) -> float:
    """Returns the loss per token on examples; where gradients are enabled, adds ``weight`` times its gradient.

    ``together`` computes a prompt once for all that was written on it.
    """
    tokens = num_tokens(examples)

    def of_pass(scored: Pass) -> tuple[Tensor, float]:
        loss = imitation_loss(*scored()) / tokens
        return weight * loss, loss.item()

    workers = workers_for(model, config.micro_tokens) if torch.is_grad_enabled() else 1
    passes = (shared_passes if together else chain_passes)(model, examples, config.micro_tokens, workers)
    if not torch.is_grad_enabled():
        return sum(of_pass(one)[1] for one in passes)
    with model.for_scoring():
        return sum(add_gradients([partial(of_pass, one) for one in passes], list(model.trainable.values()), workers))


def num_tokens(examples: Sequence[Sequence[Reply]]) -> int:
    """Returns the number of tokens that the examples' replies hold."""
    return sum(len(reply.tokens) for one in examples for reply in one)


class ImitationRun(RecordsRun):
    """A run of imitation: the model, and the tokens of all examples."""

    config: ImitationConfig

    def __init__(self, config: ImitationConfig) -> None:
        super().__init__(config)
        examples = chosen(load_examples(config.records, config.role), config)
        self.learner = config.load(_KINDS[config.role], config.model)
        learned, self.apart = (encode(self.learner, part) for part in self.divide(examples))
        if not learned:
            raise ConfigError(f"no example fits into the context of {config.model!r}. Give shorter ones.")
        bundles: list[list[Sequence[Reply]]] = [[one] for one in learned]
        if config.together:
            most = config.batch_size
            whole = by_prompt(learned).values()
            bundles = [some[start : start + most] for some in whole for start in range(0, len(some), most)]
        self.passes = self.passes_over(bundles, size=max(1, config.batch_size // max(map(len, bundles))))
        print_status(f"{len(learned)} examples to learn, {len(self.apart)} held out")

    def batch(self, update: int) -> list[Sequence[Reply]]:
        """Returns the examples of an update."""
        return [one for bundle in self.passes.batch(update) for one in bundle]

    def validate(self) -> tuple[dict[str, float], float] | None:
        """Measures the loss per token on the examples held out."""
        if not self.apart:
            return None
        with torch.no_grad():
            loss = loss_on(self.learner, self.apart, self.fitted(self.config), together=self.config.together)
        return {"validation_nll": loss}, -loss


def train(config: ImitationConfig) -> TrainResult:
    """Trains a reflector or a planner by imitation.

    Raises:
        ConfigError: a field has an invalid value, the folder is not empty, or no example passes the filters.
        RecordError: a file of records cannot be read.
        CheckpointError: the run to resume was made with other settings.
        DivergedError: a number is not finite; the run can be resumed from before it, with a lower learning rate.
    """
    with ImitationRun(config) as run:
        optimizer = torch.optim.AdamW(run.learner.trainable.values(), lr=config.learning_rate, weight_decay=0.0)
        for update in run.updates(optimizer):
            run.log(improve(run.learner, optimizer, run.batch(update), run.fitted(config)))
        return run.result()
