"""Public HotpotQA questions: success of reflectors trained on built-in tasks and of ones trained on the questions.

    python benchmarks/real_questions.py --tasks hotpot_dev_distractor_v1.json --trained runs/demo --folds 5

Every reflector is evaluated on every question of the file. The cross-validated one is trained once per fold, on the
questions of the other folds, and evaluated on that fold only, so it is never evaluated on a training question.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import tyro
from rich.console import Console

import retro_gym  # noqa: F401 - registers the environments
from retro_gym_agents.algorithms.reinforce import ReinforceConfig, train
from retro_gym_agents.evaluation.evaluate import evaluate_all
from retro_gym_agents.evaluation.evaluation import Evaluation, EvaluationConfig
from retro_gym_agents.evaluation.results import write_json
from retro_gym_agents.evaluation.tables import print_tables
from retro_gym_agents.play.policies import make_policy


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of the benchmark."""

    tasks: Path
    """HotpotQA's JSON or JSONL file."""
    trained: Path | None = None
    """Folder of a `retro-gym train` run on built-in tasks."""
    folds: int = 5
    """Number of folds for cross-validation."""
    updates: int = 40
    """Updates of each fold's run."""
    trials: int = 1
    """Maximum number of reflections per task."""
    seed: int = 0
    """Seed of runs and evaluations."""
    json: Path | None = None
    """File for the results."""


def main(config: Config) -> None:
    tasks = str(config.tasks)
    judged = EvaluationConfig(
        "RetroHotpotQA-v0", trials=config.trials, seed=config.seed, env_kwargs={"tasks": tasks}, max_error_rate=0.0
    )
    names = ["none", "vague", "tiny", *([str(config.trained)] if config.trained else []), "oracle"]
    evaluations = evaluate_all(judged, [make_policy(name) for name in names])
    evaluations.append(cross_validated(config, judged, order=[task.task_id for task in evaluations[0].tasks]))
    print_tables(evaluations, Console())
    if config.json is not None:
        write_json(evaluations, config.json)


def cross_validated(config: Config, judged: EvaluationConfig, order: list[str]) -> Evaluation:
    """Returns one evaluation with the test questions of all folds, in the order of the other evaluations."""
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        for fold in range(config.folds):
            kwargs = {"tasks": str(config.tasks), "fold": (fold, config.folds)}
            output = Path(folder) / str(fold)
            train(
                ReinforceConfig(
                    output=output,
                    env_kwargs={**kwargs, "max_reflections": 1},
                    updates=config.updates,
                    num_prompts=8,
                    seed=config.seed,
                )
            )
            own = dataclasses.replace(judged, env_kwargs=kwargs)
            parts += evaluate_all(own, [make_policy(str(output))])
    found = {task.task_id: task for part in parts for task in part.tasks}
    whole = tuple(found[task_id] for task_id in order)
    return dataclasses.replace(parts[0], config=judged, reflector="cross-validated", tasks=whole)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
