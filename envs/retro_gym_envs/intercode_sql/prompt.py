"""The SQL actor's prompt: instruction and worked examples. The databases in it are invented."""

from __future__ import annotations

from retro_gym.prompts import TaskPrompt

__all__ = ["INTERCODE_SQL_PROMPT"]

_INSTRUCTION = """\
Answer the question by queries to a MySQL database. You do not know its tables yet. Work in turns. In each turn write \
two lines: a Thought, in which you say what you know by now and what is still missing, and an Action. The Observation \
that follows is given to you. There are two actions:
execute[SQL] runs one statement, such as SHOW TABLES, DESC table or SELECT …, and shows its rows. You may only read. \
What tables and columns stand for may be told by their comments in information_schema.tables and .columns.
submit hands in the rows of the last execute as your answer and ends the task. They must be just what was asked for: \
the right columns and rows, in the right order.\
"""

_LOOKUP = """\
Question: Give the opening year of the mill called Oskarra.
Thought 1: I need to know which tables there are.
Action 1: execute[SHOW TABLES]
Observation 1: [('millers',), ('mills',)]
Thought 2: mills should be the one. I look at its columns.
Action 2: execute[DESC mills]
Observation 2: [('mill_id', 'int', 'NO', 'PRI', None, ''), ('label', 'text', 'YES', '', None, ''), \
('opened', 'int', 'YES', '', None, ''), ('miller_id', 'int', 'YES', 'MUL', None, '')]
Thought 3: The year should be in opened.
Action 3: execute[SELECT opened FROM mills WHERE label = 'Oskarra']
Observation 3: [(1874,)]
Thought 4: That is the answer.
Action 4: submit
Observation 4: STATUS: OK"""

_JOIN = """\
Question: How many mills belong to millers from the town Grentum?
Thought 1: I need to know which tables there are.
Action 1: execute[SHOW TABLES]
Observation 1: [('millers',), ('mills',)]
Thought 2: The town will be with the millers.
Action 2: execute[DESC millers]
Observation 2: [('miller_id', 'int', 'NO', 'PRI', None, ''), ('surname', 'text', 'YES', '', None, ''), \
('town', 'text', 'YES', '', None, '')]
Thought 3: mills should know its miller by the same column. I join the two.
Action 3: execute[SELECT COUNT(*) FROM mills JOIN millers ON mills.miller = millers.miller_id WHERE town = 'Grentum']
Observation 3: Error executing query: Unknown column 'mills.miller' in 'on clause'
Thought 4: That column has another name. It should be miller_id.
Action 4: execute[SELECT COUNT(*) FROM mills JOIN millers ON mills.miller_id = millers.miller_id \
WHERE town = 'Grentum']
Observation 4: [(2,)]
Thought 5: That is the answer.
Action 5: submit
Observation 5: STATUS: OK"""

INTERCODE_SQL_PROMPT = TaskPrompt(_INSTRUCTION, (_LOOKUP, _JOIN))
"""Instruction and two worked examples: a value that is looked up, and a join that goes wrong at first."""
