"""Results of evaluations, read from their files, and paired comparisons of policies across files.

Two results compare if they were measured on the same panel: the same tasks with the same seeds, played by the same
actor in the same environment.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from retro_gym.errors import ConfigError, did_you_mean, one_line
from retro_gym.records.schema import LATER_COLUMNS
from retro_gym.seeding import derive_seed
from retro_gym_agents.evaluation.comparison import NONE
from retro_gym_agents.evaluation.statistics import PairedDifference, paired_difference
from retro_gym_agents.play.policies import BASELINES

__all__ = ["Comparison", "Episode", "StoredResult", "compare_files", "load_result", "unlike_panels"]

_OF_THE_FILE = ("env_id", "split", "seed", "seeds", "trials", "env_kwargs", "actor", "actor_parameters")
_OF_THE_HEADER = (
    *("panel_size", "panel", "world_seed", "max_reflections", "memory_window", "actor_template"),
    *("observation_template", "retro_gym_version"),
)
_WORDS = {
    "panel_size": "the number of tasks",
    "panel": "the digest of the tasks' names",
    "seed": "the evaluation seed",
    "seeds": "the number of evaluation seeds",
    "trials": "the number of trials",
    "actor_parameters": "the actor's setting",
    "actor_template": "the digest of the actor's template",
    "observation_template": "the digest of the observation's template",
}


@dataclasses.dataclass(frozen=True)
class Episode:
    """What a result holds of one task with one evaluation seed and one policy."""

    success: tuple[bool, ...]
    """Success by trial 0…T; shorter if the actor failed."""
    failed: bool
    """Whether the actor failed, so that the episode is not scored."""
    leaks: tuple[bool, ...]
    """For each reflection of which it is known, whether it contains the answer; blank ones are left out."""
    named: tuple[bool, ...]
    """Likewise, whether it names the true cause of the failure."""


@dataclasses.dataclass(frozen=True)
class StoredResult:
    """What a file of ``retro-gym evaluate --json`` holds of each episode."""

    path: Path
    panel: Mapping[str, Any]
    """What two results must have in common."""
    episodes: Mapping[str, Mapping[tuple[str, int], Episode]]
    """For each policy, its episodes by task and evaluation seed."""

    def policy(self, name: str | None) -> str:
        """Returns the name of a policy, or of the only one that is no baseline.

        Raises:
            ConfigError: there is no such policy, or there are several to choose from.
        """
        if name is None:
            names = list(self.episodes)
            own = [one for one in names if one not in BASELINES] or [one for one in names if one != NONE] or names
            if len(own) != 1:
                raise ConfigError(
                    f"{self.path} holds {len(own)} policies to compare: {', '.join(own)}. Say which: --policies A B."
                )
            return own[0]
        if name not in self.episodes:
            raise ConfigError(
                f"{self.path} holds no policy {name!r}, but {', '.join(self.episodes)}."
                f"{did_you_mean(name, self.episodes)}"
            )
        return name


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The paired differences of two policies at trials 0…T, the first minus the second."""

    one: str
    other: str
    differences: tuple[PairedDifference, ...]
    episodes: int
    """Number of episodes that both were scored on."""
    left_out: int
    """Number of episodes in which an actor failed."""
    unlike: int
    """Number of episodes whose first trials differ, although no reflection was given yet: the actor does not repeat
    itself, so part of the difference is its luck."""

    def to_json(self) -> dict[str, Any]:
        """Returns the comparison in JSON types; lists are indexed by trial, differences are fractions."""
        return {
            "policies": [self.one, self.other],
            "difference": [each.mean for each in self.differences],
            "ci95": [list(each.ci) for each in self.differences],
            "won": [each.won for each in self.differences],
            "lost": [each.lost for each in self.differences],
            "p": [each.p_value for each in self.differences],
            "episodes": self.episodes,
            "left_out": self.left_out,
            "unlike_first_trials": self.unlike,
        }


def load_result(path: str | os.PathLike[str]) -> StoredResult:
    """Reads a result.

    Raises:
        ConfigError: the file cannot be read, or is no result of schema 2.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as a result: {one_line(str(error))}.") from error
    if not isinstance(content, dict) or content.get("schema") != 2 or not isinstance(content.get("rows"), list):
        raise ConfigError(f"{path} is no result of schema 2. Write one: retro-gym evaluate ENV_ID --json FILE.")
    try:
        panel = {name: content[name] for name in _OF_THE_FILE}
        panel |= {name: content["header"][name] for name in _OF_THE_HEADER}
        panel["memory"] = content["header"].get("memory", LATER_COLUMNS["memory"])
        found: dict[str, dict[tuple[str, int], list[dict[str, Any]]]] = {}
        for row in content["rows"]:
            episodes = found.setdefault(row["policy"], {})
            episodes.setdefault((row["task_id"], row["seed"]), []).append(row)
        played = {name: {key: _episode(rows) for key, rows in episodes.items()} for name, episodes in found.items()}
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{path} is no whole result ({one_line(repr(error))}).") from error
    return StoredResult(Path(path), panel, played)


def _episode(rows: Sequence[Mapping[str, Any]]) -> Episode:
    written = [row for row in rows if row["reflection"].strip()]
    return Episode(
        success=tuple(bool(row["success"]) for row in rows if row["success"] is not None),
        failed=any(row["success"] is None for row in rows),
        leaks=tuple(row["leak"] for row in written if row["leak"] is not None),
        named=tuple(row["names_cause"] for row in written if row.get("names_cause") is not None),  # since 0.1
    )


def unlike_panels(one: StoredResult, other: StoredResult) -> list[str]:
    """Returns in which ways the panel of a result differs from another's, the plainest first; empty if they are one.

    Each is a clause such as ``the number of tasks is 20 in place of 100``.
    """
    return [
        f"{_WORDS.get(name, name)} is {one_line(value)} in place of {one_line(other.panel[name])}"
        for name, value in one.panel.items()
        if value != other.panel[name]
    ]


def compare_files(one: StoredResult, other: StoredResult, policies: tuple[str, str] | None = None) -> Comparison:
    """Compares a policy of one result with a policy of another one, paired by episode.

    Args:
        one: the first policy's result.
        other: the second policy's, which is subtracted.
        policies: their names; by default each result's only policy that is no baseline.

    Raises:
        ConfigError: the panels differ, or a policy is not there.
    """
    unlike = unlike_panels(one, other)
    if unlike:
        raise ConfigError(
            f"{one.path} is on another panel than {other.path}: {unlike[0]}. Evaluate both policies with the same "
            "settings."
        )
    names = policies or (None, None)
    first, second = one.policy(names[0]), other.policy(names[1])
    played, against = one.episodes[first], other.episodes[second]
    if played.keys() != against.keys():
        raise ConfigError(f"{one.path} and {other.path} hold different episodes. One of them is not whole.")
    pairs = [(key[0], row, against[key]) for key, row in played.items()]
    scored = [(task, row.success, twin.success) for task, row, twin in pairs if not (row.failed or twin.failed)]
    if not scored:
        raise ConfigError(f"in each of the {len(pairs)} episodes an actor failed, so there is nothing to compare.")
    tasks, seed = [task for task, _, _ in scored], derive_seed(one.panel["seed"], "paired")
    return Comparison(
        first,
        second,
        tuple(
            paired_difference(
                [row[t] for _, row, _ in scored], [twin[t] for _, _, twin in scored], tasks=tasks, seed=seed
            )
            for t in range(one.panel["trials"] + 1)
        ),
        episodes=len(scored),
        left_out=len(pairs) - len(scored),
        unlike=sum(row[0] != twin[0] for _, row, twin in scored),
    )
