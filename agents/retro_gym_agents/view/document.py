"""Panels as JSON: an index that a list is drawn from, and the failures themselves in blocks that are read when opened.

A row of the index is a list: task id, seed, number of the kind of task, number of the cause, title, the number of the
block, and for each policy its outcome, or null if it did not play. An outcome is a list: what is solved by trial
0…rounds, the reward, the number of the last trial's end, whether a reflection leaks, whether one names the cause, and
how many were tried. The last item of a row is the updates of a training run in which the failure was played.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Any

from retro_gym_agents.evaluation.comparison import NONE
from retro_gym_agents.play.policies import BASELINES
from retro_gym_agents.view.model import Failure, Panel, Trial, Try

__all__ = ["as_json", "blocks_of", "failure_to_json", "index_of", "words_of"]

_TITLE = 160  # characters of a title
_BLOCK = 200_000  # characters of JSON in a block
_DIGITS = 4  # of rewards and shares
_SETTINGS = (
    *("env_id", "split", "panel_size", "world_seed", "seed", "actor", "actor_parameters", "reward_name", "memory"),
    *("max_reflections", "memory_window", "control_trials", "env_kwargs", "settings", "retro_gym_version"),
)


def as_json(content: object) -> str:
    r"""Returns JSON in ASCII: any Unicode text, lone surrogates included, is escaped.

    >>> as_json("</script>\u2028")
    '"</script>\\u2028"'
    """
    return json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def index_of(panels: Sequence[Panel], blocks: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
    """Returns the index of panels.

    Args:
        panels: the panels.
        blocks: for each panel, the number of the block that each of its failures is in.
    """
    return [_panel(panel, places) for panel, places in zip(panels, blocks, strict=True)]


def blocks_of(panels: Sequence[Panel]) -> tuple[list[list[dict[str, Any]]], list[list[int]]]:
    """Divides the failures into blocks of about equal size.

    Returns:
        The blocks, each a list of failures; for each panel, the number of the block that each of its failures is in.
        Failures stand in a block in the panel's order.
    """
    blocks: list[list[dict[str, Any]]] = []
    places: list[list[int]] = []
    for panel in panels:
        size, mine = _BLOCK, []
        for failure in panel.failures.values():
            content = failure_to_json(failure)
            if size >= _BLOCK:
                blocks.append([])
                size = 0
            size += len(as_json(content))
            blocks[-1].append(content)
            mine.append(len(blocks) - 1)
        places.append(mine)
    return blocks, places


def words_of(panels: Sequence[Panel]) -> list[list[str]]:
    """Returns for each failure the text that a search looks through: task, actions and reflections, in lower case."""
    return [[_words(failure) for failure in panel.failures.values()] for panel in panels]


def failure_to_json(failure: Failure) -> dict[str, Any]:
    """Returns everything that is known of a failure."""
    task = failure.task
    return {
        "task": task,
        "trials": [_trial(trial, task) for trial in failure.trials],
        "tries": [_try(one) for one in failure.tries],
        "lost": failure.lost,
    }


def _panel(panel: Panel, places: Sequence[int]) -> dict[str, Any]:
    groups, causes, ends = (_Numbers() for _ in range(3))
    rows = [
        [
            failure.task_id,
            failure.seed,
            groups.of(failure.group),
            causes.of(failure.cause),
            _title(failure.task),
            place,
            *(_outcome(failure, policy, panel.rounds, ends) for policy in panel.policies),
            sorted({one.update for one in failure.tries if one.update is not None}),
        ]
        for failure, place in zip(panel.failures.values(), places, strict=True)
    ]
    return {
        "kind": panel.kind,
        "env_id": panel.env_id,
        "files": panel.files,
        "policies": panel.policies,
        "pair": _pair(panel),
        "rounds": panel.rounds,
        "settings": [[name, panel.header[name]] for name in _SETTINGS if panel.header.get(name) not in (None, "")],
        "notes": panel.notes,
        "curves": [{**curve, "rows": [_finite(row) for row in curve["rows"]]} for curve in panel.curves],
        "forms": panel.forms,
        "groups": groups.names,
        "causes": causes.names,
        "ends": ends.names,
        "trials": panel.num_trials,
        "rows": rows,
    }


def _pair(panel: Panel) -> tuple[int, int]:
    """Returns which two policies to set beside each other at first; −1 for none.

    The first is one of the user's own if there is any, the second a plain retry; of several, those that differ most.
    """
    names = panel.policies
    second = names.index(NONE) if NONE in names else 0
    others = [number for number in range(len(names)) if number != second]
    if not others:
        return second, -1
    own = [number for number in others if names[number].partition(" (")[0] not in BASELINES] or others
    last = [[failure.solved(name, panel.rounds) or [None] for name in names] for failure in panel.failures.values()]
    ends = [[by_trial[-1] for by_trial in each] for each in last]
    apart = {number: sum(each[number] != each[second] for each in ends) for number in own}
    return max(own, key=lambda number: apart[number]), second


class _Numbers:
    """Numbers texts in the order in which they come."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def of(self, name: str) -> int:
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)


