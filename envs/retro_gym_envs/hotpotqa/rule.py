"""What can be learned from a failed trial: a reader of the reflector's observation, and the sentences that say it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from retro_gym_envs.hotpotqa.observations import searches, similar_titles, spans
from retro_gym_envs.hotpotqa.wording import Asked, Link, asked_by, facts_on, links_on, with_trade
from retro_gym_envs.scripted_actor import turns_in

__all__ = ["BRIDGE_FORMS", "COMPARISON_FORMS", "FREE_FORMS", "Failure", "Lesson", "read_failure"]

BRIDGE_FORMS = (
    "Search for the {role}, {name}, and find the {word}.",
    "The {role} is {name}. Look up {name}, and find the {word}.",
    "Next time look up the {role}, {name}, and read the {word} there.",
)
COMPARISON_FORMS = (
    "Search for the {role}, {name}, and the {role2}, {name2}, and compare the {word}.",
    "Next time look up the {role}, {name}, and the {role2}, {name2}, and compare the {word}.",
)
FREE_FORMS = ('Search for "{name}" and read that page.',)


@dataclasses.dataclass(frozen=True)
class Lesson:
    """What a reflection should say: the entities to look up, with their roles, and the word to read there."""

    entities: tuple[tuple[str, str], ...]
    """Role and name of each; the role is empty for a question of another file."""
    word: str = ""

    def as_text(self, form: int = 0) -> str:
        """Returns the lesson in one of the forms. What distinguishes a title from others follows its name.

        >>> Lesson((("director", "Taskin Brelum (painter)"),), "birth year").as_text()
        'Search for the director, Taskin Brelum, the painter, and find the birth year.'
        """
        (role, title), *more = self.entities
        if not role:
            return FREE_FORMS[0].format(name=title)
        name = with_trade(title)
        if not more:
            return BRIDGE_FORMS[form % len(BRIDGE_FORMS)].format(role=role, name=name, word=self.word)
        role2, name2 = more[0][0], with_trade(more[0][1])
        chosen = COMPARISON_FORMS[form % len(COMPARISON_FORMS)]
        return chosen.format(role=role, name=name, role2=role2, name2=name2, word=self.word)


@dataclasses.dataclass(frozen=True)
class Failure:
    """A failed trial, as its text shows it."""

    question: str
    asked: Asked | None
    """None for a question of another file than the built-in world."""
    found: Mapping[str, str]
    """The result of every search."""

    def links(self, subject: str) -> list[Link]:
        """Returns the linked entities on a subject's page."""
        return links_on(self.found.get(subject, ""))

    def titles(self, name: str) -> list[str]:
        """Returns the titles that may be meant by a name: itself, or those that the failed search for it offered."""
        return similar_titles(self.found.get(name, "")) or [name]

    def words(self) -> list[str]:
        """Returns the words for the attribute and others of its sort: those of pages seen, or the usual ones."""
        assert self.asked is not None
        attribute = self.asked.attribute
        unusual = [facts for page in self.found.values() if set(facts := facts_on(page)) & set(attribute.unusual)]
        return list(unusual[0]) if unusual else [attribute.name]

    def lesson(self) -> Lesson | None:
        """Returns what the trial teaches; None if it has not read the subjects' pages."""
        if self.asked is None:
            question = set(self.question.lower().split())
            names = sorted(self.unread(), key=lambda name: -len(question & set(name.lower().split())))
            return Lesson((("", names[0]),)) if names else None
        entities = []
        for entity in self.asked.entities:
            link = next((each for each in self.links(entity.subject) if each.role == entity.role.name), None)
            if link is None:
                return None
            titles = self.titles(link.name)
            title = next((each for each in titles if link.trade and each.endswith(f"({link.trade})")), link.name)
            entities.append((link.role, title))
        words = self.words()
        return Lesson(tuple(entities), next(word for word in words if word in self.asked.attribute.words))

    def unread(self) -> list[str]:
        """Returns the names on the pages seen, and the titles offered, that were not searched for."""
        offered = [title for page in self.found.values() for title in similar_titles(page) or []]
        named = [name for page in self.found.values() if similar_titles(page) is None for name in spans(page)]
        known = {*self.found, *spans(self.question)}
        return [name for name in dict.fromkeys([*offered, *named]) if name not in known]


def read_failure(observation: str) -> Failure:
    """Reads a failed trial in a text that contains its trajectory."""
    _, _, rest = f"\n{observation}".rpartition("\nQuestion: ")
    question, _, history = rest.partition("\n")
    return Failure(question.strip(), asked_by(question.strip()), searches(turns_in(history)))
