"""What is pushed: a run's adapter, a merged model, or records; prepared first, so that it can be looked at."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from retro_gym.errors import ConfigError
from retro_gym_agents.data.cleaning import Cleaner
from retro_gym_agents.data.tables import TABLES, load_runs, records_files, write_tables
from retro_gym_agents.lm.adapter_folder import adapter_folder
from retro_gym_agents.lm.card import adapter_card
from retro_gym_agents.lm.hub import Content, Token, check_name, push_files
from retro_gym_agents.lm.merging import merged_card, save_merged
from retro_gym_agents.lm.publishing import adapter_files, model_files, published_base, push_adapter, push_model
from retro_gym_agents.lm.reflector import LoraSettings, Reflector
from retro_gym_agents.share.cards import data_body, metadata, run_sections
from retro_gym_agents.share.facts import read_facts

__all__ = ["Prepared", "merge", "prepare_records", "prepare_run"]

_CARD = "README.md"


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What would be pushed."""

    name: str
    """``OWNER/NAME``."""
    what: str
    """An adapter, a merged model or a data set."""
    files: Mapping[str, Content]
    """The content of each file, or where it is."""
    upload: Callable[[], str]
    """Uploads it; returns the repository's address."""

    @property
    def card(self) -> str:
        """The text of the card."""
        content = self.files[_CARD]
        return content.decode() if isinstance(content, bytes) else content.read_text(encoding="utf-8")

    def size(self, file: str) -> int:
        """Returns the size of a file in bytes."""
        content = self.files[file]
        return len(content) if isinstance(content, bytes) else content.stat().st_size


def prepare_run(
    run: str | os.PathLike[str],
    name: str,
    folder: Path,
    *,
    merged: bool = False,
    base: str | None = None,
    evaluation: str | os.PathLike[str] | None = None,
    private: bool | None = None,
    revision: str | None = None,
    token: Token = None,
    message: str | None = None,
) -> Prepared:
    """Prepares a run's adapter, with a card that is filled from the run.

    Args:
        run: the folder of a run, or of an adapter.
        name: ``OWNER/NAME``.
        folder: where a merged model is written before the upload; it must not be there.
        merged: the merged model in place of the adapter.
        base: see :func:`~retro_gym_agents.lm.publishing.push_adapter`, as for ``private`` to ``message``.
        evaluation: see :func:`~retro_gym_agents.share.facts.read_facts`.
        private: whether a new repository is private.
        revision: the branch.
        token: token of the hub.
        message: the commit's message.

    Raises:
        ConfigError: the name is invalid, the folder holds no adapter, or its base model is not on the hub.
    """
    check_name(name)
    found = adapter_folder(Path(run))
    if found is None:
        raise ConfigError(
            f"{os.fspath(run)} holds no adapter. Give the folder of a run that has saved one, or a folder of save()."
        )
    facts, planner = read_facts(Path(run), evaluation), _is_planner(found, Path(run))
    parts = run_sections(facts, name, merged=merged, planner=planner)
    about = {"title": name.partition("/")[2], "tags": ["planner" if planner else "reflector"], **metadata(facts, name)}
    shared: dict[str, Any] = {"private": private, "revision": revision, "token": token, "message": message}
    if merged:
        if base is not None:
            raise ConfigError(f"base is {base!r}, but a merged model needs no base model. Leave it out.")
        merge(found, folder)
        card = merged_card(about.pop("title"), *parts, **about)
        files = model_files(folder, card)
        return Prepared(name, "merged model", files, partial(push_model, folder, name, card, **shared))
    lora = facts.config.get("lora") or {}
    settings = LoraSettings(**lora) if lora else None

    def card_for(known: str) -> str:
        return adapter_card(known, settings, sections=parts, **about)

    known = published_base(found, name, base)
    return Prepared(
        name,
        "adapter",
        adapter_files(found, known, card_for(known.name)),
        partial(push_adapter, found, name, card_for, base=base, **shared),
    )


def prepare_records(
    paths: Sequence[str | os.PathLike[str]],
    name: str,
    folder: Path,
    *,
    private: bool | None = None,
    revision: str | None = None,
    token: Token = None,
    message: str | None = None,
) -> Prepared:
    """Prepares files of records as a data set: cleaned tables, and a card that ``load_dataset`` reads.

    Args:
        paths: files of records of different runs, or folders of runs.
        name: ``OWNER/NAME``.
        folder: where the tables are written.
        private: see :func:`prepare_run`, as for the next ones.
        revision: the branch.
        token: token of the hub.
        message: the commit's message.

    Raises:
        ConfigError: the name is invalid, or the files hold no row.
        RecordError: a file cannot be read, or two hold the same run.
    """
    check_name(name)
    runs = load_runs(records_files(paths))
    cleaner = Cleaner()
    headers = [cleaner.about(header.to_json()) for run in runs for header in run.headers.values()]
    counts = {table: sum(len(getattr(run, table)) for run in runs) for table in TABLES}
    kept = {table: count for table, count in counts.items() if count}
    write_tables(runs, folder, clean=True, body=data_body(name, kept, headers))
    files: dict[str, Content] = {path.name: path for path in sorted(folder.iterdir())}
    upload = partial(
        push_files,
        name,
        files,
        repo_type="dataset",
        message=message or "Records of retro_gym",
        private=private,
        revision=revision,
        token=token,
        stale=lambda file: file in {f"{table}.jsonl" for table in TABLES},
    )
    return Prepared(name, "data set", files, upload)


def merge(run: str | os.PathLike[str], folder: str | os.PathLike[str], *, device: str = "cpu") -> Path:
    """Writes an adapter, merged into its base model, as a model that transformers loads without peft.

    Args:
        run: the folder of a run or of an adapter, or an adapter's name on the hub.
        folder: the folder to write, which must not be there.
        device: device of the model.

    Returns:
        The folder.

    Raises:
        ConfigError: there is no adapter, or the folder is there.
        HubError: the hub refused, or cannot be reached.
        DivergedError: the adapter's weights are not finite.
    """
    target = Path(folder)
    if target.exists():
        raise ConfigError(f"output {str(target)!r} exists. Give another path, or remove it.")
    save_merged(Reflector.load(os.fspath(run), lora=None, device=device, dtype="auto"), target, keep=False)
    return target


def _is_planner(folder: Path, run: Path) -> bool:
    """Whether an adapter is a planner's: it has a planner's template, or is one in a run of RetroAct."""
    return (folder / "planner.json").is_file() or "planner" in (folder.name, run.name)
