"""Separates the reasoning of reasoning models from their answers by its tags."""

from __future__ import annotations

import re

__all__ = ["INVISIBLE", "split_reasoning"]

INVISIBLE = "\ufeff\u200b\u200e\u2060\x00"
"""Invisible characters that may surround a text and are never part of an action."""

# A tag encloses reasoning if its name contains one of these words: <think>, <seed:think>, <|thinking|>, <antThinking>,
# <chain_of_thought>, [THINK], [REASONING], Kimi's ◁think▷, Cohere's <|START_THINKING|>.
_SPEAKS = re.compile(
    r"think|thought|reason|rationale|reflect|scratch_?pad|monologue|analys[ie]s|deliberat|brainstorm|critique|(?:\A|[_:])(?:cot|plan(?:ning)?)\Z",
    re.I,
)
_ENDS = re.compile(r"\A(?:end_?|end_of_)(?=\w)|_end\Z", re.IGNORECASE)
_CHANNEL = r"(?:<\|start\|>assistant)?<\|channel\|>\s*+{}[^<\n]*+(?:<\|constrain\|>\s*+\w*+)?(?:<\|message\|>)?"
_TAG = re.compile(
    # gpt-oss' channels and their end; Gemma's channel and placeholders; Apertus' tags.
    rf"(?P<open>{_CHANNEL.format('(?:analysis|commentary)')}|<\|channel>\w*+|<unused94>(?:thought)?|<\|inner_prefix\|>"
    r"|<details\s[^<>\n]*?(?:reason|think)[^<>\n]*+>)"
    rf"|(?P<final>{_CHANNEL.format('final')})|(?P<end><\|end\|>)"
    r"|(?P<close><channel\|>|<unused95>|<\|inner_suffix\|>)|(?P<details></details>)"
    r"|<(?P<slash>\|?\\?/)?\|?(?P<name>[\w:▁-]++)(?P<within>\s[^<>\n]*?)?(?P<empty>/)?(?:\s*+\|?>|(?<=\w)(?=\s)(?(slash)|(?!)))"
    r"|\[(?P<over>/)?(?P<word>[A-Za-z_ -]{2,30})\]|◁(?P<past>/)?think▷"
)
# Some models announce reasoning in words. It is separated from the answer only if both its start and its end are there.
_ANNOUNCED = (
    (r"Thinking\.\.\.\s*$", r"^\.\.\.\s*done thinking\.?\s*$"),
    (
        r"(?:#{1,6} +|\*\*)(?:Thinking|Reasoning)(?: process)?:?\**:?\s*$",
        r"^(?:#{1,6} +|\*\*)(?:My |Final )?(?:Response|Answer):?\**:?",
    ),
    (r"Here is my (?:thought process|thinking|reasoning):", r"^Here is my (?:response|answer):"),
    (r"`{3,}(?:think(?:ing)?|thoughts?|reasoning)[ \t]*$", r"^`{3,}[ \t]*$"),
)
_SPOKEN = [
    re.compile(rf"\A\s*+{begins}(?P<thought>.*?){ends}", re.DOTALL | re.MULTILINE | re.IGNORECASE)
    for begins, ends in _ANNOUNCED
]
# gpt-oss decoded without special tokens: only the names of its channels remain.
_SPOKEN += [
    re.compile(r"\A\s*+analysis(?=[A-Z])(?P<thought>.*?)(?:assistant(?:commentary)?final|\Z)", re.DOTALL),
    re.compile(r"\A\s*+analysis[ \t]*+\n(?P<thought>.*?)assistant(?:commentary)?final", re.DOTALL),
]
# Special tokens that the tokenizer should have removed: a role's header, the start of an answer, and all others, which
# end a turn, so that the text after them is ignored.
_HEAD = re.compile(r"\A\s*+(?:(?:<\|im_start\|>|<\|start_header_id\|>)assistant(?:<\|end_header_id\|>)?\s*+)?")
_SPECIAL = re.compile(r"<(?:\|[^<>\s|]{1,40}\||｜[^<>\s｜]{1,40}｜)>|</s>|<end_of_turn>|<eos>|\[/?INST\]")
_BEGINS = re.compile(r"\A<\W*(?:begin|start)", re.IGNORECASE)
_ANSWER = re.compile(r"\A\s*<(answer|response|output)>\s*(.*?)\s*(?:</\1>\s*)?\Z", re.DOTALL | re.IGNORECASE)
_LOOKED_BACK = 2_000  # characters


