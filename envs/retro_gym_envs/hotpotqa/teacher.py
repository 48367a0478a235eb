"""The teacher of HotpotQA: reflections by solution, by rule and by guess, and checks of reflections."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from retro_gym.teacher import ReflectionCheck
from retro_gym.trajectory import Trajectory
from retro_gym_envs.draws import pick
from retro_gym_envs.hotpotqa.cause import names_cause, right_word
from retro_gym_envs.hotpotqa.metrics import normalize_answer
from retro_gym_envs.hotpotqa.relations import ATTRIBUTES, ROLES, TRADES, attributes_of
from retro_gym_envs.hotpotqa.rule import BRIDGE_FORMS, COMPARISON_FORMS, FREE_FORMS, Failure, Lesson, read_failure
from retro_gym_envs.hotpotqa.tasks import HotpotTask
from retro_gym_envs.hotpotqa.wording import Wanted, as_title, asked_by
from retro_gym_envs.hotpotqa.world import BuiltinTasks
from retro_gym_envs.teaching import TaskTeacher, check_forms, guess

__all__ = ["HotpotTeacher"]

_VAGUE = "Read every page to its end before you answer."  # nothing better can be said
# Probabilities that the noisy teacher takes the first link, or the question's own word if a page has it, and the right
# one. Words are synonyms to know, links are to be read: the more is known of the words, the more depends on reading.
_LINK = {"hasty": 0.35, "understood": 0.25}
_WORD = {"hasty": 0.15, "understood": 0.7}

_NAME = rf"[A-Z][a-z]+(?: [A-Z][a-z]+)*(?:, the (?:{'|'.join(TRADES)}))?"
_ROLE = f"(?:{'|'.join(ROLES)})"
_WELL_FORMED = tuple(
    re.compile(
        re.escape(form)
        .replace(r"\{name\}", f"(?P<name>{_NAME})", 1)
        .replace(r"\{name\}", "(?P=name)")
        .replace(r"\{name2\}", f"(?P<name2>{_NAME})")
        .replace(r"\{role\}", _ROLE)
        .replace(r"\{role2\}", _ROLE)
        .replace(r"\{word\}", f"(?:{'|'.join(word for attribute in ATTRIBUTES.values() for word in attribute.words)})")
    )
    for form in (*BRIDGE_FORMS, *COMPARISON_FORMS)
) + tuple(re.compile(re.escape(form).replace(r"\{name\}", '(?P<name>[^"]+)')) for form in FREE_FORMS)


class HotpotTeacher(TaskTeacher[HotpotTask]):
    """Knows which pages a question needs, and under which word the answer stands there."""

    def task_group(self, task_id: str) -> str:
        """``bridge`` or ``comparison``."""
        return self.task(task_id).type

    def failure_cause(self, task_id: str) -> str:
        """One of :data:`~retro_gym_envs.hotpotqa.world.CAUSES`; empty for questions of a file."""
        return self._tasks.cause(task_id) if isinstance(self._tasks, BuiltinTasks) else ""

    def oracle_reflection(self, task_id: str) -> str:
        """Returns the best reflection on a task that does not state its answer.

        In the built-in world it names the linked entity with its title, and the word under which its page states the
        answer. On public questions it names the supporting pages and quotes the words before the answer.
        """
        task = self.task(task_id)
        asked = asked_by(task.question)
        if asked is None:
            return _public_oracle(task, lambda text: self.leaks(text, task_id))
        targets = task.supporting_facts[1::2]
        names = [(entity.role.name, title) for entity, (title, _) in zip(asked.entities, targets, strict=True)]
        return Lesson(tuple(names), right_word(task)).as_text()

    def told_reflection(self, task_id: str) -> str:
        """Returns a reflection that states the answer."""
        return f'The answer is "{self.task(task_id).answer}".'

    def rule_reflection(self, observation: str) -> str:
        """Returns what fixed rules read in the observation of a failure.

        They find the link whose role the question names by noun or verb, the title with the distinction that the page
        makes, and the word for the attribute on pages of its kind. On public questions they name a title that was
        offered or a name that was read, and was not searched for.
        """
        lesson = read_failure(observation).lesson()
        return lesson.as_text() if lesson else _VAGUE

    def leaks(self, reflection: str, task_id: str) -> bool:
        """Returns whether a reflection contains the gold answer; ``yes`` and ``no`` only count as stated answers."""
        answer = normalize_answer(self.task(task_id).answer)
        said = normalize_answer(reflection)
        if answer in ("yes", "no"):
            return re.search(rf"\banswer (?:is |was |with |should be )?{answer}\b", said) is not None
        return bool(answer) and f" {answer} " in f" {said} "

    def names_cause(self, reflection: str, task_id: str) -> bool:
        """Returns whether a reflection tells the links, titles and words that decide; see :mod:`cause`.

        The answer itself is none of them, so ``told_reflection`` does not name the cause.
        """
        return bool(self.failure_cause(task_id)) and names_cause(reflection, self.task(task_id))

    def noisy_reflection(self, trajectory: Trajectory, rng: np.random.Generator) -> str:
        """Returns a well-formed reflection that uses only what the trajectory shows, and is right only sometimes.

        Link and word are chosen apart: by habit, or what the rules read (probability 0.25 and 0.7), or at random.
        """
        failure = read_failure(trajectory.render())
        lesson = failure.lesson()
        if lesson is None or failure.asked is None:
            named = failure.unread() or list(failure.found) or [failure.question.replace('"', "")]
            return FREE_FORMS[0].format(name=pick(named, rng))
        attribute = failure.asked.attribute
        usual = [each.name for each in attributes_of(attribute.kind, attribute.sort)]
        words = failure.words() if attribute.name not in failure.words() else [attribute.name, *usual]
        links = [_titles_linked(failure, entity) for entity in failure.asked.entities]
        chosen = [guess(each, [right], rng, **_LINK) for each, right in zip(links, lesson.entities, strict=True)]
        return Lesson(tuple(chosen), guess(words, [lesson.word], rng, **_WORD)).as_text(int(rng.integers(6)))

    def check_reflection(self, reflection: str, trajectory: Trajectory) -> ReflectionCheck:
        """Checks that a reflection has one of the teacher's forms, and names only what the trajectory shows."""
        return check_forms(_WELL_FORMED, reflection, trajectory, as_title)


