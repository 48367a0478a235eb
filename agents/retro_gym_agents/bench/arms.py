"""How each arm of a benchmark comes by its policy: a function for each learner, within one budget of actor calls."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from retro_gym.errors import ConfigError, did_you_mean
from retro_gym_agents.algorithms import imitation, ppo, reinforce, retroact, retroformer, reward_model
from retro_gym_agents.bench.config import ActorSetting, Arm, BenchConfig
from retro_gym_agents.evaluation.results import replace_json
from retro_gym_agents.play.collection import CollectConfig, collect
from retro_gym_agents.play.policies import make_policy

__all__ = ["Collected", "Job", "Trained", "check_settings", "collect_for", "train"]

_ENDLESS = 1_000_000  # updates, episodes or rounds, of which a budget of actor calls allows fewer
_SAMPLES = 4  # reflections on each failure of a collection
_RUN = "{folder}/run"
_NUM_SAMPLES = "num_samples"  # of best-of-n: its policy's, no field of the reward model's config

_CONFIGS: dict[str, type[Any]] = {
    "imitation": imitation.ImitationConfig,
    "best_of": reward_model.RewardModelConfig,
    "reinforce": reinforce.ReinforceConfig,
    "ppo": ppo.PPOConfig,
    "retroformer": retroformer.RetroformerConfig,
    "retroact": retroact.RetroActConfig,
}
_FIXED = (
    *("output", "records", "model", "reflector", "actor", "actor_kwargs", "env_id", "seed", "resume", "start"),
    *("stop_after_calls", "num_episodes"),
)
"""Fields that the benchmark sets itself."""


@dataclasses.dataclass(frozen=True)
class Collected:
    """A collection of reflections, which several arms may learn from."""

    env_id: str
    seed: int
    actor: ActorSetting
    calls: int
    """Actor calls that it may cost."""

    @property
    def name(self) -> str:
        """Name of its file within the folder of runs."""
        return f"{self.env_id}/collected/{self.actor.name}-{self.calls}-{self.seed}.jsonl"


@dataclasses.dataclass(frozen=True)
class Trained:
    """An arm's policy, and what it cost."""

    policy: str
    """Its spec; ``{folder}`` stands for the arm's folder."""
    options: dict[str, Any]
    """Its options."""
    planner: str = ""
    """The folder of the planner that plays in the actor's place, if it learned one too; likewise."""
    actor_calls: int = 0
    """Actor calls of its training, of collections that it shares with other arms too."""


@dataclasses.dataclass(frozen=True)
class Job:
    """The training of one arm in one environment with one seed."""

    config: BenchConfig
    arm: Arm
    env_id: str
    seed: int
    output: Path
    """The benchmark's folder."""

    @property
    def name(self) -> str:
        """Its name in messages and files."""
        return f"{self.env_id}/{self.arm.slug}-{self.seed}"

    @property
    def folder(self) -> Path:
        """Its folder."""
        return self.output / "runs" / self.name

    @property
    def actor(self) -> ActorSetting:
        """The actor that it learns with."""
        return self.config.actor(self.arm.actor)

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of its learner."""
        return self.config.settings_of(self.arm)

    @property
    def collected(self) -> Collected | None:
        """What it learns from, if it is collected beforehand."""
        if self.arm.learn not in ("imitation", "best_of", "retroformer"):
            return None
        share = 0.5 if self.settings.get("reward") == "env" else 1.0  # the other half pays for PPO's trials
        return Collected(self.env_id, self.seed, self.actor, round(share * self.config.budget))

    @property
    def records(self) -> Path:
        """The file of the collection."""
        assert self.collected is not None
        return self.output / "runs" / self.collected.name

    @property
    def env_kwargs(self) -> dict[str, Any]:
        """The arguments of the environment that it learns in."""
        return {**self.config.env_kwargs, **self.settings.get("env_kwargs", {})}

    @property
    def shared(self) -> dict[str, Any]:
        """The fields of all learners with an actor that does not learn."""
        return {
            "env_id": self.env_id,
            "env_kwargs": self.env_kwargs,
            "actor": self.actor.actor,
            "actor_kwargs": self.actor.actor_kwargs,
            "seed": self.seed,
        }

    @property
    def own(self) -> dict[str, Any]:
        """The settings of its learner, without the environment's arguments."""
        return {name: value for name, value in self.settings.items() if name != "env_kwargs"}


def collect_for(job: Job) -> None:
    """Collects what a job learns from: several reflections of the untrained reflector on each failure."""
    found = job.collected
    assert found is not None
    config = CollectConfig(
        job.env_id,
        job.records,
        num_episodes=_ENDLESS,
        max_reflections=1,
        num_samples=_SAMPLES,
        stop_after_calls=found.calls,
        seed=job.seed,
        env_kwargs={**job.config.env_kwargs, **found.actor.kwargs},
        resume=True,
    )
    job.records.parent.mkdir(parents=True, exist_ok=True)
    collect(config, make_policy(job.config.reflector))


