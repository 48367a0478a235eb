"""Retroformer: policy gradient on a reflector, from ratings that were collected before (arXiv 2308.02151, Algorithm 1).

A *behaviour* policy tries several reflections on each failure, and the next trial is played with each. A reflection's
rating is the difference of the returns, G' − G. From these data, without another trial:

    pairs.jsonl ─ rate ─► sft/           imitation of reflections with a positive rating  (imitation.py)
         │                  │
         └──────────► reward_model/      which of two reflections on a failure is better  (reward_model.py)
                            │
                            ▼
                          ppo/           max E[ r(x, y) − β log(π(y|x) / π_SFT(y|x)) ]    (ppo.py)

Every stage reads and writes files in one folder, and one that is complete is not repeated. ``reward="env"`` pays the
rating itself, by a trial for each reflection, instead of the reward model: the same PPO online.

Kept from the paper: several reflections on each failure, the rating, imitation of the positively rated, a pairwise
reward model, PPO with token-level KL to the SFT policy, failures from trials with earlier reflections too.

Different: the behaviour policy is any policy (the paper: text-davinci-003 at temperature 0.9, pairs), by default the
model that is trained. The reward model's scores have mean 0 and standard deviation 1 over the collected reflections,
so that β means the same in every environment.

How to run it::

    retro-gym retroformer RetroHotpotQA-v0 --output runs/retroformer --seed 0
    retro-gym evaluate RetroHotpotQA-v0 --reflector none tiny runs/retroformer/ppo oracle

    train(RetroformerConfig(output=Path("runs/retroformer")))
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch

from retro_gym.checks import check_choice, check_whole
from retro_gym.errors import ConfigError, one_line
from retro_gym.seeding import derive_seed
from retro_gym.typed_fields import settle_fields
from retro_gym_agents.algorithms import imitation, ppo, reward_model
from retro_gym_agents.algorithms.imitation import ImitationConfig
from retro_gym_agents.algorithms.ppo import PPOConfig
from retro_gym_agents.algorithms.reward_model import RewardModelConfig
from retro_gym_agents.data.examples import load_examples
from retro_gym_agents.lm.chains import Reply
from retro_gym_agents.lm.reward_model import RewardModel
from retro_gym_agents.play.collection import CollectConfig, collect
from retro_gym_agents.play.policies import make_policy
from retro_gym_agents.play.rollout import Rollout, Round
from retro_gym_agents.runs.log import print_status
from retro_gym_agents.runs.run import TrainResult
from retro_gym_agents.runs.trackers import check_installed, named
from retro_gym_agents.runs.training import TrainingRun

__all__ = [
    "CONFIGS",
    "STAGES",
    "OfflinePPOConfig",
    "RetroformerConfig",
    "ScoredRun",
    "collect_pairs",
    "imitate",
    "learn_reward",
    "optimise",
    "train",
]

STAGES = ("collect", "sft", "reward_model", "ppo")
"""The stages in their order. Rating needs none of its own: the rows of a collection hold both returns."""

CONFIGS = {"sft": ImitationConfig, "reward_model": RewardModelConfig, "ppo": PPOConfig}
"""The configs of the stages that train a model."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetroformerConfig:
    """The settings of all stages."""

    output: Path
    """The folder of all stages."""
    env_id: str = "RetroHotpotQA-v0"
    """Id of the environment."""
    env_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Arguments of the environment, of JSON types."""
    actor: str = "scripted"
    """The model that plays, as a spec: see ``retro_gym.make_actor``."""
    actor_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Options of the actor, of JSON types."""
    reflector: str = "tiny"
    """The model to train: ``tiny``, a folder, or a hub name."""
    behaviour: str = ""
    """The policy that writes the collected reflections; by default the model to train."""
    reward: Literal["model", "env"] = "model"
    """Who pays PPO: the reward model, or the environment with a trial for each reflection."""
    stages: tuple[str, ...] = STAGES
    """The stages to run. What another stage needs must be in the folder."""
    num_episodes: int = 1_000
    """Episodes to collect."""
    stop_after_calls: int | None = None
    """Actor calls with which the collection is over, before all its episodes."""
    num_samples: int = 4
    """Reflections on each failure."""
    max_reflections: int = 1
    """Maximum number of reflections in an episode."""
    seed: int = 0
    """Seed of all stages."""
    device: str = "cpu"
    """Device of the models."""
    report_to: tuple[str, ...] = ("tensorboard",)
    """Trackers of the stages that train a model: see :class:`~retro_gym_agents.runs.config.RunConfig`."""
    sft: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Further fields of :class:`~retro_gym_agents.algorithms.imitation.ImitationConfig`."""
    reward_model: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Further fields of :class:`~retro_gym_agents.algorithms.reward_model.RewardModelConfig`; it validates at every
    tenth update by default."""
    ppo: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Further fields of :class:`~retro_gym_agents.algorithms.ppo.PPOConfig`; 60 updates by default."""

    def __post_init__(self) -> None:
        settle_fields(self)
        object.__setattr__(self, "report_to", named(self.report_to))
        check_choice("reward", self.reward, ("model", "env"))
        check_whole(1, num_episodes=self.num_episodes, max_reflections=self.max_reflections)
        check_whole(2, num_samples=self.num_samples)
        for stage in self.stages:
            check_choice("stages", stage, STAGES)

    @property
    def records(self) -> Path:
        """The collected pairs."""
        return self.output / "pairs.jsonl"


@dataclasses.dataclass(frozen=True, kw_only=True)
class OfflinePPOConfig(PPOConfig):
    """PPO on failures of records, paid by a reward model."""

    records: str
    """File of records whose failures are reflected on."""
    reward_model: str
    """Output folder of a reward model's training."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.trial_discount:
            raise ConfigError(
                f"trial_discount is {self.trial_discount}, but a reward model pays single reflections, which no trial "
                "follows. Leave it at 0, or let the environment pay (reward='env')."
            )
        if self.revisit:
            raise ConfigError(
                f"revisit is {self.revisit}, but the failures are those of the records, in their order. Leave it at "
                "0, or let the environment pay (reward='env')."
            )