def _titles_linked(failure: Failure, entity: Wanted) -> list[tuple[str, str]]:
    """Returns role and title of what a subject's page links to, with all titles that a name may mean."""
    return [
        (link.role, title)
        for link in failure.links(entity.subject)
        for name in link.names
        for title in failure.titles(name)
    ]


def _public_oracle(task: HotpotTask, leaks: Callable[[str], bool]) -> str:
    """Returns where to look: the supporting pages, and the words before the answer where they identify it."""
    paragraphs = {title: " ".join("".join(sentences).split()) for title, sentences in task.context}
    titles = [title for title in dict.fromkeys(title for title, _ in task.supporting_facts) if '"' not in title]
    attempts = []
    for title in reversed(titles):
        if cue := _words_before(task.answer, paragraphs.get(title, "")):
            words = len(task.answer.split())
            unit = "word" if words == 1 else "words"
            attempts.append(f'Search for "{title}" and read what follows "{cue}", {words} {unit}.')
    quoted = [f'"{title}"' for title in titles]
    for pages in (" and ".join(quoted), *reversed(quoted)):
        attempts.append(f"Search for {pages} and read what the question asks.")
    return next((text for text in attempts if not leaks(text)), _VAGUE)


def _words_before(answer: str, text: str) -> str:
    """Returns up to six words before the answer's first occurrence if they occur only once; else an empty string."""
    found = re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", text)
    if found is None or not normalize_answer(answer) or '"' in answer:
        return ""
    before = text[: found.start()]
    words = re.findall(r"\S+\s*", before)[-6:]
    cue = "".join(words).strip()
    return cue if cue and '"' not in cue and text.count(cue) == 1 else ""
