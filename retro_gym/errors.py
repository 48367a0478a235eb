"""Every error that retro_gym raises on purpose.

::

    RetroGymError
    ├── ConfigError (ValueError)          an argument is out of its rule
    │   ├── TemplateError                 a template names a field that does not exist
    │   └── UnknownTaskError (LookupError)  a task id or a split that the environment does not have
    ├── ActionError (TypeError)           an action that is not text
    ├── DataError (ValueError)            a data file that cannot be used: file, record, field, remedy
    │   └── RecordError                   a records file of another schema, or damaged before its last line
    ├── NoFailureError (RuntimeError)     nothing to reflect on: the actor solves every task of the split
    ├── EpisodeError (RuntimeError)       step or branch without a running episode
    ├── ActorError (RuntimeError)         the actor gave no usable reply: never a reward of 0
    │   ├── PromptTooLongError            the prompt does not fit into the actor's context: ends the trial as a failure
    │   ├── CutReplyError                 the reply ran into its limit of tokens before its action was whole
    │   ├── BudgetError                   the budget of calls, tokens or money is spent: stops a run, resumably
    │   └── TaskEnvError                  a task environment's own server or engine failed: as void as an actor's error
    ├── CassetteError (LookupError)       a prompt that is not on the tape: stops the run, which is not the recorded one
    ├── DivergedError (ArithmeticError)   a number that learning or sampling needs is not finite: stops a run, resumably
    ├── MissingExtraError (ImportError)   an optional library is absent; names the extra that brings it
    └── CheckpointError (ValueError)      a checkpoint that does not fit the run that wants to resume from it

Each also inherits the built-in error that a caller would expect, and each pickles, so that it crosses the
process border of an ``AsyncVectorEnv`` whole. Messages say what was received, the rule, and the remedy.
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
    "MissingExtraError",
    "NoFailureError",
    "PromptTooLongError",
    "RecordError",
    "RetroGymError",
    "TaskEnvError",
    "TemplateError",
    "UnknownTaskError",
    "did_you_mean",
    "one_line",
]


class RetroGymError(Exception):
    """Base of every error that retro_gym raises on purpose."""


class ConfigError(RetroGymError, ValueError):
    """An argument is out of its rule."""


class TemplateError(ConfigError):
    """A template names a field that does not exist, or its braces do not match."""


class UnknownTaskError(ConfigError, LookupError):
    """A task id or split that the environment does not have."""


class ActionError(RetroGymError, TypeError):
    """An action that is not text."""


class DataError(RetroGymError, ValueError):
    """A data file that cannot be used."""


class RecordError(DataError):
    """A records file of another schema version, or damaged before its last line."""


class NoFailureError(RetroGymError, RuntimeError):
    """Nothing to reflect on: the actor solves every task of the split unaided."""


class EpisodeError(RetroGymError, RuntimeError):
    """``step`` or ``branch`` was called without a running episode."""


class ActorError(RetroGymError, RuntimeError):
    """The actor gave no usable reply. A value of this type may stand in for a reply."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    """What the call cost all the same, as in a :class:`~retro_gym.Reply`: that of a reply that cannot be used."""


class PromptTooLongError(ActorError):
    """The prompt does not fit into the actor's context. Retrying is of no use; the trial ends as a failure."""


class CutReplyError(ActorError):
    """The reply ran into its limit of tokens, reasoning included, before its action was whole. The trial is void."""


class BudgetError(ActorError):
    """The budget of calls, tokens or money is spent."""


class TaskEnvError(ActorError):
    """A task environment's own server or engine failed. The trial is void: no reward follows from it."""


class CassetteError(RetroGymError, LookupError):
    """A tape has no reply to a prompt: this is not the run that was recorded.

    Not an :class:`ActorError`: no actor has failed, and a run that went on without the sample would pass for the
    recorded one. So it is raised through environments, learners and evaluations alike.
    """


class DivergedError(RetroGymError, ArithmeticError):
    """A number that learning or sampling needs is not finite. It is raised before anything is made of that number."""


class MissingExtraError(RetroGymError, ImportError):
    """An optional library is absent.

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
    """A checkpoint does not fit the run that wants to resume from it."""


def did_you_mean(received: object, known: Iterable[str]) -> str:
    """A hint with the nearest known name, or an empty string.

    >>> did_you_mean("retrun", ["return", "improvement"])
    " Did you mean 'return'?"
    """
    nearest = difflib.get_close_matches(str(received), list(known), n=1)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""


def one_line(value: object, limit: int = 80) -> str:
    """``repr`` of a received value, short enough to stand in a message.

    >>> one_line("x" * 200, limit=12)
    "'xxxxxxxx..."
    """
    try:
        text = repr(value)
    except Exception as error:  # of a class of the user's, which is no reason to hide what was to be said
        text = f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"
    return text if len(text) <= limit else text[: limit - 3] + "..."
