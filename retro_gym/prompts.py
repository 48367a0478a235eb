"""The actor's prompt and the reflector's observation.

Both are rendered from ``str.format`` templates, which a user can replace by an argument, without subclassing.
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
    "BARE_TEMPLATE",
    "END_OF_EXAMPLES",
    "LAST_TRIAL_HEADER",
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
    "without_last_trial",
]

END_OF_EXAMPLES = "(END OF EXAMPLES)"
LAST_TRIAL_HEADER = "You have tried this task before and failed. Each line with a bar is of that trial, which is over:"
REFLECTIONS_HEADER = "You have tried this task before and failed. What you noted then, to be followed now:"

ACTOR_TEMPLATE = "{instruction}\n\n{examples}{reflections}{history}\n"
"""Fields: ``instruction``, ``examples``, ``reflections``, ``history``. Empty fields leave no blank lines. What is
remembered of the last trial stands in the field ``reflections``, before them."""

BARE_TEMPLATE = "{reflections}{history}\n"
"""The actor's prompt without instruction and examples: short, for a planner that has been trained on its tasks."""

OBSERVATION_TEMPLATE = (
    "This attempt failed. Reflect: what should be done differently next time?\n\n"
    "{reflections}{trajectory}\nReturn: {score:.2f}\n\nReflection:"
)
"""Fields: ``reflections``, ``trajectory``, ``score`` (the failed trial's return, a float), ``task_id``, ``trial``."""

PromptShape = Literal["completion", "chat", "user"]
"""How a prompt is given to a model: ``completion``: one text to be continued; ``chat``: the history as messages of
alternating roles; ``user``: the whole text as a single message."""
PROMPT_SHAPES: tuple[PromptShape, ...] = get_args(PromptShape)

# The fields of each template, each with a value of its type.
ACTOR_FIELDS = {"instruction": "", "examples": "", "reflections": "", "history": ""}
OBSERVATION_FIELDS = {"reflections": "", "trajectory": "", "score": 0.0, "task_id": "", "trial": 0}

_ELIDED = "[...]"
_BAR = "| "
_LAST_TRIAL = re.compile(rf"^{re.escape(LAST_TRIAL_HEADER)}\n(?:{re.escape(_BAR)}.*\n)+\n", re.MULTILINE)
_WORD = re.compile(r"\S{1,40}\s*")  # a text without spaces is cut into pieces of 40 characters


def check_template(name: str, template: str, fields: Mapping[str, object]) -> str:
    """Returns the template if it is valid.

    Args:
        name: the argument's name, for the message.
        template: a ``str.format`` template.
        fields: the fields that it may use, each with a value of its type.

    Raises:
        TemplateError: an unknown field, unbalanced braces, or a format that does not suit the field's type.
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
    """The part of an actor's prompt that is the same for all tasks of an environment."""

    instruction: str
    """The instruction to the actor, with the grammar of actions."""
    examples: tuple[str, ...] = ()
    """Worked examples, each a whole trajectory."""


