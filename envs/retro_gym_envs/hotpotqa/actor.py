"""The scripted actor of HotpotQA: reads only the prompt's text and makes the mistakes of real actors.

It reads literally. It looks on the subject's page for the word with which the question names the role, and on the next
page for the word with which the question names the attribute. Where it does not find the word, it takes any linked
entity or any value; where it does, it takes the name next to it; and it believes a rumour. Reflections change which
entity it follows and under which word it reads. It answers only with what it has read in this trial.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from retro_gym_envs.choices import Choices
from retro_gym_envs.hotpotqa.advice import Wish, cue_in, names_to_search, wish_for_name, wish_for_title, wish_for_word
from retro_gym_envs.hotpotqa.observations import answer_sort, candidates, first_value, searches, similar_titles, spans
from retro_gym_envs.hotpotqa.relations import ROLES
from retro_gym_envs.hotpotqa.wording import Asked, Wanted, asked_by, facts_on, links_on, rumour_on, without_trade
from retro_gym_envs.scripted_actor import ScriptedTextActor, Turns, as_turn, parts_at_question

__all__ = ["ScriptedHotpotActor"]

_HASTE = 1.4  # log-odds of believing a rumour, and of taking the name nearest to the role's word
_YES_OR_NO = re.compile(r"(?:Are|Is|Were|Was|Do|Does|Did|Have|Has|Can)\b")


class ScriptedHotpotActor(ScriptedTextActor):
    """The same prompt text and the same trial seed give the same reply."""

    def say(self, text: str, seed: int) -> str:
        """Returns one thought and action."""
        notes, question, turns = parts_at_question(text)
        view = _View(question, tuple(notes), turns, self.choices(seed, len(turns)), self.thoughts)
        asked = asked_by(question)
        thought, action = _freely(view) if asked is None else _literally(view, asked)
        return as_turn(len(turns) + 1, thought, action)


@dataclasses.dataclass(frozen=True)
class _View:
    """What the actor has parsed from its prompt, and the trial's choices."""

    question: str
    notes: tuple[str, ...]
    turns: Turns
    choices: Choices
    thoughts: bool = False

    @cached_property
    def found(self) -> dict[str, str]:
        """The result of every search, by its term, in order."""
        return searches(self.turns)

    @cached_property
    def pages(self) -> dict[str, str]:
        """The text of every page that was found, by its search term."""
        return {term: page for term, page in self.found.items() if similar_titles(page) is None}

    def pick(self, name: str, options: Iterable[str], wish: Wish) -> str:
        """Chooses what is wanted; otherwise any option, but not what is shunned if there is another."""
        every = list(options)
        left = wish.wanted or [option for option in every if option not in wish.shunned] or every
        return self.choices.pick(name, dict.fromkeys(left, 0.0))


def _search(term: str, thought: str = "") -> tuple[str, str]:
    return thought or f"I look up {term}.", f"Search[{term}]"


def _finish(answer: str | None, thought: str = "") -> tuple[str, str]:
    if not answer:
        return "I cannot tell.", "Finish[unknown]"
    return thought or f"The answer should be {answer}.", f"Finish[{answer}]"


# -- questions of the built-in world -----------------------------------------------------------------------------------


def _literally(view: _View, asked: Asked) -> tuple[str, str]:
    """Returns thought and action: first the subjects, then the linked entities, then the answer."""
    for entity in asked.entities:
        if entity.subject not in view.found:
            return _search(entity.subject)
    rumours = [rumour_on(view.found[entity.subject], asked.attribute) for entity in asked.entities]
    advised = any(_wish(view, entity).wanted for entity in asked.entities)
    if all(rumours) and not advised and view.choices.happens("believe the rumour", _HASTE):
        return _finish(_lowest(rumours))
    values = []
    for entity in asked.entities:
        name = _followed(view, entity)
        others = [each for each in _names(view, entity) if each != name]
        title = _title(view, name, others)
        if title not in view.found:
            return _search(title, _intent(view, entity, name) if title == name else "")
        values.append(_value(view, asked, name, others, facts_on(view.found[title])))
    return _finish(_lowest(values), _reading(view, view.found[title], values))


def _names(view: _View, entity: Wanted) -> list[str]:
    """Returns all names of linked entities on the subject's page."""
    return [name for link in links_on(view.found[entity.subject]) for name in link.names]


