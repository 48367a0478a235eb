"""What a benchmark compares: its configuration, read from a YAML file. ``docs/benchmark.md`` describes the format."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from retro_gym.checks import check_whole
from retro_gym.errors import ConfigError, MissingExtraError, did_you_mean, one_line
from retro_gym.typed_fields import settle_fields
from retro_gym_agents.evaluation.comparison import NONE

__all__ = ["LEARNERS", "ActorSetting", "Arm", "BenchConfig", "Panel", "load_config"]

LEARNERS = ("imitation", "best_of", "lessons", "reinforce", "ppo", "retroformer", "retroact", "gepa")
"""How an arm may be trained: the values of ``learn``."""

_FLOAT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")  # YAML 1.1 takes 1e-3 for a text


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to come by reflections: a policy that is given, or one that is learned."""

    name: str
    """Name in tables."""
    policy: str = ""
    """Spec of a given policy, see :func:`~retro_gym_agents.play.policies.make_policy`."""
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Options of the given policy."""
    learn: str = ""
    """How the policy is learned, one of :data:`LEARNERS`."""
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of the learner's config."""
    actor: str = ""
    """The actor that it learns with; the first one by default."""
    env_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Arguments of the environment in which it is trained and judged, such as ``{"memory": "both"}``. What only the
    training should have, such as ``reward``, stands in the learner's settings."""
    claim: str = ""
    """What is said of it elsewhere, for the table."""

    def __post_init__(self) -> None:
        settle_fields(self)
        if not self.name:
            raise ConfigError("an arm has no name. Give each a name of its own.")
        for field in ("options", "settings", "env_kwargs"):
            _mapping(getattr(self, field), f"arm {self.name!r}: {field}")
        if bool(self.policy) == bool(self.learn):
            raise ConfigError(
                f"arm {self.name!r} has policy={self.policy!r} and learn={self.learn!r}; give one of the two."
            )
        if self.learn and self.learn not in LEARNERS:
            raise ConfigError(
                f"arm {self.name!r}: learn is {self.learn!r}, not one of {LEARNERS}."
                f"{did_you_mean(self.learn, LEARNERS)}"
            )
        if self.policy and self.settings:
            raise ConfigError(f"arm {self.name!r} is not trained, so it has no settings; use options for its policy's.")
        if self.learn and self.options:
            raise ConfigError(f"arm {self.name!r} is trained; give settings for its learner, and no options.")

    @property
    def slug(self) -> str:
        """Its name as part of a file's name."""
        return re.sub(r"[^\w=.+]+", "-", self.name.lower()).strip("-")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ActorSetting:
    """An actor, with which arms are trained or judged."""

    name: str
    """Name in tables."""
    actor: str = "scripted"
    """Its spec, see :func:`retro_gym.make_actor`."""
    actor_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Its options."""
    imitation: dict[str, Any] | None = None
    """Makes the actor a planner, which learns in each environment from an expert's trials: settings of RetroAct's first
    stage, such as ``{"expert_episodes": 200, "imitation_updates": 10}``; ``{}`` for its defaults."""

    def __post_init__(self) -> None:
        settle_fields(self)
        if self.imitation is not None and self.actor != "scripted":
            raise ConfigError(
                f"actor {self.name} is {self.actor!r} and has settings of imitation, of which a planner is made; "
                "leave one of the two out."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Panel:
    """The tasks that all arms are judged on, and how."""

    split: str = "test"
    """Split of the tasks."""
    num_tasks: int = 100
    """Number of tasks of each environment."""
    trials: int = 3
    """T: maximum number of reflections for each task."""
    seed: int = 0
    """Seed of the choice of tasks, of the trials and of the reflections."""
    seeds: int = 1
    """Evaluation seeds."""
    actors: tuple[str, ...] = ()
    """Names of the actors that judge; the first one by default."""

    def __post_init__(self) -> None:
        settle_fields(self)
        check_whole(1, num_tasks=self.num_tasks, trials=self.trials, seeds=self.seeds)
        object.__setattr__(self, "actors", tuple(self.actors))


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """A benchmark."""

    arms: tuple[Arm, ...]
    """What is compared, in the order of the table. A plain retry, which all are compared with, is added if it lacks."""
    envs: tuple[str, ...]
    """Ids of the environments."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Training seeds. An arm that is not trained is judged once."""
    budget: int = 30_000
    """Actor calls that the training of each arm may cost, in each environment and with each seed."""
    budgets: dict[str, int] = dataclasses.field(default_factory=dict)
    """The same for single environments, by id: where trials are long, the same calls pay for fewer of them."""
    reflector: str = "tiny"
    """The model that is trained: ``tiny``, a folder, or a hub name."""
    env_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Arguments of all environments, in training and in evaluation."""
    actors: tuple[ActorSetting, ...] = (ActorSetting(name="scripted"),)
    """The actors; the first one trains and judges unless others are named."""
    evaluation: Panel = dataclasses.field(default_factory=Panel)
    """How arms are judged."""
    learners: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    """For each learner, settings of all arms with it."""

    def __post_init__(self) -> None:
        settle_fields(self)
        for name in ("arms", "envs", "seeds", "actors"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
            if not getattr(self, name):
                raise ConfigError(f"{name} is empty; give at least one.")
        if all(arm.policy != NONE for arm in self.arms):
            object.__setattr__(self, "arms", (Arm(name="plain retry", policy=NONE), *self.arms))
        check_whole(1, budget=self.budget)
        for env_id, budget in _mapping(self.budgets, "budgets").items():
            if env_id not in self.envs:
                raise ConfigError(f"budgets names {env_id!r}, not one of {self.envs}.{did_you_mean(env_id, self.envs)}")
            check_whole(1, **{f"budget of {env_id}": budget})
        _check_different("arms", [arm.slug for arm in self.arms])
        _check_different("envs", self.envs)
        _check_different("seeds", self.seeds)
        _check_different("actors", [actor.name for actor in self.actors])
        for name in [*self.evaluation.actors, *(arm.actor for arm in self.arms if arm.actor)]:
            self.actor(name)
        _mapping(self.env_kwargs, "env_kwargs")
        for name, settings in _mapping(self.learners, "learners").items():
            _mapping(settings, f"learners: {name}")
            if name not in LEARNERS:
                raise ConfigError(f"learners: {name!r} is not one of {LEARNERS}.{did_you_mean(name, LEARNERS)}")

    def actor(self, name: str = "") -> ActorSetting:
        """Returns an actor by its name; the first one for an empty name.

        Raises:
            ConfigError: there is none of this name.
        """
        known = {actor.name: actor for actor in self.actors}
        if name and name not in known:
            raise ConfigError(f"actor {name!r} is not among {tuple(known)}.{did_you_mean(name, known)}")
        return known[name] if name else self.actors[0]

    @property
    def judges(self) -> tuple[ActorSetting, ...]:
        """The actors that judge."""
        return tuple(self.actor(name) for name in self.evaluation.actors) or self.actors[:1]

    def budget_of(self, env_id: str) -> int:
        """Returns the actor calls that the training of an arm may cost in an environment."""
        return self.budgets.get(env_id, self.budget)

    def settings_of(self, arm: Arm) -> dict[str, Any]:
        """Returns the settings of an arm's learner: those of all arms with it, then its own."""
        return {**self.learners.get(arm.learn, {}), **arm.settings}

    def digest_of(self, arm: Arm) -> str:
        """Returns a digest of everything that an arm's runs depend on, and its results beside the judging actor."""
        panel = {**dataclasses.asdict(self.evaluation), "actors": None}
        training = [self.budget, self.budgets, self.digest_of_actor(self.actor(arm.actor))] if arm.learn else None
        shared = [training, self.env_kwargs, panel]
        return _digest([shared, dataclasses.asdict(arm), self.settings_of(arm)])

    def digest_of_actor(self, actor: ActorSetting) -> str:
        """Returns a digest of everything that an actor depends on."""
        made = None if actor.imitation is None else [self.env_kwargs, self.seeds[0]]
        return _digest([{**dataclasses.asdict(actor), "imitation": actor.imitation or {}}, made])

    @classmethod
    def parsed(cls, content: Mapping[str, Any]) -> Self:
        """Returns the benchmark that a YAML file describes.

        Raises:
            ConfigError: a name is unknown or missing, or a value is of the wrong type.
        """
        known = _known(content, [field.name for field in dataclasses.fields(cls)], "the file")
        for name in ("arms", "envs"):
            if not isinstance(known.get(name), list):
                raise ConfigError(f"{name} is {one_line(known.get(name))}; give a list.")
        known["arms"] = tuple(map(_arm, known["arms"]))
        if "actors" in known:
            known["actors"] = tuple(
                ActorSetting(name=name, **_known(_mapping(fields or {}, f"actor {name}"), _fields(ActorSetting), name))
                for name, fields in _mapping(known["actors"], "actors").items()
            )
        if "evaluation" in known:
            fields = _mapping(known["evaluation"], "evaluation")
            known["evaluation"] = Panel(**_known(fields, _fields(Panel), "evaluation"))
        return cls(**known)


