"""Trains a pretrained language model to reflect, from the returns of next trials alone, and compares it with others.

    make smollm2
    python benchmarks/real_model.py --output runs/real-model
    python benchmarks/real_model.py --output runs/real-model --model Qwen/Qwen2.5-0.5B --device cuda --dtype bfloat16

For each environment and seed: the model imitates reflections of the noisy teacher, which are well formed and often
wrong (never the oracle's), then learns by REINFORCE, and by PPO, on live rewards. The control is REINFORCE with rewards
that are shuffled among the reflections, which must not learn. All are evaluated on test tasks beside a plain retry, the
rule, the untrained model, the tiny one and the oracle; what they wrote on the first tasks goes into ``samples.md``. A
run that was stopped goes on when the command is repeated; several processes may share the work, each with other
environments or seeds.
"""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from rich.console import Console

import retro_gym  # noqa: F401 - registers the environments
from retro_gym_agents.algorithms import imitation, ppo, reinforce
from retro_gym_agents.evaluation.comparison import compare
from retro_gym_agents.evaluation.evaluate import evaluate_all
from retro_gym_agents.evaluation.evaluation import Evaluation, EvaluationConfig
from retro_gym_agents.evaluation.results import write_json
from retro_gym_agents.evaluation.tables import print_tables
from retro_gym_agents.play.collection import CollectConfig, collect
from retro_gym_agents.play.policies import ReflectorPolicy, make_policy

Learner = Literal["reinforce", "ppo", "control"]


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of training and evaluation."""

    output: Path = Path("runs/real-model")
    """Folder of the runs and the results. Complete runs in it are not repeated."""
    model: str = "models/smollm2-135m.gguf"
    """The model: a GGUF file, a folder, or a hub name."""
    envs: tuple[str, ...] = ("RetroHotpotQA-v0", "RetroMix-v0")
    """The environments."""
    seeds: tuple[int, ...] = (0, 1)
    """Seeds of all runs."""
    learners: tuple[Learner, ...] = ("reinforce", "control", "ppo")
    """How the imitating model learns further."""
    teacher_episodes: int = 900
    """Training episodes with the noisy teacher."""
    teacher_samples: int = 6
    """Reflections that the teacher writes on each failure."""
    imitation_prompts: int = 1
    """Failures in an update of imitation."""
    epochs: int = 1
    """Passes of imitation over these."""
    imitation_rate: float = 1e-3
    """Learning rate of imitation."""
    updates: int = 80
    """Updates of REINFORCE; PPO has two thirds of them, as it uses each batch twice."""
    prompts: int = 8
    """Failures in an update."""
    samples: int = 16
    """Reflections on each failure."""
    learning_rate: float = 4e-4
    """Learning rate of REINFORCE; it decays over the last half of its updates."""
    revisit: float = 0.5
    """Share of an update's failures that were met before and not solved by every reflection."""
    kl_coef: float = 0.0
    """Coefficient of REINFORCE's KL term; without one, the reference policy need not be computed."""
    max_new_tokens: int = 64
    """Token limit of a reflection."""
    micro_tokens: int = 1_500
    """Tokens in a forward pass: on a CPU, few enough for its cache."""
    autocast_updates: bool = True
    """Matrix products of updates in bfloat16: more than twice as fast on CPUs that have it."""
    minutes: float = 45.0
    """Time limit of imitation and a learner together."""
    num_tasks: int = 200
    """Test tasks of each environment."""
    device: str = "cpu"
    """Device of the model."""
    dtype: str | None = None
    """Dtype of the model's weights; by default float32 on the CPU, and as stored elsewhere. On CPUs that have bfloat16,
    sampling is 1.7 times as fast with it."""
    threads: int = 2
    """Threads of torch."""


def main(config: Config) -> None:
    """Trains, evaluates and prints the tables."""
    torch.set_num_threads(config.threads)
    console = Console(width=200)
    for env_id in config.envs:
        for seed in config.seeds:
            folder = config.output / f"{env_id}-{seed}"
            took = {"imitation": imitate(env_id, seed, folder, config)}
            for learner in config.learners:
                took[learner] = learn(learner, env_id, seed, folder, took["imitation"], config)
                console.print(f"{env_id}, seed {seed}, {learner}: {took}")
            evaluations = judge(env_id, seed, folder, config)
            print_tables(list(evaluations.values()), console)
            summary = summarised(evaluations, config, took)
            (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
            (folder / "samples.md").write_text(samples(evaluations, config), encoding="utf-8")
            console.print_json(data=summary)


def imitate(env_id: str, seed: int, folder: Path, config: Config) -> float:
    """Imitates the noisy teacher's reflections on training tasks; returns the minutes that this took."""
    records = folder / "teacher.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    settings = CollectConfig(
        env_id,
        records,
        num_episodes=config.teacher_episodes,
        num_samples=config.teacher_samples,
        max_reflections=1,
        seed=seed,
        resume=True,
    )
    started = time.perf_counter()
    collect(settings, make_policy("noisy"))
    collected = (time.perf_counter() - started) / 60
    result = imitation.train(
        imitation.ImitationConfig(
            output=folder / "imitation",
            records=(str(records),),
            model=config.model,
            epochs=config.epochs,
            batch_size=config.imitation_prompts * config.teacher_samples,
            together=True,
            learning_rate=config.imitation_rate,
            **_shared(seed, config),
        )
    )
    return collected + result.seconds / 60