def _wish(view: _View, entity: Wanted) -> Wish:
    return wish_for_name(view.notes, _names(view, entity))


def _followed(view: _View, entity: Wanted) -> str:
    """Returns the linked entity to follow from a subject's page."""
    wish, names = _wish(view, entity), _names(view, entity)
    literal = [
        link.names
        for link in links_on(view.found[entity.subject])
        if (link.role, link.expression) == (entity.role.name, entity.expression)
    ]
    if wish.wanted or wish.confused or not literal or literal[0][0] in wish.shunned:
        return view.pick(f"link of {entity.subject}", names or [entity.subject], wish)
    nearest, *farther = literal[0]
    return view.choices.pick("name", {nearest: _HASTE, **dict.fromkeys(farther, 0.0)})


def _intent(view: _View, entity: Wanted, name: str) -> str:
    """Returns the thought that says by which word an entity is followed; empty if the actor has no such thoughts."""
    if not view.thoughts:
        return ""
    links = [link for link in links_on(view.found[entity.subject]) if name in link.names]
    if not links:
        return ""
    word = links[0].role if links[0].expression == "noun" else ROLES[links[0].role].verb
    return f"I follow {word}: {name}."


def _reading(view: _View, page: str, values: Sequence[str | None]) -> str:
    """Returns the thought that says by which word a page gives the only value; empty if it has no such thoughts."""
    if not view.thoughts or len(values) > 1:
        return ""
    return next((f"I read {word}: {value}." for word, value in facts_on(page).items() if value == values[0]), "")


def _title(view: _View, name: str, others: Sequence[str]) -> str:
    """Returns the title to search for: the name itself, or one of the similar titles if there is no such page."""
    offered = similar_titles(view.found.get(name, ""))
    if not offered:
        return name
    same = [title for title in offered if without_trade(title) == name] or offered
    return view.pick("title", same, wish_for_title(view.notes, name, others, same))


def _value(view: _View, asked: Asked, name: str, others: Sequence[str], facts: Mapping[str, str]) -> str | None:
    """Returns the value that the actor reads on an entity's page."""
    wish = wish_for_word(view.notes, name, others, dict.fromkeys([*facts, *asked.attribute.unusual]))
    if wish.wanted:
        word = view.pick("wanted word", wish.wanted, wish)
    elif asked.attribute.name in facts and asked.attribute.name not in wish.shunned and not wish.confused:
        word = asked.attribute.name
    else:
        word = ""
    if word in facts or not facts:
        return facts.get(word)
    return facts[view.pick("word", facts, Wish(shunned=wish.shunned))]


def _lowest(values: Sequence[str | None]) -> str | None:
    """Returns the only value, or the lowest one."""
    known = [value for value in values if value]
    if len(values) == 1 or not all(value.replace(",", "").isdecimal() for value in known):
        return known[0] if known else None
    return min(known, key=lambda value: int(value.replace(",", "")), default=None)


# -- questions of other files ------------------------------------------------------------------------------------------


def _freely(view: _View) -> tuple[str, str]:
    """Returns thought and action: the page of a name in the question, pages that reflections want, the answer."""
    last = view.turns[-1][1] if view.turns else ""
    offered = similar_titles(last)
    if offered and (len(view.turns) < 2 or similar_titles(view.turns[-2][1]) is None):
        return _search(view.choices.pick("title", {title: -float(i) for i, title in enumerate(offered)}))
    for term in dict.fromkeys([_first_search(view), *names_to_search(view.notes)]):
        if term not in view.found:
            return _search(term)
    return _finish(_free_answer(view))


def _first_search(view: _View) -> str:
    named = candidates(view.question)[:1] or spans(view.question) or [view.question.rstrip("?")]
    return view.choices.pick("name", {name: float(len(name.split())) for name in named})


def _free_answer(view: _View) -> str | None:
    if names_to_search(view.notes) and (cue := cue_in(view.notes)):
        for page in reversed(view.pages.values()):
            _, found, after = page.partition(cue.words)
            if found:
                return " ".join(after.split()[: cue.length]).strip(' ,.;:()"')
    if offered := candidates(view.question):
        return "yes" if _YES_OR_NO.match(view.question) else offered[0]
    if not view.pages:
        return None
    title, page = list(view.pages.items())[-1]
    return first_value(answer_sort(view.question), page, [title, *spans(view.question)])