def load_config(path: Path, *, quick: bool = False) -> BenchConfig:
    """Reads a benchmark from a YAML file.

    Args:
        path: the file.
        quick: replaces what the file's ``quick`` names, for a run of minutes.

    Raises:
        ConfigError: the file cannot be read, or is no benchmark.
        MissingExtraError: PyYAML is absent.
    """
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise MissingExtraError("yaml", "train") from error
    if not path.is_file():
        raise ConfigError(f"there is no file {path}. Give the YAML file of a benchmark: see docs/benchmark.md.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read as YAML: {one_line(str(error))}.") from error
    content = _with_floats(_mapping(content, str(path)))
    shorter = _mapping(content.pop("quick", {}) or {}, "quick")
    try:
        return BenchConfig.parsed(_merged(content, shorter) if quick else content)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _arm(content: Any) -> Arm:
    fields = _mapping(content, "an arm")
    where = f"arm {fields.get('name', '?')!r}"
    return Arm(**_known(fields, [field.name for field in dataclasses.fields(Arm)], where))


def _fields(kind: type[Any]) -> list[str]:
    return [field.name for field in dataclasses.fields(kind) if field.name != "name"]


def _known(content: Mapping[str, Any], names: Sequence[str], where: str) -> dict[str, Any]:
    for name in content:
        if name not in names:
            raise ConfigError(f"{where} has {name!r}; known are {', '.join(names)}.{did_you_mean(name, names)}")
    return dict(content)


def _mapping(content: Any, what: str) -> dict[str, Any]:
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise ConfigError(f"{what} is {one_line(content)}; give names with values.")
    return content


def _merged(content: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the content with the values of another, mappings within mappings likewise."""
    merged = dict(content)
    for name, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _merged(merged[name], value) if both else value
    return merged


def _with_floats(content: Any) -> Any:
    """Makes numbers of texts such as 1e-3."""
    if isinstance(content, dict):
        return {name: _with_floats(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_with_floats(value) for value in content]
    return float(content) if isinstance(content, str) and _FLOAT.fullmatch(content) else content


def _check_different(what: str, values: Sequence[Any]) -> None:
    twice = sorted({str(value) for value in values if list(values).count(value) > 1})
    if twice:
        raise ConfigError(f"{what} holds {twice[0]!r} twice, as names of files at least. Give each once.")