def train(job: Job) -> Trained:
    """Trains an arm, or goes on with it; returns its policy, which is noted in ``trained.json`` of its folder.

    Raises:
        ConfigError: a setting is unknown or invalid.
        ActorError: the actor cannot be reached; the benchmark can be resumed.
    """
    note = job.folder / "trained.json"
    if note.is_file():
        return Trained(**json.loads(note.read_text(encoding="utf-8")))
    trained = _LEARN[job.arm.learn](job) if job.arm.learn else Trained(job.arm.policy, job.arm.options)
    replace_json(dataclasses.asdict(trained), note)
    return trained


def _imitate(job: Job) -> Trained:
    """Imitates own reflections: all of them, or with ``min_rating`` those that helped."""
    imitation.train(
        imitation.ImitationConfig(
            output=job.folder / "run",
            records=(str(job.records),),
            model=job.config.reflector,
            seed=job.seed,
            resume=True,
            **job.own,
        )
    )
    return Trained(_RUN, {}, actor_calls=_collected_calls(job))


def _best_of(job: Job) -> Trained:
    """Learns a reward model, by which the best of several reflections is chosen."""
    reward_model.train(
        reward_model.RewardModelConfig(
            output=job.folder / "run",
            records=(str(job.records),),
            model=job.config.reflector,
            seed=job.seed,
            resume=True,
            **{name: value for name, value in job.own.items() if name != _NUM_SAMPLES},
        )
    )
    options = {"reflector": job.config.reflector, "num_samples": job.settings.get(_NUM_SAMPLES, 8)}
    return Trained(f"best_of:{_RUN}", options, actor_calls=_collected_calls(job))


def _online(job: Job) -> Trained:
    """Learns from live rewards."""
    fields = {
        "output": job.folder / "run",
        "reflector": job.config.reflector,
        "stop_after_calls": job.config.budget,
        "resume": True,
        "updates": _ENDLESS,
        **job.shared,
        "env_kwargs": {"max_reflections": 1, **job.env_kwargs},
        **job.own,
    }
    if job.arm.learn == "ppo":
        result = ppo.train(ppo.PPOConfig(**fields))
    else:
        result = reinforce.train(reinforce.ReinforceConfig(**fields))
    return Trained(_RUN, {}, actor_calls=int(result.metrics["actor_calls"]))


def _retroformer(job: Job) -> Trained:
    """Imitation, then PPO against a reward model, or with ``reward: env`` on live rewards."""
    folder, found = job.folder / "run", job.collected
    assert found is not None
    calls = _collected_calls(job)
    fields = {**job.shared, **job.own}
    if fields.get("reward") == "env":
        fields["ppo"] = {"updates": _ENDLESS, **fields.get("ppo", {}), "stop_after_calls": job.config.budget - calls}
    folder.mkdir(parents=True, exist_ok=True)
    for file in (job.records, job.records.with_name(job.records.name + ".progress")):
        if not (copy := folder / file.name.replace(job.records.name, "pairs.jsonl")).is_file():
            shutil.copyfile(file, copy.with_suffix(".new"))
            copy.with_suffix(".new").replace(copy)
    result = retroformer.train(
        retroformer.RetroformerConfig(
            output=folder,
            reflector=job.config.reflector,
            num_episodes=_ENDLESS,
            num_samples=_SAMPLES,
            stop_after_calls=found.calls,
            **fields,
        )
    )
    live = int(result.metrics.get("actor_calls", 0)) if result is not None else 0
    return Trained(f"{_RUN}/ppo", {}, actor_calls=calls + live)


def _retroact(job: Job) -> Trained:
    """A planner, which plays in the actor's place, and a reflector."""
    fields = {"rounds": _ENDLESS, **job.own}
    result = retroact.train(
        retroact.RetroActConfig(
            output=job.folder / "run",
            env_id=job.env_id,
            env_kwargs=job.env_kwargs,
            model=job.config.reflector,
            seed=job.seed,
            stop_after_calls=job.config.budget,
            resume=True,
            **fields,
        )
    )
    return Trained(f"{_RUN}/reflector", {}, f"{_RUN}/planner", actor_calls=int(result.metrics["actor_calls"]))


def check_settings(job: Job) -> None:
    """Checks the names of an arm's settings, before anything is played.

    Raises:
        ConfigError: the learner has no such setting, or the benchmark sets it itself.
    """
    if not job.arm.learn:
        return
    fields = [field.name for field in dataclasses.fields(_CONFIGS[job.arm.learn]) if field.name not in _FIXED]
    known = [*fields, *([_NUM_SAMPLES] if job.arm.learn == "best_of" else [])]
    for name in job.settings:
        if name not in known:
            why = "is set by the benchmark" if name in _FIXED else f"is no setting of {job.arm.learn}"
            raise ConfigError(f"arm {job.arm.name!r}: {name!r} {why}.{did_you_mean(name, known)}")


_LEARN: dict[str, Callable[[Job], Trained]] = {
    "imitation": _imitate,
    "best_of": _best_of,
    "reinforce": _online,
    "ppo": _online,
    "retroformer": _retroformer,
    "retroact": _retroact,
}


def _collected_calls(job: Job) -> int:
    progress = job.records.with_name(job.records.name + ".progress")
    return int(json.loads(progress.read_text(encoding="utf-8"))["actor_calls"])
