"""Submissions: results of others' policies, as ``retro-gym evaluate --json`` writes them, in a benchmark's tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from retro_gym.errors import ConfigError
from retro_gym_agents.bench.config import BenchConfig
from retro_gym_agents.evaluation.comparison import NONE
from retro_gym_agents.evaluation.stored import Episode, StoredResult, load_result, unlike_panels

__all__ = ["Submission", "load_submissions", "refuse_unplaced"]


@dataclasses.dataclass(frozen=True)
class Submission:
    """A policy of a file, and the name of its row."""

    name: str
    policy: str
    result: StoredResult

    @property
    def played(self) -> Mapping[tuple[str, int], Episode]:
        """Its episodes by task and evaluation seed."""
        return self.result.episodes[self.policy]

    def fits(self, reference: StoredResult) -> bool:
        """Whether it was measured on the panel of a result."""
        return not unlike_panels(self.result, reference)


def load_submissions(config: BenchConfig, files: Mapping[str, Path]) -> list[Submission]:
    """Reads submissions.

    Args:
        config: the benchmark.
        files: the files by the names for the table. A file with several policies gives the one of that name.

    Raises:
        ConfigError: a name is an arm's, or a file is no result or does not say which policy is meant.
    """
    for name in files:
        if name in {arm.name for arm in config.arms}:
            raise ConfigError(f"--submission {name}={files[name]}: an arm has this name. Give another one.")
    return [_loaded(name, path) for name, path in files.items()]


def _loaded(name: str, path: Path) -> Submission:
    result = load_result(path)
    if list(result.episodes) == [NONE]:
        raise ConfigError(f"submission {name!r} ({path}) holds the plain retry only, which every table has already.")
    if name in result.episodes:
        return Submission(name, name, result)
    try:
        return Submission(name, result.policy(None), result)
    except ConfigError as error:
        one = next(policy for policy in result.episodes if policy != NONE)
        raise ConfigError(
            f"submission {name!r} ({path}) holds several policies: {', '.join(result.episodes)}. Submit one by its own "
            f"name, such as --submission {one}={path}."
        ) from error


def refuse_unplaced(submissions: Iterable[Submission], references: Sequence[tuple[str, str, StoredResult]]) -> None:
    """Refuses submissions that fit none of a benchmark's panels.

    Args:
        submissions: those that stand in no table.
        references: the environment, the judging actor and the plain retry's result of each table.

    Raises:
        ConfigError: says of the first in what it differs from the panel that is most like its own.
    """
    for one in submissions:
        env_id = one.result.panel["env_id"]
        what = f"submission {one.name!r} ({one.result.path})"
        near = [(unlike_panels(one.result, reference), actor) for env, actor, reference in references if env == env_id]
        if not near:
            known = ", ".join(dict.fromkeys(env for env, _, _ in references))
            raise ConfigError(f"{what} is of {env_id}, which has no results here; there are those of {known}.")
        differing, actor = min(near, key=lambda pair: len(pair[0]))
        raise ConfigError(
            f"{what} is on another panel than {env_id} played by {actor}: {'; '.join(differing)}. Evaluate it with the "
            "command below that table."
        )
