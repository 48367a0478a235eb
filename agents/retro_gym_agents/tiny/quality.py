"""Quality of a model before RL, in both roles: ``python -m retro_gym_agents.tiny.quality``.

As a reflector: well-formed reflections, names that occur in the trajectory, and the failures that sampled reflections
solve, from which the policy gradient starts. As a planner: how well it imitates the scripted actor, and its success.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import tyro
from rich import box
from rich.console import Console
from rich.table import Table

import retro_gym  # noqa: F401 - registers the environments
from retro_gym.actors import reply_all
from retro_gym.actors.base import Reply
from retro_gym.actors.parsing import parse_reply
from retro_gym.prompts import BARE_TEMPLATE, Prompt
from retro_gym.seeding import derive_seed
from retro_gym_agents.evaluation.evaluate import evaluate
from retro_gym_agents.lm.planner import Planner
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.play.envs import make_retro_env
from retro_gym_agents.play.policies import make_policy
from retro_gym_agents.tiny.settings import ENV_IDS

__all__ = [
    "PlayQuality",
    "Quality",
    "QualityConfig",
    "greedy_planner",
    "main",
    "measure",
    "measure_all",
    "measure_planner",
    "quality_table",
]

_BATCH = 16  # failures whose reflections are sampled together


@dataclasses.dataclass(frozen=True)
class Quality:
    """Shares of reflections or failures, each in [0, 1]."""

    well_formed_greedy: float
    grounded_greedy: float
    """Share of all reflections that are well-formed and name only what occurs in the trajectory."""
    well_formed_sampled: float
    grounded_sampled: float
    solved_none: float
    """Share of the failures that the actor solves in the next trial with an empty reflection: a plain retry."""
    solved_greedy: float
    """Share of the failures that it solves with the greedy reflection."""
    pass_at_1: float
    """Share of the sampled reflections that lead to success."""
    pass_at_k: float
    """Share of the failures that at least one of k sampled reflections solves."""


@dataclasses.dataclass(frozen=True)
class PlayQuality:
    """Shares of turns or tasks, each in [0, 1]."""

    reproduced: float
    """Share of the scripted actor's actions in its first trials that the planner takes too. Below 1 even for a perfect
    imitation, since that actor draws some of its choices at random."""
    success: float
    """Share of the tasks that the planner solves at trial 0. An actor error counts as a failure, here and below."""
    success_with_oracle: float
    """Share of the tasks that it solves at trial 0, or at trial 1 with the oracle's reflection."""


def measure(reflector: Reflector, env_id: str, *, split: str, num_tasks: int, seed: int, samples: int = 16) -> Quality:
    """Measures greedy and sampled reflections on failures of a split.

    Args:
        reflector: the reflector, sampled at its own temperature.
        env_id: a Retro environment whose teacher has ``check_reflection``.
        split: split of the failures.
        num_tasks: number of failures.
        seed: seed of tasks and samples.
        samples: sampled reflections on each failure: the k of ``pass_at_k``.
    """
    checks: list[tuple[bool, bool, bool, bool]] = []
    solved: list[tuple[bool, bool, float, bool]] = []
    with closing(make_retro_env(env_id, split=split)) as first:
        for start in range(0, num_tasks, _BATCH):
            envs = [first.twin() for _ in range(min(_BATCH, num_tasks - start))]
            seeds = [derive_seed(seed, start + index) for index in range(len(envs))]
            observations = [env.reset(seed=one)[0] for env, one in zip(envs, seeds, strict=True)]
            greedy = reflector.reflect(observations, greedy=True)
            sampled = reflector.sample(observations, num_samples=samples, seed=seeds).texts
            for index, env in enumerate(envs):
                own = sampled[index * samples : (index + 1) * samples]
                teacher, trajectory = env.task_env.teacher, env.trajectory
                best, *others = (teacher.check_reflection(text, trajectory) for text in (greedy[index], *own))
                checks += [(best.well_formed, best.grounded, one.well_formed, one.grounded) for one in others]
                none, chosen, *tried = (one.success for one in env.branch(["", greedy[index], *own]))
                solved.append((none, chosen, sum(tried) / samples, any(tried)))
                env.close()
    return Quality(*_means(checks), *_means(solved))


