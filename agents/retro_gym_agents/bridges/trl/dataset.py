"""TRL's data set: failures of a Retro environment as rows, each with the complete state of its episode."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from retro_gym.env import RetroEnv
from retro_gym.errors import ActorError, ConfigError, MissingExtraError, NoFailureError, one_line
from retro_gym.seeding import derive_seed
from retro_gym.token_view.tokens import CHAT_TEMPLATE_OPTIONS
from retro_gym_agents.data.export import digest_of
from retro_gym_agents.play.episodes import Episode, Progress, play_next_trial, silent, start_episodes
from retro_gym_agents.play.policies import Policy, ReflectorPolicy
from retro_gym_agents.play.watch import ActorWatch

if TYPE_CHECKING:
    from datasets import Dataset

    from retro_gym_agents.lm.reflector import Reflector

__all__ = ["Messages", "failures", "prompt_of"]

Messages: TypeAlias = list[dict[str, Any]]
"""Chat messages, each with ``role`` and ``content``."""

_SIDE_BY_SIDE = 64  # episodes that are played in parallel
_MAX_ERRORS = 64  # consecutive failures after which the actor counts as down


def failures(
    env: RetroEnv,
    reflector: Reflector,
    *,
    num_tasks: int | None = None,
    seed: int = 0,
    split: str | None = None,
    trials: int = 1,
    policy: Policy | None = None,
    progress: Progress = silent,
) -> Dataset:
    """Plays failures to reflect on and returns them as a data set for TRL, one row per failure.

    Tasks come in random order; those that the actor solves without a reflection, or fails to answer on, are skipped. If
    the environment has a ``bank``, its failures replace trial 0 and the actor is not called. Under ``accelerate
    launch`` the main process plays and the others receive its rows.

    The columns are ``prompt`` (text, or messages if the tokenizer has a chat template; TRL tokenises it to the ids of
    :meth:`Reflector.encode <retro_gym_agents.lm.reflector.Reflector.encode>`), ``task_id``, ``seed`` (of the episode),
    ``failure`` (trial 0 as JSON), ``reflections`` (those so far) and ``state`` (a digest of the observation, by which
    :class:`~retro_gym_agents.bridges.trl.RetroReward` checks that it has restored the same failure).

    Args:
        env: the environment; it is copied.
        reflector: the reflector whose tokenizer, chat template and context window determine the prompts.
        num_tasks: number of tasks with a failure, at most; all by default.
        seed: seed of the order of tasks, of the episodes, and of the reflections between trials.
        split: split of the tasks; the environment's own by default.
        trials: 2 or more adds rows for the failures of later trials.
        policy: writes the reflections between trials; the reflector by default.
        progress: called after each batch of episodes.

    Raises:
        ConfigError: a number is out of range, or TRL would tokenise a prompt differently from the reflector.
        NoFailureError: the actor solves every task.
        ActorError: the actor failed on 64 tasks in a row, or on all that it did not solve, or its budget is spent.
        MissingExtraError: datasets is not installed.
    """
    for name, value in (("num_tasks", 1 if num_tasks is None else num_tasks), ("trials", trials)):
        if value < 1:
            raise ConfigError(f"{name} is {value}; it must be at least 1.")
    if trials > env.max_reflections:
        raise ConfigError(
            f"trials is {trials}, but an episode of the environment has at most {env.max_reflections} reflections. "
            "Raise max_reflections, or lower trials."
        )
    try:
        from datasets import Dataset, Features, List, Value
    except ImportError as error:
        raise MissingExtraError(error.name or "datasets", "trl") from error

    def make() -> list[dict[str, Any]]:
        writer = policy or ReflectorPolicy(reflector)
        return _find_failures(env, reflector, writer, num_tasks, seed, split or env.split, trials, progress)

    text = Value("string")
    conversational = bool(reflector.tokenizer.chat_template)
    columns = {
        "prompt": List({"role": text, "content": text}) if conversational else text,
        "task_id": text,
        "seed": Value("int64"),
        "failure": text,
        "reflections": List(text),
        "state": text,
    }
    return Dataset.from_list(_of_the_main_process(make), features=Features(columns))


def _find_failures(
    env: RetroEnv,
    reflector: Reflector,
    policy: Policy,
    num_tasks: int | None,
    seed: int,
    split: str,
    trials: int,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Plays tasks until the wanted number of them has failed; returns the rows."""
    task_ids = env.task_env.task_ids(split)
    if env.bank is not None:
        stored = set(env.bank.task_ids)
        task_ids = [task_id for task_id in task_ids if task_id in stored]
    order = [task_ids[i] for i in np.random.default_rng(derive_seed(seed, "tasks")).permutation(len(task_ids))]
    wanted = len(order) if num_tasks is None else num_tasks
    watch = ActorWatch(_MAX_ERRORS, "on {} tasks")
    rows: list[dict[str, Any]] = []
    found = number = 0
    while number < len(order) and found < wanted:
        some = order[number : number + min(_SIDE_BY_SIDE, wanted - found)]
        seeds = [derive_seed(seed, "episode", number + i) for i in range(len(some))]
        episodes = start_episodes(env, some, seeds)
        try:
            watch.see(episode.failed for episode in episodes)
            found += sum(episode.waits for episode in episodes)
            rows += _rows(episodes, reflector, policy, seed, trials)
        finally:
            for episode in episodes:
                episode.close()
        number += len(some)
        progress("failures", min(found, wanted), wanted)
    if not rows and watch.last is not None:
        raise ActorError(
            f"the actor failed on {watch.total} tasks of split {split!r} and solved the others: {watch.last}"
        )
    if not rows:
        raise NoFailureError(
            f"none of the {len(order)} tasks of split {split!r} failed, so there is nothing to reflect on. "
            "Choose harder tasks or a weaker actor."
        )
    return rows


