r"""A pretrained language model plays: as it is, after imitation of expert trials, and after rounds of RetroAct.

    make smollm2
    python benchmarks/real_actor.py --output runs/real-actor --reflector runs/real-model/RetroHotpotQA-v0-0/reinforce \
        --questions ../shared/data/hotpotqa/dev_distractor_60.json --games ../shared/data/alfworld

In the actor's seat are the model with its chat template and the environment's examples (``hf:``), and for each
environment that it learned, a planner after stage 1 of RetroAct and one after stage 2. Each plays built-in test tasks,
then HotpotQA's public questions and ALFWorld's public games, with a plain retry, with reflections of the prompted
model, of the imitating reflector, of one that was trained elsewhere (``--reflector``), and of the oracle, which never
names the answer. The tables say how trials ended, which is where a small model's first bottleneck shows. A run that was
stopped goes on when the command is repeated.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from rich import box
from rich.console import Console
from rich.table import Table

import retro_gym  # noqa: F401 - registers the environments
from retro_gym_agents.algorithms import retroact
from retro_gym_agents.algorithms.retroact import RetroActConfig
from retro_gym_agents.evaluation.evaluate import evaluate_all
from retro_gym_agents.evaluation.evaluation import Evaluation, EvaluationConfig
from retro_gym_agents.evaluation.results import write_json
from retro_gym_agents.evaluation.tables import print_tables
from retro_gym_agents.play.policies import Policy, make_policy

Seat = Literal["as it is", "imitating", "RetroAct"]

BUILT_IN = ("RetroHotpotQA-v0", "RetroALFWorld-v0", "RetroWebShop-v0", "RetroInterCodeSQL-v0")


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of training and evaluation."""

    output: Path = Path("runs/real-actor")
    """Folder of the runs and the results."""
    model: str = "models/smollm2-135m.gguf"
    """The model: a GGUF file, a folder, or a hub name."""
    learned: tuple[str, ...] = ("RetroHotpotQA-v0", "RetroALFWorld-v0")
    """The environments whose expert trials it imitates."""
    seats: tuple[Seat, ...] = ("as it is", "imitating", "RetroAct")
    """What plays."""
    reflector: Path | None = None
    """Folder of a run of the same model with the scripted actor in RetroHotpotQA-v0; judged in that environment."""
    questions: Path | None = None
    """HotpotQA's JSON file of public questions."""
    games: Path | None = None
    """Folder of ALFWorld's public games; needs the extra ``[alfworld]``."""
    expert_episodes: int = 150
    """Training episodes that the expert plays."""
    imitation_updates: int = 40
    """Updates of stage 1, of 12 trials and 12 reflections each."""
    rounds: int = 1
    """Rounds of stage 2."""
    episodes: int = 16
    """Training tasks in a round, each played four times."""
    updates: int = 4
    """Updates in a round."""
    learning_rate: float = 5e-4
    """Learning rate of both stages."""
    num_tasks: int = 20
    """Built-in and public tasks of each evaluation."""
    max_new_tokens: int = 64
    """Token limit of the planner's turns; the model as it is has 128, for its thoughts."""
    seed: int = 0
    """Seed of all runs and evaluations."""
    device: str = "cpu"
    """Device of the models."""
    threads: int = 2
    """Threads of torch."""