def split_reasoning(text: str) -> tuple[str, str]:
    r"""Splits the output of a reasoning model into its answer and the reasoning before it.

    Reasoning is text within tags such as ``<think>`` that start a line or span several lines. If the closing tag is
    missing, the model was truncated during its reasoning: everything after the opening tag is reasoning. If the opening
    tag is missing, it was part of the prompt. Tokens that end a turn and tags around the whole answer are removed. Tags
    in quotes or in an action's brackets are ordinary text.

    Returns:
        Answer and reasoning. A text without tags is returned unchanged.

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
    thoughts: list[str] = []
    answer = text.lstrip(INVISIBLE)
    head = _HEAD.match(answer)
    answer = answer[head.end() :] if head and head[0].strip() else answer
    for spoken in _SPOKEN:
        found = spoken.match(answer)
        if found:
            thoughts.append(found["thought"])
            answer = answer[found.end() :]
            break
    answer = _without_blocks(answer, thoughts)
    if thoughts:
        answer = answer.lstrip()
    answer = _without_tokens(answer)
    wrapped = _ANSWER.match(answer)
    return (wrapped[2] if wrapped else answer), "\n".join(filter(None, map(str.strip, thoughts)))


def _without_blocks(text: str, thoughts: list[str]) -> str:
    """Returns the text outside of reasoning tags; appends the text inside to ``thoughts``."""
    kept: list[str] = []
    done = 0  # how far the text has been processed
    opened: re.Match[str] | None = None
    closes = [(tag, kind) for tag in _TAG.finditer(text) if (kind := _kind(tag))]
    last = max((tag.start() for tag, kind in closes if kind != "open"), default=-1)
    for tag, kind in closes:
        if tag.start() < done:
            continue
        if opened is not None:
            if _closes(opened, tag, kind):
                leading = _leads(text, done, opened)
                if leading or "\n" in text[opened.end() : tag.start()]:
                    kept.append(text[done : opened.start()])
                    kept[-1] = kept[-1].rstrip(" \t") if leading else kept[-1]
                    thoughts.append(text[opened.end() : tag.start()])
                    done = tag.start() if kind == "open" else tag.end()
                opened = tag if kind == "open" else None
        elif kind == "open":
            if (_leads(text, done, tag) or last > tag.start()) and not _is_said(text, tag):
                opened = tag
        elif (
            kind not in ("end", "details") and tag["empty"] is None and not _is_said(text, tag)
        ):  # it was opened in the prompt
            thoughts.append("".join(kept) + text[done : tag.start()])
            kept, done = [], tag.end()
    if (
        opened is not None
        and _leads(text, done, opened)
        and (opened["word"] is None or opened["word"] in ("THINK", "THINKING"))
    ):
        thoughts.append(text[opened.end() :])
        kept.append(text[done : opened.start()].rstrip(" \t"))
        done = len(text)
    return "".join(kept) + text[done:]


def _kind(tag: re.Match[str]) -> str:
    """Returns a tag's role: open, close, final (the answer begins), end (of a channel), details; empty for none."""
    for kind in ("open", "final", "end", "close", "details"):
        if tag[kind] is not None:
            return kind
    name = tag["name"] or tag["word"]
    if name is None:
        return "close" if tag["past"] else "open"
    name = name.replace("▁", "_").replace(" ", "_")
    if not _SPEAKS.search(name):
        return ""
    if tag["slash"] or tag["over"] or tag["empty"] or _ENDS.search(name):
        return "close"
    return "" if tag["word"] and re.match(r"\w", tag.string[tag.start() - 1 : tag.start()]) else "open"


def _closes(opened: re.Match[str], tag: re.Match[str], kind: str) -> bool:
    if opened[0].startswith("<details"):
        return kind == "details"
    return kind in ("close", "final", "end") or (kind == "open" and "<|channel|>" in tag[0])


def _leads(text: str, done: int, tag: re.Match[str]) -> bool:
    """Whether a tag begins its line, or the unprocessed rest of it."""
    return not text[max(text.rfind("\n", done, tag.start()) + 1, done) : tag.start()].strip(" \t")


def _is_said(text: str, tag: re.Match[str]) -> bool:
    """Whether a tag is in quotes or in an action's brackets, and so is ordinary text."""
    before, behind = text[max(tag.start() - 1, 0) : tag.start()], text[tag.end() : tag.end() + 1]
    if before and before == behind and before in "'\"`":
        return True
    floor = max(tag.start() - _LOOKED_BACK, 0)
    line = text[max(text.rfind("\n", floor, tag.start()) + 1, floor) : tag.start()]
    rest = re.search(r"[\[\]\n]", text[tag.end() : tag.end() + _LOOKED_BACK])
    return line.count("[") > line.count("]") and rest is not None and rest[0] == "]"


def _without_tokens(answer: str) -> str:
    """Removes special tokens at the start of an answer, and everything from a token that ends it."""
    kept: list[str] = []
    done = 0
    for token in _SPECIAL.finditer(answer):
        if _is_said(answer, token):
            continue
        before = answer[done : token.start()]
        if not (_BEGINS.match(token[0]) or not "".join((*kept, before)).strip()):
            return "".join((*kept, before))
        kept.append(before)
        done = token.end()
    return "".join(kept) + answer[done:]
