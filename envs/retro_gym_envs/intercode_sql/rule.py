"""Fixed rules that derive a reflection from the observation of a failure alone.

In a database with comments: where several names fit the head of what the question asks for, the one whose comment
stands in the question word for word. Without comments: what a question's usual words say about SQL.
"""

from __future__ import annotations

import re

from retro_gym_envs.intercode_sql.advice import sentence
from retro_gym_envs.intercode_sql.comments import Notes, fitting, read_notes
from retro_gym_envs.intercode_sql.observations import Schema, mentions, read_schema, words_of
from retro_gym_envs.intercode_sql.plans import SLOTS
from retro_gym_envs.intercode_sql.steps import Steps, spelled_out
from retro_gym_envs.scripted_actor import parts_at_question

__all__ = ["overlooked", "reflect", "simple_steps"]

_HIGH = r"\b(?:most|highest|largest|greatest|maximum|oldest|longest|biggest|latest)\b"
_LOW = r"\b(?:least|lowest|smallest|fewest|minimum|youngest|shortest|earliest)\b"
_EACH = r"\b(?:each|every|per)\b"
_AGGREGATES = {
    "average": r"\b(?:average|mean)\b",
    "total": r"\btotal\b",
    "highest": r"\b(?:maximum|highest|largest)\b",
    "lowest": r"\b(?:minimum|lowest|smallest)\b",
    "number": r"\b(?:number of|how many) (?:different|distinct)\b",
}
_QUOTED = re.compile(r"['\"]([^'\"]+)['\"]")


def reflect(observation: str) -> str:
    """Returns a reflection on the failure that an observation shows; empty if no rule applies."""
    _, question, turns = parts_at_question(observation)
    notes = read_notes(turns)
    if any(notes.tables.values()):
        return sentence(names, notes.phrases()) if (names := overlooked(question, notes)) else ""
    return spelled_out(simple_steps(question, read_schema(turns)))


def overlooked(question: str, notes: Notes) -> dict[str, str]:
    """Returns the right name for each slot that several names fit, in the order of the slots.

    >>> notes = Notes(tables={"dalor": "wines on loan", "vikum": "wines in stock", "brelum": "codes"})
    >>> overlooked("List the price of all wines in stock.", notes)
    {'table': 'vikum'}
    """
    fits, phrases = fitting(question, notes), notes.phrases()
    found = {}
    for slot in SLOTS:
        names = fits.get(slot, ())
        right = [name for name in names if re.search(rf"\b{re.escape(phrases[name])}\b", question)]
        if len(names) > 1 and right:
            found[slot] = right[0]
    return found


def simple_steps(question: str, schema: Schema) -> Steps:
    """Returns what the usual words of a question ask for, in terms of the columns that were seen."""
    described = [table for table in schema.tables if schema.columns.get(table)]
    if not described:
        return Steps()
    words = words_of(question)
    main = (mentions(described, words) or described)[0]
    named = mentions(schema.names(main), words)
    others = [table for table in described if table != main]
    join, joined = None, []
    for other in others:
        key = next((name for name in schema.names(other) if name in schema.names(main)), None)
        elsewhere = [name for name in mentions(schema.names(other), words, partly=False) if name not in named]
        if key and elsewhere:
            join, joined = (other, key, key), elsewhere
            break
    numeric = [
        name for name, type_ in schema.columns[main] if name in named and not type_.startswith(("text", "varchar"))
    ]
    texts = [name for name in named if name not in numeric]
    quoted = _QUOTED.search(question)
    rows = ((texts[-1], "equal to", quoted[1]),) if quoted and texts else ()
    if re.search(_EACH, question) and texts:
        return Steps(table=main, join=join, group=texts[0], select=(texts[0],), count=True)
    aggregates = tuple((name, numeric[0]) for name, cue in _AGGREGATES.items() if numeric and re.search(cue, question))
    order = next((side for side, cue in (("descending", _HIGH), ("ascending", _LOW)) if re.search(cue, question)), None)
    if order and numeric and texts:
        return Steps(table=main, join=join, select=tuple(texts[:2]), order=(numeric[0], order), first=1)
    if aggregates:
        return Steps(table=main, join=join, aggregate=aggregates, rows=rows)
    return Steps(table=main, join=join, select=tuple(named[:3]) + tuple(joined[:1]), rows=rows)
