"""Renders messages as one text by a tokenizer's chat template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from retro_gym.errors import ConfigError, MissingExtraError, one_line

if TYPE_CHECKING:
    from retro_gym.token_view.tokens import Tokenizer

__all__ = ["render_chat"]

# The roles whose content is given as parts, in the order of the attempts. Templates of vision-language models read
# parts, some of them for the user only.
_FORMS: tuple[tuple[str, ...], ...] = ((), ("user", "assistant"), ("user",))
_LIST_WRITTEN_OUT = ("{'type':'text',", '{"type":"text",')  # the output of a template that expects text


def render_chat(
    tokenizer: Tokenizer,
    messages: Sequence[Mapping[str, str]],
    *,
    model: str,
    remedy: str,
    options: Mapping[str, Any],
) -> str:
    """Renders messages by a chat template; the prompt ends where the assistant's answer begins.

    A template that expects a message's content as parts (``[{"type": "text", "text": …}]``) drops a plain text, and
    vice versa, usually without an error. Therefore the prompt is checked for the content of every message, and the
    other form is tried if some is missing.

    Args:
        tokenizer: a tokenizer with a chat template.
        messages: each with ``role`` (``"user"`` or ``"assistant"``) and ``content``.
        model: the model's name, for error messages.
        remedy: advice for error messages.
        options: further variables of the template.

    Raises:
        ConfigError: the template fails on the messages, or its prompt lacks one of them, in every form of content.
        MissingExtraError: jinja2 is not installed.
    """
    problem: ConfigError | None = None
    for roles in _FORMS:
        given = [_in_parts(message) if message["role"] in roles else dict(message) for message in messages]
        try:
            text = str(tokenizer.apply_chat_template(given, tokenize=False, add_generation_prompt=True, **options))
        except ImportError as error:
            raise MissingExtraError(error.name or "jinja2", "train") from error
        except Exception as error:  # a template is a program: it may fail in any way
            said = f"{one_line(str(error), 200)} ({type(error).__name__})"
            failed = ConfigError(f"the chat template of {model} refuses the messages: {said}. {remedy}")
            failed.__cause__ = error
            problem = problem or failed
            continue
        lost = _lost(text, messages, as_lists=bool(roles))
        if lost is None:
            return text
        problem = problem or ConfigError(
            f"the chat template of {model} leaves out what the {lost['role']} says: {one_line(lost['content'])} is not "
            f"in the prompt, neither when it is given as text nor as a list of parts. {remedy}"
        )
    assert problem is not None, "each form has ended in a prompt or in a problem"
    raise problem


def _in_parts(message: Mapping[str, str]) -> dict[str, Any]:
    return {**message, "content": [{"type": "text", "text": message["content"]}]}


def _lost(text: str, messages: Sequence[Mapping[str, str]], *, as_lists: bool) -> Mapping[str, str] | None:
    """Returns the first message, in order, whose content a prompt lacks; None if it holds all of them.

    White space is ignored, since templates trim it. For the assistant's messages only the last line is checked, since
    templates drop earlier reasoning. A prompt that shows a list of parts literally holds none of them.
    """
    shown, at = _squeezed(text), 0
    if as_lists and any(part in shown for part in _LIST_WRITTEN_OUT):
        return messages[0]
    for message in messages:
        said = message["content"].strip()
        words = _squeezed(said if message["role"] == "user" else said.rpartition("\n")[2])
        found = shown.find(words, at)
        if found < 0:
            return message
        at = found + len(words)
    return None


def _squeezed(text: str) -> str:
    return "".join(text.split())
