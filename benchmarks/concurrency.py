"""Utilisation of a model server by parallel episodes, by Gymnasium's lock step and by a single environment.

    python benchmarks/concurrency.py

The server runs in a separate process. Its latency is first a constant 200 ms, then log-normal (median 200 ms, p99 2 s).
Each side plays RetroHotpotQA against this server, which serves the scripted actor, for the same time and in a separate
process:

- side by side: `--envs` episodes at once, none of which waits for another one (`retro_gym.scheduling`);
- RetroVectorEnv: the same through Gymnasium's vector interface, where a step ends with the last of its trials;
- send and recv: RetroVectorEnv without steps, where each episode goes on by itself;
- training: REINFORCE on the tiny reflector, `--envs` failures with four reflections each in an update; the server is
  kept busy with first trials of the next update while this one is learned from;
- training in turns: the same, but trials, sampling and learning wait for each other;
- lock step: a Gymnasium `SyncVectorEnv` of `--envs` task environments; before every step it requests the replies for
  all of them at once and waits for the last;
- single: one environment.

Calls are counted after a first, uncounted call, which opens the connection, until the time is over. The ideal is one
pending call per environment at all times. "Busy" is the CPU time of all threads of the side's process, as a share of
one core.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import multiprocessing
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from pathlib import Path
from statistics import NormalDist

import gymnasium as gym
import tyro
from rich.console import Console
from rich.table import Table

import retro_gym  # noqa: F401 - registers the environments
from retro_gym.actors import OpenAIActor, Reply, parse_reply
from retro_gym.adapting import as_task_env
from retro_gym.env import RetroEnv
from retro_gym.errors import ActorError
from retro_gym.prompts import Prompt
from retro_gym.scheduling import Job, Plan, run_jobs
from retro_gym.task_env import TaskEnv
from retro_gym.trajectory import Turn
from retro_gym.vector import RetroVectorEnv

REFLECTION = "Look more carefully."  # does not help, so that every episode lasts for all of its trials


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of the benchmark."""

    envs: int = 64
    """Number of parallel episodes."""
    seconds: float = 20.0
    """Playing time of each side."""
    sides: tuple[str, ...] = ()
    """Sides to measure; all by default."""
    latency: float = 0.2
    """Latency in seconds; the median of the log-normal distribution."""
    p99: float = 2.0
    """99th percentile of the log-normal latency, in seconds."""
    seed: int = 0
    """Seed of episodes and latencies."""
    json: Path | None = None
    """File for the results."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """Results of one side."""

    latency: str
    side: str
    calls: int
    seconds: float
    ideal: float
    """Calls per second if every environment always had a pending call."""
    busy: float
    """CPU time of all threads per second."""
    memory: float
    """Peak memory of the process, MiB."""

    @property
    def rate(self) -> float:
        """Calls per second."""
        return self.calls / self.seconds


def main(config: Config) -> None:
    results = []
    spread = math.log(config.p99 / config.latency) / NormalDist().inv_cdf(0.99)
    for latency, mean, arguments in (
        ("constant", config.latency, ()),
        ("log-normal", config.latency * math.exp(spread**2 / 2), ("--p99", str(config.p99))),
    ):
        with served(config, arguments) as url:
            for side in config.sides or SIDES:
                calls, busy, memory = in_own_process(measure, config, side, url)
                ideal = (1 if side == "single" else config.envs) / mean
                results.append(Measured(latency, side, calls, config.seconds, ideal, busy, memory))
    Console().print(table(results))
    if config.json is not None:
        rows = [{**dataclasses.asdict(row), "rate": row.rate} for row in results]
        config.json.write_text(json.dumps(rows, indent=2) + "\n")


# -- the sides ---------------------------------------------------------------------------------------------------------


def side_by_side(config: Config, actor: Counted) -> None:
    """Plays Retro environments with concurrent calls."""
    first = RetroEnv("HotpotQA-v0", actor=actor)
    envs = [first, *(RetroEnv("HotpotQA-v0", actor=actor) for _ in range(config.envs - 1))]
    actor.begin(first_prompt(first.task_env))
    run_jobs([Job(episodes(env, config.seed + i, actor), actor, env.stats) for i, env in enumerate(envs)])


def vector_env(config: Config, actor: Counted) -> None:
    """Plays a RetroVectorEnv: trials run independently until the end of the step."""
    envs = RetroVectorEnv(config.envs, task_env="HotpotQA-v0", actor=actor)
    actor.begin(first_prompt(envs.envs[0].task_env))
    envs.reset(seed=config.seed)
    while not actor.over:
        envs.step([REFLECTION] * config.envs)


def send_and_recv(config: Config, actor: Counted) -> None:
    """Plays a RetroVectorEnv: each episode goes on when its trial is over."""
    envs = RetroVectorEnv(config.envs, task_env="HotpotQA-v0", actor=actor)
    actor.begin(first_prompt(envs.envs[0].task_env))
    envs.async_reset(seed=config.seed)
    while not actor.over:
        *_, infos = envs.recv()
        envs.send([REFLECTION] * len(infos["env_id"]), infos["env_id"])


def training(config: Config, actor: Counted, *, ahead: bool = True) -> None:
    """Trains the tiny reflector by REINFORCE."""
    import torch

    from retro_gym_agents.algorithms import reinforce
    from retro_gym_agents.lm.reflector import Reflector
    from retro_gym_agents.play.roller import Roller

    torch.set_num_threads(1)
    first = RetroEnv("HotpotQA-v0", actor=actor, max_reflections=1)
    reflector = Reflector.load("tiny")
    reflector.freeze_reference()
    settings = reinforce.ReinforceConfig(output=Path("unused"), group_size=4, micro_tokens=6_000)
    optimizer = torch.optim.AdamW(reflector.trainable.values(), lr=settings.learning_rate)
    envs = [first, *(first.twin() for _ in range(config.envs - 1))]
    roller = Roller(envs, reflector, seed=config.seed, num_samples=settings.group_size)
    actor.begin(first_prompt(first.task_env))
    update = 0
    while not actor.over:
        update += 1
        rollout = roller.roll_out(update, ahead=ahead)
        reinforce.improve(reflector, optimizer, rollout, settings)
    roller.close()


def single(config: Config, actor: Counted) -> None:
    """Plays one environment."""
    env = RetroEnv("HotpotQA-v0", actor=actor)
    actor.begin(first_prompt(env.task_env))
    run_jobs([Job(episodes(env, config.seed, actor), actor, env.stats)])


def lock_step(config: Config, actor: Counted) -> None:
    """Plays Gymnasium's own vector environment over the task environments: one batch of calls per step."""
    made = [as_task_env("HotpotQA-v0") for _ in range(config.envs)]
    vector = gym.vector.SyncVectorEnv(
        [partial(identity, env) for env in made], autoreset_mode=gym.vector.AutoresetMode.SAME_STEP
    )
    actor.begin(first_prompt(made[0]))
    observations, _ = vector.reset(seed=config.seed)
    tasks = list(observations)
    turns: list[tuple[Turn, ...]] = [()] * config.envs
    while not actor.over:
        prompts = [prompt_of(made[0], task, played) for task, played in zip(tasks, turns, strict=True)]
        replies = [parse_reply(reply.text) for reply in actor.reply(prompts) if isinstance(reply, Reply)]
        actions = tuple(action for _, action in replies)
        observations, _, ended, cut, _ = vector.step(actions)
        for i, ((thought, action), seen) in enumerate(zip(replies, observations, strict=True)):
            if ended[i] or cut[i]:
                tasks[i], turns[i] = seen, ()
            else:
                turns[i] = (*turns[i], Turn(thought, action, seen))


