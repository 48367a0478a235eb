"""The scripted actor of HotpotQA: reads only the prompt's text and makes the mistakes of real actors.

Without advice it searches for the first entity that the question names, reads that page, and answers with the first
value there that looks like an answer: it stops after one hop. For a comparison it searches for one candidate and
answers with it. If a reflection names what to search for and which attribute to find, the actor follows it exactly; the
last such reflection counts. A vague reflection has no effect, and a wrong one leads to a wrong answer.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from retro_gym_envs.hotpotqa.advice import Advice, read_reflection
from retro_gym_envs.hotpotqa.observations import answer_sort, candidates, first_value, spans, value_of
from retro_gym_envs.scripted_actor import ScriptedTextActor, Turns, as_turn, parts_at_question

__all__ = ["ScriptedHotpotActor"]

_SEARCH = re.compile(r"Search\[(.+)\]$")
_SIMILAR = re.compile(r"^Could not find \[.*\]\. Similar: \[(.*)\]", re.DOTALL)
_LEAST = re.compile(r"\b(?:first|oldest|earliest|fewest|smallest|shortest|least|lowest|older|earlier|fewer|smaller)\b")
_YES_OR_NO = re.compile(r"(?:Are|Is|Were|Was|Do|Does|Did|Have|Has|Can)\b")
_LONGEST_SINCE = re.compile(r"\b(?:existed|open|out) the longest\b")


class ScriptedHotpotActor(ScriptedTextActor):
    """The same prompt text and the same trial seed give the same reply."""

    def say(self, text: str, seed: int) -> str:
        """Returns one thought and action."""
        view = _read_prompt(text)
        return as_turn(len(view.turns) + 1, *_decide(view))


@dataclasses.dataclass(frozen=True)
class _View:
    """What the actor has parsed from its prompt."""

    question: str
    advice: Advice
    turns: Turns

    @property
    def pages(self) -> list[tuple[str, str]]:
        """Search term and text of every page that was found, in order."""
        return [
            (found.group(1), observation)
            for action, observation in self.turns
            if (found := _SEARCH.match(action)) and not _SIMILAR.match(observation)
        ]


def _read_prompt(text: str) -> _View:
    notes, question, turns = parts_at_question(text)
    advice = Advice()
    for note in notes:
        advice = read_reflection(note) or advice
    return _View(question, advice, turns)


def _decide(view: _View) -> tuple[str, str]:
    """Returns thought and action for the next turn."""
    if view.advice.answer and not view.advice.entities:
        return "I noted the answer last time.", f"Finish[{view.advice.answer}]"
    missing = _not_found(view)
    if missing:
        return f"There is no page of that name; {missing} is near.", f"Search[{missing}]"
    targets = _targets(view)
    searched = [found.group(1) for action, _ in view.turns if (found := _SEARCH.match(action))]
    for target in targets:
        if target not in searched:
            return f"I should look up {target}.", f"Search[{target}]"
    answer = _answer(view)
    return (f"The answer should be {answer}.", f"Finish[{answer}]") if answer else ("I cannot tell.", "Finish[unknown]")


def _targets(view: _View) -> list[str]:
    """Returns the search terms in order: the question's first entity, then those that the advice names."""
    offered = candidates(view.question)
    named = offered or sorted(spans(view.question), key=lambda name: -len(name.split()))
    first = named[:1] or [view.question.rstrip("?")]
    advised = list(view.advice.entities)
    if view.advice.attribute and not advised:
        advised = offered
    return list(dict.fromkeys([*first, *advised]))


def _not_found(view: _View) -> str | None:
    """Returns the most similar title if the last search failed; None if it succeeded or was already a second try."""
    if not view.turns:
        return None
    similar = _SIMILAR.match(view.turns[-1][1])
    if similar is None or (len(view.turns) > 1 and _SIMILAR.match(view.turns[-2][1])):
        return None
    titles = re.findall(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""", similar.group(1))
    return next((single or double for single, double in titles), None)


def _answer(view: _View) -> str | None:
    pages, advice = view.pages, view.advice
    if advice.answer:
        return advice.answer
    if advice.follows:
        for _, page in reversed(pages):
            _, cue, after = page.partition(advice.follows)
            if cue:
                return " ".join(after.split()[: advice.length]).strip(' ,.;:()"')
    offered = candidates(view.question)
    if offered:
        return _best_of(offered, view) or ("yes" if _YES_OR_NO.match(view.question) else offered[0])
    if not pages:
        return None
    title, page = pages[-1]
    stated = value_of(advice.attribute, page) if advice.attribute else None
    return stated or first_value(answer_sort(view.question), page, [title, *spans(view.question)])


def _best_of(offered: Sequence[str], view: _View) -> str | None:
    """Returns the candidate with the extreme value of the attribute, among the candidates whose pages were read."""
    attribute = view.advice.attribute
    if attribute is None:
        return None
    stated = {title: value_of(attribute, page) for title, page in view.pages if title in offered}
    numbers = {title: int(value.replace(",", "")) for title, value in stated.items() if value and value[:1].isdecimal()}
    if not numbers:
        return None
    least = _LEAST.search(view.question) or _LONGEST_SINCE.search(view.question)
    return (min if least else max)(numbers, key=numbers.__getitem__)