def _rows(
    episodes: Sequence[Episode], reflector: Reflector, policy: Policy, seed: int, trials: int
) -> list[dict[str, Any]]:
    """Returns the rows of newly started episodes and of their later trials."""
    waiting = [episode for episode in episodes if episode.waits]
    first = {id(episode): json.dumps(episode.env.trajectory.to_json(), sort_keys=True) for episode in waiting}
    rows: list[dict[str, Any]] = []
    for trial in range(1, trials + 1):
        rows += [_row(reflector, episode, first[id(episode)]) for episode in waiting]
        if trial < trials:
            play_next_trial(waiting, policy, seed=derive_seed(seed, "reflection", trial))
            waiting = [episode for episode in waiting if episode.waits]
    return rows


def _row(reflector: Reflector, episode: Episode, first: str) -> dict[str, Any]:
    return {
        "prompt": prompt_of(reflector, episode.observation),
        "task_id": episode.task_id,
        "seed": episode.seed,
        "failure": first,
        "reflections": list(episode.reflections),
        "state": digest_of(episode.observation),
    }


def _of_the_main_process(make: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Calls ``make`` in the main process and broadcasts its result to all processes of a distributed run."""
    try:
        from accelerate import PartialState
        from accelerate.utils import broadcast_object_list
    except ImportError as error:
        raise MissingExtraError(error.name or "accelerate", "trl") from error
    state = PartialState()
    if state.num_processes == 1:
        return make()
    made: list[list[dict[str, Any]]] = [make() if state.is_main_process else []]
    broadcast_object_list(made)
    return made[0]


def prompt_of(reflector: Reflector, observation: str) -> str | Messages:
    """Returns the prompt for an observation that TRL tokenises to the ids of :meth:`Reflector.encode`.

    TRL tokenises text directly, and messages with the chat template. So the text includes a BOS token if the tokenizer
    does not add one, and a long observation is shortened here, since TRL no longer truncates prompts.

    Returns:
        Messages if the tokenizer has a chat template, else text.

    Raises:
        ConfigError: TRL would tokenise every such prompt differently.
    """
    tokenizer, kept, ids = reflector.tokenizer, reflector.fit(observation), reflector.encode(observation)
    if tokenizer.chat_template:
        messages: Messages = [{"role": "user", "content": kept}]
        rendered = tokenizer.apply_chat_template(
            [messages], add_generation_prompt=True, tokenize=True, return_dict=True, **CHAT_TEMPLATE_OPTIONS
        )
        if rendered["input_ids"][0] == ids:
            return messages
    else:
        for text in (kept, f"{tokenizer.bos_token or ''}{kept}"):
            if tokenizer(text=[text])["input_ids"][0] == ids:
                return text
    raise ConfigError(
        f"TRL would tokenise the observation {one_line(observation)} differently from the reflector {reflector.name!r} "
        f"({len(ids)} tokens). Give the tokenizer a chat template, or a context window that the template fits into."
    )
