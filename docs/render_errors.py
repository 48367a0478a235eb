"""Renders the classes of errors, with what to do about each, to ``docs/errors.md``: run it as a script."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from retro_gym import errors
from retro_gym_agents.cli import program

PAGE = Path(__file__).parent / "errors.md"
_HEAD = """# Errors and remedies

This page is made from the classes by `python docs/render_errors.py`.

A message says what was received, the rule, and the remedy. Every class is a `retro_gym.errors.RetroGymError` and also
the built-in exception that one would expect; all can be pickled, so that they pass from the processes of an
`AsyncVectorEnv`.

```python
from retro_gym.errors import ConfigError, RetroGymError

try:
    gym.make("RetroHotpotQA-v0", reward="retrun")
except ConfigError as error:  # also a ValueError
    print(error)
```

The command `retro-gym` prints the message as its last line on stderr. Its exit codes: {codes}

| error | what it is | what to do |
|---|---|---|
"""
_TAIL = """
An `ActorError` is not raised by `step`: the step comes back `truncated`, `info["actor_error"]` holds the message, and
the reward of 0 means nothing. Learners drop such a sample, evaluation counts it beside the figures.

## All messages

The documentation lists here, from the sources, what each class can say; `…` stands for what was received.

```{eval-rst}
.. error-messages::
```
"""
REMEDIES = {
    "RetroGymError": "Catch it to catch all of them.",
    "ConfigError": "Correct the argument as the message says; `retro-gym COMMAND --help` lists the options.",
    "UnsupportedArgumentError": "Leave the argument out, or take one that the message names.",
    "TemplateError": "Use the fields that the message lists; write `{{` and `}}` for braces that are meant as text.",
    "UnknownTaskError": "Take an id of `env.task_ids(split)`, or a split that the message lists.",
    "ActionError": "Pass a `str` to `step`, a list of them to `branch`, a token id to a token view.",
    "DataError": "Correct the record that the message names. The environment's manual has the format.",
    "RecordError": "Read the file with the version that wrote it, or make it again.",
    "NoFailureError": "Choose harder tasks or a weaker actor.",
    "EpisodeError": "Call `reset` first, also after an episode has ended.",
    "ActorError": "Drop the sample. See to the actor's server, then go on with `--resume`.",
    "PromptTooLongError": "Give a smaller `max_new_tokens`, fewer turns, or a model of longer context.",
    "CutReplyError": "Raise `max_tokens` (`max_new_tokens` of a local actor).",
    "BudgetError": "Raise the limit (`--max-actor-calls`) and go on with `--resume`.",
    "TaskEnvError": "See to the environment's server. If an action is the cause: `retro_gym.wrap(make, act=…)`.",
    "CassetteError": "Replay with the settings of the recording, or record again.",
    "DivergedError": "Go on with `--resume` and a lower learning rate.",
    "SamplerError": "See to the server of `--server`, then go on with `--resume`.",
    "HubError": "Check the name, the connection and the token: [sharing](share.md) has a table.",
    "MissingExtraError": "Install the extra that the message names.",
    "CheckpointError": "Resume with the settings of the run, or start a new one elsewhere.",
}
"""What to do, by the name of the class."""


def render() -> str:
    """The whole page."""
    codes = re.search(r"Exit codes: (.+?)\n\n|Exit codes: (.+)\Z", inspect.cleandoc(program.__doc__ or ""), re.DOTALL)
    assert codes is not None
    head = _HEAD.replace("{codes}", " ".join((codes[1] or codes[2]).split()))
    rows = [_row(kind) for kind in _classes()]
    return head + "\n".join(rows) + "\n" + _TAIL


def _classes() -> list[type[Exception]]:
    """The classes of errors, in the order of the module."""
    return [
        value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, errors.RetroGymError)
    ]


def _row(kind: type[Exception]) -> str:
    mine, builtin = kind.__bases__[0], [base.__name__ for base in kind.__bases__ if base.__module__ == "builtins"]
    kinds = [base for base in (mine.__name__, *builtin) if base not in ("Exception", "RetroGymError")]
    name = f"`{kind.__name__}`" + (f" ({', '.join(f'`{base}`' for base in kinds)})" if kinds else "")
    text = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0]
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", " ".join(text.split()).replace("``", "`"))
    return f"| {name} | {text} | {REMEDIES[kind.__name__]} |"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8", newline="\n")
