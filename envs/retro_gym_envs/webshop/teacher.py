"""The teacher of WebShop: an oracle that knows the goals, rules that read a failure, and noisy reflections."""

from __future__ import annotations

import re

import numpy as np

from retro_gym.errors import ConfigError
from retro_gym.task_env import checked_task_id
from retro_gym.teacher import ReflectionCheck
from retro_gym.trajectory import Trajectory
from retro_gym_envs.draws import pick
from retro_gym_envs.teaching import TaskTeacher, check_forms, guess
from retro_gym_envs.webshop.catalog import Goal, Product
from retro_gym_envs.webshop.cause import names_cause
from retro_gym_envs.webshop.departments import OPTIONS
from retro_gym_envs.webshop.observations import hits_on, verdicts_in, words_of
from retro_gym_envs.webshop.rule import Doubt, advise, doubts_in, rule_reflection
from retro_gym_envs.webshop.tasks import ShopTasks

__all__ = ["ShopTeacher"]

_PART = (
    r"(?:(?i:search) for (?:the )?(?P<word_>[a-z -]+)|(?i:open) (?:the )?(?P<item_>(?:[a-z -]+ )?B\d+)"
    r"|(?i:buy) (?:the )?(?P<maker_>(?:[a-z -]+ )?[A-Z][a-z]+)"
    rf"|(?i:choose) (?:the )?(?P<value_>[a-z -]+) as the (?:{'|'.join(OPTIONS)}))"
)
_FORMS = tuple(re.compile(" and ".join(_PART.replace("_>", f"{i}>") for i in range(parts)) + r"\.") for parts in (2, 1))
# Probabilities that the noisy teacher recommends what the actor did, and what is right.
_HASTY = 0.2
_UNDERSTOOD = 0.15


class ShopTeacher(TaskTeacher[Goal]):
    """Knows the goals, and what the names of the built-in shops stand for."""

    _tasks: ShopTasks

    def task_group(self, task_id: str) -> str:
        """Returns the category of the wanted product; empty for WebShop's own goals."""
        return self._tasks.group(checked_task_id(task_id))

    def failure_cause(self, task_id: str) -> str:
        """Returns what the shop calls by coined names, see :data:`world.CAUSES`; empty for WebShop's own goals."""
        return self._tasks.cause(checked_task_id(task_id))

    def oracle_reflection(self, task_id: str) -> str:
        """Returns the best reflection that leaves open what the pages say plainly.

        In the built-in shops it tells the right ones of the coined names. For WebShop's own goals it tells the product
        type to search for, and which pages and options to look at.

        Raises:
            UnknownTaskError: no such task.
            ConfigError: the goals are a server's, which does not reveal them.
        """
        goal, product = self._sold(task_id)
        if not goal.cause:
            names = [name for name in dict.fromkeys(map(product.option_of, goal.options)) if name]
            options = f" and choose {' and '.join(names)} as asked for" if names else ""
            return f'Search for "{_plain(goal.query)}", compare titles and features{options}.'
        meanings = verdicts_in(text for _, _, text in product.reviews)
        choices = []
        for cause in goal.cause.split(" and "):
            match cause:
                case "word":
                    kind, name = "word", product.name.split()[1]
                case "maker":
                    kind, name = "maker", product.name.split()[0]
                case "item":
                    kind, name = "item", product.asin
                case _:
                    name = goal.options[cause == "second option"]
                    kind = product.option_of(name)
            choices.append((kind, name, meanings[name]))
        return advise(choices)

    def told_reflection(self, task_id: str) -> str:
        """Returns a query that finds the product, its id, and all values to choose.

        Raises:
            UnknownTaskError: no such task.
            ConfigError: the goals are a server's, which does not reveal them.
        """
        goal, product = self._sold(task_id)
        values = "".join(f' and "{value}"' for value in goal.options)
        chosen = f" and choose{values[4:]}" if values else ""
        return f'Search for "{_plain(product.name)[:200]}", open {product.asin}{chosen}, then buy it.'

    def rule_reflection(self, observation: str) -> str:
        """Returns what fixed rules read in a failed trial: see :mod:`rule`."""
        return rule_reflection(observation)

    def leaks(self, reflection: str, task_id: str) -> bool:
        """Returns whether a reflection contains the product's id, its title or its maker, and all values to choose.

        A server does not reveal its goals; for them the answer is always no.

        Raises:
            UnknownTaskError: no such task.
        """
        try:
            goal, product = self._sold(task_id)
        except ConfigError:
            return False
        names = [product.asin, product.name]
        if goal.cause and "item" not in goal.cause:
            names.append(product.name.split()[0])
        text = _normal(reflection)
        return any(_normal(each) in text for each in names) and all(_normal(each) in text for each in goal.options)

    def names_cause(self, reflection: str, task_id: str) -> bool:
        """Returns whether a reflection tells the right ones of the coined names; see :mod:`cause`.

        The product's title, id and values, ``told_reflection``, hold these names, so they name the cause too.

        Raises:
            UnknownTaskError: no such task.
        """
        if not self.failure_cause(task_id):
            return False
        return names_cause(reflection, *self._sold(task_id), self._tasks.catalog(task_id))

    def noisy_reflection(self, trajectory: Trajectory, rng: np.random.Generator) -> str:
        """Returns a reflection of the oracle's forms on names in the trajectory, which is right only sometimes.

        For each choice that the actor made by luck it names what the actor took (probability 0.2), the right name
        (0.15), or any, and what that name stands for. Without such a choice it names any product that the trial showed.
        """
        doubts = doubts_in(trajectory.render())
        if not doubts:
            ids = [hit.asin for turn in trajectory.turns for hit in hits_on(turn.observation)]
            return advise([("item", pick(ids, rng), "")]) if ids else "Search for other words."
        guesses = [(doubt, _guess(doubt, rng)) for doubt in doubts]
        return advise([(doubt.kind, name, doubt.meanings[name]) for doubt, name in guesses])

    def check_reflection(self, reflection: str, trajectory: Trajectory) -> ReflectionCheck:
        """Checks that a reflection has one of the oracle's forms, and names only what the trajectory shows."""
        return check_forms(_FORMS, reflection, trajectory)

    def _sold(self, task_id: str) -> tuple[Goal, Product]:
        """Returns a goal and the product that it was made from."""
        goal = self.task(task_id)
        product = self._tasks.catalog(task_id).get(goal.asin)
        assert product is not None, "a goal is made from a product of its shop"
        return goal, product


def _guess(doubt: Doubt, rng: np.random.Generator) -> str:
    names = sorted(doubt.meanings, key=lambda name: name != doubt.taken)
    return guess(names, [doubt.right] if doubt.right else [], rng, hasty=_HASTY, understood=_UNDERSTOOD)


def _plain(text: str) -> str:
    """Returns a text without the characters that end a quoted query."""
    return re.sub(r'["\[\]]', " ", text)


def _normal(text: str) -> str:
    """Returns the words of a text in lower case, each between blanks."""
    return f" {' '.join(words_of(text))} "
