"""The config fields that runs share: those of all, and those of learners on an environment."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from retro_gym.checks import check_whole
from retro_gym.errors import ConfigError, one_line
from retro_gym.typed_fields import settle_fields
from retro_gym_agents.lm.adapted_model import AdaptedModel
from retro_gym_agents.lm.adapters import DEFAULT_LORA, LoraSettings
from retro_gym_agents.runs.trackers import named

__all__ = ["RunConfig", "TrainConfig"]

Model = TypeVar("Model", bound=AdaptedModel)

# Settings that may differ when a run is resumed: output, length, logging and checkpoint intervals, the actor's address
# and limits, memory settings, and step sizes (a run that diverged needs a lower learning rate).
_FREE = (
    "output",
    "resume",
    "updates",
    "max_minutes",
    "stop_after_calls",
    "checkpoint_every",
    "validate_every",
    "log_every",
    "report_to",
    "device",
    "micro_prompts",
    "micro_tokens",
    "gradient_checkpointing",
    "explorers",
    "learning_rate",
    "value_learning_rate",
    "max_grad_norm",
)
_FREE_OF_THE_ACTOR = (
    "api_key_env",
    "base_url",
    "batch_size",
    "budget",
    "device",
    "max_in_flight",
    "patience",
    "record",
    "retry_wait",
    "timeout",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """The fields that all runs share."""

    algorithm: ClassVar[str]
    """Name of the algorithm."""
    output: Path
    """The run's folder; empty or absent unless ``resume`` is set."""
    lora: LoraSettings = DEFAULT_LORA
    """Settings of a new adapter. A loaded adapter keeps its own; different ones are refused."""
    temperature: float | None = None
    """Sampling temperature; by default that of the model's generation config."""
    max_new_tokens: int | None = None
    """Token limit of a reflection; by default that of the model's generation config."""
    seed: int = 0
    """Seed of tasks, samples and initial weights. The same seed gives the same run, on the CPU bit for bit."""
    max_minutes: float | None = None
    """Wall-clock limit, resumptions included. The number of updates, and so the result, then depends on the machine."""
    micro_prompts: int | None = None
    """Prompts per forward pass; fewer need less memory and give the same gradient. All at once by default."""
    micro_tokens: int | None = None
    """Tokens per forward pass, padding included: failures of similar length are batched up to this limit, at least one
    per batch. By default as many as fit into the memory of the device by an estimate from the model's shape; the
    result then depends on that memory, in the last bits, where a batch does not fit."""
    gradient_checkpointing: bool = False
    """Recomputes activations in the backward pass instead of keeping them: less memory, the same gradient."""
    autocast: bool = False
    """Matrix products in bfloat16, for sampling and for the update; weights keep their dtype."""
    autocast_updates: bool = False
    """The same for updates alone: on CPUs with bfloat16 these are twice as fast, while sampling is slower with it."""
    learning_rate: float = 6e-4
    """Learning rate of AdamW, without weight decay."""
    decay_updates: int = 0
    """Number of updates at the end over which the learning rate falls linearly towards 0."""
    max_grad_norm: float = 1.0
    """Gradients are clipped to this norm."""
    validate_every: int | None = None
    """Updates between validations (on held-out data), which select the best adapter; ties go to the latest."""
    checkpoint_every: int = 10
    """Updates between checkpoints: at most this many are lost when a run is killed."""
    resume: bool = False
    """Resumes from the folder's checkpoint."""
    device: str = "cpu"
    """Device of the reflector: ``cpu``, ``cuda``, ``cuda:1``."""
    dtype: str | None = None
    """Dtype of the base model: see ``Reflector.load``."""
    log_every: int = 10
    """Updates between progress lines when standard error is not a terminal."""
    report_to: tuple[str, ...] = ("tensorboard",)
    """Trackers that show settings and metrics: ``tensorboard``, ``wandb``, ``mlflow``, ``trackio``, your own as
    ``python:MODULE:NAME``, or ``none``. See :mod:`retro_gym_agents.runs.trackers`."""

    def __post_init__(self) -> None:
        settle_fields(self)
        object.__setattr__(self, "report_to", named(self.report_to))
        if not isinstance(self.lora, LoraSettings):
            raise ConfigError(f"lora is {one_line(self.lora)}; give LoraSettings, such as LoraSettings(rank=8).")
        check_whole(1, checkpoint_every=self.checkpoint_every, log_every=self.log_every)
        optional = ("micro_prompts", "micro_tokens", "validate_every", "max_new_tokens")
        counts = {name: getattr(self, name) for name in optional}
        check_whole(1, **{name: count for name, count in counts.items() if count is not None})
        check_whole(0, decay_updates=self.decay_updates)
        for name in ("learning_rate", "max_grad_norm"):
            self._check_size(name)
        for name in ("max_minutes", "temperature"):
            if getattr(self, name) is not None:
                self._check_size(name)

    @property
    def title(self) -> str:
        """What the run is, for its learning curve."""
        return self.algorithm

    def load(self, kind: type[Model], source: str) -> Model:
        """Loads a model in a role, with this config's adapter, device and sampling.

        Raises:
            ConfigError: the model does not exist, or a setting does not suit it.
        """
        return kind.load(
            source,
            lora=self.lora,
            device=self.device,
            dtype=self.dtype,
            temperature=self.temperature,
            max_new_tokens=self.max_new_tokens,
            autocast="updates" if self.autocast_updates and not self.autocast else self.autocast,
            gradient_checkpointing=self.gradient_checkpointing,
            seed=self.seed,
        )

    def _check_size(self, name: str) -> None:
        value = getattr(self, name)
        if not 0 < value < math.inf:
            raise ConfigError(f"{name} is {value}; it must be a finite number above 0.")

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as JSON types."""
        fields = {"algorithm": self.algorithm, **dataclasses.asdict(self)}
        return {name: str(value) if isinstance(value, Path) else value for name, value in fields.items()}

    def settings(self) -> dict[str, str]:
        """Returns the fields that a run's result depends on, each as JSON text."""
        fields = self.to_json() | {"lora": dataclasses.asdict(self.lora.filled())}
        return {name: json.dumps(value, sort_keys=True) for name, value in fields.items() if name not in _FREE}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(RunConfig):
    """The fields that learners on an environment share."""

    env_id: str = "RetroHotpotQA-v0"
    """Id of the environment."""
    env_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Arguments of the environment, of JSON types: reward, max_reflections, tasks and so on."""
    actor: str = "scripted"
    """The frozen model that plays, as a spec: see ``retro_gym.make_actor``."""
    actor_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Options of the actor, of JSON types: base_url, temperature, budget and so on. A resumed run may change the
    actor's address, limits and budget."""
    reflector: str = "tiny"
    """The model to train: ``tiny``, a folder (an adapter in it is trained further), a GGUF file, or a hub name."""
    server: str | None = None
    """Address of a vLLM or SGLang server that samples the reflections, with the adapter loaded into it after each
    update; None to sample in this process. See :mod:`retro_gym_agents.lm.served`."""
    updates: int = 300
    """Number of updates."""
    stop_after_calls: int | None = None
    """Actor calls, those of validations included, with which the run is over: it ends after the update that reaches
    them. A budget of the actor, ``actor_kwargs={"budget": …}``, is never exceeded, but interrupts an update."""
    num_prompts: int = 16
    """P: episodes per update."""
    group_size: int = 8
    """K: reflections sampled on each failure."""
    kl_coef: float = 0.02
    """β: coefficient of the KL divergence from the policy at the start of RL, in units of reward per nat."""
    trial_discount: float = 0.0
    """γ: discount across the trials of an episode, between 0 and 1. A reflection is credited with the rewards of later
    ones, see :func:`retro_gym_agents.play.rollout.with_later_rewards`; 0 for its own reward alone."""
    revisit: float = 0.0
    """Share of an update's episodes that begin with earlier failures on which not every reflection succeeded, as far as
    some wait: see :mod:`retro_gym_agents.play.revisits`."""
    shuffle_rewards: bool = False
    """Permutes the rewards within the batch: a control that must not learn."""
    validation_tasks: int = 100
    """Number of validation tasks: the first ones of split ``validation``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        needed = ("updates", "num_prompts", "group_size", "validation_tasks")
        check_whole(1, **{name: getattr(self, name) for name in needed})
        check_whole(1, stop_after_calls=1 if self.stop_after_calls is None else self.stop_after_calls)
        if not 0 <= self.kl_coef < math.inf:
            raise ConfigError(f"kl_coef is {self.kl_coef}; it must be a finite number of at least 0.")
        if not 0 <= self.trial_discount <= 1:
            raise ConfigError(f"trial_discount is {self.trial_discount}; it must lie between 0 and 1.")
        if not 0 <= self.revisit < 1:
            raise ConfigError(
                f"revisit is {self.revisit}; it must be at least 0 and below 1, so that there are new failures too."
            )
        if self.decay_updates > self.updates:
            raise ConfigError(
                f"decay_updates is {self.decay_updates}, but there are {self.updates} updates: no update would have "
                "the full learning rate. Give at most the number of updates."
            )
        for name in ("env_kwargs", "actor_kwargs"):
            try:
                json.dumps(getattr(self, name), allow_nan=False)
            except (TypeError, ValueError) as error:
                raise ConfigError(
                    f"{name} is {one_line(getattr(self, name))}: {error}. Give values of JSON types, since the config "
                    "is saved with the run."
                ) from error

    @property
    def title(self) -> str:
        """What the run is, for its learning curve."""
        return f"{self.algorithm} on {self.env_id}"

    def recorded(self) -> dict[str, Any]:
        """Returns the learner's fields that a run's result depends on, for the header of its records."""
        fields = self.to_json()
        apart = ("env_id", "env_kwargs", "actor", "actor_kwargs", "seed")  # these have columns of their own
        steps = ("learning_rate", "value_learning_rate", "max_grad_norm")  # these may change when a run is resumed
        return {name: fields[name] for name in (*self.settings(), *steps) if name in fields and name not in apart}

    def settings(self) -> dict[str, str]:
        """Returns the fields that a run's result depends on, each as JSON text."""
        kept = {name: value for name, value in self.actor_kwargs.items() if name not in _FREE_OF_THE_ACTOR}
        settings = super().settings() | {"actor_kwargs": json.dumps(kept, sort_keys=True)}
        for name in ("trial_discount", "revisit"):
            if not getattr(self, name):  # left out, so that runs from before these fields can be resumed
                del settings[name]
        del settings["server"]  # its address may change
        if self.server is not None:
            settings["served"] = "true"
        return settings
