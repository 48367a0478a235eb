"""What policies earn that do not read a failure, or only its surface: the baselines, and cheap attacks.

    python -m benchmarks.attacks --output benchmarks/results/attacks.json     # 5 minutes of one core
    python -m benchmarks.attack_tables                                        # puts the figures into the manuals
    python docs/render_environments.py

An attack copies parts of the observation, advises names at random or by their place, or says not to do what was done.
Only ``oracle`` and ``rule`` should solve tasks (and ``told``, which is a leak, where the actor may use it). All attacks
work on any environment; those on the candidates of a choice need one with a reader in
:mod:`benchmarks.attack_readers`. Randomness comes from the seeds of the reflections, so the file is the same each time.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import tyro

from benchmarks.attack_readers import ANY, READERS, Decision, Failure, Reader, Write, advice
from benchmarks.kept_figures import kept
from retro_gym import RetroEnv
from retro_gym.seeding import derive_seed
from retro_gym_agents.evaluation.evaluate import evaluate_all
from retro_gym_agents.evaluation.evaluation import EvaluationConfig, TaskResult
from retro_gym_agents.evaluation.results import to_json
from retro_gym_agents.play.envs import make_retro_env
from retro_gym_agents.play.policies import BASELINES, BaselinePolicy, Policy
from retro_gym_agents.play.policies.similarity import TextIndex
from retro_gym_agents.runs.log import shown_progress

TWO = "two"
"""What the causes of tasks with two causes are called here."""
_SIZES = (300, 600, 1_000)  # characters of the observation
_REMEMBERED = 500  # training tasks, as many as the baseline lookup knows


@dataclasses.dataclass(frozen=True)
class Config:
    """What is measured."""

    output: Path
    """The file to write."""
    env_ids: tuple[str, ...] = tuple(READERS)
    """Ids of environments, ``Retro…-v0``."""
    num_tasks: int = 200
    """Number of test tasks, drawn with seed 0."""
    seeds: int = 2
    """Number of evaluation seeds."""


class Attack:
    """A policy.

    Args:
        name: its name.
        write: writes a reflection on a failure.
    """

    def __init__(self, name: str, write: Write) -> None:
        self.name = name
        self.write = write
        self.lengths: list[int] = []
        """Characters of the observations that it was asked about."""

    def reflect(self, observations: Sequence[str], envs: Sequence[RetroEnv], seeds: Sequence[int]) -> list[str]:
        """Returns one reflection for each environment."""
        self.lengths += map(len, observations)
        rngs = [np.random.default_rng(derive_seed(seed, self.name)) for seed in seeds]
        return [self.write(Failure(*each)) for each in zip(observations, envs, rngs, strict=True)]


def attacks_of(env_id: str) -> list[Attack]:
    """Returns all attacks on an environment."""
    reader = READERS.get(env_id, ANY)
    found: dict[str, Write] = {
        "task": lambda failure: failure.trial.task,
        **{f"first {size}": _part(slice(size)) for size in _SIZES},
        **{f"last {size}": _part(slice(-size, None)) for size in _SIZES},
        "actions listed": lambda failure: ", ".join(turn.action for turn in failure.trial.turns),
        **_on_names(reader),
    }
    if reader.decisions is not None:
        found |= _on_decisions(reader.decisions)
    if _teacher_has(env_id, "oracle_reflection"):
        found |= {"not the oracle": _not_the_oracle, "lookup by failure": _LikestFailure(env_id)}
    return [Attack(name, write) for name, write in {**found, **reader.attacks}.items()]


def _part(where: slice) -> Write:
    return lambda failure: failure.observation[where]


# -- names -----------------------------------------------------------------------------------------------------------


def _on_names(reader: Reader) -> dict[str, Write]:
    """Returns the attacks that advise names of the trial, whatever they are names of."""

    def attack(choose: Callable[[Failure, Sequence[str]], Sequence[str]]) -> Write:
        def write(failure: Failure) -> str:
            chosen = choose(failure, reader.names(failure))
            return advice(reader.form.format(" and ".join(chosen))) if chosen else ""

        return write

    return {
        "every name": attack(lambda _, names: names),
        "one name": attack(lambda failure, names: _some(failure, names, 1)),
        "two names": attack(lambda failure, names: _some(failure, names, 2)),
        "three names": attack(lambda failure, names: _some(failure, names, 3)),
        "last name": attack(lambda _, names: names[-1:]),
        "most frequent name": attack(_most_frequent),
    }


def _some(failure: Failure, names: Sequence[str], number: int) -> list[str]:
    return [names[index] for index in failure.rng.permutation(len(names))[:number]]


def _most_frequent(failure: Failure, names: Sequence[str]) -> list[str]:
    text = failure.observation.lower()
    return sorted(names, key=lambda name: -text.count(name.lower()))[:1]


# -- candidates ------------------------------------------------------------------------------------------------------


def _on_decisions(decisions: Callable[[Failure], Sequence[Decision]]) -> dict[str, Write]:
    """Returns the attacks that advise candidates of each choice that the trial left to luck."""

    def attack(choose: Callable[[Failure, Decision], Sequence[str]]) -> Write:
        def write(failure: Failure) -> str:
            chosen = [(each, choose(failure, each)) for each in decisions(failure)]
            return advice(*(each.of(*names) for each, names in chosen if names))

        return write

    def sentences(form: str) -> Write:
        def write(failure: Failure) -> str:
            every = ((name, each.of(name)) for each in decisions(failure) for name in each.names)
            return " ".join(advice(form.format(name=name, advice=said)) for name, said in every)

        return write

    def not_taken(failure: Failure) -> str:
        taken = [each.of(each.taken) for each in decisions(failure) if each.taken]
        return advice(*(f"do not {said}" for said in taken))

    return {
        "first candidate": attack(lambda _, each: each.names[:1]),
        "second candidate": attack(lambda _, each: each.names[1:2]),
        "third candidate": attack(lambda _, each: each.names[2:3]),
        "last candidate": attack(lambda _, each: each.names[-1:]),
        "one candidate": attack(lambda failure, each: _some(failure, each.names, 1)),
        "two candidates": attack(lambda failure, each: _some(failure, each.names, 2)),
        "untried candidate": attack(
            lambda failure, each: _some(failure, [name for name in each.names if name != each.taken], 1)
        ),
        "described candidate": attack(lambda failure, each: _some(failure, each.described, 1)),
        "every candidate": attack(lambda _, each: each.names),
        "every candidate by itself": sentences("{advice}"),
        "every candidate if right": sentences("if {name} is right, {advice}"),
        "not the tried": not_taken,
    }


# -- oracles ---------------------------------------------------------------------------------------------------------


def _teacher_has(env_id: str, method: str) -> bool:
    with closing(make_retro_env(env_id)) as env:
        return env.task_env.teacher.defines(method)


def _not_the_oracle(failure: Failure) -> str:
    said = failure.env.task_env.teacher.oracle_reflection(failure.trial.task_id)
    return f"Do not {said[:1].lower()}{said[1:]}"


class _LikestFailure:
    """Writes the oracle's reflection on the training task whose failure is most like the present one, by BM25."""

    def __init__(self, env_id: str) -> None:
        self._env_id = env_id
        self._known: tuple[list[str], TextIndex] | None = None

    def __call__(self, failure: Failure) -> str:
        self._known = self._known or self._read()
        task_ids, texts = self._known
        nearest = task_ids[int(texts.scores(failure.observation).argmax())]
        return failure.env.task_env.teacher.oracle_reflection(nearest)

    def _read(self) -> tuple[list[str], TextIndex]:
        """Plays training tasks, and keeps those that fail."""
        known: dict[str, str] = {}
        with closing(make_retro_env(self._env_id, split="train")) as env:
            task_ids = env.task_env.task_ids("train")
            drawn = np.random.default_rng(0).permutation(len(task_ids))[:_REMEMBERED]
            for seed, index in enumerate(sorted(drawn)):
                observation, info = env.reset(seed=seed, options={"task_id": task_ids[index]})
                if not info["success"]:
                    known[task_ids[index]] = observation
        return list(known), TextIndex(list(known.values()))


