"""Whether a reflection names the cause of failure of a built-in question, as the scripted actor would read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from retro_gym_envs.hotpotqa.advice import wish_for_name, wish_for_title, wish_for_word
from retro_gym_envs.hotpotqa.tasks import HotpotTask
from retro_gym_envs.hotpotqa.wording import Asked, Wanted, asked_by, facts_on, links_on, rumour_on, without_trade
from retro_gym_envs.teaching import as_noted, leads_to

__all__ = ["names_cause", "right_word"]


def right_word(task: HotpotTask) -> str:
    """Returns the word under which the page of the first asked entity states the answer."""
    title, sentence = task.supporting_facts[1]
    return dict(task.context)[title][sentence].partition(":")[0].strip().lower()


def names_cause(reflection: str, task: HotpotTask) -> bool:
    """Returns whether a reflection leads to the right links, titles and words on all pages that a question needs.

    Where the pages leave the actor in doubt it must name the right one alone; elsewhere it must not name a wrong one.

    Args:
        reflection: the reflection.
        task: a question of the built-in world.
    """
    asked = asked_by(task.question)
    assert asked is not None, "built-in questions are understood"
    pages = {title: "".join(sentences) for title, sentences in task.context}
    notes, word = as_noted(reflection), right_word(task)
    targets = [title for title, _ in task.supporting_facts[1::2]]
    return all(
        _leads_there(notes, pages, asked, entity, target, word)
        for entity, target in zip(asked.entities, targets, strict=True)
    )


def _leads_there(
    notes: Sequence[str], pages: Mapping[str, str], asked: Asked, entity: Wanted, target: str, word: str
) -> bool:
    """Returns whether reflections lead to the page of one asked entity, and to the word there."""
    subject, name = pages[entity.subject], without_trade(target)
    links = links_on(subject)
    names = [each for link in links for each in link.names]
    others = [each for each in names if each != name]
    told = [link.names for link in links if (link.role, link.expression) == (entity.role.name, entity.expression)]
    hidden = told != [(name,)] or rumour_on(subject, asked.attribute) is not None
    titles = [title for title in pages if without_trade(title) == name]
    words = dict.fromkeys([*facts_on(pages[target]), *asked.attribute.unusual])
    decisions = (
        (wish_for_name(notes, names), name, hidden),
        (wish_for_title(notes, name, others, titles), target, len(titles) > 1),
        (wish_for_word(notes, name, others, words), word, word != asked.attribute.name),
    )
    return all(
        not wish.confused and leads_to(right, wish.wanted, wish.shunned, needed=needed)
        for wish, right, needed in decisions
    )