def train(config: RetroformerConfig) -> TrainResult | None:
    """Runs the stages; returns the outcome of the last one if it trains a model.

    Raises:
        ConfigError: a field has an invalid value, or a stage lacks what an earlier one writes.
        ActorError: the actor cannot be reached; the command can be repeated.
        DivergedError: a number is not finite.
        MissingExtraError: the package of a tracker is not installed.
    """
    check_installed(config.report_to)
    config.output.mkdir(parents=True, exist_ok=True)
    _check_same(config)
    result: TrainResult | None = None
    for stage in STAGES:
        skipped = stage == "reward_model" and config.reward == "env"
        if stage in config.stages and not skipped:
            print_status(f"{stage}:")
            result = _DO[stage](config)
    return result


def collect_pairs(config: RetroformerConfig) -> None:
    """Stage 1: tries several reflections of the behaviour policy on each failure."""
    actor = {"actor": config.actor, "actor_kwargs": config.actor_kwargs or None}
    policy = make_policy(config.behaviour or config.reflector, device=config.device)
    settings = CollectConfig(
        config.env_id,
        config.records,
        num_episodes=config.num_episodes,
        max_reflections=config.max_reflections,
        num_samples=config.num_samples,
        stop_after_calls=config.stop_after_calls,
        seed=config.seed,
        env_kwargs={**config.env_kwargs, **actor},
        resume=True,
    )
    got = collect(settings, policy)
    print_status(f"{got.reflections} reflections on failures of {got.episodes} episodes, {got.helped} of which helped")


def imitate(config: RetroformerConfig) -> TrainResult:
    """Stage 2: imitates the reflections that raised the return."""
    own: dict[str, Any] = {"min_rating": 1e-6, "model": config.reflector} | config.sft
    return imitation.train(ImitationConfig(**_on_pairs(config, "sft"), **own))


def learn_reward(config: RetroformerConfig) -> TrainResult:
    """Stage 3: learns which of two reflections on one failure has the higher rating."""
    own: dict[str, Any] = {"model": config.reflector, "validate_every": 10} | config.reward_model
    return reward_model.train(RewardModelConfig(**_on_pairs(config, "reward_model"), **own))


