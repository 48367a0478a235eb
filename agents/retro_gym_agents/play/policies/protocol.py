"""The protocol of policies, and the checks of what they write."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from retro_gym.actors.secrets import reportable
from retro_gym.env import RetroEnv
from retro_gym.errors import ActorError, BudgetError, ConfigError, one_line

__all__ = [
    "CompositePolicy",
    "LocalPolicy",
    "MeteredPolicy",
    "Policy",
    "checked_texts",
    "parts_of",
    "policy_parameters",
    "written_reflections",
]


@runtime_checkable
class Policy(Protocol):
    """Writes reflections. An evaluation passes it all failures of one trial as a batch."""

    @property
    def name(self) -> str:
        """Name in tables and files."""
        ...

    def reflect(
        self, observations: Sequence[str], envs: Sequence[RetroEnv], seeds: Sequence[int]
    ) -> Sequence[str | ActorError]:
        """Writes one reflection for each failure.

        Args:
            observations: the environments' last observations.
            envs: the environments, in the state to reflect on; the policy must not change them.
            seeds: random seed of each reflection.

        Returns:
            For each failure a text, or the error for which there is none: its episode then ends without a score.
        """
        ...


@runtime_checkable
class MeteredPolicy(Policy, Protocol):
    """A policy that is a model, and counts its tokens."""

    prompt_tokens: int
    """Prompt tokens so far."""
    completion_tokens: int
    """Tokens written so far."""


@runtime_checkable
class LocalPolicy(MeteredPolicy, Protocol):
    """A policy whose model runs in this process."""

    def load(self) -> object:
        """Loads the model if necessary."""
        ...

    def unload(self) -> None:
        """Releases the model; the next ``reflect`` loads it again."""
        ...

    def adapter_source(self) -> str | None:
        """Describes the adapter of a training run that it uses; None if it uses none."""
        ...


@runtime_checkable
class CompositePolicy(Policy, Protocol):
    """A policy that asks other ones."""

    @property
    def parts(self) -> Sequence[Policy]:
        """The policies that it asks."""
        ...


def parts_of(policy: Policy) -> Iterator[Policy]:
    """Yields a policy and all policies that it asks, directly or through others."""
    yield policy
    if isinstance(policy, CompositePolicy):
        for part in policy.parts:
            yield from parts_of(part)


def policy_parameters(policy: Policy) -> dict[str, Any]:
    """Returns what a policy's reflections depend on, so far as it says so: its ``parameters`` that are JSON values.

    Every policy has ``greedy``, ``source`` (the adapter of a training run) and ``weights`` (a digest of its files);
    ``python:`` policies of users may have a mapping ``parameters`` of their own.
    """
    given = getattr(policy, "parameters", None)
    own = given if isinstance(given, Mapping) else {}
    return {"greedy": False, "source": None, "weights": None, **reportable({str(name): own[name] for name in own})}


def written_reflections(
    policy: Policy, observations: Sequence[str], envs: Sequence[RetroEnv], seeds: Sequence[int]
) -> list[str | ActorError]:
    """Returns what a policy writes, after checking it. An ``ActorError`` that it raises applies to every failure.

    Raises:
        BudgetError: the policy's budget is spent before its first reflection.
        ConfigError: the policy does not write one reflection for each failure.
    """
    if not observations:
        return []
    try:
        written = policy.reflect(observations, envs, seeds)
    except BudgetError:
        raise
    except ActorError as error:
        return [error] * len(observations)
    return checked_texts(f"policy {policy.name!r}", written, len(observations))


def checked_texts(what: str, written: object, count: int) -> list[str | ActorError]:
    """Returns reflections as a list after checking that there is one for each failure.

    Args:
        what: who wrote them, for messages.
        written: what was written.
        count: number of failures.

    Raises:
        ConfigError: it is no sequence of texts and errors, or of another length.
    """
    if isinstance(written, str) or not isinstance(written, Sequence):
        if inspect.iscoroutine(written):
            written.close()  # avoids Python's warning that it was never awaited
        raise ConfigError(f"{what} wrote {one_line(written)}; it must return a list of texts.")
    if len(written) != count:
        raise ConfigError(f"{what} wrote {len(written)} reflections on {count} failures; it must write one on each.")
    odd = [text for text in written if not isinstance(text, str | ActorError)]
    if odd:
        raise ConfigError(f"{what} wrote {one_line(odd[0])}; a reflection is text (str).")
    return list(written)