SIDES: dict[str, Callable[[Config, Counted], None]] = {
    "side by side": side_by_side,
    "RetroVectorEnv": vector_env,
    "send and recv": send_and_recv,
    "training": training,
    "training in turns": partial(training, ahead=False),
    "lock step": lock_step,
    "single": single,
}


def episodes(env: RetroEnv, seed: int, actor: Counted) -> Plan[None]:
    """Plays episodes sequentially until the time is over."""
    _ = yield from env.plan_reset(seed=seed)
    while not actor.over:
        _, _, ended, cut, _ = yield from env.plan_step(REFLECTION)
        if (ended or cut) and not actor.over:
            _ = yield from env.plan_reset()


def identity(env: TaskEnv) -> TaskEnv:
    return env


def prompt_of(env: TaskEnv, task: str, turns: tuple[Turn, ...]) -> Prompt:
    return Prompt(env.prompt.instruction, env.prompt.examples, (), task, turns, seed=0)


def first_prompt(env: TaskEnv) -> Prompt:
    return prompt_of(env, env.reset(seed=0)[0], ())


# -- measurement -------------------------------------------------------------------------------------------------------


class Counted:
    """An actor that counts its calls within a time limit."""

    def __init__(self, actor: OpenAIActor, seconds: float) -> None:
        self.actor, self.seconds = actor, seconds
        self.calls = 0
        self.busy = self.memory = 0.0
        self.over = False

    def begin(self, prompt: Prompt) -> None:
        """Makes one uncounted call, then starts the clock."""
        self.actor.reply([prompt])
        self._start = time.process_time()
        timer = threading.Timer(self.seconds, self._end)
        timer.daemon = True
        timer.start()

    def submit(self, prompt: Prompt) -> Future[Reply | ActorError]:
        """Submits a prompt to the actor."""
        future = self.actor.submit(prompt)
        future.add_done_callback(self._note)
        return future

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """Submits prompts to the actor and waits for all replies."""
        return [future.result() for future in [self.submit(prompt) for prompt in prompts]]

    def _note(self, future: Future[Reply | ActorError]) -> None:
        if not self.over:
            self.calls += 1

    def _end(self) -> None:
        self.over = True
        self.busy = (time.process_time() - self._start) / self.seconds
        self.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(config: Config, side: str, url: str) -> tuple[int, float, float]:
    """Returns the number of calls, CPU time per second, and peak memory in MiB."""
    model = OpenAIActor("scripted", base_url=url, max_in_flight=config.envs)
    actor = Counted(model, config.seconds)
    SIDES[side](config, actor)
    model.close()
    return actor.calls, actor.busy, actor.memory


def in_own_process(
    function: Callable[[Config, str, str], tuple[int, float, float]], config: Config, side: str, url: str
) -> tuple[int, float, float]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, config, side, url).result()


@contextlib.contextmanager
def served(config: Config, arguments: Sequence[str]) -> Iterator[str]:
    """Runs a server in a separate process; yields its URL."""
    command = [sys.executable, "-m", "retro_gym.testing.server", "--env", "HotpotQA-v0"]
    command += ["--latency", str(config.latency), "--seed", str(config.seed), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


def table(results: Sequence[Measured]) -> Table:
    drawn = Table("latency", "side", "calls/s", "of the ideal", "busy", "peak memory")
    for row in results:
        share, busy = f"{row.rate / row.ideal:.0%} of {row.ideal:.0f}", f"{row.busy:.0%} of a core"
        drawn.add_row(row.latency, row.side, f"{row.rate:.1f}", share, busy, f"{row.memory:.0f} MiB")
    return drawn


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
