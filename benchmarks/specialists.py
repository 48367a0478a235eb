"""Trains reflectors on each of four environments and on all of them, and compares them on test tasks.

    python benchmarks/specialists.py --output runs/specialists

For each environment it trains one reflector per seed (at most 6 minutes each on 2 cores, on training tasks), and one
whose rewards are shuffled among the reflections, which must not learn. Then it trains one on RetroMix-v0, the
generalist. All are evaluated on test tasks of all environments, beside the plain retry, the oracle, and the untrained
reflector, sampled like the others and with its most likely reflections (greedy): what training gains on those is more
than a sharper distribution. The last table shows what each gained on the sampled one, paired by task. A run that was
stopped goes on when the command is repeated.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import tyro
from rich import box
from rich.console import Console
from rich.table import Table

import retro_gym  # noqa: F401 - registers the environments
from retro_gym_agents.algorithms.reinforce import ReinforceConfig, train
from retro_gym_agents.evaluation.comparison import compare
from retro_gym_agents.evaluation.evaluate import evaluate_all
from retro_gym_agents.evaluation.evaluation import Evaluation, EvaluationConfig
from retro_gym_agents.evaluation.results import write_json
from retro_gym_agents.evaluation.tables import print_tables
from retro_gym_agents.play.policies import ReflectorPolicy, make_policy

ENVS = ("RetroHotpotQA-v0", "RetroALFWorld-v0", "RetroWebShop-v0", "RetroInterCodeSQL-v0")
MIX = "RetroMix-v0"
UPDATES = {
    "RetroHotpotQA-v0": 130,
    "RetroALFWorld-v0": 90,
    "RetroWebShop-v0": 70,
    "RetroInterCodeSQL-v0": 120,
    MIX: 480,
}


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of training and evaluation."""

    output: Path = Path("runs/specialists")
    """Folder of the runs and the results. Complete runs in it are not repeated."""
    envs: tuple[str, ...] = ENVS
    """Environments, each with specialists."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the specialists. The control and the generalist have the first."""
    updates: dict[str, int] = dataclasses.field(default_factory=lambda: dict(UPDATES))
    """Updates of each run within its time limit; the learning rate decays over the last two thirds."""
    minutes: float = 5.8
    """Time limit of each specialist's run. The generalist's is the sum over all environments."""
    learning_rate: float = 1.2e-3
    """Learning rate of all runs."""
    num_tasks: int = 200
    """Test tasks of each environment."""
    eval_seeds: int = 2
    """Evaluation seeds."""
    threads: int = 2
    """Threads of torch."""
    reflector: str = "tiny"
    """The model to train: ``tiny``, a folder or a hub name."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run."""

    env_id: str
    seed: int
    shuffled: bool = False
    """Whether the rewards are shuffled among the reflections: the control."""

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return f"{self.env_id}-{'control' if self.shuffled else self.seed}"


def runs_of(config: Config) -> list[Run]:
    """Returns all runs: those of the first seed first, so that a partial result says something of everything."""
    first, *others = config.seeds
    return [
        *(Run(env_id, first) for env_id in config.envs),
        Run(MIX, first),
        *(Run(env_id, first, shuffled=True) for env_id in config.envs),
        *(Run(env_id, seed) for seed in others for env_id in config.envs),
    ]


