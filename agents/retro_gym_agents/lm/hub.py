"""The Hugging Face hub: names on it, adapters from it, and uploads to it in one commit.

Its address, tokens and cache are those of huggingface_hub: ``HF_ENDPOINT``, ``HF_TOKEN`` or ``hf auth login``,
``HF_HOME``. Errors say what was refused, and what to do.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from retro_gym.actors.gguf_file import is_gguf
from retro_gym.actors.secrets import mask, secrets_of, shareable
from retro_gym.errors import ConfigError, HubError, MissingExtraError, RetroGymError, one_line

__all__ = ["Content", "RepoType", "Token", "check_name", "fetch_adapter", "holds_file", "hub_parts", "push_files"]

Token: TypeAlias = str | bool | None
"""A token of the hub; None for the one that is logged in, if any, False for none."""
RepoType: TypeAlias = Literal["model", "dataset"]
Content: TypeAlias = bytes | Path
"""What a file holds, or where that is."""

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w][\w.-]*", re.ASCII)
_ADAPTER = "adapter_config.json"
_MODEL = "config.json"
_FETCHED = (_ADAPTER, "adapter_model.*", "generation_config.json", "planner.json")
"""Files of an adapter's repository that are read; the tokenizer is that of the base model."""
_LOG_IN = "Log in with 'hf auth login', or set HF_TOKEN"
_MESSAGE_LENGTH = 300


# -- names -------------------------------------------------------------------------------------------------------------


def hub_parts(source: str | os.PathLike[str]) -> tuple[str, str | None] | None:
    """Returns name and revision if a source is ``OWNER/NAME`` or ``OWNER/NAME@REVISION``; None for anything else.

    A path that exists is no name, nor is that of a GGUF file.

    >>> hub_parts("someone/reflector@v2"), hub_parts("someone/reflector"), hub_parts("/runs/first")
    (('someone/reflector', 'v2'), ('someone/reflector', None), None)
    """
    text = os.fspath(source)
    name, at, revision = text.partition("@")
    if not _NAME.fullmatch(name) or (at and not revision) or is_gguf(text) or Path(text).exists():
        return None
    return name, revision or None


def check_name(name: str) -> str:
    """Returns a name to push to, after checking its form.

    Raises:
        ConfigError: it is not ``OWNER/NAME`` with the characters that the hub allows.
    """
    try:
        from huggingface_hub.utils import HFValidationError, validate_repo_id
    except ImportError as error:
        raise MissingExtraError(error.name or "huggingface_hub", "train") from error
    try:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise HFValidationError("It has two parts of letters, digits, '-', '_' and '.', with a slash between.")
        validate_repo_id(name)
    except HFValidationError as error:
        raise ConfigError(
            f"{one_line(name)} is no name on the hub ({one_line(str(error), _MESSAGE_LENGTH)}). Give OWNER/NAME: your "
            "user name or organisation, and a name of your choice."
        ) from error
    return name


# -- downloads ---------------------------------------------------------------------------------------------------------


def fetch_adapter(name: str, revision: str | None = None, token: Token = None) -> Path | None:
    """Downloads the adapter in a repository into the cache; returns its folder, or None if it is a whole model.

    Without a connection, what the cache holds is taken.

    Raises:
        HubError: there is no such repository or revision, it may not be read, the hub cannot be reached, or the
            repository holds neither an adapter nor a model.
    """
    import huggingface_hub as hub
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    with _explained(f"model {name!r}", name, revision, "read"):
        try:
            config = hub.hf_hub_download(name, _ADAPTER, revision=revision, token=token)
        except LocalEntryNotFoundError:  # no connection, and no adapter in the cache
            if isinstance(hub.try_to_load_from_cache(name, _MODEL, revision=revision), str):
                return None
            raise
        except EntryNotFoundError:
            _check_model(name, revision, token)
            return None
        commit = Path(config).parent.name  # so that all files are of one commit
        return Path(hub.snapshot_download(name, revision=commit, allow_patterns=list(_FETCHED), token=token))


def _check_model(name: str, revision: str | None, token: Token) -> None:
    if not holds_file(name, _MODEL, revision, token):
        raise HubError(
            f"{name!r} on the hub holds neither an adapter ({_ADAPTER}) nor a model ({_MODEL}). Give the name of a "
            "repository that holds one: 'retro-gym push RUN OWNER/NAME' makes it."
        )


def holds_file(name: str, file: str, revision: str | None = None, token: Token = None) -> bool:
    """Returns whether a model's repository is there and holds a file.

    Raises:
        HubError: it may not be read, or the hub cannot be reached.
    """
    from huggingface_hub import HfApi

    with _explained(f"model {name!r}", name, revision, "read"):
        return bool(HfApi(token=token).file_exists(name, file, revision=revision))


# -- uploads -----------------------------------------------------------------------------------------------------------


