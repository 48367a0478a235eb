"""Compares reflectors trained on one of four environments with a reflector trained on all of them.

    python benchmarks/specialists.py --output runs/specialists

Trains five reflectors (a few minutes each, on training tasks), evaluates them and the baselines on test tasks of all
four environments, and prints a table for each. The last table compares the gain of the generalist, which is trained on
RetroMix-v0, with that of each specialist.
"""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import torch
import tyro
from rich.console import Console
from rich.table import Table

import retro_gym  # noqa: F401 - registers the environments
from retro_gym_agents.algorithms.reinforce import ReinforceConfig, train
from retro_gym_agents.evaluation.comparison import compare
from retro_gym_agents.evaluation.evaluate import evaluate_all
from retro_gym_agents.evaluation.evaluation import Evaluation, EvaluationConfig
from retro_gym_agents.evaluation.results import write_json
from retro_gym_agents.evaluation.tables import print_tables
from retro_gym_agents.play.policies import make_policy

ENVS = ("RetroHotpotQA-v0", "RetroALFWorld-v0", "RetroWebShop-v0", "RetroInterCodeSQL-v0")
MIX = "RetroMix-v0"
UPDATES = {
    "RetroHotpotQA-v0": 250,
    "RetroALFWorld-v0": 105,
    "RetroWebShop-v0": 140,
    "RetroInterCodeSQL-v0": 160,
    MIX: 390,
}


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of training and evaluation."""

    output: Path = Path("runs/specialists")
    """Folder of the runs and the results. Complete runs in it are not repeated."""
    envs: tuple[str, ...] = ENVS
    """Environments, each with a specialist."""
    updates: dict[str, int] = dataclasses.field(default_factory=lambda: dict(UPDATES))
    """Updates of each run within its time limit; the learning rate decays over the last two thirds."""
    minutes: float = 5.8
    """Time limit of each specialist's run. The generalist's is the sum over all environments."""
    only: tuple[str, ...] = ()
    """Trains on these environments only, without an evaluation."""
    num_tasks: int = 200
    """Test tasks of each environment."""
    seed: int = 0
    """Seed of runs and evaluations."""
    threads: int = 2
    """Threads of torch."""
    reflector: str = "tiny"
    """The model to train: ``tiny``, a folder or a hub name."""


def main(config: Config) -> None:
    """Trains, evaluates and prints the tables."""
    torch.set_num_threads(config.threads)
    console = Console()
    for env_id in config.only or (*config.envs, MIX):
        learn(env_id, config, console)
    if config.only:
        return
    judged = {env_id: judge(env_id, config, console) for env_id in config.envs}
    summary = compared(judged)
    console.print(summary_table(summary))
    (config.output / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def learn(env_id: str, config: Config, console: Console) -> None:
    """Runs REINFORCE on an environment's training tasks."""
    started, updates = time.perf_counter(), config.updates[env_id]
    result = train(
        ReinforceConfig(
            output=config.output / env_id,
            env_id=env_id,
            env_kwargs={"max_reflections": 1},
            reflector=config.reflector,
            seed=config.seed,
            updates=updates,
            max_minutes=config.minutes * (len(config.envs) if env_id == MIX else 1),
            decay_updates=2 * updates // 3,
            micro_tokens=6_000,
            validate_every=updates // 10,
            resume=True,
        )
    )
    seconds = time.perf_counter() - started
    console.print(f"{env_id}: {result.updates} updates, {result.seconds:.0f} s of training, {seconds:.0f} s in all")


def judge(env_id: str, config: Config, console: Console) -> list[Evaluation]:
    """Evaluates all reflectors on an environment's test tasks; returns specialist and generalist before the oracle."""
    setting = EvaluationConfig(env_id, split="test", num_tasks=config.num_tasks, trials=1, seed=config.seed)
    learned = [str(config.output / env_id), str(config.output / MIX)]
    names = ["none", "vague", config.reflector, *learned, "oracle"]
    evaluations = evaluate_all(setting, [make_policy(name) for name in names])
    print_tables(evaluations, console)
    write_json(evaluations, config.output / f"{env_id}.json")
    return evaluations


def compared(judged: dict[str, list[Evaluation]]) -> dict[str, dict[str, float]]:
    """Returns success at trial 1, in percent, and the generalist's share of the specialist's gain."""
    rows = {}
    for env_id, (none, vague, untrained, specialist, generalist, oracle) in judged.items():
        row = {
            name: round(100 * one.success_at_trial()[1].mean, 2)
            for name, one in (
                ("none", none),
                ("vague", vague),
                ("untrained", untrained),
                ("specialist", specialist),
                ("generalist", generalist),
                ("oracle", oracle),
            )
        }
        row["specialist_gain"] = round(100 * compare(specialist, untrained)[1].mean, 2)
        row["generalist_gain"] = round(100 * compare(generalist, untrained)[1].mean, 2)
        row["gain_share"] = row["generalist_gain"] / row["specialist_gain"] if row["specialist_gain"] else float("nan")
        rows[env_id] = row
    return rows


def summary_table(summary: dict[str, dict[str, float]]) -> Table:
    """Returns the table of the summary."""
    columns = ("none", "vague", "untrained", "specialist", "generalist", "oracle")
    table = Table("", *columns, "gains", "share", title="success at trial 1, %")
    table.columns[0].no_wrap = True
    for env_id, row in summary.items():
        gains = f"{row['specialist_gain']:+.1f}, {row['generalist_gain']:+.1f}"
        table.add_row(env_id, *(f"{row[name]:.1f}" for name in columns), gains, f"{row['gain_share']:.0%}")
    return table


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
