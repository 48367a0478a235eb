"""The exceptions of retro_gym.

::

    RetroGymError
    ├── ConfigError (ValueError)          an argument is invalid
    │   ├── TemplateError                 a template names a field that does not exist
    │   ├── UnsupportedArgumentError (TypeError)  an argument of gym.make that the environment does not have
    │   └── UnknownTaskError (LookupError)  a task id or a split that the environment does not have
    ├── ActionError (TypeError)           an action that is not text
    ├── DataError (ValueError)            a data file that cannot be used: file, record, field, remedy
    │   └── RecordError                   a records file of another schema, or damaged before its last line
    ├── NoFailureError (RuntimeError)     no failed trial: the actor solves every task of the split
    ├── EpisodeError (RuntimeError)       step or branch without a running episode
    ├── ActorError (RuntimeError)         the actor gave no usable reply: never a reward of 0
    │   ├── PromptTooLongError            the prompt exceeds the actor's context window: ends the trial as a failure
    │   ├── CutReplyError                 the reply was truncated at its token limit before its action was complete
    │   ├── BudgetError                   the budget of calls, tokens or money is spent: stops a run, resumably
    │   └── TaskEnvError                  a task environment's own server or engine failed: the trial is void
    ├── CassetteError (LookupError)       a prompt is not on the tape: stops the run, since it is not the recorded one
    ├── DivergedError (ArithmeticError)   a number in training or sampling is not finite: stops a run, resumably
    ├── SamplerError (RuntimeError)       a server that samples for a model in training failed: stops a run, resumably
    ├── HubError (OSError)                the Hugging Face hub cannot be reached, or refused what it was asked
    ├── MissingExtraError (ImportError)   an optional library is not installed; names the extra that contains it
    └── CheckpointError (ValueError)      a checkpoint that does not match the run that resumes from it

Each also inherits from the built-in exception that a caller would expect, and can be pickled, so that it passes from
the worker processes of an ``AsyncVectorEnv``. Messages say what was received, the rule, and the remedy.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "ActionError",
    "ActorError",
    "BudgetError",
    "CassetteError",
    "CheckpointError",
    "ConfigError",
    "CutReplyError",
    "DataError",
    "DivergedError",
    "EpisodeError",
    "HubError",
    "MissingExtraError",
    "NoFailureError",
    "PromptTooLongError",
    "RecordError",
    "RetroGymError",
    "SamplerError",
    "TaskEnvError",
    "TemplateError",
    "UnknownTaskError",
    "UnsupportedArgumentError",
    "did_you_mean",
    "one_line",
]


class RetroGymError(Exception):
    """Base class of all exceptions of retro_gym."""


class ConfigError(RetroGymError, ValueError):
    """An argument is invalid."""


class TemplateError(ConfigError):
    """A template names a field that does not exist, or its braces do not match."""


class UnsupportedArgumentError(ConfigError, TypeError):
    """An argument of ``gym.make`` that the environment does not have, or a render mode that it does not have.

    Libraries that make environments offer arguments that only some have, and try again without them on a ``TypeError``:
    TorchRL ``frameskip``, Stable-Baselines3 ``render_mode="rgb_array"``.

    >>> print(UnsupportedArgumentError("x is unknown. was raised from the environment creator for A-v0 with kwargs {}"))
    x is unknown.
    """

    def __init__(self, message: str) -> None:
        # Gymnasium raises a TypeError again with all arguments in its message, and one of them may hold a password.
        super().__init__(message.partition(" was raised from the environment creator for ")[0])


class UnknownTaskError(ConfigError, LookupError):
    """A task id or split that the environment does not have."""


class ActionError(RetroGymError, TypeError):
    """An action that is not text."""


class DataError(RetroGymError, ValueError):
    """A data file that cannot be used."""


class RecordError(DataError):
    """A records file of another schema version, or damaged before its last line."""


class NoFailureError(RetroGymError, RuntimeError):
    """There is no failed trial to reflect on: the actor solves every task of the split without reflections."""


class EpisodeError(RetroGymError, RuntimeError):
    """``step`` or ``branch`` was called without a running episode."""


class ActorError(RetroGymError, RuntimeError):
    """The actor gave no usable reply. A value of this type may stand in for a reply."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    """The cost of the unusable reply, as in :class:`~retro_gym.Reply`."""


class PromptTooLongError(ActorError):
    """The prompt exceeds the actor's context window. A retry is of no use; the trial ends as a failure."""


class CutReplyError(ActorError):
    """The reply was truncated at its token limit (reasoning included) before its action was complete: a void trial."""


class BudgetError(ActorError):
    """The budget of calls, tokens or money is spent."""


class TaskEnvError(ActorError):
    """A task environment's own server or engine failed. The trial is void and yields no reward."""


class CassetteError(RetroGymError, LookupError):
    """A tape has no reply to a prompt: the run deviates from the recorded one.

    It is not an :class:`ActorError`, since a run that drops the sample and continues could be mistaken for the recorded
    one. It propagates through environments, learners and evaluations.
    """


class DivergedError(RetroGymError, ArithmeticError):
    """A number in training or sampling is not finite. Raised before the number is used."""


class SamplerError(RetroGymError, RuntimeError):
    """A server that samples for a model in training gave no usable answer. A run can be resumed."""


class HubError(RetroGymError, OSError):
    """The Hugging Face hub cannot be reached, or refused what it was asked."""


class MissingExtraError(RetroGymError, ImportError):
    """An optional library is not installed.

    >>> print(MissingExtraError("torch", "train"))
    torch is not installed. It comes with the extra [train]: pip install "retro-gym[train]"
    """

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(library, extra)
        self.library = library
        self.extra = extra

    def __str__(self) -> str:
        return (
            f"{self.library} is not installed. It comes with the extra [{self.extra}]: "
            f'pip install "retro-gym[{self.extra}]"'
        )


class CheckpointError(RetroGymError, ValueError):
    """A checkpoint does not match the run that resumes from it."""


def did_you_mean(received: object, known: Iterable[str]) -> str:
    """Returns a hint with the nearest known name, or an empty string.

    >>> did_you_mean("retrun", ["return", "improvement"])
    " Did you mean 'return'?"
    """
    nearest = difflib.get_close_matches(str(received), list(known), n=1)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""


def one_line(value: object, limit: int = 80) -> str:
    """Returns the ``repr`` of a value, shortened for a message.

    >>> one_line("x" * 200, limit=12)
    "'xxxxxxxx..."
    """
    try:
        text = repr(value)
    except Exception as error:  # a user's class may have a faulty repr, which must not hide the actual message
        text = f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"
    return text if len(text) <= limit else text[: limit - 3] + "..."
