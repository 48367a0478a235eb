"""HotpotQA-v0: multi-hop questions, to be answered by Search, Lookup and Finish."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

from retro_gym.actors import Actor
from retro_gym.checks import check_choice
from retro_gym.errors import ConfigError
from retro_gym.teacher import Teacher
from retro_gym_envs.actions import bracketed
from retro_gym_envs.game_env import GameEnv
from retro_gym_envs.hotpotqa.docstore import DocStore, Page
from retro_gym_envs.hotpotqa.metrics import exact_match, f1_score
from retro_gym_envs.hotpotqa.prompt import HOTPOTQA_PROMPT
from retro_gym_envs.hotpotqa.tasks import HotpotTask, HotpotTasks, TaskFiles, load_tasks
from retro_gym_envs.hotpotqa.world import BuiltinTasks

__all__ = ["HotpotQAEnv"]

_ACTIONS = ("Search", "Lookup", "Finish")
_INVALID = "Invalid Action. Valid Actions are Lookup[<topic>] Search[<topic>] and Finish[<answer>]."
_NO_PAGE = (
    "The last page Searched was not found, so you cannot Lookup a keyword in it. Search one of the similar pages first."
)
_NOT_SEARCHED = "No page was Searched yet, so you cannot Lookup a keyword in it. Search a page first."
_ECHO = 100  # characters of a term or title that an observation quotes
_CORPORA = ("context", "all")


class HotpotQAEnv(GameEnv[HotpotTask]):
    """Multi-hop questions over a small encyclopedia.

    ## Description
    The actor answers a question from paragraphs that it must first find (HotpotQA, Yang et al. 2018, with the actions
    of ReAct, Yao et al. 2022). The encyclopedia is local: it consists of the paragraphs that come with the questions.
    The published experiments use the live Wikipedia, so scores are not comparable.

    Each task of the built-in world has an encyclopedia of its own. The page of the subject that the question names
    links to five entities of one kind, each in a role (``Its director was …``, ``It was scored by …``); the page of a
    linked entity states five values of one sort (``Birth year: 1934.``). A bridge question asks for a value of the
    entity in one role; a comparison (one task in eight) for the lower of two such values. The scripted actor reads
    literally, and answers only with what it has read in the same trial. Why it fails is drawn by the task's seed and
    cannot be told from the question (``teacher.failure_cause``):

    | cause | what the failed trial shows | a reflection must name |
    |---|---|---|
    | hop | the first page reports a rumour of the value, which the actor believes | the entity |
    | link | the page uses a verb for the role and the question a noun, or vice versa; it takes any link | the entity |
    | successor | ``Its director was to be X, but in the end it was Y``; it takes X | Y |
    | namesake | ``Its director was X, the sculptor``, and five pages of that name; it takes any | X, the sculptor |
    | label | the second page's words are unusual (payroll for workforce); it takes any value | entity and word |
    | two | successor or namesake, and unusual words; the wrong page of the same kind shows them too | entity and word |

    So the best reflection is one sentence: ``Search for the sponsor, Grurikor Union, and find the payroll.`` A wrong
    name or word is followed too. What a reflection says of a page counts only if it also names the page; names that
    the trial has not shown have no effect. A reflection that speaks for more than two candidates of a decision, or
    for or against more than three, confuses the actor: it has no effect on that decision, which is left to luck.

    Success at trial 1 in % (200 test tasks, two seeds, scripted actor at temperature 1; solved at trial 0 counts), and
    the share of the reflections that contain the answer, as ``benchmarks/attacks.py`` measures them. A candidate is
    one of the entities, pages or words that the actor chooses between; one is advised for each choice:

    | policy | success | leak |
    |---|---|---|
    | ``none`` (a plain retry); ``vague``; ``outcome`` | 29.2 each | 0 |
    | ``oracle``; ``rule``; ``told`` (the answer) | 100; 100; 29.2 | 0; 0; 100 |
    | ``noisy`` | 37.5 | 0 |
    | ``task_only``; the task's text | 29.2 each | 0 |
    | ``copy``; the observation's first 300; 600; 1,000 characters | 29.2 each | 22; 0; 9; 23 |
    | its last 300; 600; 1,000 characters | 29.2 each | 20; 23; 23 |
    | ``actions``; the same as a mere list | 23.8; 29.2 | 0 |
    | ``shotgun``; every name of the trial | 24.5 each | 23; 6 |
    | one; two; three names of the trial at random | 28.0; 27.5; 28.5 | 1; 2; 2 |
    | the last name; the most frequent name | 30.2; 29.2 | 2; 0 |
    | the first; second; third; last candidate | 26.0; 28.5; 31.2; 32.8 | 0 |
    | a candidate at random; two; one that was not tried | 28.0; 29.2; 28.0 | 0 |
    | a candidate at random, with what the trial says of it | 30.0 | 0 |
    | all candidates; each by itself; each "if it is right" | 26.8 each | 0 |
    | "do not" with what was tried; with the oracle's advice | 25.5; 20.2 | 0 |
    | ``lookup``; the same by the failures; ``shuffled`` | 29.2 each | 0 |
    | the name in the longest sentence | 34.8 | 0 |
    | the last search, and the asked value's unusual words | 31.0 | 0 |

    Solved at trial 0, in %: 17.5; by cause: hop 23.1, label 16.2, link 21.2, namesake 24.1, successor 15.2, two 3.4.
    The observation of a failure has 889 characters on average, at most 1,717.

    Names and forms of questions of one split occur in no other: there are 380 forms (wording and attribute) of
    training questions, 80 of validation, 80 of test. Roles, attributes, the words of pages and the forms of
    reflections are the same in all.

    On 60 public questions (HotpotQA's dev set, distractor setting): none 2.5, rule 2.5, told 2.5, oracle 63.3. There
    the oracle names the supporting pages and the words before the answer, never the answer; rule guesses which page
    to read, and 5 % of its reflections contain the answer.

    ## Observation
    ``UnicodeText(8000)``. First ``Question: …``, then the result of each action:

    - Search: the page's text, or a message that it has none. A title matches if it is equal up to case, accents, outer
      quotes and spacing. Otherwise ``Could not find [term]. Similar: ['…', …]`` with at most five titles, ranked by
      BM25, and no page is open.
    - Lookup: ``(Result 1 / 2) …``, a sentence of the open page; the same term again gives the next one, then
      ``No More Results``. ``No Results`` if there is none. As in the published environment, the result count continues
      when another page is opened, and restarts with another term.
    - Finish: ``Answer is CORRECT`` or ``Answer is INCORRECT``. The correct answer is never shown.

    ## Action
    ``UnicodeText(1000)``: ``Search[title]``, ``Lookup[term]`` or ``Finish[answer]``. The case of action names, a full
    stop at the end, and white space, quotes or a ``>`` around the action are ignored. Any other text is answered by a
    list of the valid actions and costs a turn.

    ## Rewards
    The token F1 of the answer at Finish, 0 otherwise. Success is exact match: ``info["success"]``. Both are HotpotQA's
    metrics, with one exception: answers that consist only of articles and punctuation (The The, ???) officially all
    match one another, with an F1 of 0. Here they are compared with articles, or else unnormalised; a match earns 1.

    ## Starting state
    The task ``options["task_id"]``, or one drawn from split train with ``np_random``.

    ``info`` always holds ``task_id``, ``type`` (bridge or comparison), ``success``, ``em``, ``f1`` and ``answer``
    (the answer given; empty before).

    ## Episode end
    Terminated by Finish, truncated after ``max_turns`` turns.

    ## Arguments
    - ``tasks``: a file in HotpotQA's official schema (JSON or JSONL), or files by split
      (``{"train": …, "test": …}``); the built-in world by default. With one file **every split is the whole file**.
    - ``corpus``: the paragraphs that Search can find. ``"context"``: those of the question; ``"all"``: those of all
      questions of the file (in the built-in world: of the split, which takes a while to generate for train).
    - ``world_seed``: the seed of the built-in world.
    - ``fold``: ``(i, n)`` divides one file into train, validation and test, for cross-validation; see ``load_tasks``.
    - ``max_turns``: maximum turns of a trial; 6 by default, as published.

    ## Version history
    * v0: first release. Before it, a linked entity's page was read without fault, candidates of a comparison stood in
      the question, the actor was deterministic and repeated an answer that it was told.
    """

    prompt = HOTPOTQA_PROMPT
    max_turns = 6
    blocking = False
    any_thread = True
    data = "built in; tasks=FILE: HotpotQA's JSON or JSONL"
    _tasks: HotpotTasks

    def __init__(
        self,
        *,
        tasks: TaskFiles | None = None,
        corpus: Literal["context", "all"] = "context",
        world_seed: int = 0,
        fold: tuple[int, int] | None = None,
        max_turns: int | None = None,
    ) -> None:
        super().__init__(max_turns)
        check_choice("corpus", corpus, _CORPORA)
        if tasks is None and fold is not None:
            raise ConfigError("fold divides a task file; the built-in world has splits of its own. Leave it out.")
        self._tasks = BuiltinTasks(world_seed) if tasks is None else load_tasks(tasks, fold)
        self.corpus = corpus

    def _begin(self, task_id: str) -> str:
        self._task = self.task(task_id)
        self._page: Page | None = None
        self._searched = False
        self._lookup, self._lookups = "", 0
        self._answer, self._correct, self._f1 = "", False, 0.0
        return f"Question: {' '.join(self._task.question.split())}"

    def _play(self, action: str) -> tuple[str, float, bool]:
        match bracketed(action, _ACTIONS):
            case "Finish", answer:
                self._answer = answer
                self._correct = exact_match(answer, self._task.answer)
                self._f1 = f1_score(answer, self._task.answer)
                return f"Answer is {'CORRECT' if self._correct else 'INCORRECT'}", self._f1, True
            case "Search", term:
                return self._search(term), 0.0, False
            case "Lookup", term:
                return self._look_up(term), 0.0, False
            case _:
                return _INVALID, 0.0, False

    def _search(self, term: str) -> str:
        store = _context_store(self._task) if self.corpus == "context" else self._tasks.store(self._task.task_id)
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

    def _info(self) -> dict[str, Any]:
        return {
            "task_id": self._task.task_id,
            "type": self._task.type,
            "success": self._correct,
            "em": self._correct,
            "f1": self._f1,
            "answer": self._answer,
        }

    # -- actor and teacher -----------------------------------------------------------------------------------------

    def scripted_actor(self, *, temperature: float = 1.0, thoughts: bool = False) -> Actor:
        """Returns an actor that reads only the prompt, stops too early, and follows specific reflections."""
        from retro_gym_envs.hotpotqa.actor import ScriptedHotpotActor

        return ScriptedHotpotActor(temperature, thoughts=thoughts)

    @property
    def teacher(self) -> Teacher:
        """A teacher that knows which pages a task needs, and which attribute to look for."""
        from retro_gym_envs.hotpotqa.teacher import HotpotTeacher

        return HotpotTeacher(self._tasks)


def _echoed(term: str) -> str:
    return term if len(term) <= _ECHO else f"{term[:_ECHO]}..."


@lru_cache(maxsize=256)  # the same task is played many times
def _context_store(task: HotpotTask) -> DocStore:
    return DocStore(task.context)
