"""Exports of records: rows for SFT, preference pairs, prompts with failures, tables of a data set, logs of Inspect.

The rows are JSON lines, which ``datasets.load_dataset("json", data_files=...)`` reads; the tables are a folder with a
data card, which ``load_dataset(FOLDER, "reflections")`` reads.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from retro_gym.checks import check_choice
from retro_gym.errors import ConfigError
from retro_gym.prompts import Prompt
from retro_gym.records import RunRecords
from retro_gym.records.schema import ReflectionRecord
from retro_gym_agents.data.examples import Example, Role, by_failure, examples_in
from retro_gym_agents.data.inspect_logs import write_logs
from retro_gym_agents.data.tables import load_runs, records_files, write_rows, write_tables

__all__ = ["FORMATS", "ExportConfig", "Format", "digest_of", "export", "rows_of"]

Format: TypeAlias = Literal["sft", "preference", "trl", "hf", "inspect"]
FORMATS: tuple[Format, ...] = get_args(Format)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """What is exported, and how."""

    format: Format
    """``sft``: ``prompt`` and ``completion``. ``preference``: ``prompt``, ``chosen`` and ``rejected``. ``trl``: the
    columns of ``retro_gym_agents.bridges.trl.failures``. ``hf``: a folder with a table for each kind of row.
    ``inspect``: a folder with a log of Inspect for each policy of each run."""
    role: Role = "reflector"
    """Whose texts are exported as ``sft``."""
    chat: bool = False
    """Prompts and completions as chat messages, for models with a chat template."""
    min_rating: float | None = None
    """Least rating G' − G of a reflection, or least return of a trial, for ``sft``."""
    successful: bool = False
    """For ``sft``: only trials that solved their task, or reflections after which the next trial did."""

    def __post_init__(self) -> None:
        check_choice("format", self.format, FORMATS)


def export(paths: Iterable[str | os.PathLike[str]], output: str | os.PathLike[str], config: ExportConfig) -> int:
    """Writes an export; returns the number of its rows.

    Args:
        paths: files of records, or folders of runs.
        output: the file to write, or for ``hf`` and ``inspect`` the folder.
        config: the format.

    Raises:
        RecordError: a file of records cannot be read, or two hold the same run.
        ConfigError: nothing passes the filters, or the output exists.
        MissingExtraError: inspect_ai is not installed, for ``inspect``.
    """
    files = records_files(paths)
    target = Path(output)
    if target.exists():
        raise ConfigError(f"output {str(target)!r} exists. Give another path, or remove it.")
    runs = load_runs(files)
    if config.format == "hf":
        return sum(write_tables(runs, target).values())
    if config.format == "inspect":
        return write_logs(runs, target)
    rows = [row for run in runs for row in rows_of(run, config)]
    if not rows:
        raise ConfigError(
            f"{', '.join(map(str, files))}: nothing to export as {config.format!r}. A preference needs two reflections "
            "on one failure with different ratings: retro-gym collect ENV_ID --num-samples 4."
        )
    write_rows(rows, target)
    return len(rows)


def rows_of(records: RunRecords, config: ExportConfig) -> Iterator[dict[str, Any]]:
    """Yields the rows of an export of one file, except for ``hf`` and ``inspect``."""
    if config.format == "trl":
        yield from _failures(records, config)
        return
    examples = examples_in(records, config.role if config.format == "sft" else "reflector")
    if config.format == "sft":
        yield from _demonstrations(examples, config)
    else:
        yield from _preferences(examples, config)


def _demonstrations(examples: Iterable[Example], config: ExportConfig) -> Iterator[dict[str, Any]]:
    for one in examples:
        if not one.passes(config.min_rating, successful=config.successful):
            continue
        for number, written in enumerate(one.written):
            yield {
                "prompt": _prompt(written.prompt, config),
                "completion": _reply(written.text, config),
                "reward": one.reward,
                "success": one.success,
                "task_id": one.task_id,
                "trial": one.trial,
                "turn": number,
            }


def _preferences(examples: Iterable[Example], config: ExportConfig) -> Iterator[dict[str, Any]]:
    """Yields every pair of reflections on one failure that differ in their rating."""
    for tried in by_failure(examples):
        for better, worse in itertools.permutations(tried, 2):
            if better.reward > worse.reward:
                yield {
                    "prompt": _prompt(better.written[0].prompt, config),
                    "chosen": _reply(better.written[0].text, config),
                    "rejected": _reply(worse.written[0].text, config),
                    "chosen_rating": better.reward,
                    "rejected_rating": worse.reward,
                    "task_id": better.task_id,
                    "trial": better.trial,
                }


def _failures(records: RunRecords, config: ExportConfig) -> Iterator[dict[str, Any]]:
    """Yields each failure once, with what a reward function needs to restore it."""
    seen = set()
    for row in records.reflections.values():
        if row.before in seen:
            continue
        seen.add(row.before)
        earlier = _earlier(records, row)
        first = records.before(earlier[0] if earlier else row).trajectory
        yield {
            "prompt": _prompt(row.observation, config),
            "task_id": row.task_id,
            "seed": row.episode,
            "failure": json.dumps(first.to_json(), sort_keys=True),
            "reflections": [one.reflection for one in earlier],
            "state": digest_of(row.observation),
        }


def _earlier(records: RunRecords, row: ReflectionRecord) -> list[ReflectionRecord]:
    """Returns the reflections that the failed trial's episode had before, the first one first."""
    found: list[ReflectionRecord] = []
    while row.parent:
        row = records.reflections[row.parent]
        found.insert(0, row)
    return found


def digest_of(observation: str) -> str:
    """Returns a digest that identifies an observation."""
    return hashlib.blake2b(observation.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _prompt(prompt: str | Prompt, config: ExportConfig) -> str | list[dict[str, str]]:
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}] if config.chat else prompt
    return prompt.messages("chat") if config.chat else prompt.text


def _reply(text: str, config: ExportConfig) -> str | list[dict[str, str]]:
    if config.chat:
        return [{"role": "assistant", "content": text}]
    return f" {text}"  # an observation ends without a space
