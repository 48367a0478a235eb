"""The two texts that leave the environment: the actor's prompt and the reflector's observation.

Both are templates in the ``str.format`` language that a user can replace by an argument, without subclassing.
"""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Literal, get_args

from retro_gym.errors import ConfigError, TemplateError, did_you_mean, one_line
from retro_gym.trajectory import Trajectory, Turn, render_turn, render_turns

__all__ = [
    "ACTOR_TEMPLATE",
    "END_OF_EXAMPLES",
    "OBSERVATION_TEMPLATE",
    "PROMPT_SHAPES",
    "REFLECTIONS_HEADER",
    "Prompt",
    "PromptShape",
    "TaskPrompt",
    "check_template",
    "render_observation",
]

END_OF_EXAMPLES = "(END OF EXAMPLES)"
REFLECTIONS_HEADER = "You have tried this task before and failed. What you noted then, to be followed now:"

ACTOR_TEMPLATE = "{instruction}\n\n{examples}{reflections}{history}\n"
"""Fields: ``instruction``, ``examples``, ``reflections``, ``history``. Empty ones leave no gap."""

OBSERVATION_TEMPLATE = (
    "This attempt failed. Reflect: what should be done differently next time?\n\n"
    "{reflections}{trajectory}\nReturn: {score:.2f}\n\nReflection:"
)
"""Fields: ``reflections``, ``trajectory``, ``score`` (the failed trial's return, a float), ``task_id``, ``trial``."""

PromptShape = Literal["completion", "chat", "user"]
"""How a prompt is laid out for a model: ``completion`` one text to be continued, ``chat`` the history as messages of
alternating roles, ``user`` the whole text as a single message."""
PROMPT_SHAPES: tuple[PromptShape, ...] = get_args(PromptShape)

# The fields of each template, with a value of the type that it is given.
ACTOR_FIELDS = {"instruction": "", "examples": "", "reflections": "", "history": ""}
OBSERVATION_FIELDS = {"reflections": "", "trajectory": "", "score": 0.0, "task_id": "", "trial": 0}

_ELIDED = "[...]"


def check_template(name: str, template: str, fields: Mapping[str, object]) -> str:
    """Returns the template when it can be filled.

    Args:
        name: the argument's name, for the message.
        template: text in the ``str.format`` language.
        fields: the names that it may use, each with a value of its type.

    Raises:
        TemplateError: an unknown field, braces that do not match, or a format that does not suit the field's type.
    """
    if not isinstance(template, str):
        raise TemplateError(f"{name} is {one_line(template)}; a template is text.")
    try:
        used = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise TemplateError(f"{name}: {error}. Write {{{{ and }}}} for braces that are meant as text.") from error
    for field in used:
        if field not in fields:
            raise TemplateError(
                f"{name} names the field {field!r}; it may use {', '.join(fields)}.{did_you_mean(field, fields)}"
            )
    try:
        template.format(**fields)
    except (ValueError, LookupError) as error:
        raise TemplateError(f"{name} cannot be filled: {error}.") from error
    return template


@dataclasses.dataclass(frozen=True)
class TaskPrompt:
    """What a task environment tells its actor."""

    instruction: str
    """What the actor is to do, and the grammar of its actions."""
    examples: tuple[str, ...] = ()
    """Worked examples, each a whole trajectory."""


