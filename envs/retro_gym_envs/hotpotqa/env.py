"""HotpotQA-v0: multi-hop questions, to be answered by Search, Lookup and Finish."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from retro_gym.actors import Actor
from retro_gym.errors import ActionError, ConfigError, EpisodeError, did_you_mean, one_line
from retro_gym.spaces import UnicodeText
from retro_gym.task_env import ReflectionCheck, TaskEnv, checked_task_id
from retro_gym.trajectory import Trajectory
from retro_gym_envs.actions import bracketed
from retro_gym_envs.hotpotqa.docstore import DocStore, Page
from retro_gym_envs.hotpotqa.metrics import exact_match, f1_score
from retro_gym_envs.hotpotqa.prompt import HOTPOTQA_PROMPT
from retro_gym_envs.hotpotqa.tasks import HotpotTask, TaskFiles, TaskSet, TaskSource, load_tasks
from retro_gym_envs.task_files import drawn_task_id

__all__ = ["HotpotQAEnv"]

_ACTIONS = ("Search", "Lookup", "Finish")
_INVALID = "Invalid Action. Valid Actions are Lookup[<topic>] Search[<topic>] and Finish[<answer>]."
_NO_PAGE = (
    "The last page Searched was not found, so you cannot Lookup a keyword in it. Search one of the similar pages first."
)
_NOT_SEARCHED = "No page was Searched yet, so you cannot Lookup a keyword in it. Search a page first."
_MAX_OBSERVATION = 8_000  # characters; a paragraph of the public data has about 500
_MAX_ACTION = 1_000  # characters; a longer action is played all the same
_ECHO = 100  # characters of a term or title in the answer
_CORPORA = ("context", "all")


class HotpotQAEnv(TaskEnv):
    """Multi-hop questions over a small encyclopedia.

    ## Description
    A question is to be answered from paragraphs that must be found first (HotpotQA, Yang et al. 2018, with the
    actions of ReAct, Yao et al. 2022). The encyclopedia is local: the paragraphs that come with the questions, in
    place of the live Wikipedia of the published experiments. So scores of the two settings are not comparable.

    ## Observation
    ``UnicodeText(8000)``. First ``Question: …``, then what each action finds:

    - Search: the page's text, or that it has none; or ``Could not find [term]. Similar: ['…', …]`` with at most five
      titles, ranked by BM25, and no page is open any more. A title is found exactly, or but for case, accents, outer
      quotes and spacing.
    - Lookup: ``(Result 1 / 2) …``, a sentence of the open page; the same term again gives the next one, then
      ``No More Results``. ``No Results`` when there is none. As in the published environment the count goes on
      when another page is opened meanwhile, until another term is looked up.
    - Finish: ``Answer is CORRECT`` or ``Answer is INCORRECT``. The right answer is never shown.

    ## Action
    ``UnicodeText(1000)``: ``Search[title]``, ``Lookup[term]`` or ``Finish[answer]``. The case of their names, a full
    stop at the end, and white space, quotes or a ``>`` around them do not matter. Any other text is answered by a list
    of the valid actions and costs a turn.

    ## Rewards
    The token F1 of the answer, at Finish; 0 otherwise. Success is exact match: ``info["success"]``. Both are HotpotQA's
    own but for answers that are nothing without articles and punctuation (The The, ???), which officially all match one
    another, at an F1 of 0: here articles count in them, or the text as it stands, and a match earns 1.

    ## Starting state
    The task ``options["task_id"]``, or one of split train, drawn by ``np_random``.

    ``info`` always holds ``task_id``, ``type`` (bridge or comparison), ``success``, ``em``, ``f1`` and ``answer``
    (the one that was given; empty before).

    ## Episode end
    Terminated by Finish, truncated after ``max_turns`` turns.

    ## Arguments
    - ``tasks``: a file in HotpotQA's official schema (JSON or JSONL), or files by split
      (``{"train": …, "test": …}``); the built-in world by default. With one file **every split is the whole file**.
    - ``corpus``: which paragraphs Search looks in. ``"context"``: those of the question; ``"all"``: those of all
      questions of the file (of the built-in world: of the split, which takes a while to generate for train).
    - ``world_seed``: of the built-in world.
    - ``fold``: ``(i, n)`` divides one file into train, validation and test, for cross-validation; see ``load_tasks``.
    - ``max_turns``: turns of a trial; 6 by default, as published.

    ## Version history
    * v0: first release
    """

    metadata: dict[str, Any] = {"render_modes": [], "render_fps": 1}  # noqa: RUF012 - Gymnasium's own form
    prompt = HOTPOTQA_PROMPT
    max_turns = 6
    blocking = False
    data = "built in; tasks=FILE: HotpotQA's JSON or JSONL"

    def __init__(
        self,
        *,
        tasks: TaskFiles | None = None,
        corpus: Literal["context", "all"] = "context",
        world_seed: int = 0,
        fold: tuple[int, int] | None = None,
        max_turns: int | None = None,
    ) -> None:
        if corpus not in _CORPORA:
            hint = did_you_mean(str(corpus), _CORPORA)
            raise ConfigError(f"corpus is {one_line(corpus)}; it must be one of {_CORPORA}.{hint}")
        if max_turns is not None:
            if not isinstance(max_turns, int) or max_turns < 1:
                raise ConfigError(f"max_turns is {one_line(max_turns)}; it must be a whole number from 1 up.")
            self.max_turns = max_turns
        if tasks is None and fold is not None:
            raise ConfigError("fold divides a task file; the built-in world has splits of its own. Leave it out.")
        self._tasks = _builtin(world_seed) if tasks is None else load_tasks(tasks, fold)
        self.corpus = corpus
        self.observation_space = UnicodeText(_MAX_OBSERVATION)
        self.action_space = UnicodeText(_MAX_ACTION)
        self._task: HotpotTask | None = None
        self._running = False

    # -- the episode ---------------------------------------------------------------------------------------------

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Asks a question.

        Args:
            seed: of the draw of tasks from here on.
            options: ``{"task_id": …}`` asks that one.

        Raises:
            UnknownTaskError: no such task.
        """
        super().reset(seed=seed)
        task_id = (options or {}).get("task_id")
        self._task = self.task(drawn_task_id(self._tasks, self.np_random) if task_id is None else task_id)
        self._page: Page | None = None
        self._searched = False
        self._lookup, self._lookups = "", 0
        self._turns = 0
        self._running = True
        return f"Question: {' '.join(self._task.question.split())}"[:_MAX_OBSERVATION], self._info()

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Plays one action.

        Raises:
            ActionError: the action is not text.
            EpisodeError: no trial is running.
        """
        if self._task is None or not self._running:
            raise EpisodeError("no trial is running. Call reset() first.")
        if not isinstance(action, str):
            raise ActionError(f"an action is text (str); received {type(action).__name__}.")
        self._turns += 1
        match bracketed(action, _ACTIONS):
            case "Finish", answer:
                self._running = False
                correct = exact_match(answer, self._task.answer)
                f1 = f1_score(answer, self._task.answer)
                observation = f"Answer is {'CORRECT' if correct else 'INCORRECT'}"
                return observation, f1, True, False, self._info(answer, correct, f1)
            case "Search", term:
                observation = self._search(term)
            case "Lookup", term:
                observation = self._look_up(term)
            case _:
                observation = _INVALID
        truncated = self._turns >= self.max_turns
        self._running = not truncated
        return observation[:_MAX_OBSERVATION], 0.0, False, truncated, self._info()

    def _search(self, term: str) -> str:
        store = self._store()
        self._searched = True
        self._page = store.page(term)
        if self._page is not None:
            return self._page.text or f"The page [{_echoed(self._page.title)}] has no text."
        return f"Could not find [{_echoed(term)}]. Similar: {store.similar(term)}"

    def _look_up(self, term: str) -> str:
        if self._page is None:
            return _NO_PAGE if self._searched else _NOT_SEARCHED
        term = " ".join(term.casefold().split())
        self._lookups = self._lookups + 1 if term == self._lookup else 0
        self._lookup = term
        found = self._page.find(term)
        if not found:
            return "No Results"
        if self._lookups >= len(found):
            return "No More Results"
        return f"(Result {self._lookups + 1} / {len(found)}) {found[self._lookups]}"

    def _info(self, answer: str = "", correct: bool = False, f1: float = 0.0) -> dict[str, Any]:
        task = self._current()
        return {
            "task_id": task.task_id,
            "type": task.type,
            "success": correct,
            "em": correct,
            "f1": f1,
            "answer": answer,
        }

    # -- tasks -----------------------------------------------------------------------------------------------------

    def task_ids(self, split: str) -> Sequence[str]:
        """The ids of a split's tasks.

        Raises:
            UnknownTaskError: no such split.
        """
        return self._tasks.ids(split)

    def task(self, task_id: str) -> HotpotTask:
        """A task with its answer.

        Raises:
            UnknownTaskError: no such task.
        """
        return self._tasks.get(checked_task_id(task_id))

    def task_group(self, task_id: str) -> str:
        """``bridge`` or ``comparison``."""
        return self.task(task_id).type

    def scripted_actor(self) -> Actor:
        """An actor that reads the prompt only, stops too early on its own, and does what a specific reflection says."""
        from retro_gym_envs.hotpotqa.actor import ScriptedHotpotActor

        return ScriptedHotpotActor()

    def oracle_reflection(self, task_id: str) -> str:
        """Names the pages that a task needs, and what to look for."""
        from retro_gym_envs.hotpotqa.teacher import oracle_reflection

        return oracle_reflection(self.task(task_id))

    def noisy_reflection(self, trajectory: Trajectory, rng: np.random.Generator) -> str:
        """A well-formed reflection about what stands in the trajectory, right only now and then."""
        from retro_gym_envs.hotpotqa.teacher import noisy_reflection

        return noisy_reflection(trajectory, rng)

    def check_reflection(self, reflection: str, trajectory: Trajectory) -> ReflectionCheck:
        """Whether it is well-formed as the noisy teacher's are, and names only what stands in the trajectory."""
        from retro_gym_envs.hotpotqa.teacher import check_reflection

        return check_reflection(reflection, trajectory)

    def _current(self) -> HotpotTask:
        if self._task is None:
            raise EpisodeError("no trial is running. Call reset() first.")
        return self._task

    def _store(self) -> DocStore:
        task = self._current()
        if self.corpus == "context":
            return _context_store(task)
        if isinstance(self._tasks, TaskSet):
            return self._tasks.store(task.task_id)
        return _split_store(self._tasks, self._tasks.task_split(task.task_id))


def _echoed(term: str) -> str:
    return term if len(term) <= _ECHO else f"{term[:_ECHO]}..."


# Shared by all environments of a process: trials of one task are played over and over.


@lru_cache(maxsize=8)
def _builtin(world_seed: int) -> TaskSource:
    from retro_gym_envs.hotpotqa.world import BuiltinTasks

    return BuiltinTasks(world_seed)


@lru_cache(maxsize=256)
def _context_store(task: HotpotTask) -> DocStore:
    return DocStore(task.context)


@lru_cache(maxsize=2)
def _split_store(tasks: TaskSource, split: str) -> DocStore:
    return DocStore(paragraph for task_id in tasks.ids(split) for paragraph in tasks.get(task_id).context)
