"""Reads results of ``retro-gym evaluate``, and joins them with the files that hold their trials.

A result has a row for each trial, with the reflection and how the trial ended, but not the trial's turns. Those are in
the evaluation's journal, ``FILE.trials.jsonl``, and in its file of records.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from gymnasium.utils import seeding

from retro_gym.errors import ConfigError, DataError, RecordError, one_line
from retro_gym.jsonl import read_json_lines
from retro_gym.seeding import derive_seed
from retro_gym.trajectory import Trajectory
from retro_gym_agents.evaluation.stored import load_result
from retro_gym_agents.view.from_records import panel_key
from retro_gym_agents.view.model import Failure, Panel, Trial, Try

__all__ = ["JOURNAL_SCHEMA", "Played", "journal_header", "panel_of_journal", "panel_of_result", "played_in", "recorded"]

JOURNAL_SCHEMA = 4
PlayedKey: TypeAlias = tuple[str, int, str, int]
"""Task, seed of the episode, policy (empty for trial 0, which all share) and number of the trial."""


@dataclasses.dataclass(frozen=True)
class Played:
    """The trials that a journal or a file of records holds of an evaluation."""

    file: str
    trials: Mapping[PlayedKey, Trial]
    texts: Mapping[PlayedKey, str] = dataclasses.field(default_factory=dict)
    """The reflection that each trial was played with."""
    forms: Sequence[list[str | int]] = ()
    """Forms of the actor's prompt."""
    of_env: bool = False
    """Whether episodes are named by the environment's own seed, as in records, and not by the evaluation's."""

    def find(self, task_id: str, seed: int, policy: str, number: int) -> Trial | None:
        """Returns a trial.

        Args:
            task_id: the task.
            seed: the evaluation seed.
            policy: the policy's name.
            number: number of the trial.
        """
        episode = derive_seed(seed, "episode", task_id)
        if self.of_env:  # RetroEnv draws the seed of its records from the one that reset was given
            episode = int(seeding.np_random(episode)[0].integers(2**31))
        return self.trials.get((task_id, episode, policy if number else "", number))


def recorded(panel: Panel) -> Played:
    """Returns the trials of a file of records by policy, so that they can be joined with a result."""
    trials: dict[PlayedKey, Trial] = {}
    for failure in panel.failures.values():
        for trial in failure.trials:
            if trial.number == 0 and trial.source != "control":
                trials.setdefault((*failure.key, "", 0), trial)
        for one in failure.tries:
            for place in one.after[:1]:
                trials[*failure.key, one.policy, one.trial + 1] = failure.trials[place]
    return Played(panel.files[0], trials, forms=panel.forms, of_env=True)


def journal_header(path: Path) -> dict[str, Any]:
    """Returns the records header of an evaluation from the first line of its journal; empty if there is no line."""
    for _, row in read_json_lines(path, "an evaluation's journal"):
        return dict(row.get("run", {})) if isinstance(row, dict) else {}
    return {}


def played_in(path: Path) -> Played:
    """Reads the journal of an evaluation.

    Raises:
        RecordError: it is no journal, or damaged before its last line.
    """
    trials: dict[PlayedKey, Trial] = {}
    texts: dict[PlayedKey, str] = {}
    for number, row in read_json_lines(path, "an evaluation's journal"):
        try:
            if row["kind"] == "trial":
                found = Trajectory.from_json(row["trajectory"])
                trials[found.task_id, int(row["seed"]), str(row["policy"] or ""), found.trial] = Trial.of(found)
            elif row["kind"] == "reflections":
                for one in row["written"]:
                    key = (one["task_id"], int(one["seed"]), str(row["policy"]), int(row["trial"]))
                    texts[key] = str(one["text"])
        except (LookupError, TypeError, ValueError, DataError) as error:
            raise RecordError(
                f"{path}, line {number}: {one_line(row)} is no line of an evaluation's journal ({one_line(error)}). "
                "Give the file that 'retro-gym evaluate --json' wrote."
            ) from error
    return Played(path.name, trials, texts)


