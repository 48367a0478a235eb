"""RetroEnv: reflection writing as a Gymnasium environment."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

import gymnasium as gym

from retro_gym.actors import Actor, ActorSpec, make_actor
from retro_gym.adapting import as_task_env
from retro_gym.branching import Control, check_follows, checked_reflections, controls_of, outcomes_of, planned_trials
from retro_gym.checks import check_choice, check_positive, check_render_mode, check_type, check_whole
from retro_gym.errors import BudgetError, EpisodeError
from retro_gym.first_trials import check_reachable, draw_failure, drawable_tasks, start_failure, stored_failure
from retro_gym.leaks import LeakMode, check_leak_mode, leak_in, read_by_actor
from retro_gym.memory import MEMORY_KINDS, Memory, MemoryKind
from retro_gym.prompts import (
    ACTOR_FIELDS,
    ACTOR_TEMPLATE,
    OBSERVATION_FIELDS,
    OBSERVATION_TEMPLATE,
    check_template,
    render_observation,
)
from retro_gym.records import FailureBank, RecordWriter, RunHeader
from retro_gym.records.header import header_of
from retro_gym.records.recorder import Recorder
from retro_gym.rewards import CONTROL_KINDS, REWARD_NAMES, ControlKind, RewardName
from retro_gym.scheduling import ActorStats, Job, Plan, run_jobs
from retro_gym.seeding import checked_seed
from retro_gym.spaces import UnicodeText
from retro_gym.stage import Origin, PlannedTrial, Stage
from retro_gym.task_env import TaskEnv
from retro_gym.trajectory import EndReason, Outcome, Trajectory

__all__ = ["RetroEnv"]

_T = TypeVar("_T")


class RetroEnv(gym.Env[str, str]):
    """Reflection writing as an environment.

    ## Description
    A frozen language model, the actor, fails at a task. The agent writes a reflection; the actor tries again with
    the reflection in its prompt (``memory``); that trial determines the agent's reward (Retroformer, arXiv 2308.02151).

    ## Observation space
    ``UnicodeText(max_observation_chars)``: a request, the failed trajectory with its return, the reflections so far.

    ## Action space
    ``UnicodeText(max_reflection_chars)``: the reflection. Any text is legal; a longer one is truncated and flagged by
    ``info["reflection_truncated"]``; a blank one counts as a reflection without content. If the task environment's
    teacher defines ``leaks``, ``info["leak"]`` says whether the reflection contains the task's answer. With
    ``leak="ignore"`` the actor reads a blank one in place of such a reflection; observations and records keep its text.

    ## Rewards
    With G the return of the failed trial and G' the return of the next: ``"return"`` G', ``"improvement"`` G' − G,
    ``"retroact"`` (G' − G)(G + c)/c. ``"over_control"`` is the mean of G'ᵢ − Cᵢ over ``control_trials`` pairs: trial i
    with the new reflection and control i without it, with the same memory and the same seeds (common random
    numbers), so that a reflection without effect earns 0 whatever the actor's random draws. The episode continues
    from trial 0 of the pairs; a pair with an actor error in either half is left out. The controls of a state are
    played once, however many reflections are tried on it. With ``controls="independent"`` they have seeds of their
    own; :func:`retro_gym.rewards.over_control` compares the two.

    ## Starting state
    A task of ``split``, drawn by ``np_random`` (or ``options["task_id"]``), and the actor's failed trial 0 on it.
    Tasks that it solves are skipped and counted in ``info["skipped"]``, but one requested by its id never is.

    ## Episode end
    ``terminated`` when a trial succeeds or ``max_reflections`` are spent. ``truncated`` when the actor fails: then
    ``info["actor_error"]`` holds the error, ``info["end"]`` is ``"budget"`` if its budget was spent, and the reward of
    0.0 is meaningless: drop the sample.

    ## Arguments
    See below; any other keyword argument is passed to the task environment's constructor.

    ## Version history
    * v0: first release

    Args:
        task_env: id or instance of the task environment.
        actor: the frozen model, see :func:`retro_gym.make_actor`.
        actor_kwargs: options of the actor, such as ``{"base_url": …}``.
        split: ``"train"``, ``"validation"``, ``"test"`` or another split of the task environment.
        reward: ``"return"``, ``"improvement"``, ``"retroact"`` or ``"over_control"``.
        max_reflections: reflections per episode.
        memory: what the actor's prompt holds of earlier trials: ``"reflections"``, ``"trajectory"`` (the last failed
            trial in their place, so that only the agent reads them) or ``"both"``.
        memory_window: maximum number of reflections in the actor's prompt; the oldest are dropped first.
        max_trajectory_chars: a longer trial in the actor's prompt loses its longest parts.
        max_turns: maximum number of turns of a trial; the task environment's own limit by default.
        repeat_limit: number of consecutive equal actions, at least 2, that ends a trial; no limit by default.
        trial_time_limit: seconds after which a trial ends with an actor error; no limit by default.
        leak: ``"allow"`` or ``"ignore"``, see above; ``"ignore"`` needs a teacher that defines ``leaks``.
        max_reflection_chars: longer reflections are truncated.
        max_observation_chars: longer observations lose their longest parts.
        observation_template: see :data:`retro_gym.prompts.OBSERVATION_TEMPLATE`.
        actor_template: see :data:`retro_gym.prompts.ACTOR_TEMPLATE`.
        control_trials: number of pairs for ``"over_control"``; with a deterministic actor one is enough.
        controls: ``"paired"`` with the seeds of their trials, or ``"independent"``.
        retroact_c: coefficient c of ``"retroact"``.
        success_threshold: return of a solved trial, for text environments that do not report success themselves.
        bank: a records file whose stored failures replace trial 0.
        records: a file or writer to which every trial and reflection is appended; see ``docs/records.md``.
        render_mode: ``"ansi"`` or None.
        task_kwargs: arguments of the task environment.

    Raises:
        ConfigError: an argument is invalid.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012 - Gymnasium's own form

    def __init__(
        self,
        task_env: str | gym.Env[Any, Any],
        *,
        actor: ActorSpec = "scripted",
        actor_kwargs: Mapping[str, Any] | None = None,
        split: str = "train",
        reward: RewardName = "return",
        max_reflections: int = 3,
        memory: MemoryKind = "reflections",
        memory_window: int = 3,
        max_trajectory_chars: int = 6_000,
        max_turns: int | None = None,
        repeat_limit: int | None = None,
        trial_time_limit: float | None = None,
        leak: LeakMode = "allow",
        max_reflection_chars: int = 1_000,
        max_observation_chars: int = 16_000,
        observation_template: str = OBSERVATION_TEMPLATE,
        actor_template: str = ACTOR_TEMPLATE,
        control_trials: int = 4,
        controls: ControlKind = "paired",
        retroact_c: float = 1.0,
        success_threshold: float | None = None,
        bank: str | os.PathLike[str] | FailureBank | None = None,
        records: str | os.PathLike[str] | RecordWriter | None = None,
        render_mode: Literal["ansi"] | None = None,
        **task_kwargs: Any,
    ) -> None:
        check_choice("reward", reward, REWARD_NAMES)
        check_choice("memory", memory, MEMORY_KINDS)
        check_choice("controls", controls, CONTROL_KINDS)
        check_render_mode(render_mode, self.metadata["render_modes"])
        check_whole(1, max_reflections=max_reflections, memory_window=memory_window, control_trials=control_trials)
        check_whole(1, max_reflection_chars=max_reflection_chars, max_observation_chars=max_observation_chars)
        check_whole(1, max_trajectory_chars=max_trajectory_chars, max_turns=1 if max_turns is None else max_turns)
        check_whole(2, repeat_limit=2 if repeat_limit is None else repeat_limit)
        check_positive(retroact_c=retroact_c, trial_time_limit=1.0 if trial_time_limit is None else trial_time_limit)
        env = as_task_env(task_env, success_threshold=success_threshold, **task_kwargs)
        check_leak_mode(leak, env.teacher)
        template = check_template("actor_template", actor_template, ACTOR_FIELDS)
        self.origin = Origin()  # for what is computed once for an environment and its twins
        self._stage = Stage(env, template, repeat_limit, trial_time_limit, max_turns)
        check_type("actor_kwargs", actor_kwargs, Mapping)
        check_type("bank", bank, str, os.PathLike, FailureBank)
        check_type("records", records, str, os.PathLike, RecordWriter)
        self.actor: Actor = make_actor(actor, env, **(actor_kwargs or {}))
        self.actor_spec = actor if isinstance(actor, str) else ""
        self.split = split
        self.reward: RewardName = reward
        self.leak: LeakMode = leak
        self.max_reflections = max_reflections
        if max_turns is not None:  # set on the environment, because some environments count turns themselves
            env.max_turns = max_turns
        self.observation_template = check_template("observation_template", observation_template, OBSERVATION_FIELDS)
        self.control_trials = control_trials
        self.controls: ControlKind = controls
        self.retroact_c = float(retroact_c)
        self.bank = bank if isinstance(bank, FailureBank) or bank is None else FailureBank(bank)
        self.records = records if isinstance(records, RecordWriter) or records is None else RecordWriter(records)
        self.render_mode = render_mode
        self.max_reflection_chars = max_reflection_chars
        self.max_observation_chars = max_observation_chars
        self.observation_space = UnicodeText(max_observation_chars)
        self.action_space = UnicodeText(max_reflection_chars)
        self.stats = ActorStats()
        self._memory = self._empty_memory = Memory(memory_window, (), memory, max_trajectory_chars)
        self._reflections: tuple[str, ...] = ()
        self._controls: dict[int, Control] = {}  # of this state, by pair
        self._trajectory: Trajectory | None = None
        self.recorder = Recorder(self._stage)
        self._episode_seed, self._running, self._skipped = 0, False, 0
        self._lost: list[str] = []  # the actor errors that ended the most recent consecutive episodes

    # -- the episode ---------------------------------------------------------------------------------------------

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Draws tasks and plays trial 0 of each until one fails.

        Args:
            seed: seeds the environment's random number generator.
            options: ``{"task_id": …}`` starts that task, whether trial 0 fails or not; ``{"trajectory": …}`` gives a
                :class:`Trajectory` that replaces trial 0.

        Returns:
            The failed trajectory as text, and ``info`` with ``task_id``, ``trial``, ``success``, ``return``,
            ``trajectory`` (the :class:`Trajectory`) and ``skipped``. :meth:`step` returns the same keys.

        Raises:
            NoFailureError: the actor solves every task of the split.
            ActorError: the actor failed on the requested task, on ten drawn tasks or in ten consecutive episodes.
            UnknownTaskError: the task or split is unknown.
        """
        return self._run(self.plan_reset(seed=seed, options=options))

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Adds the reflection to the memory, plays the next trial and computes the reward.

        Raises:
            ActionError: the action is not text.
            EpisodeError: no episode is running.
        """
        return self._run(self.plan_step(action))

    def branch(self, reflections: Sequence[str]) -> list[Outcome]:
        """Computes what each of several reflections would earn from the present state, without changing it.

        All trials are played in parallel, with the same seeds as ``step`` would use, so that they differ only in their
        reflections.

        Args:
            reflections: any number of texts, treated as ``step`` treats them.

        Returns:
            One outcome for each, in the same order; its reward is None if the actor failed.

        Raises:
            ActionError: a reflection is not text.
            EpisodeError: no episode is running.
        """
        return self._run(self.plan_branch(reflections))

    def follow(self, outcome: Outcome) -> bool:
        """Continues from an outcome of :meth:`branch`, as ``step`` would with its reflection, but plays no trial.

        So the episode continues from the trial that was rewarded; a server might answer differently when asked again.

        Args:
            outcome: an outcome of ``branch`` from the present state.

        Returns:
            Whether the episode is over; :meth:`observation_within` and :attr:`trajectory` describe the new state.

        Raises:
            EpisodeError: no episode is running, or the outcome does not follow from this state.
        """
        self.check_running()
        check_follows(outcome, self.trajectory)
        text = str(outcome.reflection)
        self._memory = self._memory.after(self.trajectory).add(*read_by_actor([text], [self.leaks(text)], self.leak))
        self._reflections = (*self._reflections, text)
        self._trajectory = outcome.trajectory
        self.recorder.follow(outcome)
        self._controls, self._lost = {}, []
        self._running = not (outcome.success or len(self._reflections) >= self.max_reflections)
        return not self._running

    def render(self) -> str | None:
        """Returns the current failure as text, in mode ``"ansi"``."""
        return self._observation() if self.render_mode == "ansi" else None

    def close(self) -> None:
        """Closes the task environments and the records file. May be called more than once."""
        self._stage.close()
        if self.records is not None:
            self.records.close()

    # -- the same as plans, which run in parallel with those of other environments -----------------------------------

    def plan_reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> Plan[tuple[str, dict[str, Any]]]:
        """Returns :meth:`reset` as a plan for :func:`retro_gym.scheduling.run_jobs`."""
        super().reset(seed=None if seed is None else checked_seed(seed))
        check_reachable(self._lost)
        self._episode_seed = int(self.np_random.integers(2**31))
        self.recorder.begin(self._episode_seed)
        self._memory = self._empty_memory
        self._reflections = ()
        self._controls = {}
        self._running = False
        trajectory, skipped = yield from start_failure(options or {}, self._first_trial, self._drawn_failure)
        self._trajectory, self._running, self._skipped = trajectory, True, skipped
        return self._observation(), self._info("", self.leaks(""))

    def plan_step(self, action: str) -> Plan[tuple[str, float, bool, bool, dict[str, Any]]]:
        """Returns :meth:`step` as a plan for :func:`retro_gym.scheduling.run_jobs`."""
        observation = self._observation()
        (outcome,) = yield from self._play([action], observation, source="step")
        if outcome.reward is None:  # the state does not change; only the episode ends
            self._running = False
            why = {"actor_error": outcome.actor_error, "end": outcome.trajectory.end.value}
            self._lost.append(str(outcome.actor_error))
            return observation, 0.0, False, True, {**self._info(action, outcome.leak), **why}
        terminated = self.follow(outcome)
        return self._observation(), outcome.reward, terminated, False, self._info(action, outcome.leak)

    def plan_branch(self, reflections: Sequence[str]) -> Plan[list[Outcome]]:
        """Returns :meth:`branch` as a plan for :func:`retro_gym.scheduling.run_jobs`."""
        return (yield from self._play(reflections, self._observation(), source="branch"))

    def _run(self, plan: Plan[_T]) -> _T:
        return run_jobs([Job(plan, self.actor, self.stats)])[0]

    def twin(self) -> RetroEnv:
        """Returns an independent deep copy in the same state; the actor is shared, because it may be a model."""
        return copy.deepcopy(self, {id(self.actor): self.actor})

    # -- state -----------------------------------------------------------------------------------------------------

    @property
    def task_env(self) -> TaskEnv:
        """The task environment; replaced by a new instance after one of its calls has timed out."""
        return self._stage.env

    @property
    def trajectory(self) -> Trajectory:
        """The trial that the next reflection is about.

        Raises:
            EpisodeError: before the first ``reset``.
        """
        if self._trajectory is None:
            raise EpisodeError("no episode was started yet. Call reset() first.")
        return self._trajectory

    def check_running(self) -> None:
        """Raises an ``EpisodeError`` if no episode is in progress."""
        if not self._running:
            raise EpisodeError("the episode is over, or none was started. Call reset() to start the next one.")

    @property
    def memory(self) -> Memory:
        """What the actor's prompt held in the last trial."""
        return self._memory

    def leaks(self, reflection: str) -> bool | None:
        """Whether a reflection contains the present task's answer; None if the teacher does not define ``leaks``."""
        return leak_in(reflection, self.task_env.teacher, self.trajectory.task_id)

    def header(self, known: RunHeader | None = None) -> RunHeader:
        """Returns the records header of this environment; ``known`` adds policy, seed and the like."""
        return header_of(self, self._stage, known or RunHeader())

    def observation_within(self, limit: int, *, whole_words: bool = False) -> str:
        """Renders the failure in at most ``limit`` characters, see :func:`retro_gym.prompts.render_observation`."""
        return render_observation(
            self.trajectory, self._reflections, self.observation_template, limit, whole_words=whole_words
        )

    # -- trials and output ---------------------------------------------------------------------------------------------

    def _drawn_failure(self) -> Plan[tuple[Trajectory, int]]:
        tasks = drawable_tasks(self.task_env, self.split, self.bank)
        return draw_failure(tasks, self._first_trial, self.np_random, split=self.split)

    def _first_trial(self, task_id: str) -> Plan[Trajectory]:
        if self.bank is not None:
            return stored_failure(self.bank, task_id, self.np_random)
        planned = [PlannedTrial(task_id, 0, self._empty_memory, 0, "reset")]
        (trajectory,) = played = yield self._stage.trials(planned, self._episode_seed)
        self.recorder.trials(self, planned, played)
        if trajectory.end is EndReason.BUDGET:
            raise BudgetError(str(trajectory.error))
        return trajectory

    def _play(self, reflections: Sequence[str], observation: str, *, source: str) -> Plan[list[Outcome]]:
        """Plays the trials that follow each reflection, and the controls if the reward needs them, in one batch."""
        before = self.trajectory
        self.check_running()
        texts = checked_reflections(reflections, self.max_reflection_chars)
        pairs = self.control_trials if self.reward == "over_control" else 0
        leaks = list(map(self.leaks, texts))
        read = read_by_actor(texts, leaks, self.leak)
        planned = planned_trials(
            before, self._memory, read, source=source, pairs=pairs, kind=self.controls, known=self._controls
        )
        played = yield self._stage.trials(planned, self._episode_seed)
        ids = self.recorder.trials(self, planned, played)
        controls = self._controls
        controls.update(controls_of(planned, played, ids, pairs=pairs))
        told = zip(texts, leaks, strict=True)
        outcomes = outcomes_of(self.reward, before, told, played, ids, controls, pairs=pairs, c=self.retroact_c)
        about = {"observation": observation, "source": source}
        return self.recorder.reflections(self, outcomes, ids, controls, pairs=pairs, **about)

    def _observation(self) -> str:
        return self.observation_within(self.max_observation_chars)

    def _info(self, reflection: str, leak: bool | None) -> dict[str, Any]:
        """Returns the same keys at a reset, where no reflection was written yet, and after a step."""
        about = {"skipped": self._skipped, "reflection_truncated": len(reflection) > self.max_reflection_chars}
        return {**self.trajectory.info(), **about, **({} if leak is None else {"leak": leak})}