def _outcome(failure: Failure, policy: str, rounds: int, ends: _Numbers) -> list[Any] | None:
    solved = failure.solved(policy, rounds)
    if solved is None:
        return None
    tried = [one for one in failure.tries if one.policy == policy]
    branched = [one for one in tried if one.source == "branch" and one.trial == 0]
    paid = [one.reward for one in branched or tried[-1:] if one.reward is not None]
    first = next((trial for trial in failure.trials if trial.number == 0), None)
    played = [failure.trials[one.after[-1]] for one in tried if one.after]
    last = played[-1] if played else first
    if not tried and first is not None and first.return_ is not None and not first.void:
        paid = [first.return_]
    written = [one for one in tried if one.text.strip()]
    return [
        [_number(share) for share in solved],
        _number(fmean(paid)) if paid else None,
        ends.of("" if last is None else last.end),
        _any([one.leak for one in written]),
        _any([one.named for one in written]),
        len(tried),
    ]


def _any(found: Sequence[bool | None]) -> int | None:
    known = [one for one in found if one is not None]
    return int(any(known)) if known else None


def _trial(trial: Trial, task: str) -> dict[str, Any]:
    known: dict[str, Any] = {
        "number": trial.number,
        "return": None if trial.void else _number(trial.return_),
        "success": trial.success,
        "end": trial.end,
        "error": trial.error,
        "source": trial.source,
    }
    if trial.task != task and trial.task:
        known["task"] = trial.task
    if trial.form >= 0:
        known |= {"form": trial.form, "noted": trial.noted}
    if trial.turns is not None:
        known["turns"] = [
            [turn.thought, turn.action, turn.observation, _number(turn.reward), turn.reasoning] for turn in trial.turns
        ]
    return known


def _try(one: Try) -> dict[str, Any]:
    return {
        **{name: getattr(one, name) for name in ("policy", "trial", "text", "before", "after", "controls", "source")},
        **{name: getattr(one, name) for name in ("leak", "named", "update")},
        "reward": _number(one.reward),
    }


def _number(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), _DIGITS)


def _finite(row: dict[str, Any]) -> dict[str, float]:
    """Returns a row of metrics without what is no number."""
    return {
        name: value
        for name, value in row.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def _title(task: str) -> str:
    """Returns a line that tells a task from others: the whole text if it is short, else its last line."""
    line = task if len(task) <= _TITLE else next((each for each in reversed(task.splitlines()) if each.strip()), "")
    line = " ".join(line.split())
    return line if len(line) <= _TITLE else f"{line[: _TITLE - 1]}…"


def _words(failure: Failure) -> str:
    return "\n".join(dict.fromkeys(_texts(failure))).lower()


def _texts(failure: Failure) -> Iterator[str]:
    yield from (failure.task_id, failure.task)
    for trial in failure.trials:
        yield from (turn.action for turn in trial.turns or ())
    yield from (one.text for one in failure.tries)