# -- the file --------------------------------------------------------------------------------------------------------


def measured(env_id: str, config: Config) -> dict[str, Any]:
    """Returns settings, versions, facts on trial 0, and the figures of all policies on one environment."""
    baselines = [name for name, one in BASELINES.items() if one.needs is None or _teacher_has(env_id, one.needs)]
    attacks = attacks_of(env_id)
    policies: list[Policy] = [*map(BaselinePolicy, baselines), *attacks]
    setting = EvaluationConfig(env_id, num_tasks=config.num_tasks, trials=1, seeds=config.seeds)
    with shown_progress() as progress:
        evaluations = evaluate_all(setting, policies, progress=progress)
    result = kept(to_json(evaluations))
    solved: dict[str, list[bool]] = {}
    for task in evaluations[0].scored:
        solved.setdefault(_cause(task), []).append(task.success[0])
    lengths = attacks[0].lengths or [0]
    figures = {name: _at_trial_1(one) for name, one in result.pop("policies").items()}
    return {
        **result,
        "solved_at_trial_0": round(evaluations[0].success_at_trial()[0].mean, 6),
        "solved_at_trial_0_by_cause": {cause: round(fmean(each), 6) for cause, each in sorted(solved.items()) if cause},
        "observation_chars": {"mean": round(fmean(lengths), 1), "most": max(lengths)},
        "policies": figures,
    }


def _cause(task: TaskResult) -> str:
    return TWO if "+" in task.cause or " and " in task.cause else task.cause


def _at_trial_1(policy: dict[str, Any]) -> dict[str, Any]:
    return {
        "success": policy["success_at_trial"][1],
        "ci95": policy["ci95"][1],
        "reflections": policy["reflections"],
        "leaking": policy["leaking"],
    }


def as_text(results: Sequence[dict[str, Any]]) -> str:
    """Returns the results as JSON with one line for each policy."""
    texts = []
    for result in results:
        rows = [f"   {json.dumps(name)}: {json.dumps(one)}" for name, one in result["policies"].items()]
        fields = [f"  {json.dumps(name)}: {json.dumps(one)}" for name, one in result.items() if name != "policies"]
        policies = '  "policies": {\n' + ",\n".join(rows) + "\n  }"
        texts.append(" {\n" + ",\n".join([*fields, policies]) + "\n }")
    return "[\n" + ",\n".join(texts) + "\n]\n"


def main(config: Config) -> None:
    """Measures all environments and writes the file, which holds what there is after each."""
    results = []
    for env_id in config.env_ids:
        results.append(measured(env_id, config))
        config.output.write_text(as_text(results), encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