def push_files(
    name: str,
    files: Mapping[str, Content],
    *,
    message: str,
    repo_type: RepoType = "model",
    private: bool | None = None,
    revision: str | None = None,
    token: Token = None,
    stale: Callable[[str], bool] = lambda file: False,
    unfit: Mapping[str, str] | None = None,
) -> str:
    """Uploads files in one commit: a reader sees all of them or none. The repository is created if it is not there.

    Args:
        name: ``OWNER/NAME``.
        files: the content of each file by its path in the repository.
        message: the commit's message.
        repo_type: a model or a data set.
        private: whether a new repository is private; None for the owner's default. True is refused for one that is
            there and public.
        revision: the branch, created if it is not there; ``main`` by default.
        token: see :data:`Token`.
        stale: which other files of the branch the commit removes.
        unfit: files that a repository must not hold yet, with what they make of it.

    Returns:
        The repository's address.

    Raises:
        ConfigError: the name is invalid, or the repository holds something else or is public.
        HubError: the hub refused, or cannot be reached.
    """
    check_name(name)
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api = HfApi(token=token, library_name="retro-gym")
    with _explained(f"{_word(repo_type)} {name!r}", name, revision, "write"):
        url = api.create_repo(name, repo_type=repo_type, private=private, exist_ok=True)
        if private and api.repo_info(name, repo_type=repo_type).private is False:
            raise ConfigError(
                f"{name!r} is on the hub already, and is public. Make it private in its settings, or give another name."
            )
        if revision is not None:
            api.create_branch(name, repo_type=repo_type, branch=revision, exist_ok=True)
        present = api.list_repo_files(name, repo_type=repo_type, revision=revision)
        for file, what in (unfit or {}).items():
            if file in present:
                raise ConfigError(f"{name!r} holds {what} already ({file}). Give another name.")
        removed = [file for file in present if file not in files and stale(file)]
        operations: list[Any] = [
            *(CommitOperationDelete(file) for file in removed),
            *(CommitOperationAdd(file, content) for file, content in sorted(files.items())),
        ]
        api.create_commit(name, operations, commit_message=message, repo_type=repo_type, revision=revision, token=token)
    return str(url)


# -- errors ------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _explained(what: str, name: str, revision: str | None, doing: Literal["read", "write"]) -> Iterator[None]:
    """Turns the errors of huggingface_hub and its transport into :class:`HubError`."""
    try:
        yield
    except RetroGymError:
        raise
    except Exception as error:  # of the library, of its transport, of the storage behind it, of the disk
        said = _Request(what, name, revision, doing).explain(error)
        raise HubError(said) from error


@dataclasses.dataclass(frozen=True)
class _Request:
    """What was asked of the hub."""

    what: str
    name: str
    revision: str | None
    doing: Literal["read", "write"]

    def explain(self, error: Exception) -> str:
        """Returns what went wrong, and the remedy."""
        from huggingface_hub import errors

        chain = _chain(error)
        if any(isinstance(one, errors.OfflineModeIsEnabled) for one in chain):
            return self._unreachable("HF_HUB_OFFLINE is set", "Unset HF_HUB_OFFLINE, or use what was downloaded.")
        answered = next((one for one in chain if isinstance(one, errors.HfHubHTTPError)), None)
        if answered is not None:
            return self._refused(answered)
        local = isinstance(error, errors.LocalEntryNotFoundError)
        if local or any(type(one).__module__.partition(".")[0] in ("httpx", "httpx2") for one in chain):
            return self._unreachable(_said(chain[-1]), "Check the connection and HF_ENDPOINT, and try again.")
        return f"{self.what} could not be {self._done}: {_said(error)}. {self._again}"

    def _refused(self, error: Any) -> str:
        """Returns what an answer of the hub with a status of 400 or above means."""
        from huggingface_hub import errors

        status = error.response.status_code
        if isinstance(error, errors.GatedRepoError):
            return f"{self.what} is gated. Ask for access on its page, and {_LOG_IN.lower()} to your token."
        if isinstance(error, errors.RevisionNotFoundError):
            return f"{self.what} has no revision {self.revision!r}. Give one of its branches, tags or commits."
        if isinstance(error, errors.RepositoryNotFoundError) and self.doing == "read":
            return (
                f"there is no {self.what} on the hub at {_endpoint()}, nor a folder of this name; or it is private, "
                f"and your token may not read it. Check the name. {_LOG_IN} to a token that may read it."
            )
        owner = self.name.partition("/")[0]
        remedy = {
            401: f"{_LOG_IN} to a token that may {self.doing}.",
            403: f"Its token may not {self.doing} there: take one that may, or another owner than {owner!r}.",
            404: f"{_LOG_IN} to a token that may {self.doing}, and check the owner {owner!r}.",
            409: "Somebody else changed it at the same time. Try again.",
        }.get(status, self._again if status >= 500 or status == 429 else "Check the name and the files.")
        return (
            f"the hub at {_endpoint()} refused to {self.doing} {self.what} with status {status}: {_said(error)}. "
            f"{remedy}"
        )

    def _unreachable(self, why: str, remedy: str) -> str:
        cached = ", and it is not in the cache" if self.doing == "read" else ""
        return f"the hub at {_endpoint()} cannot be reached for {self.what} ({why}){cached}. {remedy}"

    @property
    def _done(self) -> str:
        return "read" if self.doing == "read" else "written"

    @property
    def _again(self) -> str:
        kept = " No commit was made: the repository holds what it held." if self.doing == "write" else ""
        return f"Try again later.{kept}"


def _chain(error: BaseException) -> list[BaseException]:
    """Returns an error and its causes, the first cause last."""
    found = [error]
    while (cause := found[-1].__cause__ or found[-1].__context__) is not None and cause not in found:
        found.append(cause)
    return found


def _said(error: BaseException) -> str:
    """Returns an error's message in one line, without secrets."""
    text = " ".join((getattr(error, "server_message", None) or str(error) or type(error).__name__).split())
    return str(mask(shareable(text), secrets_of())).rstrip(".")[:_MESSAGE_LENGTH]


def _endpoint() -> str:
    from huggingface_hub import constants

    return str(shareable(constants.ENDPOINT))


def _word(repo_type: RepoType) -> str:
    return "data set" if repo_type == "dataset" else repo_type
