"""The fields that the learners' configs have in common."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, ClassVar

from retro_gym.checks import check_whole
from retro_gym.errors import ConfigError, one_line
from retro_gym.typed_fields import settle_fields
from retro_gym_agents.lm.adapters import DEFAULT_LORA, LoraSettings

__all__ = ["TrainConfig"]

# What may differ between a run and its resumption: where it goes, how long it lasts, how often it is looked at, where
# its actor is found and what that may cost, and how far its steps go, since a run that diverged needs shorter ones.
_FREE = (
    "output",
    "resume",
    "updates",
    "max_minutes",
    "checkpoint_every",
    "validate_every",
    "log_every",
    "device",
    "micro_prompts",
    "micro_tokens",
    "gradient_checkpointing",
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
class TrainConfig:
    """The fields that all learners have."""

    algorithm: ClassVar[str]
    """What the learner is called."""
    output: Path
    """The run's folder; empty or absent unless ``resume`` is set."""
    env_id: str = "RetroHotpotQA-v0"
    """Id of the environment."""
    env_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Arguments of the environment, of JSON types: reward, max_reflections, tasks and so on."""
    actor: str = "scripted"
    """The frozen model that plays, as a spec: see ``retro_gym.make_actor``."""
    actor_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Its options, of JSON types: base_url, temperature, budget and so on. A resumed run may find it elsewhere and give
    it other limits and another budget."""
    reflector: str = "tiny"
    """The model that learns: ``tiny``, a folder (also one with an adapter, to go on from), or a name on the hub."""
    lora: LoraSettings = DEFAULT_LORA
    """The adapter that is trained. One that is loaded has its own settings; others that are given are refused."""
    temperature: float | None = None
    """Of sampling; by default what the model's generation config says."""
    max_new_tokens: int | None = None
    """Longest reflection in tokens; by default what the model's generation config says."""
    seed: int = 0
    """Of tasks, samples and initial weights. The same seed gives the same run, on the CPU bit for bit."""
    updates: int = 300
    """How many updates to make."""
    max_minutes: float | None = None
    """Wall-clock limit, resumptions included. What fits in depends on the machine, and so does the result."""
    num_prompts: int = 16
    """P: episodes per update."""
    group_size: int = 8
    """K: reflections tried on each failure."""
    micro_prompts: int | None = None
    """Prompts in one forward pass; fewer need less memory and give the same gradient. All at once by default."""
    micro_tokens: int | None = None
    """Tokens in one forward pass, padding included: failures of like length go together until this many are reached,
    but at least one. Without a limit by default."""
    gradient_checkpointing: bool = False
    """Computes activations again in the backward pass instead of keeping them: less memory, the same gradient."""
    autocast: bool = False
    """Matrix products in bfloat16, for sampling and for the update; weights stay as they were loaded."""
    learning_rate: float = 6e-4
    """Of AdamW, without weight decay."""
    decay_updates: int = 0
    """Over the last so many updates the learning rate falls linearly towards 0."""
    kl_coef: float = 0.02
    """β: the price of a nat of KL divergence from the policy at the start of RL, in units of reward."""
    max_grad_norm: float = 1.0
    """Gradients are clipped to this norm."""
    shuffle_rewards: bool = False
    """Permutes the rewards within the batch: a control that must not learn."""
    validate_every: int | None = None
    """Updates between validations (success on held-out tasks); they choose the adapter that is kept as best: of equals
    the last."""
    validation_tasks: int = 100
    """The first so many tasks of split ``validation``."""
    checkpoint_every: int = 10
    """Updates between checkpoints: what a killed run has to make again at most."""
    resume: bool = False
    """Goes on from the folder's checkpoint."""
    device: str = "cpu"
    """Where the reflector runs: ``cpu``, ``cuda``, ``cuda:1``."""
    dtype: str | None = None
    """Of the base model: see ``Reflector.load``."""
    log_every: int = 10
    """Updates between lines of progress where there is no terminal to draw a bar on."""

    def __post_init__(self) -> None:
        settle_fields(self)
        if not isinstance(self.lora, LoraSettings):
            raise ConfigError(f"lora is {one_line(self.lora)}; give LoraSettings, such as LoraSettings(rank=8).")
        needed = ("updates", "num_prompts", "group_size", "validation_tasks", "checkpoint_every", "log_every")
        optional = ("micro_prompts", "micro_tokens", "validate_every", "max_new_tokens")
        counts = {name: getattr(self, name) for name in (*needed, *optional)}
        check_whole(1, **{name: count for name, count in counts.items() if name in needed or count is not None})
        check_whole(0, decay_updates=self.decay_updates)
        for name in ("learning_rate", "max_grad_norm"):
            self._check_size(name)
        for name in ("max_minutes", "temperature"):
            if getattr(self, name) is not None:
                self._check_size(name)
        if not 0 <= self.kl_coef < math.inf:
            raise ConfigError(f"kl_coef is {self.kl_coef}; it must be a finite number that is not below 0.")
        if self.decay_updates > self.updates:
            raise ConfigError(
                f"decay_updates is {self.decay_updates}, but there are {self.updates} updates: the learning rate would "
                "never be what learning_rate says. Give at most as many."
            )
        for name in ("env_kwargs", "actor_kwargs"):
            try:
                json.dumps(getattr(self, name), allow_nan=False)
            except (TypeError, ValueError) as error:
                raise ConfigError(
                    f"{name} is {one_line(getattr(self, name))}: {error}. Values of JSON types are the rule, since the "
                    "config is saved with the run."
                ) from error

    def _check_size(self, name: str) -> None:
        value = getattr(self, name)
        if not 0 < value < math.inf:
            raise ConfigError(f"{name} is {value}; it must be a finite number above 0.")

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON types."""
        return {"algorithm": self.algorithm, **dataclasses.asdict(self), "output": str(self.output)}

    def settings(self) -> dict[str, str]:
        """The fields that a run's result depends on, each as JSON text."""
        fields = self.to_json() | {"lora": dataclasses.asdict(self.lora.filled())}
        fields["actor_kwargs"] = {
            name: value for name, value in self.actor_kwargs.items() if name not in _FREE_OF_THE_ACTOR
        }
        return {name: json.dumps(value, sort_keys=True) for name, value in fields.items() if name not in _FREE}
