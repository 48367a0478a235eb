"""How busy is a model server kept? Many episodes at once, against Gymnasium's lock step and a single environment.

    python benchmarks/concurrency.py

The server runs in a process of its own and takes 200 ms for a reply, at first always, then with a log-normal spread
(median 200 ms, p99 2 s). Each side plays RetroHotpotQA with the scripted actor behind it, for the same time, in a
process of its own:

- side by side: `--envs` episodes at once, none of which waits for another one (`retro_gym.scheduling`);
- RetroVectorEnv: the same through Gymnasium's vector interface, where a step ends with the last of its trials;
- lock step: a Gymnasium `SyncVectorEnv` of `--envs` task environments; the replies to all of them are asked for at
  once, and waited for, before every step;
- single: one environment.

A side's calls count from its first one, which connects and is not counted, until the time is over. The ideal is one
call at a time for each environment and no time between two calls. "Busy" is the processor time of all threads of the
side's process, as a share of one core.
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
from retro_gym.env import RetroEnv
from retro_gym.errors import ActorError
from retro_gym.prompts import Prompt
from retro_gym.scheduling import Job, Plan, run_jobs
from retro_gym.task_env import TaskEnv, as_task_env
from retro_gym.trajectory import Turn
from retro_gym.vector import RetroVectorEnv

REFLECTION = "Look more carefully."  # gains nothing, so that every episode lasts for all of its trials


@dataclasses.dataclass(frozen=True)
class Config:
    """What is measured."""

    envs: int = 64
    """Episodes at once."""
    seconds: float = 20.0
    """For which each side plays."""
    latency: float = 0.2
    """Seconds for a reply; the median of the log-normal spread."""
    p99: float = 2.0
    """Seconds within which 99 of 100 replies come under the log-normal spread."""
    seed: int = 0
    """Of episodes and latencies."""
    json: Path | None = None
    """Where the figures go."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """What one side has done."""

    latency: str
    side: str
    calls: int
    seconds: float
    ideal: float
    """Calls per second of as many environments as it has, if no time passed between two calls."""
    busy: float
    """Processor time of all threads per second."""
    memory: float
    """Peak of the process, MiB."""

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
            for side in SIDES:
                calls, busy, memory = in_own_process(measure, config, side, url)
                ideal = (1 if side == "single" else config.envs) / mean
                results.append(Measured(latency, side, calls, config.seconds, ideal, busy, memory))
    Console().print(table(results))
    if config.json is not None:
        rows = [{**dataclasses.asdict(row), "rate": row.rate} for row in results]
        config.json.write_text(json.dumps(rows, indent=2) + "\n")


# -- the sides ---------------------------------------------------------------------------------------------------------


def side_by_side(config: Config, actor: Counted) -> None:
    """Retro environments whose calls are all in flight at once."""
    first = RetroEnv("HotpotQA-v0", actor=actor)
    envs = [first, *(RetroEnv("HotpotQA-v0", actor=actor) for _ in range(config.envs - 1))]
    actor.begin(first_prompt(first.task_env))
    run_jobs([Job(episodes(env, config.seed + i, actor), actor, env.stats) for i, env in enumerate(envs)])


def vector_env(config: Config, actor: Counted) -> None:
    """A RetroVectorEnv: no trial waits for another one's turn, only for the end of the step."""
    envs = RetroVectorEnv(config.envs, task_env="HotpotQA-v0", actor=actor)
    actor.begin(first_prompt(envs.envs[0].task_env))
    envs.reset(seed=config.seed)
    while not actor.over:
        envs.step([REFLECTION] * config.envs)


def single(config: Config, actor: Counted) -> None:
    """One environment."""
    env = RetroEnv("HotpotQA-v0", actor=actor)
    actor.begin(first_prompt(env.task_env))
    run_jobs([Job(episodes(env, config.seed, actor), actor, env.stats)])


def lock_step(config: Config, actor: Counted) -> None:
    """Gymnasium's own vector environment, over the task environments: one batch of calls for every step."""
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
    "lock step": lock_step,
    "single": single,
}


def episodes(env: RetroEnv, seed: int, actor: Counted) -> Plan[None]:
    """One episode after the other until the time is over."""
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


# -- how they are measured ---------------------------------------------------------------------------------------------


class Counted:
    """An actor whose calls are counted for a time."""

    def __init__(self, actor: OpenAIActor, seconds: float) -> None:
        self.actor, self.seconds = actor, seconds
        self.calls = 0
        self.busy = self.memory = 0.0
        self.over = False

    def begin(self, prompt: Prompt) -> None:
        """Makes one call that does not count; the time runs from here on."""
        self.actor.reply([prompt])
        self._start = time.process_time()
        timer = threading.Timer(self.seconds, self._end)
        timer.daemon = True
        timer.start()

    def submit(self, prompt: Prompt) -> Future[Reply | ActorError]:
        """As the actor does."""
        future = self.actor.submit(prompt)
        future.add_done_callback(self._note)
        return future

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """As the actor does."""
        return [future.result() for future in [self.submit(prompt) for prompt in prompts]]

    def _note(self, future: Future[Reply | ActorError]) -> None:
        if not self.over:
            self.calls += 1

    def _end(self) -> None:
        self.over = True
        self.busy = (time.process_time() - self._start) / self.seconds
        self.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(config: Config, side: str, url: str) -> tuple[int, float, float]:
    """Calls, processor time per second, and peak memory in MiB."""
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
    """A server in a process of its own; gives its URL."""
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