def panel_of_journal(path: Path) -> Panel:
    """Reads a journal alone: an evaluation that has not ended, or whose result was not given.

    Raises:
        RecordError: it is no journal, or holds no trial.
    """
    played, header = played_in(path), journal_header(path)
    if not played.trials:
        raise RecordError(f"{path} holds no trial yet. Resume the evaluation, or give another file.")
    names = dict.fromkeys(policy for _, _, policy, _ in (*played.trials, *played.texts) if policy)
    key = {**panel_key(header, "evaluation"), "seed": header.get("seed")}
    panel = Panel(key, "evaluation", [path.name], list(names), {}, header=header)
    for (task_id, seed, policy, number), trial in sorted(played.trials.items(), key=lambda item: item[0][3]):
        failure = panel.failures.setdefault((task_id, seed), Failure(task_id, seed, players=set(names)))
        text = played.texts.get((task_id, seed, policy, number), "")
        _append(failure, policy, trial, text=text)
        panel.rounds = max(panel.rounds, number)
    panel.notes.append(
        f"{path.name} was given without its result, so kinds of task, causes and leaks are not known. Seeds are those "
        "of the episodes."
    )
    return panel


def panel_of_result(path: Path, played: Sequence[Played] = ()) -> Panel:
    """Reads a result.

    Args:
        path: the file of ``retro-gym evaluate --json``.
        played: where its trials are looked up, in this order.

    Raises:
        ConfigError: the file is no result of schema 2.
    """
    stored = load_result(path)  # which checks the file
    content = json.loads(path.read_text(encoding="utf-8"))
    header = content["header"]
    plain = {name: stored.panel[name] for name in ("env_id", "split", "seed", "seeds", "trials", "actor_parameters")}
    key = {"kind": "", **plain, **panel_key(header, "evaluation"), **plain}  # the plainest difference is told first
    key["retro_gym_version"] = stored.panel["retro_gym_version"]
    panel = Panel(key, "evaluation", [path.name], list(stored.episodes), {}, header=header, rounds=content["trials"])
    panel.forms = [form for each in played for form in each.forms]
    bare = 0
    try:
        for row in content["rows"]:
            bare += _add_row(panel, row, list(_with_offsets(played)))
    except (LookupError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{path} is no whole result ({one_line(error)} in {one_line(row)}). Write one: retro-gym evaluate ENV_ID "
            "--json FILE."
        ) from error
    if bare:
        panel.notes.append(
            f"{path.name}: the turns of {bare} trials are not known. They are in {path.name}.trials.jsonl, which "
            "'retro-gym evaluate --json' writes beside the result: give it too."
        )
    elif panel.num_trials and not panel.forms:
        panel.notes.append(
            f"{path.name}: the actor's prompts are not known. Evaluate with --records FILE, and give that file too."
        )
    return panel


def _with_offsets(played: Sequence[Played]) -> Iterator[tuple[Played, int]]:
    offset = 0
    for each in played:
        yield each, offset
        offset += len(each.forms)


def _add_row(panel: Panel, row: Mapping[str, Any], played: Sequence[tuple[Played, int]]) -> bool:
    """Adds a row of a result; returns whether the turns of its trial are unknown."""
    policy, number, key = str(row["policy"]), int(row["trial"]), (str(row["task_id"]), int(row["seed"]))
    failure = panel.failures.setdefault(
        key, Failure(*key, group=str(row.get("group", "")), cause=str(row.get("cause", "")))
    )
    failure.players.add(policy)
    if row["success"] is None:
        failure.lost[policy] = str(row["actor_error"])
    if not row["end"] or (number == 0 and failure.trials):  # not played, or played for all policies
        return False
    trial = _looked_up(key, policy, number, played) or Trial(
        number, "", None, row["return"], bool(row["success"]), str(row["end"]), error=str(row["actor_error"])
    )
    known = {name: row.get(column) for name, column in (("leak", "leak"), ("named", "names_cause"))}
    _append(failure, policy, trial, text=str(row["reflection"]), **known)
    return trial.turns is None


def _looked_up(key: tuple[str, int], policy: str, number: int, played: Sequence[tuple[Played, int]]) -> Trial | None:
    """Returns a trial from the first file that holds it, if possible from one that knows the actor's prompt."""
    found = None
    for each, offset in played:
        trial = each.find(*key, policy, number)
        if trial is not None and trial.form >= 0:
            return dataclasses.replace(trial, form=trial.form + offset)
        found = found or trial
    return found


def _append(
    failure: Failure, policy: str, trial: Trial, *, text: str, leak: bool | None = None, named: bool | None = None
) -> None:
    """Adds a trial, and the reflection that it was played with."""
    place = len(failure.trials)
    failure.trials.append(trial)
    if trial.number == 0:
        return
    earlier = [one for one in failure.tries if one.policy == policy and one.trial == trial.number - 2]
    before = earlier[-1].after[0] if earlier else 0
    reward = None if trial.void else trial.return_
    failure.tries.append(Try(policy, trial.number - 1, text, before, (place,), reward=reward, leak=leak, named=named))
