"""The teacher of WebShop: an oracle that knows the goals, and noisy reflections that are often wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from retro_gym.task_env import checked_task_id
from retro_gym.teacher import ReflectionCheck
from retro_gym.trajectory import Trajectory
from retro_gym_envs.teaching import TaskTeacher, guess
from retro_gym_envs.webshop.catalog import Goal
from retro_gym_envs.webshop.departments import ATTRIBUTES, OPTIONS
from retro_gym_envs.webshop.observations import Hit, asked, hits_on, instruction_of, item_on
from retro_gym_envs.webshop.tasks import ShopTasks

__all__ = ["ShopTeacher"]

_ANY_VALUE = "|".join(sorted({value for values in OPTIONS.values() for value in values}, key=len, reverse=True))
_CHOICE = rf"the (?:{'|'.join(OPTIONS)}) (?:{_ANY_VALUE})"
_WELL_FORMED = re.compile(
    rf"(?:(?:Next time b|B)uy one that is (?=\w)"
    rf"(?:(?P<attribute>{'|'.join(ATTRIBUTES)})(?: and (?=lower)|(?! and lower)))?"
    rf"(?:lower than (?P<limit>\d+) dollars)?)?"
    rf"(?:(?:^C|^Next time c| and c)hoose (?P<choices>{_CHOICE}(?: and {_CHOICE})?))?\."
)

# Probability that the teacher gives its standard advice, the first option, and probability that it takes the first
# value on the pages. These exceed the probability of understanding the instruction, so the teacher's most likely
# reflection is usually wrong as well.
_ALWAYS = 0.4
_HASTY = 0.5
_SAYS = {"attribute": 0.4, "limit": 0.3, "choices": 0.6, "second choice": 0.4}
"""Probability that any other reflection mentions each of these."""


class ShopTeacher(TaskTeacher[Goal]):
    """Knows the goal, and what the first hit lacks."""

    _tasks: ShopTasks

    def task_group(self, task_id: str) -> str:
        """Returns what must be considered besides taking the first hit; empty for WebShop's own goals."""
        return self._tasks.group(checked_task_id(task_id))

    def oracle_reflection(self, task_id: str) -> str:
        """Returns the best possible reflection on a task.

        In the built-in shops it names what the first hit lacks: attribute, price limit, options. For WebShop's own
        goals it names a query that finds the product, its id, and the values to choose.

        Raises:
            UnknownTaskError: no such task.
            ConfigError: the goals are a server's, which does not reveal them.
        """
        goal = self.task(task_id)
        product = self._tasks.catalog(task_id).get(goal.asin)
        assert product is not None, "a goal is made from a product of its shop"
        named = [(product.option_of(value), value) for value in goal.options]
        if not goal.group:
            values = "".join(f' and "{value}"' for _, value in named)
            title = re.sub(r'["\[\]]', " ", product.name)[:200]
            return f'Search for "{title}", open {product.asin}{values and " and choose" + values[4:]}, then buy it.'
        attribute = goal.attributes[0] if "attribute" in goal.group else None
        if goal.group == "first hit":
            attribute = product.attributes[0]  # the title contains it
        return _said(
            attribute,
            f"{goal.price_upper:.0f}" if "price" in goal.group else None,
            named,
            at_once=True,
        )

    def noisy_reflection(self, trajectory: Trajectory, rng: np.random.Generator) -> str:
        """Returns a well-formed reflection that uses only what the trajectory shows, and is correct only sometimes.

        The teacher names an attribute, a price or options shown on the pages. Each choice is made by understanding the
        instruction with probability 0.25, more often by habit (the first option, the first value of an option, the
        first product's attribute and price), and at random otherwise.
        """
        pages = [turn.observation for turn in trajectory.turns]
        hits = next((hits for page in pages if (hits := hits_on(page))), [])
        item = next((item for page in reversed(pages) if (item := item_on(page))), None)
        options = item.options if item else {}
        wish = asked(instruction_of(trajectory.task))
        attributes = [name for hit in hits for name in _attributes_in(hit)] or list(ATTRIBUTES)
        at_once = rng.random() < 0.5
        if rng.random() < _ALWAYS:
            name, values = next(iter(options.items()), ("", []))
            if values:
                return _said(None, None, [(name, values[0])], at_once=at_once)
            return _said(attributes[0], None, [], at_once=at_once)
        says = {part for part, share in _SAYS.items() if rng.random() < share}
        if not options:
            says -= {"choices", "second choice"}
        if not says & {"attribute", "limit", "choices"}:
            says.add("choices" if options else "attribute")
        attribute = _guess(wish.attribute, attributes, rng) if "attribute" in says else None
        limit = _guess(wish.limit, _limits(hits) or ["50"], rng) if "limit" in says else None
        choices = []
        if "choices" in says:
            names = list(options)
            count = 2 if len(names) > 1 and "second choice" in says else 1
            start = int(rng.integers(len(names))) if count == 1 else 0
            for name in names[start : start + count]:
                choices.append((name, _guess(wish.options.get(name), options[name], rng)))
        return _said(attribute, limit, choices, at_once=at_once)

    def check_reflection(self, reflection: str, trajectory: Trajectory) -> ReflectionCheck:
        """Checks that a reflection has the teacher's form, and names only what the trajectory shows."""
        found = _WELL_FORMED.fullmatch(reflection.strip())
        if found is None or not any(found.groups()):
            return ReflectionCheck(False, False)
        text = trajectory.render()
        choices = [each.split(" ", 2)[2] for each in (found["choices"] or "").split(" and ") if each]
        names = (name for name in (found["attribute"], found["limit"], *choices) if name)
        return ReflectionCheck(True, all(re.search(rf"(?<![\w-]){name}(?![\w-])", text) for name in names))


def _said(attribute: str | None, limit: str | None, choices: Sequence[tuple[str, str]], *, at_once: bool) -> str:
    minded = [*([attribute] if attribute else []), *([f"lower than {limit} dollars"] if limit else [])]
    parts = [f"buy one that is {' and '.join(minded)}"] if minded else []
    if choices:
        parts.append("choose " + " and ".join(f"the {name} {value}" for name, value in choices))
    text = " and ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if at_once else f"Next time {text}."


def _attributes_in(hit: Hit) -> list[str]:
    return [name for name in ATTRIBUTES if re.search(rf"\b{name}\b", hit.title.lower())]


def _limits(hits: Sequence[Hit]) -> list[str]:
    """Returns the prices shown, in whole dollars."""
    return [f"{hit.price:.1f}".partition(".")[0] for hit in hits]


def _guess(right: str | None, options: Sequence[str], rng: np.random.Generator) -> str:
    return guess(options, [] if right is None else [right], rng, hasty=_HASTY)