def _on_pairs(config: RetroformerConfig, name: str) -> dict[str, Any]:
    """Returns the fields that are fixed for a stage that learns from the collected pairs."""
    return {
        "output": config.output / name,
        "records": (str(config.records),),
        "seed": config.seed,
        "device": config.device,
        "report_to": config.report_to,
        "resume": True,
    }


def optimise(config: RetroformerConfig) -> TrainResult:
    """Stage 4: PPO from the SFT policy, which is also the reference of the KL term."""
    sft = config.output / "sft"
    shared: dict[str, Any] = {
        "output": config.output / "ppo",
        "env_id": config.env_id,
        "env_kwargs": {"max_reflections": config.max_reflections, **config.env_kwargs},
        "actor": config.actor,
        "actor_kwargs": config.actor_kwargs,
        "reflector": str(sft) if sft.is_dir() else config.reflector,
        "seed": config.seed,
        "device": config.device,
        "report_to": config.report_to,
        "resume": True,
        "updates": 60,
        **config.ppo,
    }
    if config.reward == "env":
        return ppo.train(PPOConfig(**shared | {"env_kwargs": {"reward": "improvement", **shared["env_kwargs"]}}))
    offline = OfflinePPOConfig(records=str(config.records), reward_model=str(config.output / "reward_model"), **shared)
    with ScoredRun(offline) as run:
        return ppo.learn(run, offline)


_DO: dict[str, Callable[[RetroformerConfig], TrainResult | None]] = {
    "collect": collect_pairs,
    "sft": imitate,
    "reward_model": learn_reward,
    "ppo": optimise,
}


class ScoredRun(TrainingRun):
    """A run of PPO without an actor: failures come from records, rewards from a reward model.

    The environment serves for validation only, if that is asked for.
    """

    config: OfflinePPOConfig

    def __init__(self, config: OfflinePPOConfig) -> None:
        super().__init__(config)
        examples = load_examples((config.records,), "reflector")
        failures = {one.failure: str(one.written[0].prompt) for one in examples}
        self._observations = list(failures.values())
        self._reward_model = RewardModel.load(config.reward_model, device=config.device)

    @property
    def num_envs(self) -> int:
        """One, from which the validation makes its own."""
        return 1

    def sample(self, *, keep_hidden: bool) -> Rollout:
        """Reflects on failures that are drawn from the records, and scores the reflections."""
        config, update = self.config, self.update
        generator = torch.Generator().manual_seed(derive_seed(config.seed, "failures", update))
        drawn = torch.randint(len(self._observations), (config.num_prompts,), generator=generator).tolist()
        observations = [self._observations[number] for number in drawn]
        seeds = [derive_seed(config.seed, "sample", update, place) for place in range(len(drawn))]
        samples = self.reflector.sample(
            observations, num_samples=config.group_size, seed=seeds, keep_hidden=keep_hidden
        )
        prompts = [self.reflector.encode(text) for text in observations for _ in range(config.group_size)]
        replies = [Reply(prompt, tokens) for prompt, tokens in zip(prompts, samples.rows(), strict=True)]
        rewards_N = self._reward_model.score(replies, self.fitted(config).micro_tokens)
        valid_N = torch.ones(len(replies), dtype=torch.bool)
        return Rollout((Round(samples, rewards_N, valid_N, None),))


def _check_same(config: RetroformerConfig) -> None:
    """Checks that the folder's earlier stages were run with the same settings, and notes them.

    Raises:
        ConfigError: it was started with other settings.
    """
    path = config.output / "retroformer.json"
    fields = {**dataclasses.asdict(config), "output": ""}
    free = ("output", "stages", "device", "report_to", "reward", *CONFIGS)  # each stage checks its own
    now = {name: value for name, value in fields.items() if name not in free}
    if path.is_file():
        then = json.loads(path.read_text(encoding="utf-8"))
        changed = [name for name in now if then.get(name) != json.loads(json.dumps(now[name]))]
        if changed:
            name = changed[0]
            raise ConfigError(
                f"{config.output} was begun with {name}={one_line(then.get(name))}; now it is {one_line(now[name])}. "
                "Give the same, or another folder."
            )
    path.write_text(json.dumps(now, indent=2) + "\n", encoding="utf-8")