@dataclasses.dataclass(frozen=True)
class Prompt:
    """Everything that an actor sees before it replies.

    ``text`` is the whole prompt; the parts are for actors that need messages instead of one text.
    """

    instruction: str
    examples: tuple[str, ...]
    reflections: tuple[str, ...]
    task: str
    turns: tuple[Turn, ...]
    seed: int
    """Seed of a stochastic actor: determined by episode, task, trial, replica and turn."""
    stop: tuple[str, ...] = ("\nObservation",)
    """Texts at which a reply ends."""
    template: str = ACTOR_TEMPLATE
    last_trial: str = ""
    """The last failed trial, if the actor is to remember it."""

    @cached_property
    def text(self) -> str:
        """The prompt as one text; it ends where the actor's next thought begins."""
        return self._filled(self.history)

    def messages(self, shape: PromptShape) -> list[dict[str, str]]:
        r"""Returns the prompt as chat messages, dicts of ``role`` and ``content``; the last one is the user's.

        Args:
            shape: ``"user"`` puts the whole text into one message. With ``"chat"`` the first message ends with the
                task; after it, every thought and action is an assistant message and every observation a user message.
                There is no system message, since not every chat template supports that role.

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
        reflections = f"{LAST_TRIAL_HEADER}\n{_barred(self.last_trial)}\n\n" if self.last_trial else ""
        if self.reflections:
            noted = "\n".join(f"- {_single_line(reflection)}" for reflection in self.reflections)
            reflections += f"{REFLECTIONS_HEADER}\n{noted}\n\n"
        return self.template.format(
            instruction=self.instruction, examples=examples, reflections=reflections, history=history
        )

    @property
    def history(self) -> str:
        """The task and the turns so far."""
        return render_turns(self.task, self.turns)


class Observation(str):
    """A failed trajectory as the reflector reads it: a text that can be shortened further.

    A model with a shorter context window than the environment allows can shorten it by the rule of
    :func:`render_observation`. The text that a wrapper derives from it is a plain ``str``.
    """

    _parts: tuple[Trajectory, tuple[str, ...], str]

    def within(self, limit: int, *, whole_words: bool = True) -> str:
        """Returns it shortened to at most ``limit`` characters; see :func:`render_observation`."""
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
        """All forms, from the whole text to the shortest from which no single words are removed."""
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
        """Renders the text without some observations, the first turns and the oldest reflections."""
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
    """Renders the failed trajectory as the reflector reads it, in at most ``limit`` characters.

    If the text is too long, parts are removed until it fits, in this order: observations, longest first; whole turns,
    oldest first; earlier reflections, oldest first; finally words after the task, if the text up to its end takes less
    than two thirds of the limit, else words in the middle. ``[...]`` marks every removed part. This keeps the request
    and the task at the front, and the last turn and the return at the end.

    Args:
        trajectory: the failed trial.
        reflections: the reflections written so far.
        template: see :data:`OBSERVATION_TEMPLATE`.
        limit: characters, at least 1.
        whole_words: if not even the last word fits, returns an empty text instead of the end of that word.
    """
    whole = Observation()
    whole._parts = trajectory, tuple(reflections), template
    text = Observation(whole.within(limit, whole_words=whole_words))
    text.__dict__.update(whole.__dict__)
    return text


def shorten(text: str, limit: int) -> str:
    """Shortens a text that is not a trajectory to at most ``limit`` characters by removing words in the middle.

    The start keeps twice as many characters as the end.

    >>> shorten("one two three four five six", 20)
    'one two [...] six'
    >>> shorten("one two three four five six", 9), shorten("one two", 2)
    ('six', '')
    """
    return _shortened([text], limit, whole_words=True)


def _shortened(forms: Sequence[str], limit: int, whole_words: bool, front: int | None = None) -> str:
    """Returns the first form that fits, or the last one with words removed from its middle.

    Args:
        forms: the forms of the text, longest first.
        limit: characters.
        whole_words: see :func:`render_observation`.
        front: characters at the start of the last form after which words are removed first.
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
    """Returns how many words to keep at the start and at the end, in increasing order.

    The last word is kept first; then the start gets twice the characters of the end until ``front`` is complete.
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
    """Renders the earlier reflections for the observation, without the oldest ones."""
    if forgotten >= len(reflections):
        return ""
    numbered = [f"Reflection {i}: {_single_line(text)}" for i, text in enumerate(reflections, start=1)][forgotten:]
    lines = [_ELIDED, *numbered] if forgotten else numbered
    return "\n".join(["Earlier reflections, which did not suffice:", *lines, "", ""])


def _told(trajectory: Trajectory, hidden: frozenset[int], passed_over: int) -> str:
    """Renders the trajectory without some of the observations and without the first turns."""
    lines = [trajectory.task, _ELIDED] if passed_over else [trajectory.task]
    for i, turn in enumerate(trajectory.turns):
        if i >= passed_over:
            shown = dataclasses.replace(turn, observation=_ELIDED) if i in hidden else turn
            lines += render_turn(i + 1, shown)
    return "\n".join(lines)


def _single_line(text: str) -> str:
    """Puts a reflection on one line, so that it cannot be mistaken for another part of the prompt."""
    return " ".join(text.split())


def _barred(text: str) -> str:
    """Puts a bar before each line of the last trial, so that no line can be mistaken for one of the new trial."""
    return _BAR + text.replace("\n", f"\n{_BAR}")


def without_last_trial(text: str) -> str:
    """Returns a prompt's text as it would be if the last trial were not remembered.

    >>> prompt = Prompt("Say it.", (), ("Say red.",), "The word is red.", (), seed=0, last_trial="Action 1: blue")
    >>> without_last_trial(prompt.text) == dataclasses.replace(prompt, last_trial="").text
    True
    """
    return _LAST_TRIAL.sub("", text, count=1)


def valid_text(text: str) -> str:
    """Replaces lone surrogates, which JSON can represent but UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
