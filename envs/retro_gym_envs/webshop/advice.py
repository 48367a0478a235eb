"""What the reflections in a prompt want of a decision in the shop: which of the things on a page they speak for."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from retro_gym_envs.asides import is_bare
from retro_gym_envs.english.lexicon import CHOOSING
from retro_gym_envs.english.stance import Stance, read_clauses
from retro_gym_envs.english.wishes import is_confusing, read_wishes
from retro_gym_envs.misplaced import misplaced_with
from retro_gym_envs.replacements import reworded
from retro_gym_envs.webshop.departments import ATTRIBUTES, DEPARTMENTS, OPTIONS

__all__ = ["Advice", "advice_on", "ids_in", "quoted_query"]

_MEANING = "|".join(
    sorted(
        {
            *ATTRIBUTES,
            *OPTIONS,
            *(value for values in OPTIONS.values() for value in values),
            *(name for each in DEPARTMENTS for name in (*each.materials, *each.kinds)),
        },
        key=len,
        reverse=True,
    )
)
_ABOUT = re.compile(
    r"(?<![\w-])(?:search\w*|quer\w+|type\w*|enter\w*|look\w*|find\w*|found|open\w*|click\w*|visit\w*|view\w*|go|goes|"
    r"choos\w*|chose\w*|pick\w*|select\w*|tak\w+|took|us(?:e|ing|ed)|buy\w*|bought|purchas\w*|order\w*|get|getting|"
    r"need\w*|want\w*|require\w*|right|correct|answer|instead|tr(?:y|ied|ying)|settl\w+|opt\w*|prefer\w*|product\w*|"
    r"item\w*|listing\w*|maker\w*|brand\w*|made|option\w*|variant\w*|value\w*|word\w*|term\w*|"
    r"match\w*|fit\w*|colou?rs?|sizes?|finish\w*|flavou?rs?|scents?|sets?|plugs?|shapes?|shop\w*|should|must|"
    r"review\w*|cart|basket|add|stick|proceed\w*|work(?:s|ed)?|succeed\w*|sold|sells?|list(?:s|ed)|feature\w*|the one|"
    r"instruction|ask(?:s|ed)?|customer\w*|consider\w*|overlook\w*|miss(?:ed)?|key|seller\w*|after|how about|"
    r"what about|go with|gone|went (?:for|with)|avoid\w*|skip\w*|ignor\w*|exclud\w*|reject\w*|rul\w+ out|wrong|mistake|"
    r"next time|this time|from now on|no more|all along|navigat\w*|inspect\w*|switch\w*|swap\w*|head(?:ing)? (?:over )?"
    r"(?:to|for)|tap|(?:pull|bring)\w*(?: up)?|grab\w*|ids?|asin|budget|favou?r|decid\w*|hit|press|mark|tick|make it|"
    r"have it(?: \w+)? in|configur\w*|toggl\w*|activat\w*|request\w*|seek\w*|hunt\w*|enquir\w*|inquir\w*|google|"
    r"brows\w*|access\w*|load\w*|display\w*|show(?:s|ed)?|list|remedy|solution|cure|page|link|button|keyword\w*|supplier|"
    r"manufacturer|vendor|producer|attention|mind|choice|yes|good|success|depend\w*|recommend\w*|suggest\w*|advi[cs]e|help\w*|point\w*|"
    r"(?:it|they|people|this|that) (?:\w+ ){0,2}?(?:call|name|term)(?:s|ed)?|"
    r"(?:call|name)s? (?:it|them|this|that|these|those)|"
    rf"{'|'.join(CHOOSING)}|{_MEANING})(?![\w-])"
)
"""Words that a sentence about a purchase contains."""
_FITS = re.compile(
    r"(?<![\w-])(?:right|correct|proper|answer|key|what|call\w*|names?|named|means?|meant|stands?|match\w*|fit\w*|suit\w*|"
    r"want\w*|need\w*|require\w*|ask\w*|sought|after|for|one|made by|sold|sells?|offer\w*|goes by|refers?|instruction|"
    r"customer|describ\w*|maker|brand|seller|product|item|listing|word|term|query|option|variant|value|choice|works?|"
    r"worked|success|depend\w*|recommend\w*|suggest\w*|advi[cs]e|review\w*|feature\w*|budget|"
    r"price|requirement\w*|id|under|supplier|manufacturer|vendor|producer|remedy|solution|cure|"
    r"(?:i|we|you|to|a|will|should|must|not|just|then) (?:search|open|visit|view|click|buy|choose|pick|select|take|use|"
    rf"get|try|order|purchase|go)|{_MEANING})(?![\w-])"
)
"""Words of a clause that tells of a name something that bears on the purchase."""
_PLAIN = tuple(sorted({*ATTRIBUTES, "brushed", "varnished", "unscented"}))
"""What names stand for, as far as it could be taken for a verb (``quilted`` is no report)."""
_without_misplaced = misplaced_with(ATTRIBUTES)


@dataclasses.dataclass(frozen=True)
class Advice:
    """What the reflections say on one decision."""

    wanted: tuple[str, ...] = ()
    shunned: tuple[str, ...] = ()
    confused: bool = False
    """They speak for more things than one decision can use, or of too many."""


def advice_on(notes: Sequence[str], names: Sequence[str] | Mapping[str, str]) -> Advice:
    """Returns what the latest reflection that names one of several things says on the choice between them.

    Args:
        notes: the reflections, the latest one last.
        names: the names of the things; or the things by name, if one has several names.

    >>> advice_on(["I chose teal. Next time choose navy."], ["teal", "navy", "coral"])
    Advice(wanted=('navy',), shunned=(), confused=False)
    >>> advice_on(["Choose teal, navy and coral."], ["teal", "navy", "coral"]).confused
    True
    """
    things = tuple(names.items()) if isinstance(names, Mapping) else tuple((name, name) for name in names)
    read = (_advice_in(note, things) for note in reversed(notes))
    return next((advice for advice in read if advice != Advice()), Advice())


@lru_cache(maxsize=8_192)  # the actor reads its prompt anew in every turn
def _advice_in(note: str, things: tuple[tuple[str, str], ...]) -> Advice:
    """Returns what one reflection says."""
    named = dict(things)
    if is_bare(note, tuple(named)):
        return Advice()
    text = reworded(_without_misplaced(note, tuple(named)), tuple(named), _ABOUT)
    names = (*named, *(each for each in _PLAIN if each not in named))
    wishes = read_wishes(text, names, about=_ABOUT)
    fits = read_wishes(text, names, about=_FITS).wanted
    wanted = tuple(name for name in wishes.asked(named) if name not in wishes.stated or name in fits)
    spoken_of = (*wanted, *wishes.shunned, *wishes.contradicted)
    wanted, shunned, spoken_of = (
        tuple(dict.fromkeys(named[name] for name in each if name in named))
        for each in (wanted, wishes.shunned, spoken_of)
    )
    return Advice(confused=True) if is_confusing(wanted, spoken_of) else Advice(wanted, shunned)


_QUERY = re.compile(r"""\b(?:search|query)(?:ing)?(?: for| with)? ?(?:"([^"]+)"|\[([^\]]+)\])""")
_ID = re.compile(r"\b(?=[a-z0-9]*\d)(?=[a-z0-9]*[a-z])[a-z0-9]{5,10}\b")


def quoted_query(notes: Sequence[str]) -> str | None:
    """Returns the query that the latest reflection tells in quotes.

    >>> quoted_query(['Search for "watering cans", then open the second one.'])
    'watering cans'
    """
    found = next((match for text in _instructions(notes) if (match := _QUERY.search(text))), None)
    return found and (found[1] or found[2])


def ids_in(notes: Sequence[str]) -> list[str]:
    """Returns the words that look like a product's id, in lower case, from the latest reflection on.

    >>> ids_in(["Do not open B00017. Open B00204."])
    ['b00204']
    """
    return [word for text in _instructions(notes) for word in _ID.findall(text)]


def _instructions(notes: Sequence[str]) -> list[str]:
    """Returns the clauses that speak for what they name, those of the latest reflection first."""
    return [each.text for note in reversed(notes) for each in read_clauses(note) if each.stance is Stance.FOR]
