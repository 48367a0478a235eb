"""Settings of the tiny model's build. This module needs no torch, since processes that make lessons read it."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

from retro_gym.checks import check_whole
from retro_gym.errors import ConfigError

__all__ = ["ENV_IDS", "BuildConfig", "TinyShape"]

ENV_IDS = ("RetroHotpotQA-v0", "RetroALFWorld-v0", "RetroWebShop-v0", "RetroInterCodeSQL-v0", "RetroMix-v0")
"""The environments that the tiny model is built for."""

# Fields that may differ when a build is resumed: its result does not depend on them.
_FREE = (
    *("output", "resume", "install", "max_minutes", "generators", "threads", "device"),
    *("save_minutes", "log_every", "measure_every", "measure_tasks"),
)


@dataclasses.dataclass(frozen=True)
class TinyShape:
    """Sizes of the network. It has one wide head, because a narrow one cannot distinguish hundreds of names."""

    hidden_size: int = 160
    intermediate_size: int = 480
    layers: int = 4
    context: int = 2_048
    """Context window: tokens of prompt and reply together."""
    rope_theta: float = 1e5


@dataclasses.dataclass(frozen=True)
class BuildConfig:
    """Settings of the build."""

    output: Path = Path("runs/tiny")
    """Folder of the build: its checkpoint, and the model in ``model/``."""
    resume: bool = False
    """Continues the build in the folder; it ends with the same weights as one that was never interrupted."""
    max_minutes: float | None = None
    """Stops after this time with a checkpoint, to be resumed."""
    install: bool = False
    """Replaces the model in the package by the finished one."""
    start: Path | None = None
    """Folder of an earlier model to continue from, with its tokenizer; from scratch by default."""
    env_ids: tuple[str, ...] = ENV_IDS
    """Environments that lessons come from, in turn; their task environments must take a ``world_seed``."""
    steps: int = 7_000
    """Optimiser steps. Each learns one role in one environment."""
    play_share: float = 0.25
    """Share of the steps that learn to play; the others learn to reflect."""
    failures_per_step: int = 12
    """Failed trajectories in a step that learns to reflect."""
    reflections_per_failure: int = 6
    """The teacher's reflections on each failure; they share the prompt's computation."""
    trials_per_step: int = 12
    """Trials of the scripted actor in a step that learns to play."""
    second_failures: float = 0.15
    """Probability that the trial after the teacher's reflection is also used, if it failed too."""
    oracle_share: float = 0.0
    """Initial share of the oracle's reflections among those to imitate. At 0 the model never sees one."""
    oracle_until: float = 0.5
    """Share of all steps after which the oracle's share declines; it is 0 after a further sixth of the steps."""
    play_thoughts: bool = False
    """Whether the actor to imitate says in thoughts what it chooses."""
    play_oracle: float = 0.0
    """Share of the retries to imitate that follow a reflection of the oracle; the others follow the noisy teacher's."""
    prompt_weight: float = 0.2
    """Weight of the loss on the failures' tokens, relative to that on the reflections' tokens."""
    prompt_share: float = 0.25
    """Share of the failures' tokens in the loss."""
    longest: int = 1_024
    """Lessons with more tokens are left out."""
    learning_rate: float = 2e-3
    """Peak learning rate; linear warm-up, then cosine decay to a twentieth."""
    warmup_steps: int = 100
    """Number of warm-up steps."""
    grad_clip: float = 1.0
    """Maximum gradient norm."""
    tokenizer_texts: int = 3_000
    """Number of lessons for building the tokenizer."""
    temperature: float = 0.8
    """Stored in the generation config, for sampling in training and evaluation."""
    measure_every: int = 3_000
    """Steps between measurements, with the model saved in ``model/``; one also follows the last step. 0 for none."""
    measure_tasks: int = 50
    """Validation tasks of each environment in a measurement."""
    log_every: int = 100
    """Steps between progress lines."""
    save_minutes: float = 3.0
    """Time between checkpoints."""
    generators: int = 1
    """Processes that make lessons ahead of the training; 0 makes them in between. The lessons are the same."""
    threads: int = 2
    """Threads of the training process. The weights may differ in the last bits between numbers of threads."""
    device: str = "cpu"
    """Device of the training process, such as ``cuda``. The lessons are the same; the weights differ by rounding."""
    seed: int = 0
    """Seed of weights, worlds and teacher."""
    shape: TinyShape = dataclasses.field(default_factory=TinyShape)
    """Sizes of the network."""

    def __post_init__(self) -> None:
        check_whole(1, steps=self.steps, failures_per_step=self.failures_per_step, threads=self.threads)
        check_whole(1, trials_per_step=self.trials_per_step, reflections_per_failure=self.reflections_per_failure)
        check_whole(1, tokenizer_texts=self.tokenizer_texts, log_every=self.log_every, longest=self.longest)
        check_whole(0, generators=self.generators, measure_every=self.measure_every, warmup_steps=self.warmup_steps)
        for name in ("play_share", "second_failures", "oracle_share", "oracle_until", "play_oracle", "prompt_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it is a share, between 0 and 1.")
        for name in ("learning_rate", "grad_clip", "temperature"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be a finite number above 0.")
        if not self.env_ids:
            raise ConfigError("env_ids is empty; give at least one id of a Retro environment.")

    def settings(self) -> dict[str, str]:
        """Returns the fields that the result depends on, each as JSON text."""
        fields = dataclasses.asdict(self)
        return {name: json.dumps(value, default=str) for name, value in fields.items() if name not in _FREE}
