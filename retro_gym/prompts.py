"""The two texts that leave the environment: the actor's prompt and the reflector's observation.

Both are templates in the ``str.format`` language that a user can replace by an argument, without subclassing.
"""

from __future__ import annotations

import bisect
import dataclasses
import re
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
    "Observation",
    "Prompt",
    "PromptShape",
    "TaskPrompt",
    "check_template",
    "render_observation",
    "shorten",
    "valid_text",
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
_WORD = re.compile(r"\S{1,40}\s*")  # what has no spaces is cut all the same


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


class Observation(str):
    """A failed trajectory as the reflector reads it: a text, of which shorter forms can be had.

    Whoever has less room than the environment, such as a model with a short context, shortens it by the rule of
    :func:`render_observation`. What a wrapper makes of it is a plain text.
    """

    _parts: tuple[Trajectory, tuple[str, ...], str]

    def within(self, limit: int, *, whole_words: bool = True) -> str:
        """The same in at most ``limit`` characters; see :func:`render_observation`."""
        if len(self._whole) <= limit:
            return self._whole
        task, shortest = self._parts[0].task, self._forms[-1]
        front = shortest.find(task) + len(task) if task and task in shortest else None
        return _shortened(self._forms, limit, whole_words, front)

    @cached_property
    def _whole(self) -> str:
        return self._form(frozenset(), 0, 0)

    @cached_property
    def _forms(self) -> list[str]:
        """From the whole text to the shortest that has no word cut out of it."""
        trajectory, reflections, _ = self._parts
        turns = len(trajectory.turns)
        longest = sorted(range(turns), key=lambda i: -len(trajectory.turns[i].observation))
        elided = [i for i in longest if len(trajectory.turns[i].observation) > len(_ELIDED)]
        cuts = [(elided[:count], 0, 0) for count in range(1, len(elided) + 1)]
        cuts += [(elided, count, 0) for count in range(1, turns)]
        cuts += [(elided, max(0, turns - 1), count) for count in range(1, len(reflections) + 1)]
        shorter = [self._form(frozenset(hidden), passed_over, forgotten) for hidden, passed_over, forgotten in cuts]
        return [self._whole, *shorter]

    def _form(self, hidden: frozenset[int], passed_over: int, forgotten: int) -> str:
        """The text without some observations, the first turns and the oldest reflections."""
        trajectory, reflections, template = self._parts
        return template.format(
            reflections=_noted(reflections, forgotten),
            trajectory=_told(trajectory, hidden, passed_over),
            score=trajectory.return_,
            task_id=trajectory.task_id,
            trial=trajectory.trial,
        )


def render_observation(
    trajectory: Trajectory, reflections: Sequence[str], template: str, limit: int, *, whole_words: bool = False
) -> Observation:
    """The failed trajectory as the reflector reads it, in at most ``limit`` characters.

    What is too long loses, until it fits: the longest observations, longest first; whole turns, oldest first; earlier
    reflections, oldest first; at last words behind the task, where it takes less than two thirds of the room, and else
    out of the middle. ``[...]`` stands wherever something was left out. So the request and the task at the front are
    kept, and the last turn and the return at the end.

    Args:
        trajectory: the failed trial.
        reflections: those written so far.
        template: see :data:`OBSERVATION_TEMPLATE`.
        limit: characters, at least 1.
        whole_words: whether nothing is left where not even the last word fits, in place of that word's end.
    """
    whole = Observation()
    whole._parts = trajectory, tuple(reflections), template
    text = Observation(whole.within(limit, whole_words=whole_words))
    text.__dict__.update(whole.__dict__)
    return text


def shorten(text: str, limit: int) -> str:
    """A text that is no trajectory in at most ``limit`` characters: words are left out in its middle.

    Its start gets twice the room of its end.

    >>> shorten("one two three four five six", 20)
    'one two [...] six'
    >>> shorten("one two three four five six", 9), shorten("one two", 2)
    ('six', '')
    """
    return _shortened([text], limit, whole_words=True)


def _shortened(forms: Sequence[str], limit: int, whole_words: bool, front: int | None = None) -> str:
    """The first form that fits, or what is left of the last one when words leave its middle.

    Args:
        forms: ever shorter ones.
        limit: characters.
        whole_words: what to do where not even the last word fits.
        front: characters at the start of the last form behind which words are left out first.
    """
    text = next((form for form in forms if len(form) <= limit), None)
    if text is not None:
        return text
    text = forms[-1]
    words = _WORD.findall(text)
    kept = _order_of_keeping([len(word) for word in words], len(text) if front is None else front)

    def form(count: int) -> str:
        head, tail = kept[count]
        end = "".join(words[len(words) - tail :])
        return f"{''.join(words[:head]).rstrip()} {_ELIDED} {end}" if head else end

    count = bisect.bisect_right(range(len(kept)), limit, key=lambda count: len(form(count))) - 1
    return form(count) if count > 0 else "" if whole_words else text[-limit:]


def _order_of_keeping(lengths: Sequence[int], front: int) -> list[tuple[int, int]]:
    """How many words are kept at the start and at the end, more and more of them.

    The last word comes first; then the start gets twice the characters of the end until it is whole.
    """
    head = tail = head_size = tail_size = 0
    kept = [(head, tail)]
    while head + tail < len(lengths) - 1:
        if head_size < min(2 * tail_size, front):
            head_size, head = head_size + lengths[head], head + 1
        else:
            tail_size, tail = tail_size + lengths[-1 - tail], tail + 1
        kept.append((head, tail))
    return kept


def _noted(reflections: Sequence[str], forgotten: int) -> str:
    """The earlier reflections as a part of the observation, without the oldest ones."""
    if forgotten >= len(reflections):
        return ""
    numbered = [f"Reflection {i}: {_single_line(text)}" for i, text in enumerate(reflections, start=1)][forgotten:]
    lines = [_ELIDED, *numbered] if forgotten else numbered
    return "\n".join(["Earlier reflections, which did not suffice:", *lines, "", ""])


def _told(trajectory: Trajectory, hidden: frozenset[int], passed_over: int) -> str:
    """The trajectory without some of the observations and without the first turns."""
    lines = [trajectory.task, _ELIDED] if passed_over else [trajectory.task]
    for i, turn in enumerate(trajectory.turns):
        if i >= passed_over:
            shown = dataclasses.replace(turn, observation=_ELIDED) if i in hidden else turn
            lines += render_turn(i + 1, shown)
    return "\n".join(lines)


def _single_line(text: str) -> str:
    """A reflection takes one line of a prompt, so that it cannot pass for another part of it."""
    return " ".join(text.split())


def valid_text(text: str) -> str:
    """The text without halves of surrogate pairs, which JSON can name and UTF-8 cannot hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
