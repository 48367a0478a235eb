"""Public checks that an environment satisfies the contract of :class:`retro_gym.RetroEnv`."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from retro_gym.env import RetroEnv
from retro_gym.errors import ConfigError, RetroGymError, one_line
from retro_gym.foreign import TextTask
from retro_gym.scheduling import Job, Plan, run_jobs
from retro_gym.spaces import UnicodeText
from retro_gym.teacher import Teacher
from retro_gym.token_view.naming import TokenizerSpec
from retro_gym.token_view.token_env import TokenEnv
from retro_gym.token_view.tokens import Tokenizer, decode, encode_prompt
from retro_gym.trajectory import Outcome, Trajectory

__all__ = ["check_retro_env", "token_text_equivalence"]

OBSERVATIONS_ARE_TEXT = "an observation must be a member of the observation space."
INFO_IS_COMPLETE = "info must hold task_id, trial, success, return and trajectory, of stable types."
INFO_IS_FRESH = "info must be a new object at every call."
INFO_TELLS_THE_TRIAL = "info['trajectory'] must be the trajectory of the last trial."
SAME_SEED_SAME_EPISODE = (
    "the same seed must give the same episode: actor and task environment may draw only from what seeds determine, and "
    "carry nothing from one trial to the next (retro_gym.wrap(make, fresh=True) makes a new environment for each)."
)
BRANCH_LEAVES_NO_TRACE = "branch must not change the state."
BRANCHES_AGREE = (
    "branch must give the same outcome for the same reflection twice, whichever copy plays it: copies may share no "
    "state, such as attributes of a class."
)
BRANCH_EQUALS_STEP = "branch must give the same reward as step."
COPIES_GO_ON_ALIKE = "a copy made during an episode must continue like the original."
VECTOR_EQUALS_SINGLE = "episodes side by side must be the same as one after the other."
BUDGET_TERMINATES = "an episode must terminate when its reflections are spent."
TOKENS_EQUAL_TEXT = "the token view must give the same results as the text view for the same seed and tokens."
ERRORS_ARE_FLAGGED = "a truncated step must give the reason in info['actor_error']."

_INFO_TYPES = {"task_id": str, "trial": int, "success": bool, "return": float, "trajectory": Trajectory}
_REFLECTIONS = ("", "Look more carefully.", "反省 🙂 \u0301\n\t{braces} %s", "word " * 2_000)


def check_retro_env(env: gym.Env[Any, Any], *, seed: int = 0, episodes: int = 3) -> None:
    """Checks an environment against the contract of ``RetroEnv``, in addition to Gymnasium's ``check_env``.

    Warns if splits of a wrapped text environment seem to have tasks in common.

    Args:
        env: a RetroEnv, or a wrapper around one.
        seed: seed of the first episode.
        episodes: number of episodes.

    Raises:
        ConfigError: a condition does not hold; the error states the first one and the value received.
    """
    retro = env.unwrapped
    if not isinstance(retro, RetroEnv):
        raise ConfigError(f"check_retro_env checks a RetroEnv; received {one_line(retro)}.")
    for space in (retro.observation_space, retro.action_space):
        _expect(isinstance(space, UnicodeText), "the spaces must take any Unicode text.", space)
    _check_copies(retro)
    for episode in range(episodes):
        _check_episode(retro, seed + episode)
    _check_vector(retro, [seed + episode for episode in range(max(2, episodes))])
    if isinstance(retro.task_env, TextTask):
        retro.task_env.warn_of_equal_tasks()


def token_text_equivalence(
    env: gym.Env[Any, Any], tokenizer: TokenizerSpec, *, seed: int = 0, episodes: int = 3, **options: Any
) -> list[float]:
    """Checks that the token view is equivalent to the text environment: same seed, same tokens, same return.

    Half of the reflections are the oracle's, if there is one, so that some rewards are not 0; the others are random
    tokens. A copy of the text environment gets the decoded text of the same tokens, and all rewards, termination flags,
    ``info`` values and prompts are compared.

    Args:
        env: a RetroEnv, possibly wrapped, whose token view is checked; or a ``TokenEnv``, which is checked itself.
        tokenizer: tokenizer of the token view, or its name; that of a ``TokenEnv`` is its own.
        seed: seed of the episodes and the tokens.
        episodes: number of episodes.
        options: options of ``TokenEnv``, if ``env`` is not one.

    Returns:
        The return of each episode.

    Raises:
        ConfigError: the views differ; the error states the value received.
    """
    view = env if isinstance(env, TokenEnv) else TokenEnv(env, tokenizer, **options)
    if view.info_mode != "full":
        raise ConfigError(f"the infos of both views are compared, but info is {view.info_mode!r}; leave it at 'full'.")
    plain, tokenizer = copy.deepcopy(view.env), view.tokenizer
    return [_compare_views(view, plain, tokenizer, seed + episode) for episode in range(episodes)]


def _compare_views(view: TokenEnv, plain: gym.Env[str, str], tokenizer: Tokenizer, seed: int) -> float:
    rng = np.random.default_rng(seed)
    text, text_info = plain.reset(seed=seed)
    shown, info = view.reset(seed=seed)
    paid = 0.0
    while True:
        _compare(view, tokenizer, (text, text_info), (shown, info))
        tokens = _draw_tokens(view, tokenizer, rng)
        for number, token in enumerate(tokens, start=1):
            shown, *ended, info = view.step(token)
            if number < len(tokens):
                _expect(ended == [0.0, False, False] and not info, TOKENS_EQUAL_TEXT, (ended, info))
        reflection = decode(tokenizer, tokens)
        text, *expected, text_info = plain.step(reflection)
        _expect(ended == expected, TOKENS_EQUAL_TEXT, (ended, expected))
        _expect(info.get("reflection") == reflection, TOKENS_EQUAL_TEXT, (info.get("reflection"), reflection))
        paid += float(expected[0])
        if expected[1] or expected[2]:
            _compare(view, tokenizer, (text, text_info), (shown, info))
            return paid


def _draw_tokens(view: TokenEnv, tokenizer: Tokenizer, rng: np.random.Generator) -> list[int]:
    """Draws a reflection that ends with an end token or at the length limit."""
    ends, limit = sorted(view.codec.ends), view.codec.max_new_tokens
    retro = view.unwrapped
    assert isinstance(retro, RetroEnv)
    tokens: list[int] = rng.integers(view.codec.actions, size=limit).tolist()
    teacher = retro.task_env.teacher
    if rng.random() < 0.5 and type(teacher).oracle_reflection is not Teacher.oracle_reflection:
        text = teacher.oracle_reflection(retro.trajectory.task_id)
        tokens = [*tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"], *ends[:1]]
    elif ends and rng.random() < 0.5:
        tokens = [*tokens[: int(rng.integers(limit))], ends[0]]
    first_end = next((i for i, token in enumerate(tokens) if token in ends), limit)
    tokens = tokens[: min(first_end + 1, limit)]
    # Without an end token, an oracle's text may be shorter than the limit: repeat its last token.
    return tokens if len(tokens) == limit or tokens[-1] in ends else (tokens + [tokens[-1]] * limit)[:limit]


def _compare(view: TokenEnv, tokenizer: Tokenizer, plain: tuple[str, Any], seen: tuple[Any, Any]) -> None:
    """Compares the token prompt with the text, and the two infos."""
    (text, text_info), (shown, info) = plain, seen
    _expect({key: info.get(key) for key in text_info} == text_info, TOKENS_EQUAL_TEXT, info)
    if info["prompt_cut"]:
        return
    mask = shown["mask"] == 1 if isinstance(shown, dict) else shown >= 0
    ids = (shown["ids"] if isinstance(shown, dict) else shown)[mask].tolist()
    _expect(ids == encode_prompt(tokenizer, text), TOKENS_EQUAL_TEXT, ids)


def _check_episode(env: RetroEnv, seed: int) -> None:
    first = _play(env, seed)
    _expect(first == _play(env, seed), SAME_SEED_SAME_EPISODE, seed)
    observation, info = env.reset(seed=seed)
    _check_view(env, observation, info)
    for reflection in _REFLECTIONS * (1 + env.max_reflections // len(_REFLECTIONS)):
        before = _state(env)
        outcome, again = env.branch([reflection, reflection])
        _expect(_state(env) == before, BRANCH_LEAVES_NO_TRACE, reflection)
        _expect(_told(outcome) == _told(again), BRANCHES_AGREE, _difference(outcome, again))
        for twin in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
            _expect(
                _last_step(twin, reflection) == _last_step(copy.deepcopy(env), reflection), COPIES_GO_ON_ALIKE, twin
            )
        earlier = info
        observation, reward, terminated, truncated, info = env.step(reflection)
        _check_view(env, observation, info)
        _expect(earlier is not info, INFO_IS_FRESH, info)
        if truncated:
            _expect("actor_error" in info, ERRORS_ARE_FLAGGED, info)
            return
        _expect(math.isfinite(reward) and reward == outcome.reward, BRANCH_EQUALS_STEP, (reward, outcome.reward))
        if terminated:
            return
    _expect(False, BUDGET_TERMINATES, env.max_reflections)


def _check_view(env: RetroEnv, observation: str, info: dict[str, Any]) -> None:
    _expect(observation in env.observation_space, OBSERVATIONS_ARE_TEXT, observation)
    for key, kind in _INFO_TYPES.items():
        _expect(type(info.get(key)) is kind, INFO_IS_COMPLETE, (key, info.get(key)))
    _expect(info["trajectory"] == env.trajectory, INFO_TELLS_THE_TRIAL, info["trajectory"])


def _play(env: RetroEnv, seed: int) -> list[Any]:
    steps: list[Any] = [env.reset(seed=seed)]
    done = False
    rng = np.random.default_rng(seed)
    while not done and len(steps) <= env.max_reflections:
        steps.append(env.step(_REFLECTIONS[int(rng.integers(len(_REFLECTIONS)))]))
        done = steps[-1][2] or steps[-1][3]
    return steps


def _state(env: RetroEnv) -> Any:
    return env.trajectory, env.memory, copy.deepcopy(env.np_random.bit_generator.state), env.render()


def _check_copies(env: RetroEnv) -> None:
    """Checks that the environment can be copied and pickled; the error names the part of it that cannot."""
    function = getattr(env.actor, "function", None)  # of a CallableActor
    actor = type(env.actor).__name__ if function is None else getattr(function, "__qualname__", one_line(function))
    game = env.task_env.name if isinstance(env.task_env, TextTask) else type(env.task_env).__name__
    parts = {f"the actor {actor}": env.actor, f"the task environment {game}": env.task_env, "it": env}
    for done in ("copied", "pickled"):
        for name, part in parts.items():
            try:
                copy.deepcopy(part) if done == "copied" else pickle.loads(pickle.dumps(part))
            except RetroGymError:
                raise
            except Exception as error:  # parts of a user may raise anything
                raise ConfigError(
                    f"{COPIES_GO_ON_ALIKE} But {name} cannot be {done}: {type(error).__name__} "
                    f"({one_line(str(error), 200)}). Define functions and classes at the top level of a module, and "
                    "open connections and load models when they are first used."
                ) from error


def _check_vector(env: RetroEnv, seeds: Sequence[int]) -> None:
    """Compares episodes that are played side by side with the same ones, one after the other."""

    def job(seed: int) -> Job[Any]:
        twin = env.twin()
        twins.append(twin)
        return Job(_two_calls(twin, seed), env.actor, twin.stats)

    twins: list[RetroEnv] = []
    alone = [run_jobs([job(seed)])[0] for seed in seeds]
    together = run_jobs([job(seed) for seed in seeds], at_once=env.task_env.max_parallel)
    for single, one in zip(alone, together, strict=True):
        _expect(single == one, VECTOR_EQUALS_SINGLE, _difference(single, one))
    for twin in twins:
        twin._stage.close()


def _last_step(env: RetroEnv, reflection: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
    """Steps a copy, then closes its task environments; not its records, which it shares."""
    try:
        return env.step(reflection)
    finally:
        env._stage.close()


def _two_calls(env: RetroEnv, seed: int) -> Plan[Any]:
    """Resets and steps, as a plan."""
    start = yield from env.plan_reset(seed=seed)
    return start, (yield from env.plan_step(_REFLECTIONS[1]))


def _told(outcome: Outcome) -> Outcome:
    """Returns an outcome without the ids of its records."""
    return dataclasses.replace(outcome, record="", trial_record="")


def _difference(first: object, second: object) -> str:
    """Returns the place where two values begin to differ."""
    left, right = repr(first), repr(second)
    at = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    start = max(0, at - 40)
    return f"…{left[start : at + 40]}… and …{right[start : at + 40]}…"


def _expect(holds: bool, promise: str, received: object) -> None:
    if not holds:
        raise ConfigError(f"{promise} Received {one_line(received, 200)}.")