def main(config: Config) -> None:
    """Trains, evaluates, and prints the tables."""
    torch.set_num_threads(config.threads)
    console = Console(width=200)
    for env_id in config.learned:
        if "imitating" in config.seats or "RetroAct" in config.seats:
            imitate(env_id, config)
        if "RetroAct" in config.seats:
            explore(env_id, config)
    found = []
    for seat in config.seats:
        for title, env_id, setting in settings(seat, config):
            evaluations = judge(f"{title}, {seat}", seat, env_id, setting, config)
            print_tables(evaluations, console)
            found += [row_of(seat, title, one) for one in evaluations]
    (config.output / "summary.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    console.print(table_of(found))


def imitate(env_id: str, config: Config) -> None:
    """Stage 1 of RetroAct: a planner and a reflector imitate the scripted actor with the noisy teacher."""
    retroact.train(_act(env_id, config, rounds=0))


def explore(env_id: str, config: Config) -> None:
    """Stage 2 of RetroAct, from there."""
    stage_2: dict[str, Any] = {
        "output": folder_of(env_id, "RetroAct", config),
        "start": folder_of(env_id, "imitating", config),
        "imitation_updates": 0,
    }
    retroact.train(dataclasses.replace(_act(env_id, config, rounds=config.rounds), **stage_2))


def _act(env_id: str, config: Config, rounds: int) -> RetroActConfig:
    return RetroActConfig(
        output=folder_of(env_id, "imitating", config),
        env_id=env_id,
        model=config.model,
        expert_kwargs={"thoughts": True},
        expert_episodes=config.expert_episodes,
        imitation_updates=config.imitation_updates,
        rounds=rounds,
        episodes=config.episodes * 4,
        repeats=4,
        max_reflections=1,
        updates=config.updates,
        batch_size=12,
        baseline="task",
        normalise=True,
        learning_rate=config.learning_rate,
        max_new_tokens=config.max_new_tokens,
        micro_tokens=4_000,
        autocast_updates=True,
        device=config.device,
        seed=config.seed,
        log_every=5,
        resume=True,
    )


def folder_of(env_id: str, seat: Seat, config: Config) -> Path:
    """Returns the folder of a seat's run."""
    return config.output / env_id / seat


def settings(seat: Seat, config: Config) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yields the title, the environment and its arguments of each evaluation of a seat."""
    for env_id in BUILT_IN if seat == "as it is" else config.learned:
        yield f"{env_id}, built-in", env_id, {}
    if config.questions is not None and "RetroHotpotQA-v0" in config.learned:
        yield "HotpotQA's public questions", "RetroHotpotQA-v0", {"tasks": str(config.questions)}
    if config.games is not None and "RetroALFWorld-v0" in config.learned:
        yield "ALFWorld's public games", "RetroALFWorld-v0", {"games": str(config.games)}


def judge(title: str, seat: Seat, env_id: str, arguments: dict[str, Any], config: Config) -> list[Evaluation]:
    """Evaluates all policies on the same tasks with a seat's actor; writes a file beside the runs."""
    name = title.replace(", ", "-").replace(" ", "-").replace("'", "")
    if seat == "as it is":
        actor, options = f"hf:{config.model}", {"max_new_tokens": 128, "device": config.device}
    else:
        actor = f"planner:{folder_of(env_id, seat, config) / 'planner'}"
        options = {"greedy": True, "max_new_tokens": config.max_new_tokens, "device": config.device}
    setting = EvaluationConfig(
        env_id,
        split="valid_seen" if "games" in arguments else "test",
        num_tasks=config.num_tasks,
        trials=1,
        seed=config.seed,
        env_kwargs={**arguments, "actor": actor, "actor_kwargs": options},
    )
    journal = config.output / f"{name}.trials.jsonl"
    evaluations = evaluate_all(setting, policies(env_id, seat, config), journal=journal, resume=True)
    write_json(evaluations, config.output / f"{name}.json")
    return evaluations


def policies(env_id: str, seat: Seat, config: Config) -> list[Policy]:
    """Returns the policies that a seat's actor is judged with."""
    prompted = make_policy(f"hf:{config.model}", device=config.device, max_new_tokens=256)
    found: dict[str, Any] = {"none": make_policy("none"), "prompted": prompted}
    if seat != "as it is":
        own = folder_of(env_id, seat, config) / "reflector"
        found["own reflector"] = make_policy(str(own), device=config.device)
    if config.reflector is not None and env_id == "RetroHotpotQA-v0":
        found["trained reflector"] = make_policy(str(config.reflector), device=config.device)
    found["oracle"] = make_policy("oracle")
    for name, policy in found.items():
        policy.name = name
    return list(found.values())


def row_of(seat: Seat, title: str, one: Evaluation) -> dict[str, Any]:
    """Returns the figures of an evaluation: success in %, returns, and how the first trials ended."""
    if one.refusal is not None:
        return {"seat": seat, "tasks": title, "policy": one.reflector, "refusal": one.refusal}
    return {
        "seat": seat,
        "tasks": title,
        "policy": one.reflector,
        "number": one.num_tasks(),
        "success": [round(100 * trial.mean, 2) for trial in one.success_at_trial()],
        "returns": [round(trial.mean, 4) for trial in one.return_at_trial()],
        "ends": one.ends_at_trial[0],
    }


def table_of(found: list[dict[str, Any]]) -> Table:
    """Returns a table of all evaluations."""
    table = Table(
        "who plays", "tasks", "reflections", "trial 0", "trial 1", "return", "ends of trial 0", box=box.MARKDOWN
    )
    for row in found:
        if "refusal" in row:
            table.add_row(row["seat"], row["tasks"], row["policy"], "", "", "", row["refusal"])
            continue
        ends = ", ".join(f"{end} {count}" for end, count in row["ends"].items())
        first, second = row["success"]
        returns = " → ".join(f"{value:.2f}" for value in row["returns"])
        table.add_row(row["seat"], row["tasks"], row["policy"], f"{first:.1f}", f"{second:.1f}", returns, ends)
    return table


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
