"""RetroVectorEnv: many episodes advanced in parallel, without synchronising the turns of their trials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from retro_gym.background import BackgroundPool, open_pool
from retro_gym.branching import checked_reflections
from retro_gym.checks import check_whole
from retro_gym.env import RetroEnv
from retro_gym.errors import ActionError, ActorError, ConfigError, EpisodeError, one_line
from retro_gym.scheduling import Ended, Job, JobPool, Plan, run_jobs
from retro_gym.seeding import checked_seed
from retro_gym.task_env import least_parallel
from retro_gym.trajectory import Outcome

__all__ = ["RetroVectorEnv", "run_plans"]

_T = TypeVar("_T")
_Start: TypeAlias = tuple[str, dict[str, Any]]
_Step: TypeAlias = tuple[str, float, bool, bool, dict[str, Any]]
_Result: TypeAlias = tuple[_Step | None, _Start | None]  # a step and the reset after it, or either alone
_Texts: TypeAlias = tuple[str, ...]

_MODES = (AutoresetMode.SAME_STEP, AutoresetMode.DISABLED)


def run_plans(envs: Sequence[RetroEnv], plans: Sequence[Plan[_T]]) -> list[_T]:
    """Runs one plan of each environment in parallel, such as ``[env.plan_step(text) for env, text in …]``.

    No more of them are in progress at once than each task environment allows (:attr:`TaskEnv.max_parallel`).

    Returns:
        The results, in the order of the plans.
    """
    jobs = [Job(plan, env.actor, env.stats) for env, plan in zip(envs, plans, strict=True)]
    return run_jobs(jobs, at_once=least_parallel(env.task_env for env in envs))


class RetroVectorEnv(VectorEnv[_Texts, Sequence[str], NDArray[Any]]):
    """A vector environment of n :class:`RetroEnv` episodes.

    All trials of a step share one actor: a local model gets full batches that are refilled as trials end, a server
    as many concurrent calls as it is allowed. Every episode is the same as in a separate environment: environment i is
    seeded with seed + i, and the order in which calls return has no effect.

    A step ends with the last of its trials. With :meth:`async_reset`, :meth:`send` and :meth:`recv` one can go on with
    what has come in while other trials are under way, as with EnvPool (arXiv 2206.10558)::

        envs.async_reset(seed=0)
        while training:
            observations, rewards, terminations, truncations, infos = envs.recv(16)
            envs.send(policy(observations), infos["env_id"])

    Created by ``gym.make_vec("RetroHotpotQA-v0", num_envs=64, vectorization_mode="vector_entry_point")``.

    Observations are a tuple of n texts, actions any sequence of n texts. With autoreset ``SAME_STEP``, the next episode
    starts in the step in which one ends, and ``infos["final_obs"]`` and ``infos["final_info"]`` hold the last
    observation and info, as in Gymnasium's vector environments; so no reflection is ignored. With ``DISABLED``, the
    caller resets all environments or those of ``options["reset_mask"]``.

    Args:
        num_envs: n.
        autoreset_mode: ``AutoresetMode.SAME_STEP`` or ``AutoresetMode.DISABLED``, or their values as text.
        kwargs: arguments of :class:`RetroEnv`. A ``records`` file is shared by all environments.

    Raises:
        ConfigError: an argument is invalid.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        task_env: str | gym.Env[Any, Any],
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        **kwargs: Any,
    ) -> None:
        self.closed = True  # until it is made; Gymnasium before 1.3 closes what could not be made
        if num_envs < 1:
            raise ConfigError(f"num_envs is {num_envs}; it must be at least 1.")
        known = {name: mode for mode in _MODES for name in (mode, mode.value, mode.name)}
        if autoreset_mode not in known:
            raise ConfigError(
                f"autoreset_mode is {one_line(autoreset_mode)}; choose {[mode.value for mode in _MODES]}. "
                "NextStep would ignore the reflection that is given in the step in which it resets."
            )
        self.num_envs = num_envs
        self.autoreset_mode = known[autoreset_mode]
        first = RetroEnv(task_env, **kwargs)
        self.envs = [first, *(first.twin() for _ in range(num_envs - 1))]
        self.metadata = {**first.metadata, "autoreset_mode": self.autoreset_mode}
        self.render_mode = first.render_mode
        self.single_observation_space = first.observation_space
        self.single_action_space = first.action_space
        self.observation_space = batch_space(first.observation_space, num_envs)
        self.action_space = batch_space(first.action_space, num_envs)
        self._observations = [""] * num_envs
        self._reset_errors: dict[int, ActorError] = {}
        self._pool: JobPool[int, _Result] | BackgroundPool[int, _Result] | None = None
        self._under_way: set[int] = set()
        self._arrived: dict[int, _Result] = {}
        self.closed = False

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | NDArray[np.integer[Any]] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[_Texts, dict[str, Any]]:
        """Resets the episodes; their first trials are played in parallel.

        Args:
            seed: environment i gets seed + i, or element i of a sequence or array.
            options: ``task_ids`` names a task for each environment, ``task_id`` one for all; ``reset_mask``, an array
                of n booleans, selects the episodes to reset; the others do not change.

        Raises:
            ConfigError: seeds, tasks or mask do not have length n.
            ActorError: the actor cannot be reached.
        """
        self._check_idle("reset")
        plans = self._reset_plans("reset", seed, options)
        starts = run_plans([self.envs[i] for i in plans], list(plans.values()))
        *_, infos = self._gathered({i: (None, start) for i, start in zip(plans, starts, strict=True)})
        return tuple(self._observations), infos

    def step(
        self, actions: Sequence[str]
    ) -> tuple[_Texts, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Takes one reflection for each episode and plays the next trials in parallel.

        Raises:
            ActionError: the number of actions is not n, or one is not text.
            EpisodeError: an episode is over and was not reset (autoreset ``DISABLED``).
            ActorError: the actor could not be reached at the autoreset of the previous step. That step returned all
                its results, so nothing is lost.
        """
        self._check_idle("step")
        self._check_count(actions, "actions")
        self.check_reset(range(self.num_envs))
        results = run_plans(self.envs, [self._step_plan(i, action) for i, action in enumerate(actions)])
        rewards, terminations, truncations, infos = self._gathered(dict(enumerate(results)))
        return tuple(self._observations), rewards, terminations, truncations, infos

    def branch(self, reflections: Sequence[Sequence[str]]) -> list[list[Outcome]]:
        """Computes what each of several reflections on each episode's failure would earn, without changing any state.

        Args:
            reflections: any number of texts for each environment.

        Raises:
            ActionError: the number of lists is not n, or a reflection is not text.
            EpisodeError: an episode is over.
        """
        self._check_idle("branch")
        self._check_count(reflections, "lists of reflections")
        return run_plans(self.envs, [env.plan_branch(texts) for env, texts in zip(self.envs, reflections, strict=True)])

    def plan_autoreset(self, i: int) -> Plan[_Start | None]:
        """Resets an episode that has ended, as a plan.

        Returns:
            What its reset returns. None if the mode is ``DISABLED``, or the actor cannot be reached:
            :meth:`check_reset` raises that at the next step, so that this one's rewards are returned first.
        """
        if self.autoreset_mode is AutoresetMode.DISABLED:
            return None
        try:
            return (yield from self.envs[i].plan_reset())
        except ActorError as error:
            error.add_note(
                f"This is of the autoreset of environment {i}. Reset it when the actor can be reached again."
            )
            self._reset_errors[i] = error
            return None

    def check_reset(self, chosen: Iterable[int]) -> None:
        """Raises the ``ActorError`` that the last autoreset of one of these environments has met, if one has."""
        for i in chosen:
            if i in self._reset_errors:
                raise self._reset_errors[i]

    # -- without waiting for all -------------------------------------------------------------------------------------

    def async_reset(
        self,
        *,
        seed: int | Sequence[int | None] | NDArray[np.integer[Any]] | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        """Starts to reset the episodes, as :meth:`reset` does; :meth:`recv` returns each when its first trial is over.

        Raises:
            ConfigError: as in :meth:`reset`.
            EpisodeError: an environment that is to be reset is under way.
        """
        for i, plan in self._reset_plans("async_reset", seed, options).items():
            self._start(i, _started(plan))

    def send(self, actions: Sequence[str], env_ids: Sequence[int] | NDArray[np.integer[Any]] | None = None) -> None:
        """Starts the next trials of some episodes; :meth:`recv` returns each when it is over.

        Args:
            actions: a reflection for each of these environments.
            env_ids: numbers of environments that are not under way; all by default.

        Raises:
            ConfigError: ``env_ids`` does not hold whole numbers.
            ActionError: the number of actions is not that of the environments, or one is not text.
            EpisodeError: an environment is under way, or its episode is over and was not reset (autoreset
                ``DISABLED``).
            ActorError: the actor could not be reached at the last autoreset of one of these environments.
        """
        chosen = self._chosen(env_ids)
        if isinstance(actions, str) or len(actions) != len(chosen):
            raise ActionError(f"{one_line(actions)}: {len(actions)} actions for {len(chosen)} environments; one each.")
        self.check_reset(chosen)
        for i, action in zip(chosen, actions, strict=True):
            checked_reflections([action], self.envs[i].max_reflection_chars)
            self.envs[i].check_running()
        for i, action in zip(chosen, actions, strict=True):
            self._start(i, self._step_plan(i, action))

    def recv(
        self, num: int = 1
    ) -> tuple[_Texts, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Waits until some episodes have come to their next failure or their end.

        Args:
            num: least number of environments to wait for; all that are under way if these are fewer.

        Returns:
            As :meth:`step`, but of these environments alone: those that have come in, in the order of their numbers,
            which are ``infos["env_id"]``. After a reset, rewards are 0.

        Raises:
            ConfigError: ``num`` is not a whole number of at least 1.
            EpisodeError: no environment is under way.
            Exception: what the actor has raised for all calls. Then nothing is under way any more; reset.
            ActorError: the actor cannot be reached. The error has a note that names the environment, which is under way
                no more. Those that have come in are returned by the next call.
        """
        check_whole(1, num=num)
        if self._pool is None or not self._under_way:
            raise EpisodeError("no environment is under way. Call async_reset() or send() first.")
        while len(self._arrived) < min(num, len(self._under_way)):
            try:
                ended = self._pool.wait()
            except BaseException:  # of the actor itself, or Ctrl-C: what is under way will not end
                self._drop_pool()
                raise
            self._note(ended)
        while (more := self._pool.take()) is not None:
            self._note(more)
        chosen = sorted(self._arrived)
        results = {i: self._arrived.pop(i) for i in chosen}
        self._under_way.difference_update(chosen)
        if not self._under_way:
            self._drop_pool()
        rewards, terminations, truncations, infos = self._gathered(results)
        infos = {**_rows(infos, chosen), "env_id": np.array(chosen)}
        seen = tuple(self._observations[i] for i in chosen)
        return seen, rewards[chosen], terminations[chosen], truncations[chosen], infos

    def render(self) -> tuple[Any, ...] | None:
        """Returns the rendering of each environment, in mode ``"ansi"``."""
        return None if self.render_mode is None else tuple(env.render() for env in self.envs)

    def close_extras(self, **kwargs: Any) -> None:
        """Closes the environments; those that are under way do not end."""
        self._drop_pool()
        for env in self.envs:
            env.close()

    def _seeds(self, seed: Any) -> Sequence[int | None]:
        """Returns one seed for each environment; elements of a sequence are checked by the environments."""
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, Sequence | np.ndarray) and np.ndim(seed) == 1:
            return list(seed)
        first = checked_seed(seed)
        return [first + i for i in range(self.num_envs)]

    def _reset_plans(self, what: str, seed: Any, options: dict[str, Any] | None) -> dict[int, Plan[_Start]]:
        """Returns a plan for each environment that is to be reset, and that must not be under way."""
        rest = dict(options or {})
        seeds = self._seeds(seed)
        task_ids = rest.pop("task_ids", None)
        each = [rest] * self.num_envs
        mask = rest.pop("reset_mask", np.ones(self.num_envs, dtype=np.bool_))
        if task_ids is not None:
            each = [{**rest, "task_id": task_id} for task_id in task_ids]
        for name, values in (("seed", seeds), ("task_ids", each), ("reset_mask", mask)):
            if len(values) != self.num_envs:
                raise ConfigError(f"{name} has {len(values)} entries; one for each of {self.num_envs} environments.")
        chosen = [i for i in range(self.num_envs) if mask[i]]
        self._check_idle(what, chosen)
        for i in chosen:
            self._reset_errors.pop(i, None)
        return {i: self.envs[i].plan_reset(seed=seeds[i], options=each[i]) for i in chosen}

    def _start(self, i: int, plan: Plan[_Result]) -> None:
        env = self.envs[i]
        if self._pool is None:
            self._pool = open_pool(env.actor, [one.task_env for one in self.envs])
        self._under_way.add(i)
        self._pool.add(i, Job(plan, env.actor, env.stats))

    def _drop_pool(self) -> None:
        if self._pool is not None:
            self._pool.close()
        self._pool = None
        self._under_way, self._arrived = set(), {}

    def _note(self, ended: Ended[int, _Result]) -> None:
        if ended.error is not None:
            self._under_way.discard(ended.key)
            ended.error.add_note(f"This is of environment {ended.key}.")
        self._arrived[ended.key] = ended.result()

    def _gathered(
        self, results: Mapping[int, _Result]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Notes observations; returns rewards, terminations, truncations and infos of all environments."""
        rewards = np.zeros(self.num_envs)
        terminations, truncations = np.zeros((2, self.num_envs), dtype=np.bool_)
        infos: dict[str, Any] = {}
        for i, (step, start) in results.items():
            if step is not None:
                observation, rewards[i], terminations[i], truncations[i], info = step
                if start is not None:
                    infos = self._add_info(infos, {"final_obs": observation, "final_info": info}, i)
            if start is not None:
                observation, info = start
            self._observations[i] = observation
            infos = self._add_info(infos, info, i)
        return rewards, terminations, truncations, infos

    def _chosen(self, env_ids: Sequence[int] | NDArray[np.integer[Any]] | None) -> list[int]:
        """Returns the numbers of environments that :meth:`send` was given."""
        if env_ids is None:
            env_ids = range(self.num_envs)
        numbers = np.asarray(env_ids)
        if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in "iu"):  # bool, too, is a kind of its own
            raise ConfigError(f"env_ids is {one_line(env_ids)}; give the numbers of environments, such as [0, 3].")
        chosen: list[int] = numbers.astype(int).tolist()
        for i in chosen:
            if not 0 <= i < self.num_envs or i in self._under_way or chosen.count(i) > 1:
                raise EpisodeError(
                    f"env_ids holds {i}; name environments between 0 and {self.num_envs - 1} that recv has returned, "
                    "each once."
                )
        return chosen

    def _check_idle(self, what: str, chosen: Sequence[int] | None = None) -> None:
        busy = sorted(self._under_way if chosen is None else self._under_way.intersection(chosen))
        if busy:
            needs = "all environments" if chosen is None else f"{len(chosen)} environments"
            raise EpisodeError(
                f"{what} needs {needs}, but {len(busy)} of them are under way: {busy}. "
                "Call recv() until it has returned them."
            )

    def _step_plan(self, i: int, action: str) -> Plan[_Result]:
        step = yield from self.envs[i].plan_step(action)
        over = step[2] or step[3]
        return step, ((yield from self.plan_autoreset(i)) if over else None)

    def _check_count(self, given: Sequence[object], what: str) -> None:
        if isinstance(given, str) or len(given) != self.num_envs:
            raise ActionError(f"{one_line(given)}: {len(given)} {what}; one for each of {self.num_envs} environments.")


def _started(plan: Plan[_Start]) -> Plan[_Result]:
    return None, (yield from plan)


def _rows(infos: Mapping[str, Any], chosen: Sequence[int]) -> dict[str, Any]:
    """Returns the rows of some environments in the arrays of infos."""
    return {
        name: _rows(value, chosen) if isinstance(value, dict) else value[list(chosen)] for name, value in infos.items()
    }
