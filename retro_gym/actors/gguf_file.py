"""Models in GGUF files, as llama.cpp has them: converted once into a folder in the format of transformers.

The folder lies beside the file and has its name: ``models/small.gguf`` becomes ``models/small/``. Quantised weights are
stored as float32, so the folder is larger than the file (four bytes a weight).
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from retro_gym.errors import ConfigError, MissingExtraError, one_line

__all__ = ["check_gguf", "is_gguf", "transformers_folder"]

_SUFFIX = ".gguf"
_MAGIC = b"GGUF"
_SOURCE = "gguf.json"  # in the folder: which file it was made of


def is_gguf(where: str | os.PathLike[str]) -> bool:
    """Returns whether a path names a GGUF file, by its suffix.

    >>> is_gguf("models/small.gguf")
    True
    """
    return os.fspath(where).lower().endswith(_SUFFIX)


def transformers_folder(path: str | os.PathLike[str]) -> Path:
    """Returns the folder that holds the model of a GGUF file; makes it if it is not there, or older than the file.

    Raises:
        ConfigError: the file is absent, truncated, in another format, or of an architecture that transformers does not
            read; or the folder holds something else, or cannot be written.
        MissingExtraError: the package ``gguf`` is not installed.
    """
    file = Path(path)
    folder = file.with_suffix("")
    source = _source_of(file)
    if _is_made_of(folder, source):
        return folder
    if folder.exists() and not (folder / _SOURCE).is_file():
        raise ConfigError(f"{file} would be converted into {folder}, which is not of it. Rename one of the two.")
    if importlib.util.find_spec("gguf") is None:
        raise MissingExtraError("gguf", "gguf")
    _check_whole(file)
    model, tokenizer = _loaded(file)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=file.parent) as scratch:
            made = Path(scratch) / folder.name
            model.save_pretrained(made)
            tokenizer.save_pretrained(made)
            files = sorted(one.name for one in made.iterdir())
            (made / _SOURCE).write_text(json.dumps({**source, "files": files}) + "\n", encoding="utf-8")
            for name in files:  # weights come with a mode that lets no other user read them
                shutil.copymode(made / _SOURCE, made / name)
            _put(made, folder, source)
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be converted into {folder}: {one_line(str(error))}. The folder takes up to eight times the "
            "room of the file; give a file in a folder that can be written."
        ) from error
    return folder


def check_gguf(path: str | os.PathLike[str]) -> None:
    """Checks that a GGUF file is there, without reading it.

    Raises:
        ConfigError: it is absent, or in another format.
    """
    _source_of(Path(path))


def _source_of(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            begins = opened.read(len(_MAGIC))
            status = os.fstat(opened.fileno())
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {one_line(str(error))}. Give the path of a GGUF file.") from error
    if begins != _MAGIC:
        raise ConfigError(f"{file} is no GGUF file: it begins with {begins!r} in place of {_MAGIC!r}.")
    return {"file": file.name, "bytes": status.st_size, "changed": status.st_mtime_ns}


def _noted(folder: Path) -> dict[str, Any]:
    """Returns what a folder says of itself: the file that it was made of, and the names of its own files."""
    try:
        noted = json.loads((folder / _SOURCE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}


def _is_made_of(folder: Path, source: dict[str, Any]) -> bool:
    return {name: value for name, value in _noted(folder).items() if name != "files"} == source


def _check_whole(file: Path) -> None:
    from gguf import GGUFReader

    try:
        GGUFReader(file)
    except Exception as error:  # the reader indexes a map of the file, and fails in many ways where it ends too early
        raise ConfigError(
            f"{file} cannot be read to its end: {one_line(str(error))}. It is truncated or damaged; fetch it again."
        ) from error


def _loaded(file: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(**where)
        model, loaded = AutoModelForCausalLM.from_pretrained(**where, dtype="float32", output_loading_info=True)
    except Exception as error:  # an unknown architecture, tokenizer or quantisation, each with an error of its own
        raise ConfigError(
            f"{file} holds a model that transformers cannot read: {one_line(str(error), 200)} Give a GGUF file of an "
            "architecture that it supports, or a folder in its own format."
        ) from error
    if missing := sorted(loaded["missing_keys"]):  # transformers would give them random numbers
        raise ConfigError(
            f"{file} lacks {len(missing)} of the model's weights, first {missing[0]}. It may be one part of a split "
            "model; give the whole one."
        )
    del model.config.quantization_config  # the weights are no longer quantised, and would not be saved otherwise
    model.hf_quantizer, model.is_quantized = None, False
    return model, tokenizer


def _put(made: Path, folder: Path, source: dict[str, Any]) -> None:
    """Moves what was made to its place, unless another process was faster.

    An older folder is moved into that of ``made``, which is temporary.
    """
    if _is_made_of(folder, source):
        return
    if folder.is_dir():
        own = {_SOURCE, *_noted(folder).get("files", ()), *(one.name for one in made.iterdir())}
        others = sorted({one.name for one in folder.iterdir()} - own)
        if others:
            raise ConfigError(
                f"{folder} is to be made again, since its file has changed, but holds {others[0]!r} too, which is of "
                "another origin. Move that away."
            )
    try:
        with contextlib.suppress(FileNotFoundError):
            folder.replace(made.with_name("older"))  # at once, so that nobody finds a part of it
        made.replace(folder)
    except OSError:
        if not _is_made_of(folder, source):
            raise
