"""The WebShop actor's prompt: instruction and worked examples. The products in it are invented."""

from __future__ import annotations

from retro_gym.prompts import TaskPrompt

__all__ = ["WEBSHOP_PROMPT"]

_INSTRUCTION = """\
Buy what the instruction asks for in a web shop. Work in turns. In each turn write two lines: a Thought, in which you \
say what you know by now and what is still missing, and an Action. The Observation that follows is the page that you \
see then; [SEP] stands between its parts. There are two actions:
search[words] looks for products. It works on the first page only; click[Back to Search] leads there.
click[text] clicks a button, the id of a product, or the value of an option, exactly as the page shows it.
Choose every option that the instruction names, and keep to its price limit, before click[Buy Now] ends the task. The \
score is 1.0 when product, attributes, options and price are all as asked for.\
"""

_OPTIONS = """\
WebShop [SEP] Instruction: [SEP] I need a zinc watering can that is leakproof with color green, and price lower than \
40.00 dollars [SEP] Search
Thought 1: I search for the thing itself and look at attribute, options and price on the pages.
Action 1: search[zinc watering can]
Observation 1: Back to Search [SEP] Page 1 (Total results: 3) [SEP] B00017 [SEP] Ansel zinc watering can, stackable \
[SEP] $18.5 [SEP] B00204 [SEP] Tarn zinc watering can, leakproof [SEP] $27.5 [SEP] B00093 [SEP] Wick clay watering \
jar, leakproof [SEP] $12.5
Thought 2: The first one is not leakproof. The second one is, for less than 40 dollars.
Action 2: click[B00204]
Observation 2: Back to Search [SEP] < Prev [SEP] color [SEP] blue [SEP] green [SEP] size [SEP] small [SEP] large \
[SEP] Tarn zinc watering can, leakproof [SEP] Price: $27.5 [SEP] Rating: N.A. [SEP] Description [SEP] Features [SEP] \
Reviews [SEP] Buy Now
Thought 3: The color has to be green; no size is asked for.
Action 3: click[green]
Observation 3: You have clicked green.
Thought 4: Attribute, color and price are as asked for.
Action 4: click[Buy Now]
Observation 4: Thank you for shopping with us! [SEP] Your score (min 0.0, max 1.0) [SEP] 1.00"""

_FEATURES = """\
WebShop [SEP] Instruction: [SEP] find me a travel clock which is shockproof, and price lower than 30.00 dollars [SEP] \
Search
Thought 1: I search for the clock.
Action 1: search[travel clock]
Observation 1: Back to Search [SEP] Page 1 (Total results: 2) [SEP] B00311 [SEP] Quillon travel clock [SEP] $45.0 \
[SEP] B00312 [SEP] Dunmere travel clock [SEP] $21.5
Thought 2: The first one is too expensive. I make sure that the second one is shockproof.
Action 2: click[B00312]
Observation 2: Back to Search [SEP] < Prev [SEP] Dunmere travel clock [SEP] Price: $21.5 [SEP] Rating: N.A. [SEP] \
Description [SEP] Features [SEP] Reviews [SEP] Buy Now
Thought 3: The title does not say; the features may.
Action 3: click[Features]
Observation 3: Back to Search [SEP] < Prev [SEP] It is shockproof. [SEP] It glows.
Thought 4: It is shockproof. I go back and buy it.
Action 4: click[< Prev]
Observation 4: Back to Search [SEP] < Prev [SEP] Dunmere travel clock [SEP] Price: $21.5 [SEP] Rating: N.A. [SEP] \
Description [SEP] Features [SEP] Reviews [SEP] Buy Now
Thought 5: All is as asked for.
Action 5: click[Buy Now]
Observation 5: Thank you for shopping with us! [SEP] Your score (min 0.0, max 1.0) [SEP] 1.00"""

WEBSHOP_PROMPT = TaskPrompt(_INSTRUCTION, (_OPTIONS, _FEATURES))
"""Instruction and two worked examples: an option and a product that is not the first; a look at the features."""
