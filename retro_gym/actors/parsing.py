"""From what a model writes to its thought and its action."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from retro_gym.actors.reasoning import split_reasoning

__all__ = ["cut_at", "has_whole_action", "parse_reply", "split_reasoning"]

# What chat models put around a label: the marks of lists, headings and quotes before it, emphasis on both sides.
_MARKS = r"[ \t]*(?:(?:[-*+•>]|#{1,6}|\d{1,3}[.)])[ \t]+)*"
_EMPHASIS = r"[*_`~]*"
_NUMBER = r"[ \t]*(?:[#(][ \t]*)?\d*\)?"
_THOUGHTS = (
    "thoughts?|thinking|reasoning|rationale|analysis|reflection|explanation|plan"  # "think:" is ALFWorld's action
)


def _labels(names: str) -> re.Pattern[str]:
    """Lines that begin with one of some labels: with a colon, or alone on the line as a heading or with a number."""
    with_colon = rf"{_MARKS}(?P<open>{_EMPHASIS})(?:{names}){_NUMBER}(?P<close>{_EMPHASIS}[ \t]*[:：]{_EMPHASIS})"
    heading = rf"[ \t]*(?:#{{1,6}}[ \t]+{_EMPHASIS}|[*_]+)(?:{names}){_NUMBER}[*_]*[ \t]*\r?$"
    numbered = rf"[ \t]*(?:{names})[ \t]*\d+[ \t]*\r?$"
    return re.compile(rf"^(?:{with_colon}|{heading}|{numbered})", re.MULTILINE | re.IGNORECASE)


_ACTION = _labels("action")
_THOUGHT = _labels(_THOUGHTS)
_OBSERVATION = _labels("observation")
_NEXT = _labels(f"action|observation|{_THOUGHTS}")
# On the thought's own line, where a sentence has just ended.
_INLINE = re.compile(
    rf"(?<=[.!?:;)\"'*])[ \t]+(?P<open>{_EMPHASIS})Action{_NUMBER}(?P<close>{_EMPHASIS}[:：]{_EMPHASIS})"
)
_INPUT = re.compile(rf"\s*{_MARKS}{_EMPHASIS}Action[ _]?Input{_EMPHASIS}[ \t]*[:：]{_EMPHASIS}", re.IGNORECASE)

_FENCE = re.compile(r"^[ \t]*[`~]{3,}[\w+-]*[ \t]*\r?(?:\n|\Z)", re.MULTILINE)
_BLANK = re.compile(rf"(?:[ \t]*\r?\n|{_FENCE.pattern.removeprefix('^')})*")
_FENCE_MARK = re.compile(r"[`~]{3}")
_FENCED = re.compile(
    r"\s*[`~]{3,}(?:[\w+-]*[ \t]*\r?\n|(?:sql|mysql|sqlite)\s+)?(.*?)\s*[`~]{3,}\s*", re.DOTALL | re.IGNORECASE
)
_QUOTES = "\"'“”‘’"
_HEAD = re.compile(rf"[ \t>*_`~({_QUOTES}-]*(?P<name>\w+ ?\[)")  # of an action in brackets, with what may enclose it
_WRAPPED = re.compile(r"(?P<mark>`+|\*{1,3}|_{1,3}|~~)(?P<inside>[^\n]+?)(?P=mark)[.;,!]?")
_TELLING, _QUOTED_TELLING = re.compile(r"[\[\]]"), re.compile(r"[\[\]'\"`]")
_WORD_AND_STOP = re.compile(r"[a-z]+\.")
_LIST_MARK = re.compile(r"[-*•>][ \t]+")


class _Action(NamedTuple):
    """An action, and whether its end is there."""

    text: str
    whole: bool


class _Parts(NamedTuple):
    thought: str
    action: _Action


def parse_reply(text: str) -> tuple[str, str]:
    r"""Splits a ReAct reply into thought and action.

    The action is what follows the first label ``Action``, to the end of its line. Where a bracket opens there, as in
    ``execute[…``, it goes on to the one that closes it, on whatever line. The label may be written as chat models like
    to: in any case, emphasised, as a heading, in a list, with the action on the next line; and what encloses an action
    (emphasis, back-ticks, code fences, a full stop after its bracket) is no part of it. What stands inside brackets is,
    but for a code fence around all of it.

    Without a label the whole reply is the action, or else the action in brackets that it begins or ends with. A reply
    whose only label is that of a thought holds no action, unless it ends with one in brackets.

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
    r"""Whether the action of a reply is all there, even if the reply was cut at its end.

    It is when the action's bracket is closed, or, for a labelled action without brackets, when its line has ended.

    >>> has_whole_action("Action 1: Finish[yes]"), has_whole_action("Action 1: Finish[ye")
    (True, False)
    >>> has_whole_action("Action 1: go to desk 1\n"), has_whole_action("Action 1: go to desk 1")
    (True, False)
    """
    action = _parts(text).action
    return bool(action.text) and action.whole


def cut_at(text: str, stop: Sequence[str]) -> str:
    """The text up to where the first of the stop texts begins.

    >>> cut_at("Finish[yes] and so on", ("so", " and"))
    'Finish[yes]'
    """
    found = [at for end in stop if end and (at := text.find(end)) >= 0]
    return text[: min(found)] if found else text


def _parts(text: str) -> _Parts:
    found = _ACTION.search(text)
    if found is None and _THOUGHT.search(text):
        found = _INLINE.search(text)
    if found is not None:
        return _Parts(_thought(text[: found.start()]), _labelled(text, found))
    seen = _OBSERVATION.search(text)
    body = text[: seen.start()] if seen and text[: seen.start()].strip() else text
    return _unlabelled(body)


def _labelled(text: str, label: re.Match[str]) -> _Action:
    """The action behind a label."""
    opened, closed = label["open"] or "", label["close"] or ""
    colon = closed.rstrip("*_`~")
    behind = closed[len(colon) :]
    start = label.end() if behind == opened else label.end() - len(behind)  # else it is the action's own emphasis
    unclosed = opened if len(colon.strip()) == 1 and behind != opened else ""
    following = _NEXT.search(text, start)
    block = text[start : following.start()] if following else text[start:]
    block = block[_BLANK.match(block).end() :]  # type: ignore[union-attr]  # it matches the empty text
    bracketed = _bracketed(block)
    if bracketed is not None:
        return bracketed
    line, ended, rest = block.partition("\n")
    action = _plain(line.strip().removesuffix(unclosed))
    given = _INPUT.match(rest)
    if given and re.fullmatch(r"\w+", action) and (argument := _unfenced(rest[given.end() :])):
        return _Action(f"{action}[{argument}]", whole=following is not None)
    return _Action(action, whole=(bool(ended) or following is not None) and not _HEAD.match(line))


def _unlabelled(body: str) -> _Parts:
    """A reply that labels no action: all of it is one, unless it holds one in brackets or says that it is a thought."""
    bare = _FENCE.sub("", body).strip()
    first = _bracketed(bare)
    if first is not None:
        return _Parts("", first)
    lines = bare.splitlines(keepends=True)
    for number in range(len(lines) - 1, 0, -1):  # the last line, or the last few where brackets go over lines
        if _HEAD.match(lines[number]):
            tail = "".join(lines[number:])
            last = _bracketed(tail, to_the_end=True)
            if last is not None:
                return _Parts(_thought("".join(lines[:number])), last)
            break
    if _THOUGHT.search(body):
        return _Parts(_thought(body), _Action("", whole=False))
    return _Parts("", _Action(_plain(_unfenced(body)), whole=False))


def _bracketed(block: str, *, to_the_end: bool = False) -> _Action | None:
    """The action in brackets that a block begins with; None where there is none, or its bracket is never closed."""
    head = _HEAD.match(block)
    if head is None:
        return None
    before = head.start("name")
    after = _after(to_the_end, quoted=before > 0 and not set(_QUOTES).isdisjoint(block[:before]))
    ends = [end for regard in (True, False) if (end := _closing(block, head.end(), after, regard)) is not None]
    if not ends:
        return None
    inside = block[head.end() : min(ends)]
    return _Action(f"{head['name']}{_unfenced(inside) if _FENCE_MARK.search(inside) else inside}]", whole=True)


@cache
def _after(to_the_end: bool, *, quoted: bool) -> re.Pattern[str]:
    """What may stand behind an action in brackets: up to the line's end, or the text's."""
    quotes, end = _QUOTES if quoted else "", r"\s*\Z" if to_the_end else r"\r?$"
    return re.compile(rf"[ \t.;,!*_`~){quotes}]*{end}", re.MULTILINE)


def _closing(text: str, start: int, after: re.Pattern[str], regard_quotes: bool) -> int | None:
    """Where the bracket is closed that was opened before ``start``.

    Only a bracket that ends its line can be the one, so that neither a quoted one nor an apostrophe leads astray.
    """
    depth, quote = 1, ""
    for found in (_QUOTED_TELLING if regard_quotes else _TELLING).finditer(text, start):
        char = found[0]
        if quote:
            quote = "" if char == quote else quote
        elif char == "[":
            depth += 1
        elif char == "]":
            depth = max(depth - 1, 0)
            if depth == 0 and after.match(text, found.end()):
                return found.start()
        else:
            quote = char
    return None


def _plain(action: str) -> str:
    """An action without brackets, freed of what encloses it."""
    while True:
        bare = action.strip()
        mark = _LIST_MARK.match(bare)
        bare = bare[mark.end() :] if mark else bare
        wrapped = _WRAPPED.fullmatch(bare)
        if wrapped and wrapped["mark"] not in wrapped["inside"]:
            bare = wrapped["inside"]
        if _WORD_AND_STOP.fullmatch(bare):
            bare = bare[:-1]
        if bare == action:
            return bare
        action = bare


def _unfenced(text: str) -> str:
    fenced = _FENCED.fullmatch(text)
    return (fenced[1] if fenced else text).strip()


def _thought(text: str) -> str:
    """A thought in one line, without its label."""
    emphasised = _THOUGHT.match(text.lstrip())
    thought = " ".join(_FENCE.sub("", _THOUGHT.sub("", text)).split())
    if emphasised and emphasised["open"] and thought.endswith(emphasised["open"]) and thought.count("**") % 2:
        thought = thought.removesuffix(emphasised["open"])
    return thought
