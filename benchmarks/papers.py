"""The papers' methods and their ablations on the tiny model, over several seeds.

    python benchmarks/papers.py --output runs/papers

For each environment and seed, stage 1 of RetroAct makes a planner and a reflector by imitation. From these start
RetroAct (both roles, the planner alone, the reflector alone, λ = 0 and 2) and Retroformer (offline and online, with
that planner frozen as its actor); RetroAct with one adapter imitates by itself. The control is imitation with ten times
the updates and three times the episodes: what RetroAct gains on it is not had by more of the expert. All are evaluated
on test tasks over four retries, each planner also with a plain retry. A run that was stopped goes on when the command
is repeated. Several processes may share the work, each with seeds or environments of its own.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import tyro
from rich import box
from rich.console import Console
from rich.table import Table

import retro_gym  # noqa: F401 - registers the environments
from retro_gym_agents.algorithms import retroact, retroformer
from retro_gym_agents.algorithms.retroact import RetroActConfig
from retro_gym_agents.algorithms.retroformer import RetroformerConfig
from retro_gym_agents.evaluation.evaluate import evaluate_all
from retro_gym_agents.evaluation.evaluation import EvaluationConfig
from retro_gym_agents.play.policies import make_policy

ENVS = ("RetroHotpotQA-v0", "RetroALFWorld-v0")
RETROACT: Mapping[str, Mapping[str, Any]] = {
    "RetroAct": {},
    "RetroAct, planner alone": {"learn": ("planner",)},
    "RetroAct, reflector alone": {"learn": ("reflector",)},
    "RetroAct, λ = 0": {"imitation_weight": 0.0},
    "RetroAct, λ = 2": {"imitation_weight": 2.0},
}
RECIPE: Mapping[str, Any] = {
    "expert_kwargs": {"thoughts": True},
    "expert_episodes": 200,
    "imitation_updates": 10,
    "rounds": 1_000,
    "episodes": 128,
    "repeats": 8,
    "max_reflections": 1,
    "updates": 2,
    "batch_size": 128,
    "buffer_rounds": 1,
    "baseline": "task",
    "normalise": True,
    "learning_rate": 1.2e-3,
    "max_new_tokens": 48,
    "micro_tokens": 4_000,
    "autocast_updates": True,
}
"""Settings of RetroAct: each task of a round is played eight times, and its trials are compared with one another."""
PLAYING: Mapping[str, Any] = {"batch_size": 64, "max_new_tokens": RECIPE["max_new_tokens"]}
"""How a planner plays as an actor."""
TRIALS = (0, 1, 4)


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of training and evaluation."""

    output: Path = Path("runs/papers")
    """Folder of the runs and the results."""
    envs: tuple[str, ...] = ENVS
    """The environments."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of all runs."""
    methods: tuple[str, ...] = ()
    """Methods to run; all by default."""
    minutes: float = 8.0
    """Time limit of a run after imitation."""
    explorers: int = 1
    """Processes in which RetroAct explores."""
    num_tasks: int = 200
    """Test tasks of each environment."""
    threads: int = 1
    """Threads of torch."""


def main(config: Config) -> None:
    """Trains, evaluates and prints a table for each environment."""
    torch.set_num_threads(config.threads)
    console = Console()
    for env_id in config.envs:
        for seed in config.seeds:
            for name, run in methods(env_id, seed, config).items():
                if not config.methods or name in config.methods or name == "imitation":
                    measure(name, run, env_id, seed, config, console)
        console.print(table_of(env_id, config))


def methods(env_id: str, seed: int, config: Config) -> dict[str, Callable[[Path], tuple[Path, Path]]]:
    """Returns for each method a function that runs it in a folder and returns where its planner and reflector are."""
    first = folder_of("imitation", env_id, seed, config)

    def act(**fields: Any) -> Callable[[Path], tuple[Path, Path]]:
        def run(folder: Path) -> tuple[Path, Path]:
            own = {"env_id": env_id, "seed": seed, "explorers": config.explorers, "max_minutes": config.minutes}
            retroact.train(RetroActConfig(output=folder, resume=True, **{**RECIPE, **own, **fields}))
            return folder / "planner", folder / "reflector"

        return run

    def former(reward: Any) -> Callable[[Path], tuple[Path, Path]]:
        def run(folder: Path) -> tuple[Path, Path]:
            retroformer.train(
                RetroformerConfig(
                    output=folder,
                    env_id=env_id,
                    actor=f"planner:{first / 'planner'}",
                    actor_kwargs=dict(PLAYING),
                    reflector=str(first / "reflector"),
                    reward=reward,
                    stages=retroformer.STAGES if reward == "model" else ("ppo",),
                    num_episodes=300,
                    seed=seed,
                    ppo={"max_minutes": config.minutes, "micro_tokens": 6_000, "learning_rate": 1e-3},
                )
            )
            return first / "planner", folder / "ppo"

        return run

    more = {name: act(start=first, imitation_updates=0, **fields) for name, fields in RETROACT.items()}
    return {
        "imitation": act(rounds=0),
        "imitation, longer": act(rounds=0, imitation_updates=100, expert_episodes=600),
        **more,
        "RetroAct, one adapter": act(adapters="one"),
        "Retroformer, offline": former("model"),
        "Retroformer, online": former("env"),
    }


def folder_of(name: str, env_id: str, seed: int, config: Config) -> Path:
    """Returns the folder of a run."""
    return config.output / env_id / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"


def measure(
    name: str,
    run: Callable[[Path], tuple[Path, Path]],
    env_id: str,
    seed: int,
    config: Config,
    console: Console,
) -> None:
    """Runs a method and evaluates its planner with a plain retry and with its reflector, unless that was done."""
    folder = folder_of(name, env_id, seed, config)
    result = folder / "success.json"
    if result.is_file():
        return
    started = time.perf_counter()
    planner, reflector = run(folder)
    minutes = (time.perf_counter() - started) / 60
    setting = EvaluationConfig(
        env_id,
        num_tasks=config.num_tasks,
        trials=max(TRIALS),
        seed=seed,
        env_kwargs={"actor": f"planner:{planner}", "actor_kwargs": {**PLAYING, "greedy": True}},
    )
    evaluations = evaluate_all(setting, [make_policy("none"), make_policy(str(reflector))])
    shown = {
        kind: [100 * one.success_at_trial()[trial].mean for trial in TRIALS]
        for kind, one in zip(("retry", "reflections"), evaluations, strict=True)
    }
    result.write_text(json.dumps({**shown, "minutes": minutes}) + "\n", encoding="utf-8")
    console.print(f"{env_id}, seed {seed}, {name}: {shown}, {minutes:.1f} min")


def table_of(env_id: str, config: Config) -> Table:
    """Returns success at trials 0, 1 and 4, means over the seeds, with a plain retry and with reflections."""
    columns = [f"{kind}, trial {trial}" for kind in ("retry", "reflections") for trial in TRIALS]
    table = Table("method", *columns, "minutes", title=f"{env_id}: success, %, means over seeds", box=box.MARKDOWN)
    for name in methods(env_id, config.seeds[0], config):
        files = [folder_of(name, env_id, seed, config) / "success.json" for seed in config.seeds]
        found = [json.loads(file.read_text()) for file in files if file.is_file()]
        if found:
            means = [
                fmean(one[kind][place] for one in found)
                for kind in ("retry", "reflections")
                for place in range(len(TRIALS))
            ]
            times = ", ".join(f"{one['minutes']:.0f}" for one in found)
            table.add_row(f"{name} ({len(found)} seeds)", *(f"{mean:.1f}" for mean in means), times)
    return table


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
