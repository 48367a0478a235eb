"""How each arm of a benchmark comes by its policy: a function for each learner, within one budget of actor calls."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from retro_gym.errors import ConfigError, did_you_mean
from retro_gym_agents.algorithms import gepa, imitation, ppo, reinforce, retroact, retroformer, reward_model
from retro_gym_agents.bench.config import ActorSetting, Arm, BenchConfig
from retro_gym_agents.evaluation.results import replace_json
from retro_gym_agents.play.collection import CollectConfig, collect
from retro_gym_agents.play.policies import make_policy

__all__ = ["Collected", "Job", "Trained", "check_settings", "collect_for", "make_planner", "train"]

_ENDLESS = 1_000_000  # updates, episodes or rounds, of which a budget of actor calls allows fewer
_SAMPLES = 4  # reflections on each failure of a collection
_RUN = "{folder}/run"  # where the learners write
_FIXED = (
    *("output", "records", "model", "reflector", "actor", "actor_kwargs", "env_id", "seed", "resume", "start"),
    *("stop_after_calls", "num_episodes", "max_actor_calls"),
)
"""Fields of configs that the benchmark sets itself."""


@dataclasses.dataclass(frozen=True)
class Collected:
    """A collection of reflections, which several arms may learn from."""

    env_id: str
    seed: int
    actor: ActorSetting
    calls: int
    """Actor calls that it may cost."""
    env_kwargs: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of its file within the folder of runs."""
        given = json.dumps(self.env_kwargs, sort_keys=True)
        own = hashlib.sha256(given.encode()).hexdigest()[:8] if self.env_kwargs else "plain"
        return f"{self.env_id}/collected/{self.actor.name}-{self.calls}-{own}-{self.seed}.jsonl"


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

    def planner_of(self, actor: ActorSetting) -> Path:
        """The folder of the run that makes an actor by imitation, in the job's environment."""
        return self.output / "runs" / self.env_id / "actors" / actor.name

    def playing(self, actor: ActorSetting) -> dict[str, Any]:
        """The arguments with which an environment has an actor."""
        spec = f"planner:{self.planner_of(actor) / 'planner'}" if actor.imitation is not None else actor.actor
        return {"actor": spec, "actor_kwargs": actor.actor_kwargs or None}

    @property
    def judges(self) -> tuple[ActorSetting, ...]:
        """The actors that judge it. An arm with a planner is judged once, since that plays in the actor's place."""
        return self.config.judges[:1] if self.arm.learn == "retroact" else self.config.judges

    @property
    def actors(self) -> tuple[ActorSetting, ...]:
        """The actors that it meets, in training and when it is judged."""
        return (self.actor, *self.judges) if self.arm.learn else self.judges

    @property
    def budget(self) -> int:
        """Actor calls that its training may cost."""
        return self.config.budget_of(self.env_id)

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of its learner."""
        return self.config.settings_of(self.arm)

    @property
    def collected(self) -> Collected | None:
        """What it learns from, if it is collected beforehand."""
        if self.arm.learn not in ("imitation", "best_of", "lessons", "retroformer"):
            return None
        share = 0.5 if self.settings.get("reward") == "env" else 1.0  # the other half pays for PPO's trials
        calls = round(share * self.budget)
        return Collected(self.env_id, self.seed, self.actor, calls, self.env_kwargs)

    @property
    def records(self) -> Path:
        """The file of the collection."""
        assert self.collected is not None
        return self.output / "runs" / self.collected.name

    @property
    def env_kwargs(self) -> dict[str, Any]:
        """The arguments of the environment that it learns in."""
        return {**self.config.env_kwargs, **self.arm.env_kwargs, **self.settings.get("env_kwargs", {})}

    @property
    def shared(self) -> dict[str, Any]:
        """The fields of all learners with an actor that does not learn."""
        return {
            "env_id": self.env_id,
            "env_kwargs": self.env_kwargs,
            **self.playing(self.actor),
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
        env_kwargs={**found.env_kwargs, **job.playing(found.actor)},
        resume=True,
    )
    job.records.parent.mkdir(parents=True, exist_ok=True)
    collect(config, make_policy(job.config.reflector))


def make_planner(job: Job, actor: ActorSetting) -> None:
    """Makes a planner of an actor in a job's environment: it imitates an expert's trials on training tasks."""
    folder = job.planner_of(actor)
    if (folder / "planner").is_dir():
        return
    retroact.train(
        retroact.RetroActConfig(
            output=folder,
            env_id=job.env_id,
            env_kwargs=job.config.env_kwargs,
            model=job.config.reflector,
            seed=job.config.seeds[0],
            rounds=0,
            resume=True,
            **(actor.imitation or {}),
        )
    )


def train(job: Job) -> Trained:
    """Trains an arm, or goes on with it; returns its policy, which is noted in ``trained.json`` of its folder.

    Raises:
        ConfigError: a setting is unknown or invalid.
        ActorError: the actor cannot be reached; the benchmark can be resumed.
    """
    note = job.folder / "trained.json"
    if note.is_file():
        return Trained(**json.loads(note.read_text(encoding="utf-8")))
    trained = _LEARNERS[job.arm.learn].train(job) if job.arm.learn else Trained(job.arm.policy, job.arm.options)
    replace_json(dataclasses.asdict(trained), note)
    return trained


def _imitate(job: Job) -> Trained:
    """Imitates own reflections: all of them, or with ``min_rating`` those that helped."""
    imitation.train(imitation.ImitationConfig(**_on_collected(job), **job.own))
    return Trained(_RUN, {}, actor_calls=_collected_calls(job))


def _on_collected(job: Job) -> dict[str, Any]:
    """Returns the fields of learners on the collection."""
    return {
        "output": job.folder / "run",
        "records": (str(job.records),),
        "model": job.config.reflector,
        "seed": job.seed,
        "resume": True,
    }


def _best_of(job: Job) -> Trained:
    """Learns a reward model, by which the best of several reflections is chosen."""
    own = {name: value for name, value in job.own.items() if name != "num_samples"}
    reward_model.train(reward_model.RewardModelConfig(**_on_collected(job), **own))
    options = {"reflector": job.config.reflector, "num_samples": job.settings.get("num_samples", 8)}
    return Trained(f"best_of:{_RUN}", options, actor_calls=_collected_calls(job))


def _lessons(job: Job) -> Trained:
    """Keeps the reflections with what they earned, for similar tasks."""
    job.folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(job.records, job.folder / "lessons.jsonl")
    return Trained("lessons:{folder}/lessons.jsonl", job.own, actor_calls=_collected_calls(job))


def _gepa(job: Job) -> Trained:
    """Evolves the instruction of a prompted model, from the beginning if it was interrupted."""
    shutil.rmtree(job.folder / "run", ignore_errors=True)
    result = gepa.evolve_instruction(
        gepa.GEPAConfig(
            output=job.folder / "run",
            env_id=job.env_id,
            env_kwargs={**job.env_kwargs, **job.playing(job.actor)},
            seed=job.seed,
            max_actor_calls=job.budget,
            **job.own,
        )
    )
    options = {**job.settings.get("reflector_kwargs", {}), "instruction": result.instruction}
    return Trained(job.settings["reflector"], options, actor_calls=result.actor_calls)


def _online(job: Job) -> Trained:
    """Learns from live rewards."""
    fields = {
        "output": job.folder / "run",
        "reflector": job.config.reflector,
        "stop_after_calls": job.budget,
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
        fields["ppo"] = {"updates": _ENDLESS, **fields.get("ppo", {}), "stop_after_calls": job.budget - calls}
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
            stop_after_calls=job.budget,
            resume=True,
            **fields,
        )
    )
    return Trained(f"{_RUN}/reflector", {}, f"{_RUN}/planner", actor_calls=int(result.metrics["actor_calls"]))


@dataclasses.dataclass(frozen=True)
class _Learner:
    """How arms of one kind are trained."""

    train: Callable[[Job], Trained]
    config: type[Any] | None = None
    """The config whose fields are its settings."""
    own: tuple[str, ...] = ()
    """Settings beside these."""
    needs: tuple[str, ...] = ()
    """Settings that have no default."""


_LEARNERS = {
    "imitation": _Learner(_imitate, imitation.ImitationConfig),
    "best_of": _Learner(_best_of, reward_model.RewardModelConfig, ("num_samples",)),
    "lessons": _Learner(_lessons, None, ("num", "weight", "beside")),
    "reinforce": _Learner(_online, reinforce.ReinforceConfig),
    "ppo": _Learner(_online, ppo.PPOConfig),
    "retroformer": _Learner(_retroformer, retroformer.RetroformerConfig),
    "retroact": _Learner(_retroact, retroact.RetroActConfig),
    "gepa": _Learner(_gepa, gepa.GEPAConfig, ("reflector",), ("reflector", "proposer")),
}


def check_settings(job: Job) -> None:
    """Checks the names of the settings of an arm and of the actors that it meets, before anything is played.

    Raises:
        ConfigError: the learner has no such setting or needs another one, or the benchmark sets it itself.
    """
    for actor in job.actors:
        _check_known(
            f"actor {actor.name}", actor.imitation or {}, "imitation", retroact.RetroActConfig, fixed=("rounds",)
        )
    if not job.arm.learn:
        return
    learner, settings = _LEARNERS[job.arm.learn], job.settings
    _check_known(f"arm {job.arm.name!r}", settings, job.arm.learn, learner.config, learner.own)
    for name in learner.needs:
        if name not in settings:
            raise ConfigError(f"arm {job.arm.name!r} learns by {job.arm.learn}, which needs the setting {name!r}.")


def _check_known(
    where: str,
    settings: Mapping[str, Any],
    what: str,
    config: type[Any] | None,
    own: Sequence[str] = (),
    fixed: Sequence[str] = (),
) -> None:
    fixed = (*_FIXED, *fixed)
    fields = [field.name for field in dataclasses.fields(config)] if config is not None else []
    known = [*own, *(name for name in fields if name not in fixed)]
    for name in settings:
        if name not in known:
            why = "is set by the benchmark" if name in fixed else f"is no setting of {what}"
            raise ConfigError(f"{where}: {name!r} {why}.{did_you_mean(name, known)}")


def _collected_calls(job: Job) -> int:
    progress = job.records.with_name(job.records.name + ".progress")
    return int(json.loads(progress.read_text(encoding="utf-8"))["actor_calls"])
