"""Parses a model's output into thought and action."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from retro_gym.actors.brackets import closing_bracket
from retro_gym.actors.reasoning import INVISIBLE, split_reasoning

__all__ = ["cut_at", "has_whole_action", "parse_reply", "split_reasoning"]

# Markup that chat models put around a label: list, heading and quote marks before it, emphasis on both sides. The
# quantifiers are possessive, so that long runs cause no catastrophic backtracking.
_GAP = r"[^\S\r\n]"  # any space within a line, no-break ones included
_MARKS = rf"{_GAP}*+(?:(?:[-*+•>]|#{{1,6}}|\d{{1,3}}[.)]){_GAP}++)*(?:[^\x00-\x7f\w\s]++{_GAP}*+)?"  # and an emoji
_EMPHASIS = r"[*_`~]*+"
_NUMBER = rf"{_GAP}*+(?:[#(]{_GAP}*+)?\d*+\)?"
_THOUGHTS = (
    "thoughts?|thinking|reasoning|rationale|analysis|reflection|explanation|plan"  # "think:" is ALFWorld's action
)
_ACTIONS = rf"(?:(?:next|final|chosen|selected|my){_GAP})?action"


def _labels(names: str, *others: str) -> re.Pattern[str]:
    """Returns a pattern of lines that begin with a label: with a colon, or alone as a heading or with a number."""
    with_colon = (
        rf"{_MARKS}(?P<open>[*_`~]*+\[?)(?:{names})(?P<early>{_EMPHASIS}){_NUMBER}"
        rf"(?P<close>\]?{_EMPHASIS}{_GAP}*+[:：]{_EMPHASIS})"
    )
    heading = rf"{_GAP}*+(?:#{{1,6}}{_GAP}++{_EMPHASIS}|[*_]++)(?:{names}){_NUMBER}[*_]*+{_GAP}*+\r?$"
    numbered = rf"{_GAP}*+(?:{names}){_GAP}*+\d++{_GAP}*+\r?$"
    return re.compile(rf"^(?:{'|'.join((with_colon, heading, numbered, *others))})", re.MULTILINE | re.IGNORECASE)


# Also with another mark than a colon, or with none if an action in brackets follows.
_ACTION = _labels(_ACTIONS, rf"{_GAP}*+action{_GAP}++\d++(?:{_GAP}*+[-–—.)]{_GAP}++|{_GAP}++(?=\w++ ?\[))")
_THOUGHT = _labels(_THOUGHTS)
_OBSERVATION = _labels("observation")
_NEXT = _labels(f"{_ACTIONS}|observation|{_THOUGHTS}")
_TURN = _labels("action|observation|thought")  # within brackets: a query's comment may hold the other words
# On the thought's own line, where a sentence or a part of one has just ended.
_INLINE = re.compile(
    rf"(?<=[.,!?:;)\"'*]){_GAP}++(?P<open>{_EMPHASIS})Action(?P<early>){_NUMBER}"
    rf"(?P<close>{_EMPHASIS}[:：]{_EMPHASIS})"
)
_OBSERVED = re.compile(r"\sObservation \d++:")  # on the action's own line
_INPUT = re.compile(rf"\s*+{_MARKS}{_EMPHASIS}Action[ _]?Input{_EMPHASIS}{_GAP}*+[:：]{_EMPHASIS}", re.IGNORECASE)
_TAGGED = re.compile(r"<action>(.*?)</action>", re.DOTALL | re.IGNORECASE)

_FENCE = re.compile(r"^[ \t]*+[`~]{3,}+[\w+-]*+[ \t]*+\r?(?:\n|\Z)", re.MULTILINE)
_BLANK = re.compile(rf"(?:[ \t]*+\r?\n|{_FENCE.pattern.removeprefix('^')})*")
_FENCE_MARK = re.compile(r"[`~]{3}")
_OPENED_FENCE = re.compile(r"[`~]{3,}+(?:[\w+-]*+[ \t]*+\r?\n|(?:sql|mysql|sqlite)\s++)?", re.IGNORECASE)
_QUOTES = "\"'“”‘’"
# The head of an action in brackets: enclosing markup, the name, and marks or a space before the bracket.
_HEAD = re.compile(
    rf"(?P<before>(?:[ \t]*+\\boxed\{{)?[ \t>*_`~(\[{{<=$→«{_QUOTES}{INVISIBLE}-]*+)(?P<name>\w*[^\W_])[*_`~]*+ ?\["
)
_LED_TO = re.compile(r"(?<=:)[ \t]++(?=\w++\[)")  # an action that follows a colon in the last line
_MARK = re.compile(r"`++|\*{1,3}+|_{1,3}+|~~")
_LANGUAGE = re.compile(r"\s*+(?:my)?sql(?:ite)?[ \t]*+\r?\n", re.IGNORECASE)
_ENCLOSING = re.compile(r"\*\*|[\"'`]")
_ESCAPED = re.compile(r"'[^']*+'|\"[^\"]*+\"|\\([_*])")  # outside of quotes, where SQL has escapes of its own
_MARKED_END = re.compile(r"([a-z][a-z ]*+)(`|\*\*)([^`*\n]++)\2")  # go to `desk 1`
_COMMAND = re.compile(r"([a-z]++)(?:[.!]|\(\))|([a-z][a-z0-9 ]*+)(?:;|(?<=\d)!)")  # with punctuation to be removed
_LIST_MARKS = re.compile(r"(?:(?:[-*•>]|\d{1,2}[.)])[ \t]++)+")


class _Action(NamedTuple):
    """An action, and whether it is complete."""

    text: str
    whole: bool


class _Parts(NamedTuple):
    thought: str
    action: _Action


def parse_reply(text: str) -> tuple[str, str]:
    r"""Splits a ReAct reply into thought and action.

    The action follows the first label ``Action`` and extends to the end of the line. If a bracket opens there, as in
    ``execute[…``, the action extends to its closing bracket, also over several lines; remarks after it are ignored.
    The label may be in upper or lower case, emphasised, a heading, a list item, or on the line before the action.
    Markup around an action or its whole argument (emphasis, quotes, back-ticks, code fences, a final full stop) and
    Markdown escapes are removed; all other text between the brackets is kept as it is.

    Without a label, an action in brackets at the beginning, at the end or on a line of its own is the action, otherwise
    the whole reply. If the reply labels a thought but no action, only an action in brackets in one of these places
    counts.

    >>> parse_reply("Thought 2: I know it.\nAction 2: Finish[1934]")
    ('I know it.', 'Finish[1934]')
    >>> parse_reply("**Thought:** Which tables?\n\n**Action:**\n```sql\nexecute[SELECT a\nFROM b]\n```")
    ('Which tables?', 'execute[SELECT a\nFROM b]')
    >>> parse_reply("Thought 3: I should read the page first.")
    ('I should read the page first.', '')
    >>> parse_reply("Finish[1934]")
    ('', 'Finish[1934]')
    """
    thought, action = _parts(text)
    return thought, action.text


def has_whole_action(text: str) -> bool:
    r"""Whether a reply holds a complete action, even if the reply was truncated.

    An action is complete when its bracket is closed, or, if labelled and without brackets, when its line has ended.

    >>> has_whole_action("Action 1: Finish[yes]"), has_whole_action("Action 1: Finish[ye")
    (True, False)
    >>> has_whole_action("Action 1: go to desk 1\n"), has_whole_action("Action 1: go to desk 1")
    (True, False)
    """
    action = _parts(text).action
    return bool(action.text) and action.whole


def cut_at(text: str, stop: Sequence[str]) -> str:
    """Returns the text before the first occurrence of a stop text.

    >>> cut_at("Finish[yes] and so on", ("so", " and"))
    'Finish[yes]'
    """
    found = [at for end in stop if end and (at := text.find(end)) >= 0]
    return text[: min(found)] if found else text


def _parts(text: str) -> _Parts:
    label = _ACTION.search(text) or _INLINE.search(text)
    if label is not None:
        return _Parts(_thought(text[: label.start()]), _labelled(text, label))
    if "</action>" in text.lower() and (tagged := _TAGGED.search(text)):
        inside = tagged[1].strip()
        return _Parts(_thought(text[: tagged.start()]), _bracketed(inside) or _Action(_plain(inside), whole=True))
    seen = _OBSERVATION.search(text)
    body = text[: seen.start()] if seen and text[: seen.start()].strip() else text
    return _unlabelled(body)


def _labelled(text: str, label: re.Match[str]) -> _Action:
    """Returns the action after a label."""
    opened, closed = "" if label["early"] else (label["open"] or "").rstrip("["), (label["close"] or "").lstrip("]")
    colon = closed.rstrip("*_`~")
    behind = closed[len(colon) :]
    start = label.end() if behind == opened else label.end() - len(behind)  # else the emphasis is the action's own
    unclosed = opened if len(colon.strip()) == 1 and behind != opened else ""
    start = _behind_blanks(text, start)
    if again := _ACTION.match(text[start:]):
        start = _behind_blanks(text, start + again.end())
    following = (_TURN if _HEAD.match(text, start) else _NEXT).search(text, start)
    block = text[start : following.start()] if following else text[start:]
    bracketed = _bracketed(block)
    if bracketed is not None:
        return bracketed._replace(whole=True)
    line, ended, rest = block.partition("\n")
    action = _plain(_OBSERVED.split(line, maxsplit=1)[0].strip().removesuffix(unclosed))
    given = _INPUT.match(rest)
    if given and re.fullmatch(r"\w+", action) and (argument := _argument(rest[given.end() :].strip())):
        return _Action(f"{action}[{argument}]", whole=following is not None)
    return _Action(action, whole=(bool(ended) or following is not None) and not _HEAD.match(line))


def _behind_blanks(text: str, start: int) -> int:
    blank = _BLANK.match(text, start)
    return blank.end() if blank else start


def _unlabelled(body: str) -> _Parts:
    """Parses a reply without an action label: all of it is the action, unless it has one in brackets or a thought."""
    bare = _FENCE.sub("", body).strip()
    first = _bracketed(bare)
    if first is not None:
        return _Parts("", first)
    before, *fenced = _FENCE.split(body)
    if len(fenced) > 1 and (only := _bracketed(fenced[0], to_the_end=True)) and not any(fenced[2::2]):
        return _Parts(_thought(before), only)
    lines = bare.splitlines(keepends=True)
    for number in range(len(lines) - 1, 0, -1):  # the last line, or the last few if the brackets span lines
        if _HEAD.match(lines[number]):
            last = _bracketed("".join(lines[number:]), to_the_end=True)
            if last is not None:
                return _Parts(_thought("".join(lines[:number])), last)
            break
    alone = [number for number, line in enumerate(lines) if _HEAD.match(line) and _bracketed(line, to_the_end=True)]
    if len(alone) == 1 and (only := _bracketed(lines[alone[0]])):
        return _Parts(_thought("".join(lines[: alone[0]])), only)
    if lines and not _THOUGHT.match(lines[-1]) and (led := _LED_TO.search(lines[-1])):
        last = _bracketed(lines[-1][led.end() :], to_the_end=True)
        if last is not None:
            return _Parts(_thought("".join(lines[:-1]) + lines[-1][: led.start()]), last)
    if _THOUGHT.search(body):
        return _Parts(_thought(body), _Action("", whole=False))
    return _Parts("", _Action(_plain(_unfenced(body)), whole=False))


def _bracketed(block: str, *, to_the_end: bool = False) -> _Action | None:
    """Returns the action in brackets at the start of a block; None if there is none or its bracket is never closed.

    It counts as complete if its bracket ends the line. With ``to_the_end`` it must end the text.
    """
    head = _HEAD.match(block)
    if head is None:
        return None
    before = head["before"]
    closers = "".join(
        ("" if set(_QUOTES).isdisjoint(before) else _QUOTES, "]" * ("[" in before), "}" * ("{" in before))
    )
    after = _after(closers, to_the_end=to_the_end)
    end = closing_bracket(block, head.end(), after, before.count("["))
    if end is None:
        return None
    whole = after.match(block, end + 1) is not None
    if to_the_end and not whole:
        return None
    inside = block[head.end() : end]
    return _Action(f"{head['name']}[{_argument(inside)}]", whole)


def _argument(inside: str) -> str:
    """Returns an action's argument without enclosing markup and Markdown escapes."""
    inside = _unfenced(inside) if _FENCE_MARK.search(inside) else inside
    named = _LANGUAGE.match(inside)
    inside = inside[named.end() :] if named else inside
    marks = _ENCLOSING.match(inside)
    if marks and inside.endswith(marks[0]) and marks[0] not in (kept := inside[marks.end() : -marks.end()]) and kept:
        inside = kept
    return _ESCAPED.sub(lambda found: found[1] or found[0], inside) if "\\" in inside else inside


@cache
def _after(closers: str, *, to_the_end: bool) -> re.Pattern[str]:
    """Returns a pattern of what may follow an action in brackets, up to the end of the line or of the text."""
    end = r"\s*\Z" if to_the_end else r"\r?$"
    return re.compile(rf"[ \t.;,!*_`~){re.escape(closers)}]*+{end}", re.MULTILINE)


def _plain(action: str) -> str:
    """Returns an action without brackets, with enclosing markup removed."""
    while True:
        bare = action.strip().strip(INVISIBLE)
        marks = _LIST_MARKS.match(bare)
        bare = _unwrapped(bare[marks.end() :] if marks else bare)
        marked = _MARKED_END.fullmatch(bare)
        bare = marked[1] + marked[3] if marked else bare
        command = _COMMAND.fullmatch(bare)
        bare = (command[1] or command[2]) if command else bare
        if bare == action:
            return bare
        action = bare


def _unwrapped(line: str) -> str:
    """Removes emphasis or back-ticks around a whole line, and punctuation after them."""
    mark = _MARK.match(line)
    if mark is None:
        return line
    body = line if line.endswith(mark[0]) else line[:-1] if line[-1] in ".;,!" else ""
    inside = body[mark.end() : -mark.end()] if body.endswith(mark[0]) else ""
    return line if not inside or mark[0] in inside or "\n" in inside else inside


def _unfenced(text: str) -> str:
    text = text.strip()
    opened, body = _OPENED_FENCE.match(text), text.rstrip("`~")
    return body[opened.end() :].strip() if opened and opened.end() <= len(body) <= len(text) - 3 else text


def _thought(text: str) -> str:
    """Returns a thought on one line, without its label."""
    emphasised = _THOUGHT.match(text.lstrip())
    thought = " ".join(_FENCE.sub("", _THOUGHT.sub("", text)).split())
    if emphasised and emphasised["open"] and thought.endswith(emphasised["open"]) and thought.count("**") % 2:
        thought = thought.removesuffix(emphasised["open"])
    return thought
