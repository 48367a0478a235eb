"""The HotpotQA actor's prompt: instruction and worked examples. The people and places in it are invented."""

from __future__ import annotations

from retro_gym.prompts import TaskPrompt

__all__ = ["HOTPOTQA_PROMPT"]

_INSTRUCTION = """\
Answer the question with the help of a small encyclopedia. Work in turns. In each turn write two lines: a Thought, \
in which you say what you know by now and what is still missing, and an Action. The Observation that follows is given \
to you. There are three actions:
Search[title] opens the page of that title. When there is no such page you are shown similar titles to choose from.
Lookup[words] shows the next sentence of the open page that contains these words.
Finish[answer] gives your answer and ends the task. Answer in as few words as possible: a name, a date, yes or no.\
"""

_BRIDGE = """\
Question: In which year was the lighthouse that Orla Fenwick designed first lit?
Thought 1: I need the lighthouse that Orla Fenwick designed, and then the year in which it was first lit.
Action 1: Search[Orla Fenwick]
Observation 1: Orla Fenwick (1841–1903) was an engineer from Harrowmouth. She designed Gull Point Light and two bridges.
Thought 2: The lighthouse is Gull Point Light. Its own page should name the year.
Action 2: Search[Gull Point Light]
Observation 2: Gull Point Light is a lighthouse on the Isle of Tarn. It was first lit in 1879.
Thought 3: It was first lit in 1879.
Action 3: Finish[1879]
Observation 3: Answer is CORRECT"""

_LOOKUP = """\
Question: Which instrument does the founder of the Quillon Ensemble play?
Thought 1: I need the founder of the Quillon Ensemble, and then the instrument.
Action 1: Search[founder of the Quillon Ensemble]
Observation 1: Could not find [founder of the Quillon Ensemble]. Similar: ['Quillon Ensemble', 'Quillon Hall']
Thought 2: A title has to be exact. The first of these is the one.
Action 2: Search[Quillon Ensemble]
Observation 2: The Quillon Ensemble is a chamber group. It has recorded nine albums. Mirek Aldous founded it in 1988.
Thought 3: I make sure who founded it.
Action 3: Lookup[founded]
Observation 3: (Result 1 / 1) Mirek Aldous founded it in 1988.
Thought 4: The founder is Mirek Aldous. I need the instrument.
Action 4: Search[Mirek Aldous]
Observation 4: Mirek Aldous is a viola player and teacher. He lives in Harrowmouth.
Thought 5: Mirek Aldous plays the viola.
Action 5: Finish[viola]
Observation 5: Answer is CORRECT"""

_COMPARISON = """\
Question: Are the Dunmere Gazette and the Sallow Review published in the same town?
Thought 1: I need the town of each of the two, beginning with the Dunmere Gazette.
Action 1: Search[Dunmere Gazette]
Observation 1: The Dunmere Gazette is a daily newspaper. It is published in Port Ansel.
Thought 2: The Gazette is published in Port Ansel. Now the Sallow Review.
Action 2: Search[Sallow Review]
Observation 2: The Sallow Review is a literary magazine. It is published in Wick.
Thought 3: Port Ansel and Wick are two towns, so the answer is no.
Action 3: Finish[no]
Observation 3: Answer is CORRECT"""

HOTPOTQA_PROMPT = TaskPrompt(_INSTRUCTION, (_BRIDGE, _LOOKUP, _COMPARISON))
"""Instruction and three worked examples: a bridge question, a search that fails at first, a comparison."""
