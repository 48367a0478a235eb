"""What reasoning models write before they answer, told from the answer by its tags."""

from __future__ import annotations

import re

__all__ = ["split_reasoning"]

_NAMES = r"(?:\w+:)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|analysis|scratchpad|inner_?monologue)"
# <think>, <seed:think>, <|thinking|>, [THINK], Kimi's ◁think▷, Cohere's <|START_THINKING|>, <|begin_of_thought|>, a
# channel of gpt-oss (<|channel|>analysis<|message|>) or Gemma (<|channel>thought), Apertus' <|inner_prefix|>.
_OPEN = (
    rf"(?:<\|?(?:(?:start|begin)_(?:of_)?)?{_NAMES}(?:\s[^<>\n]*)?\|?>|\[(?-i:THINK(?:ING)?)\]|◁think▷|<\|inner_prefix\|>"
    r"|(?:<\|start\|>assistant)?<\|channel\|>\s*(?:analysis|commentary)[^<\n]*(?:<\|message\|>)?|<\|channel>\w*)"
)
_CLOSE = (
    rf"(?:<(?:/\|?|\|/){_NAMES}\|?>|<\|end_(?:of_)?{_NAMES}\|>|\[/(?-i:THINK(?:ING)?)\]|◁/think▷|<\|inner_suffix\|>"
    r"|<channel\|>)"
)
_FINAL = r"(?:<\|start\|>assistant)?<\|channel\|>\s*final[^<\n]*(?:<\|message\|>)?"  # gpt-oss' answer begins
_CLOSED = rf"(?:{_CLOSE}|<\|end\|>|(?=(?:<\|start\|>assistant)?<\|channel\|>)|\Z)"
_MARKS = ("<", "◁", "[THINK", "[/THINK")  # some of which any tag holds: most texts are done with at a glance
# Reasoning begins a line, or goes over several; tags within one line are part of what the line says.
_BLOCK = re.compile(
    rf"^[ \t]*{_OPEN}(?P<head>.*?){_CLOSED}|{_OPEN}(?P<inner>[^\n]*\n.*?){_CLOSE}",
    re.DOTALL | re.MULTILINE | re.IGNORECASE,
)
_STRAY = re.compile(rf"\A(?P<before>(?:(?!{_OPEN}).)*?)(?:{_CLOSE}|{_FINAL})", re.DOTALL | re.IGNORECASE)
# gpt-oss once its special tokens were left out: the names of its channels are all that remains of them.
_BARE_CHANNELS = re.compile(r"\A\s*analysis(?=[A-Z])(?P<before>.*?)(?:assistant(?:commentary)?final|\Z)", re.DOTALL)
# What the tokenizer should have kept: a role's head, and whatever ends a turn, behind which nothing counts.
_ROLE = re.compile(r"\A\s*(?:<\|im_start\|>|<\|start_header_id\|>)assistant(?:<\|end_header_id\|>)?\s*")
_END = re.compile(r"<\|(?:im_end|eot_id|eom_id|endoftext|end_of_text|return|end)\|>|</s>|<end_of_turn>|<eos>")
_ANSWER = re.compile(r"\A\s*<(answer|response|output)>\s*(.*?)\s*(?:</\1>\s*)?\Z", re.DOTALL | re.IGNORECASE)


def split_reasoning(text: str) -> tuple[str, str]:
    r"""Splits the output of a reasoning model into its answer and the reasoning before it.

    Reasoning is what tags such as ``<think>`` enclose, from the beginning of a line on or over several lines. Where
    the closing tag is missing the model ran out of tokens while it was thinking: all that follows is reasoning. Where
    the opening one is missing it stood in the prompt. Tokens that end a turn, and tags that enclose the whole answer,
    are left out.

    Returns:
        Text and reasoning. Without tags the text is returned as it is.

    >>> split_reasoning("<think>\nVelmora, then.\n</think>\n\nAction 1: Search[Velmora]")
    ('Action 1: Search[Velmora]', 'Velmora, then.')
    >>> split_reasoning("<thinking>Let me see")
    ('', 'Let me see')
    >>> split_reasoning("Velmora, then.[/THINK]Action 1: Search[Velmora]")
    ('Action 1: Search[Velmora]', 'Velmora, then.')
    >>> split_reasoning("<|channel|>analysis<|message|>Easy.<|end|><|start|>assistant<|channel|>final<|message|>Go.")
    ('Go.', 'Easy.')
    >>> split_reasoning("Action 1: Search[Velmora]")
    ('Action 1: Search[Velmora]', '')
    """
    if not any(mark in text for mark in _MARKS) and not text.lstrip().startswith("analysis"):
        return text, ""
    thoughts: list[str] = []

    def note(found: re.Match[str]) -> str:
        thoughts.append(next(part for part in found.groupdict().values() if part is not None).strip())
        return ""

    answer = _ROLE.sub("", text)
    answer = _BARE_CHANNELS.sub(note, answer)
    left = 1
    while left:  # what follows a block on its line may be another one
        answer, left = _BLOCK.subn(note, answer)
    while found := _STRAY.match(answer):
        note(found)
        answer = answer[found.end() :]
    if thoughts:
        answer = answer.lstrip()
    end = _END.search(answer)
    answer = answer[: end.start()] if end else answer
    wrapped = _ANSWER.match(answer)
    return (wrapped[2] if wrapped else answer), "\n".join(thought for thought in thoughts if thought)
