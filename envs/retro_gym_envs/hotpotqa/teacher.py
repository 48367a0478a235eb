"""The teacher of HotpotQA: an oracle that knows the solution, and noisy reflections that are often wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from retro_gym.teacher import ReflectionCheck
from retro_gym.trajectory import Trajectory
from retro_gym_envs.draws import pick
from retro_gym_envs.hotpotqa.metrics import normalize_answer
from retro_gym_envs.hotpotqa.observations import asked_attribute, asked_role, candidates, roles_on, spans
from retro_gym_envs.hotpotqa.relations import ATTRIBUTES, KINDS, ROLES
from retro_gym_envs.hotpotqa.tasks import HotpotTask
from retro_gym_envs.teaching import TaskTeacher, check_forms, guess

__all__ = ["HotpotTeacher"]

_BRIDGE_FORMS = (
    "Search for the {role}, {name}, and find the {attribute}.",
    "The {role} is {name}. Look up {name} and find the {attribute}.",
    "Next time look up the {role}, {name}, and read the {attribute} there.",
)
_COMPARISON_FORMS = (
    "Look up {names} and compare the {attribute}.",
    "Look up {names}, then compare the {attribute}.",
)

_NAME = r"[A-Z][a-z]+(?: [A-Z][a-z]+)*"
_WELL_FORMED = tuple(
    re.compile(
        re.escape(form)
        .replace(r"\{name\}", f"(?P<name>{_NAME})", 1)
        .replace(r"\{name\}", "(?P=name)")
        .replace(r"\{names\}", f"(?P<first>{_NAME}), (?P<second>{_NAME}) and (?P<third>{_NAME})")
        .replace(r"\{role\}", f"(?:{'|'.join(ROLES)})")
        .replace(r"\{attribute\}", f"(?:{'|'.join(ATTRIBUTES)})")
    )
    for form in (*_BRIDGE_FORMS, *_COMPARISON_FORMS)
)

# Probability that the teacher follows habit: the first link on the page, the first attribute of a kind of entity. It
# exceeds the probability of understanding the question, so the teacher's most likely reflection is wrong as well.
_HASTY = 0.4


class HotpotTeacher(TaskTeacher[HotpotTask]):
    """Knows which pages a question needs, and which attribute to look for."""

    def task_group(self, task_id: str) -> str:
        """``bridge`` or ``comparison``."""
        return self.task(task_id).type

    def oracle_reflection(self, task_id: str) -> str:
        """Returns the best possible reflection on a task: the pages to read, and what to look for there.

        In the built-in world it names the linked entity and the attribute. On public questions it names the supporting
        pages and quotes the words before the answer. It states the answer itself only if the answer is not a substring
        of a supporting page (yes, no, one of two candidates, a paraphrase).
        """
        task = self.task(task_id)
        attribute = asked_attribute(task.question)
        titles = list(dict.fromkeys(title for title, _ in task.supporting_facts))
        offered = candidates(task.question)
        if attribute is not None and offered and set(offered) <= set(titles):
            return _COMPARISON_FORMS[0].format(names=_listed(offered), attribute=attribute.name)
        role = asked_role(task.question)
        if attribute is not None and role is not None:
            return _BRIDGE_FORMS[0].format(role=role, name=titles[-1], attribute=attribute.name)
        return _public_oracle(task, titles)

    def noisy_reflection(self, trajectory: Trajectory, rng: np.random.Generator) -> str:
        """Returns a well-formed reflection that uses only what the trajectory shows, and is correct only sometimes.

        The teacher reads the links on the pages, and names one linked entity with its role and an attribute of its
        kind. Each of the two choices is made by understanding the question with probability 0.25, more often by habit
        (the first link, the first attribute of its kind), and at random otherwise.
        """
        question = trajectory.task.removeprefix("Question: ").strip()
        text = "\n".join(turn.observation for turn in trajectory.turns)
        offered = candidates(question)
        if offered:
            return _noisy_comparison(question, offered, rng)
        links = list(dict.fromkeys(roles_on(text)))
        if not links:
            named = [name for name in spans(text) if name in text] or spans(question) or ["the first page"]
            attribute = pick(tuple(ATTRIBUTES), rng)
            return f'Look up "{pick(named, rng)}" and find the {attribute}.'
        asked = asked_role(question)
        role, name = guess(links, [link for link in links if link[0] == asked][:1], rng, hasty=_HASTY)
        names = KINDS[ROLES[role].target].attributes
        wanted = asked_attribute(question)
        attribute = guess(names, [n for n in names if wanted is not None and n == wanted.name], rng, hasty=_HASTY)
        return pick(_BRIDGE_FORMS, rng).format(role=role, name=name, attribute=attribute)

    def check_reflection(self, reflection: str, trajectory: Trajectory) -> ReflectionCheck:
        """Checks that a reflection has one of the teacher's forms, and names only what the trajectory shows."""
        return check_forms(_WELL_FORMED, reflection, trajectory)


def _public_oracle(task: HotpotTask, titles: Sequence[str]) -> str:
    paragraphs = {title: "".join(sentences) for title, sentences in task.context}
    search = " and ".join(f'"{title}"' for title in titles)
    for title in reversed(titles):
        cue = _words_before(task.answer, paragraphs.get(title, ""))
        if cue:
            others = " and ".join(f'"{other}"' for other in (*(t for t in titles if t != title), title))
            words = len(task.answer.split())
            return f'Search for {others} and read what follows "{cue}", {words} words.'
    return f'Search for {search} and answer "{task.answer}".'


def _words_before(answer: str, text: str) -> str:
    """Returns up to six words before the answer's first occurrence if they occur only once; else an empty string."""
    found = re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", text)
    if found is None or not normalize_answer(answer) or '"' in answer:
        return ""
    before = text[: found.start()]
    words = re.findall(r"\S+\s*", before)[-6:]
    cue = "".join(words).strip()
    return cue if cue and '"' not in cue and text.count(cue) == 1 else ""


def _noisy_comparison(question: str, offered: Sequence[str], rng: np.random.Generator) -> str:
    wanted = asked_attribute(question)
    comparable = tuple(name for name, attribute in ATTRIBUTES.items() if attribute.least or attribute.most)
    attribute = guess(comparable, [n for n in comparable if wanted is not None and n == wanted.name], rng, hasty=0.0)
    return pick(_COMPARISON_FORMS, rng).format(names=_listed(offered), attribute=attribute)


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