def _means(rows: Sequence[Sequence[float]]) -> list[float]:
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def measure_planner(planner: Planner, env_id: str, *, split: str, num_tasks: int, seed: int) -> PlayQuality:
    """Measures a planner on tasks of a split, with the prompts of :data:`~retro_gym.prompts.BARE_TEMPLATE`.

    Args:
        planner: the planner, as it is to be asked.
        env_id: a Retro environment with a scripted actor and an oracle.
        split: split of the tasks.
        num_tasks: number of tasks, drawn without replacement.
        seed: seed of tasks and trials.
    """
    own = {"actor": planner, "actor_template": BARE_TEMPLATE}
    played = evaluate(
        env_id, make_policy("oracle"), split=split, num_tasks=num_tasks, trials=1, seed=seed, env_kwargs=own
    )
    prompts: list[Prompt] = []
    actions: list[str] = []
    with closing(make_retro_env(env_id, split=split)) as env:
        for task in played.tasks:
            env.reset(seed=derive_seed(seed, task.task_id), options={"task_id": task.task_id})
            told, trial = env.task_env.prompt, env.trajectory
            for number, turn in enumerate(trial.turns):
                turns = trial.turns[:number]
                prompts.append(Prompt(told.instruction, (), (), trial.task, turns, seed=0, template=BARE_TEMPLATE))
                actions.append(turn.action)
    replies = reply_all(planner, prompts)
    same = [
        isinstance(reply, Reply) and parse_reply(reply.text)[1] == action
        for reply, action in zip(replies, actions, strict=True)
    ]
    return PlayQuality(
        sum(same) / len(same),
        sum(any(task.success[:1]) for task in played.tasks) / len(played.tasks),
        sum(any(task.success) for task in played.tasks) / len(played.tasks),
    )


def greedy_planner(model: Any, tokenizer: Any, name: str) -> Planner:
    """Returns a model in the planner's role, to be measured."""
    return Planner(model, tokenizer, name=name, lora=None, greedy=True, batch_size=64)


def measure_all(
    reflector: Reflector,
    planner: Planner | None,
    env_ids: Sequence[str],
    *,
    split: str,
    num_tasks: int,
    seed: int,
    samples: int = 16,
) -> dict[str, tuple[Quality, PlayQuality | None]]:
    """Measures both roles, or only the reflector, in several environments."""
    common: dict[str, Any] = {"split": split, "num_tasks": num_tasks, "seed": seed}
    return {
        env_id: (
            measure(reflector, env_id, samples=samples, **common),
            None if planner is None else measure_planner(planner, env_id, **common),
        )
        for env_id in env_ids
    }


def quality_table(found: Mapping[str, tuple[Quality, PlayQuality | None]], *, title: str) -> Table:
    """Returns the figures in %, with a column for each environment."""
    table = Table(title=title, box=box.MARKDOWN)
    table.add_column("", no_wrap=True)
    for env_id in found:
        table.add_column(env_id.removeprefix("Retro").removesuffix("-v0"), justify="right", no_wrap=True)
    qualities, plays = zip(*found.values(), strict=True)
    for role, measured in ((Quality, qualities), (PlayQuality, plays)):
        for field in dataclasses.fields(role):
            figures = ["-" if one is None else f"{100 * getattr(one, field.name):.1f}" for one in measured]
            table.add_row(field.name.replace("_", " "), *figures)
    return table


@dataclasses.dataclass(frozen=True)
class QualityConfig:
    """Settings of the measurement."""

    model: str = "tiny"
    """``tiny``, a folder, a run's folder or a name on the Hugging Face hub."""
    planner: bool = True
    """Whether to measure the model as a planner too."""
    env_ids: tuple[str, ...] = ENV_IDS
    """Environments to measure in."""
    split: str = "test"
    """Split of the tasks."""
    num_tasks: int = 200
    """Failures for the reflector, tasks for the planner, of each environment."""
    samples: int = 16
    """Sampled reflections on each failure: the k of "pass at k"."""
    seed: int = 1
    """Seed of tasks and samples."""
    json: Path | None = None
    """Also writes the figures to this file."""


def main(config: QualityConfig) -> None:
    """Prints the table, and writes the figures if a file is given."""
    reflector = Reflector.load(config.model, lora=None)
    planner = greedy_planner(reflector.model, reflector.tokenizer, config.model) if config.planner else None
    found = measure_all(
        reflector,
        planner,
        config.env_ids,
        split=config.split,
        num_tasks=config.num_tasks,
        seed=config.seed,
        samples=config.samples,
    )
    title = f"{config.model}, {config.num_tasks} tasks of split {config.split}, k = {config.samples}, in %"
    Console().print(quality_table(found, title=title))
    if config.json is not None:
        rows = {
            env_id: dataclasses.asdict(quality) | (dataclasses.asdict(play) if play else {})
            for env_id, (quality, play) in found.items()
        }
        config.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(QualityConfig, description=__doc__))
