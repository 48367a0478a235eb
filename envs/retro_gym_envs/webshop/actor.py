"""The scripted actor of WebShop: reads only the prompt's text and makes the mistakes of real actors.

Without advice it searches for the product type that the instruction names, buys the first hit, and ignores options and
the price limit. If a reflection says what to look for (words of the title, a price, a product's id or its position on
the page, option values), the actor follows it exactly; only the last reflection counts. Advice that matches nothing on
the pages is ignored, so a vague reflection has no effect, and a wrong one leads to a wrong purchase.
"""

from __future__ import annotations

import dataclasses
import re

from retro_gym_envs.scripted_actor import ScriptedTextActor, Turns, as_turn, behind_examples, notes_in, turns_in
from retro_gym_envs.webshop.advice import Advice, advised_values, read_reflection
from retro_gym_envs.webshop.departments import OPTIONS
from retro_gym_envs.webshop.observations import Hit, hits_on, instruction_of, item_on, query_of
from retro_gym_envs.webshop.pages import BUY, NEXT

__all__ = ["ScriptedShopActor"]

_TASK = re.compile(r"^WebShop \[SEP\] Instruction:", re.MULTILINE)  # at a line's beginning: else it is an observation


class ScriptedShopActor(ScriptedTextActor):
    """The same prompt text and the same trial seed give the same reply."""

    def say(self, text: str, seed: int) -> str:
        """Returns one thought and action."""
        view = _read_prompt(text)
        return as_turn(len(view.turns) + 1, *_decide(view))


@dataclasses.dataclass(frozen=True)
class _View:
    """What the actor has parsed from its prompt."""

    instruction: str
    advice: Advice
    turns: Turns

    @property
    def page(self) -> str:
        """The open page: the last one that was shown in full."""
        return next((seen for _, seen in reversed(self.turns) if " [SEP] " in seen), "")


def _read_prompt(text: str) -> _View:
    own = behind_examples(text)
    begins = _TASK.search(own)
    head, history = (own[: begins.start()], own[begins.start() :]) if begins else ("", own)
    task, _, rest = history.partition("\n")
    notes = notes_in(head)
    return _View(instruction_of(task), read_reflection(notes[-1]) if notes else Advice(), turns_in(rest))


def _decide(view: _View) -> tuple[str, str]:
    """Returns thought and action for the next turn."""
    page, advice = view.page, view.advice
    if not page or page.startswith("WebShop"):
        return _search(view)
    hits = hits_on(page)
    if hits:
        return _from_results(view, hits)
    item = item_on(page)
    if item is None:
        return "Nothing was found.", "click[Back to Search]"
    clicked = {action for action, _ in view.turns}
    for value in advised_values(advice, [text for text in item.offered if text not in OPTIONS]):
        action = f"click[{value}]"
        if action not in clicked:
            return f"It should be {value}.", action
    return "I buy it.", f"click[{BUY}]"


def _search(view: _View) -> tuple[str, str]:
    """Searches for the first query not tried yet: the advised one, the product type, its last word."""
    thing = query_of(view.instruction)
    tried = {action for action, _ in view.turns}
    queries = [query for query in (view.advice.query, thing, thing.split()[-1]) if query]
    actions = [f"search[{query}]" for query in queries]
    return "I search for it.", next((action for action in actions if action not in tried), actions[-1])


def _from_results(view: _View, hits: list[Hit]) -> tuple[str, str]:
    """Opens a product, or the next page if an advised id may be there."""
    advice = view.advice
    wanted = next((hit for hit in hits if hit.asin in advice.ids), None)
    if wanted is None and advice.ids and NEXT in view.page:
        return "The product is not on this page.", f"click[{NEXT}]"
    if wanted is None and advice.place is not None and advice.place <= len(hits):
        wanted = hits[advice.place - 1]
    if wanted is not None:
        return "That is the product.", f"click[{wanted.asin}]"
    for words in advice.words:
        hits = [hit for hit in hits if words in hit.title.lower()] or hits
    if advice.limit is not None:
        hits = [hit for hit in hits if hit.price <= (advice.limit or 0.0)] or hits
    return "The first one will do.", f"click[{hits[0].asin}]"