def main(config: Config) -> None:
    """Trains, evaluates and prints the tables."""
    torch.set_num_threads(config.threads)
    console = Console(width=None if sys.stdout.isatty() else 220)  # a file has no width of its own
    for run in runs_of(config):
        learn(run, config, console)
    summary = {env_id: compared(judge(env_id, config, console), config) for env_id in config.envs}
    console.print(summary_table(summary))
    (config.output / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def learn(run: Run, config: Config, console: Console) -> None:
    """Runs REINFORCE on an environment's training tasks."""
    started, updates = time.perf_counter(), config.updates[run.env_id]
    result = train(
        ReinforceConfig(
            output=config.output / run.folder,
            env_id=run.env_id,
            env_kwargs={"max_reflections": 1},
            reflector=config.reflector,
            seed=run.seed,
            updates=updates,
            max_minutes=config.minutes * (len(config.envs) if run.env_id == MIX else 1),
            learning_rate=config.learning_rate,
            decay_updates=2 * updates // 3,
            shuffle_rewards=run.shuffled,
            micro_tokens=6_000,
            # To choose among a run's adapters is to learn, so the control takes the last one.
            validate_every=None if run.shuffled else max(1, updates // 10),
            resume=True,
        )
    )
    seconds = time.perf_counter() - started
    console.print(f"{run.folder}: {result.updates} updates, {result.seconds:.0f} s of training, {seconds:.0f} s in all")


def judge(env_id: str, config: Config, console: Console) -> dict[str, Evaluation]:
    """Evaluates all reflectors on an environment's test tasks."""
    setting = EvaluationConfig(
        env_id, split="test", num_tasks=config.num_tasks, trials=1, seed=config.seeds[0], seeds=config.eval_seeds
    )
    learned = {run.folder: run for run in runs_of(config) if run.env_id in (env_id, MIX)}
    sources = ["none", config.reflector, *(str(config.output / folder) for folder in learned), "oracle"]
    greedy = ReflectorPolicy(config.reflector, greedy=True)
    greedy.name += ", greedy"
    evaluations = evaluate_all(setting, [*(make_policy(source) for source in sources), greedy])
    print_tables(evaluations, console)
    write_json(evaluations, config.output / f"{env_id}.json")
    return dict(zip(["none", "untrained", *learned, "oracle", "greedy"], evaluations, strict=True))


def compared(judged: dict[str, Evaluation], config: Config) -> dict[str, Any]:
    """Returns success at trial 1 and gains on the untrained reflector, in percent."""
    env_id = judged["none"].config.env_id
    shown = {name: round(100 * one.success_at_trial()[1].mean, 2) for name, one in judged.items()}
    gains = {name: compare(one, judged["untrained"])[1] for name, one in judged.items()}
    specialists = [Run(env_id, seed).folder for seed in config.seeds]
    mean_gain = fmean(gains[name].mean for name in specialists)
    generalist = gains[Run(MIX, config.seeds[0]).folder].mean
    return {
        "success": shown,
        "gain": {
            name: [round(100 * bound, 2) for bound in (gain.mean, gain.low, gain.high)] for name, gain in gains.items()
        },
        "way": [(shown[name] - shown["none"]) / (shown["oracle"] - shown["none"]) for name in specialists],
        "generalist_share": generalist / mean_gain if mean_gain else float("nan"),
    }


def summary_table(summary: dict[str, dict[str, Any]]) -> Table:
    """Returns the table of the summary."""
    columns = ("none", "untrained", "greedy", "trained", "gain", "way to the oracle", "control", "generalist", "share")
    table = Table(
        "", *columns, "oracle", title="success at trial 1, %; gains on the untrained reflector", box=box.MARKDOWN
    )
    table.columns[0].no_wrap = True
    for env_id, row in summary.items():
        shown, gains = row["success"], row["gain"]
        specialists = [name for name in shown if name.startswith(env_id) and not name.endswith("control")]
        generalist = next(name for name in shown if name.startswith(MIX))
        table.add_row(
            env_id,
            f"{shown['none']:.1f}",
            f"{shown['untrained']:.1f}",
            f"{shown['greedy']:.1f}",
            ", ".join(f"{shown[name]:.1f}" for name in specialists),
            ", ".join("{:+.1f} [{:+.1f}, {:+.1f}]".format(*gains[name]) for name in specialists),
            ", ".join(f"{way:.0%}" for way in row["way"]),
            "{:+.1f} [{:+.1f}, {:+.1f}]".format(*gains[f"{env_id}-control"]),
            f"{shown[generalist]:.1f}",
            f"{row['generalist_share']:.0%}",
            f"{shown['oracle']:.1f}",
        )
    return table


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