def learn(learner: Learner, env_id: str, seed: int, folder: Path, spent: float, config: Config) -> float:
    """Trains the imitating model on live rewards; returns the minutes that this took."""
    fields: dict[str, Any] = {
        "output": folder / learner,
        "env_id": env_id,
        "env_kwargs": {"max_reflections": 1},
        "reflector": str(folder / "imitation"),
        "num_prompts": config.prompts,
        "group_size": config.samples,
        "revisit": config.revisit,
        "max_minutes": max(1.0, config.minutes - spent - 1.0),  # the last update and validation come after the limit
        "validate_every": None if learner == "control" else 30,  # to choose among adapters is to learn
        "validation_tasks": 40,
        **_shared(seed, config),
    }
    if learner == "ppo":
        updates = 2 * config.updates // 3
        result = ppo.train(ppo.PPOConfig(updates=updates, decay_updates=updates // 2, epochs=2, **fields))
    else:
        result = reinforce.train(
            reinforce.ReinforceConfig(
                updates=config.updates,
                decay_updates=config.updates // 2,
                learning_rate=config.learning_rate,
                kl_coef=config.kl_coef,
                shuffle_rewards=learner == "control",
                **fields,
            )
        )
    return result.seconds / 60


def _shared(seed: int, config: Config) -> dict[str, Any]:
    return {
        "seed": seed,
        "max_new_tokens": config.max_new_tokens,
        "micro_tokens": config.micro_tokens,
        "device": config.device,
        "dtype": config.dtype,
        "autocast_updates": config.autocast_updates,
        "log_every": 5,
        "resume": True,
    }


def judge(env_id: str, seed: int, folder: Path, config: Config) -> dict[str, Evaluation]:
    """Evaluates all policies on test tasks; writes ``evaluation.json``."""
    setting = EvaluationConfig(env_id, split="test", num_tasks=config.num_tasks, trials=1, seed=seed)
    models = {
        "untrained": config.model,
        **{name: str(folder / name) for name in ("imitation", *config.learners)},
    }
    policies: list[Any] = [make_policy(name) for name in ("none", "rule", "tiny", "oracle")]
    for name, source in models.items():
        policy = ReflectorPolicy(source, device=config.device, dtype=config.dtype)
        policy.name = name
        policies.append(policy)
    evaluations = evaluate_all(setting, policies, journal=folder / "evaluation.trials.jsonl", resume=True)
    write_json(evaluations, folder / "evaluation.json")
    return {policy.name: one for policy, one in zip(policies, evaluations, strict=True)}


def summarised(evaluations: dict[str, Evaluation], config: Config, took: dict[str, float]) -> dict[str, Any]:
    """Returns success at trial 1 in %, the gains on the imitating model paired by task, and the costs."""
    base = evaluations["imitation"]
    gains = {name: compare(evaluations[name], base)[1] for name in config.learners}
    return {
        "success": {name: round(100 * one.success_at_trial()[1].mean, 2) for name, one in evaluations.items()},
        "gain": {
            name: [round(100 * bound, 2) for bound in (gain.mean, gain.low, gain.high)] for name, gain in gains.items()
        },
        "minutes": {name: round(minutes, 1) for name, minutes in took.items()},
    }


def samples(evaluations: dict[str, Evaluation], config: Config, count: int = 5) -> str:
    """Returns what the models wrote on the first failed tasks, as Markdown."""
    shown = [name for name in ("untrained", "imitation", *config.learners) if name != "control"]
    failed = [place for place, one in enumerate(evaluations["untrained"].tasks) if one.reflections][:count]
    lines = []
    for place in failed:
        lines += [f"## {evaluations['untrained'].tasks[place].task_id}", ""]
        for name in shown:
            task = evaluations[name].tasks[place]
            solved = "solved" if any(task.success[1:2]) else "not solved"
            lines += [f"- {name} ({solved}): {' '.join(task.reflections[0].split())}"]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
