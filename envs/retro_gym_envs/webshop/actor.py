"""The scripted actor of WebShop: reads only the prompt's text, and makes the mistakes of hasty customers.

It uses the instruction's words as well as it can: it searches for the thing, opens a product whose title says most of
what is wanted and whose price is within the limit, and chooses the values that the instruction names. Where no page
says the instruction's words, it has a look at the reviews, which it does not understand, and takes one of what is
offered by luck, unless a reflection speaks for it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from retro_gym_envs.choices import Choices
from retro_gym_envs.english.naming import mentioned
from retro_gym_envs.scripted_actor import ScriptedTextActor, Turns, as_turn, behind_examples, notes_in, turns_in
from retro_gym_envs.webshop.advice import Advice, advice_on, ids_in, quoted_query
from retro_gym_envs.webshop.departments import OPTIONS
from retro_gym_envs.webshop.observations import (
    Asked,
    Hit,
    Item,
    asked_in,
    hits_on,
    instruction_of,
    item_on,
    reviews_on,
    words_of,
)
from retro_gym_envs.webshop.pages import BUY, NEXT, PREVIOUS, SEPARATOR, TO_SEARCH

__all__ = ["ScriptedShopActor"]

_TASK = re.compile(r"^WebShop \[SEP\] Instruction:", re.MULTILINE)  # at a line's beginning: else it is an observation
_REVIEWS = "click[Reviews]"
_SHUNNED = -1.0  # score of what a reflection speaks against; all else has 0


class ScriptedShopActor(ScriptedTextActor):
    """The same prompt text and the same trial seed give the same reply."""

    def say(self, text: str, seed: int) -> str:
        """Returns an action, with a thought where the actor is in doubt."""
        own = behind_examples(text)
        begins = _TASK.search(own)
        head, history = (own[: begins.start()], own[begins.start() :]) if begins else ("", own)
        task, _, rest = history.partition("\n")
        turns = turns_in(rest)
        instruction = instruction_of(task)
        choices = self.choices(seed, len(turns))
        customer = _Customer(notes_in(head), instruction, asked_in(instruction), turns, choices, self.thoughts)
        return as_turn(len(turns) + 1, *customer.decide())


@dataclasses.dataclass(frozen=True)
class _Customer:
    """What the actor knows from its prompt, and what it does next."""

    notes: Sequence[str]
    instruction: str
    asked: Asked
    turns: Turns
    choices: Choices
    thoughts: bool = False

    def decide(self) -> tuple[str, str]:
        """Returns thought and action of the next turn."""
        page = next((seen for _, seen in reversed(self.turns) if SEPARATOR in seen), "")
        if not page or page.startswith("WebShop"):
            query = self._query()
            return self._intent(query), f"search[{query}]"
        if hits := hits_on(page):
            product = self._product(hits, NEXT in page)
            return self._intent(product), f"click[{product}]"
        if item := item_on(page):
            return self._at(item)
        nothing_found = PREVIOUS not in page
        return "", f"click[{TO_SEARCH if nothing_found or (self._lost and self._words) else PREVIOUS}]"

    # -- what it has seen --------------------------------------------------------------------------------------------

    @property
    def _clicked(self) -> set[str]:
        return {action for action, _ in self.turns}

    @property
    def _hits(self) -> list[Hit]:
        """The latest results."""
        return next((hits for _, seen in reversed(self.turns) if (hits := hits_on(seen))), [])

    @property
    def _lost(self) -> bool:
        """Whether the latest search was for the thing in the instruction's words, and found only other things."""
        query = next((action for action, _ in reversed(self.turns) if action.startswith("search[")), "")
        kind = self.asked.thing.split()[-1].lower().removesuffix("s")
        titles = [word.removesuffix("s") for hit in self._hits for word in words_of(hit.title)]
        return query == f"search[{self.asked.thing}]" and kind not in titles

    @property
    def _advised(self) -> bool:
        """Whether the open product is one that a reflection wants."""
        wanted = self._on_products(self._hits).wanted
        return any(f"click[{asin}]" in self._clicked for asin in wanted)

    @property
    def _words(self) -> list[str]:
        """Words that reviews are about: they may be what the shop calls its things."""
        return [word for _, seen in self.turns for word in reviews_on(seen) if re.fullmatch("[a-z]+", word)]

    def _intent(self, name: str) -> str:
        """Returns the thought that says what a name stands for in the reviews; empty if it has no such thoughts."""
        if not self.thoughts:
            return ""
        meant = [told[name] for _, seen in self.turns if name in (told := reviews_on(seen))]
        return f"I take {meant[-1]} {name}." if meant else ""

    # -- what it does ------------------------------------------------------------------------------------------------

    def _query(self) -> str:
        """Returns the first query that it has not tried: one in quotes, the thing, a word of the shop, the thing's."""
        thing = self.asked.thing
        words = self._words
        own = self._liked("word", advice_on(self.notes, words), words)
        queries = [quoted_query(self.notes), thing, *own, thing.split()[-1]]
        return next((each for each in queries if each and f"search[{each}]" not in self._clicked), thing)

    def _product(self, hits: list[Hit], more: bool) -> str:
        """Returns the id of a product, or the link to more of them."""
        advice = self._on_products(hits)
        if not advice.wanted and more and ids_in(self.notes):
            return NEXT
        told = set(words_of(self.instruction))
        scores = {
            hit.asin: len(told.intersection(words_of(hit.title))) - 100.0 * (hit.price > self.asked.limit)
            for hit in hits
        }
        best = [asin for asin in scores if scores[asin] == max(scores.values())]
        return self._liked("product", advice, best)[0]

    def _on_products(self, hits: list[Hit]) -> Advice:
        """Returns the advice on the ids; a product may also be named by its maker, if no other has the same."""
        makers = [hit.title.partition(" ")[0] for hit in hits]
        ids = {maker: hit.asin for maker, hit in zip(makers, hits, strict=True) if makers.count(maker) == 1}
        ids |= {hit.asin: hit.asin for hit in hits}
        return advice_on(self.notes, ids)

    def _at(self, item: Item) -> tuple[str, str]:
        """Chooses the options and buys; where the page leaves it in doubt, it reads the reviews first."""
        groups = {name: values for name, values in item.options.items() if name in self.asked.options}
        advised = {name: advice_on(self.notes, values) for name, values in groups.items()}
        doubts = [f"What do they call {self.asked.thing}?"] if self._lost else []
        if not doubts and self.asked.attribute and self.asked.attribute not in item.title and not self._advised:
            doubts.append(f"Is this one {self.asked.attribute}?")
        doubts += [
            f"Which {name} is {self.asked.options[name]}?"
            for name, values in groups.items()
            if self.asked.options[name] not in values and not advised[name].wanted
        ]
        if doubts and _REVIEWS not in self._clicked:
            return " ".join(doubts), _REVIEWS
        wanted = []
        for name, values in groups.items():
            told = self.asked.options[name]
            if not advised[name].wanted and told in values:
                wanted.append(told)
            elif not advised[name].confused:
                wanted.append(self._liked(name, advised[name], values)[0])
        known = {*OPTIONS, *(value for values in groups.values() for value in values)}
        wanted += self._literal([text for text in item.offered if text not in known])
        value = next((each for each in wanted if f"click[{each}]" not in self._clicked), BUY)
        return self._intent(value), f"click[{value}]"

    def _literal(self, values: Sequence[str]) -> Sequence[str]:
        """Returns the values to choose of options that it does not know: the advised ones, or those it was told."""
        return advice_on(self.notes, values).wanted or mentioned(values, self.instruction)

    def _liked(self, decision: str, advice: Advice, options: Sequence[str]) -> list[str]:
        """Returns the options that a reflection wants, else all, the best first; luck decides between equal ones."""
        scores = {each: _SHUNNED if each in advice.shunned else 0.0 for each in advice.wanted or options}
        return self.choices.ranked(decision, scores)