@dataclasses.dataclass(frozen=True)
class Prompt:
    """All that an actor sees of a trial before it replies.

    ``text`` is the whole prompt; the parts are there for actors that want messages instead of one text.
    """

    instruction: str
    examples: tuple[str, ...]
    reflections: tuple[str, ...]
    task: str
    turns: tuple[Turn, ...]
    seed: int
    """What a stochastic actor draws from: fixed by episode, task, trial, replica and turn."""
    stop: tuple[str, ...] = ("\nObservation",)
    """Texts at which a reply ends."""
    template: str = ACTOR_TEMPLATE

    @cached_property
    def text(self) -> str:
        """The prompt as one text; it ends where the actor's next thought begins."""
        return self._filled(self.history)

    def messages(self, shape: PromptShape) -> list[dict[str, str]]:
        r"""The prompt as chat messages, each a dict of ``role`` and ``content``; the last one is the user's.

        Args:
            shape: ``"user"`` puts the whole text into one message. ``"chat"`` lets the first message end with the task;
                then every thought and action is the assistant's message and every observation the user's. There is no
                system message, since not every chat template knows that role.

        Raises:
            ConfigError: ``"completion"``, which has no messages, or an unknown shape.

        >>> turn = Turn("I should look.", "Search[Velmora]", "Velmora is a town.")
        >>> prompt = Prompt("Answer.", (), (), "Question: Where is Velmora?", (turn,), seed=0)
        >>> for message in prompt.messages("chat"):
        ...     print(message)
        {'role': 'user', 'content': 'Answer.\n\nQuestion: Where is Velmora?'}
        {'role': 'assistant', 'content': 'Thought 1: I should look.\nAction 1: Search[Velmora]'}
        {'role': 'user', 'content': 'Observation 1: Velmora is a town.'}
        """
        if shape == "user":
            return [{"role": "user", "content": self.text.strip()}]
        if shape != "chat":
            raise ConfigError(f"a prompt of shape {shape!r} has no messages. Choose 'chat' or 'user'.")
        messages = [{"role": "user", "content": self._filled(self.task).strip()}]
        for number, turn in enumerate(self.turns, start=1):
            said, seen = render_turn(number, turn)
            messages.append({"role": "assistant", "content": said})
            messages.append({"role": "user", "content": seen})
        return messages

    def _filled(self, history: str) -> str:
        examples = ""
        if self.examples:
            worked = "\n\n".join(self.examples)
            examples = f"Here are some examples:\n\n{worked}\n\n{END_OF_EXAMPLES}\n\n"
        reflections = ""
        if self.reflections:
            noted = "\n".join(f"- {_single_line(reflection)}" for reflection in self.reflections)
            reflections = f"{REFLECTIONS_HEADER}\n{noted}\n\n"
        return self.template.format(
            instruction=self.instruction, examples=examples, reflections=reflections, history=history
        )

    @property
    def history(self) -> str:
        """The task and the turns so far."""
        return render_turns(self.task, self.turns)


def render_observation(
    trajectory: Trajectory, reflections: Sequence[str], template: str, limit: int, *, whole_words: bool = False
) -> str:
    """The failed trajectory as the reflector reads it, in at most ``limit`` characters.

    When it is too long the longest observations are replaced by ``[...]``, longest first; what is still too long
    then is cut at the front, since a trajectory's end says most about its failure.

    Args:
        trajectory: the failed trial.
        reflections: those written so far.
        template: see :data:`OBSERVATION_TEMPLATE`.
        limit: characters, at least 1.
        whole_words: whether a cut at the front leaves out the word that it goes through.
    """
    noted = "".join(f"Reflection {i}: {_single_line(text)}\n" for i, text in enumerate(reflections, start=1))
    if noted:
        noted = f"Earlier reflections, which did not suffice:\n{noted}\n"
    while True:
        text = template.format(
            reflections=noted,
            trajectory=trajectory.render(),
            score=trajectory.return_,
            task_id=trajectory.task_id,
            trial=trajectory.trial,
        )
        longest = max(range(len(trajectory.turns)), key=lambda i: len(trajectory.turns[i].observation), default=None)
        if len(text) <= limit:
            return text
        if longest is None or len(trajectory.turns[longest].observation) <= len(_ELIDED):
            return text[-limit:] if not whole_words else _last_words(text, limit)
        turns = list(trajectory.turns)
        turns[longest] = dataclasses.replace(turns[longest], observation=_ELIDED)
        trajectory = dataclasses.replace(trajectory, turns=tuple(turns))


def _last_words(text: str, limit: int) -> str:
    """As many words from the end of a longer text as ``limit`` characters hold.

    >>> _last_words("one two three", 9), _last_words("one two three", 4)
    ('two three', '')
    """
    before, kept = text[-limit - 1], text[-limit:]
    if not before.isspace():
        kept = kept[next((i for i, char in enumerate(kept) if char.isspace()), limit) :]
    return kept.lstrip()


def _single_line(text: str) -> str:
    """A reflection takes one line of a prompt, so that it cannot pass for another part of it."""
    return " ".join(text.split())
