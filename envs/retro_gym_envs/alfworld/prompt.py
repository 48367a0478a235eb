"""The ALFWorld actor's prompt: instruction and worked examples. The rooms in it are invented."""

from __future__ import annotations

from retro_gym.prompts import TaskPrompt

__all__ = ["ALFWORLD_PROMPT"]

_INSTRUCTION = """\
You are in a room and have a household task to do. Work in turns. In each turn you may write a line that begins with \
Thought, and you must write a line with an Action. The Observation that follows is given to you. \
You can carry one thing at a time. These are the actions:
go to (receptacle), open (receptacle), close (receptacle), take (object) from (receptacle), \
move (object) to (receptacle), clean (object) with (receptacle), heat (object) with (receptacle), \
cool (object) with (receptacle), use (object), examine (something), inventory, look.
Call things by their names and numbers, such as: take mug 1 from shelf 2. What is not possible is answered by: Nothing \
happens.\
"""

_CLEAN = """\
You are in the middle of a room. Looking quickly around you, you see a cabinet 1, a countertop 1, a drawer 1, and a \
sinkbasin 1.
Your task is to: put a clean fork in drawer.
Thought 1: I need a fork. Then I clean it with the sinkbasin 1 and put it in the drawer 1.
Action 1: go to cabinet 1
Observation 1: You arrive at cabinet 1. The cabinet 1 is closed.
Action 2: open cabinet 1
Observation 2: You open the cabinet 1. The cabinet 1 is open. In it, you see a plate 1.
Thought 3: There is no fork here. I go on.
Action 3: go to countertop 1
Observation 3: You arrive at countertop 1. On the countertop 1, you see a fork 1, and a bread 1.
Action 4: take fork 1 from countertop 1
Observation 4: You pick up the fork 1 from the countertop 1.
Action 5: go to sinkbasin 1
Observation 5: You arrive at sinkbasin 1. On the sinkbasin 1, you see nothing.
Action 6: clean fork 1 with sinkbasin 1
Observation 6: You clean the fork 1 using the sinkbasin 1.
Action 7: go to drawer 1
Observation 7: You arrive at drawer 1. The drawer 1 is closed.
Action 8: open drawer 1
Observation 8: You open the drawer 1. The drawer 1 is open. In it, you see nothing.
Action 9: move fork 1 to drawer 1
Observation 9: You move the fork 1 to the drawer 1."""

_LIGHT = """\
You are in the middle of a room. Looking quickly around you, you see a bed 1, a desk 1, and a shelf 1.
Your task is to: look at book under the desklamp.
Action 1: go to bed 1
Observation 1: You arrive at bed 1. On the bed 1, you see a pillow 1, and a book 1.
Action 2: take book 1 from bed 1
Observation 2: You pick up the book 1 from the bed 1.
Thought 3: Now I need the desklamp, with the book in my hand.
Action 3: go to desk 1
Observation 3: You arrive at desk 1. On the desk 1, you see a desklamp 1, and a pen 1.
Action 4: use desklamp 1
Observation 4: You turn on the desklamp 1."""

ALFWORLD_PROMPT = TaskPrompt(_INSTRUCTION, (_CLEAN, _LIGHT))
"""Instruction and two worked examples: an object to be cleaned and put away, and one to be examined under a lamp."""
