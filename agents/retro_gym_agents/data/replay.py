"""Replay buffers for off-policy learning: what a role wrote in the last rounds, and with which log-probabilities."""

from __future__ import annotations

import dataclasses
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

from retro_gym_agents.data.examples import Example
from retro_gym_agents.lm.chains import Reply, chained
from retro_gym_agents.lm.language_model import LanguageModel

__all__ = ["Baseline", "ReplayBuffer", "Tried", "tried"]

Baseline: TypeAlias = Literal["none", "mean", "task"]


@dataclasses.dataclass(frozen=True)
class Tried:
    """A trial or a reflection with its reward, and the log-probabilities with which its tokens were sampled."""

    replies: tuple[Reply, ...]
    behaviour: tuple[tuple[float, ...], ...]
    """For each reply; NaN for a token that the model did not write."""
    reward: float
    group: str = ""
    """What it is compared with: other attempts at the same task in the same round and trial."""


class ReplayBuffer:
    """What a role wrote in some rounds.

    Args:
        rounds: how many of the latest rounds are used.
        baseline: subtracted from the rewards: nothing, their mean, or the mean of their group.
        normalise: whether rewards are divided by their standard deviation.
    """

    def __init__(self, rounds: int, *, baseline: Baseline = "none", normalise: bool = False) -> None:
        self._limit, self._baseline, self._normalise = rounds, baseline, normalise
        self._rounds: dict[int, list[Tried]] = {}

    def add(self, number: int, items: Iterable[Tried]) -> None:
        """Sets what was tried in a round."""
        self._rounds[number] = list(items)

    def __contains__(self, number: int) -> bool:
        return number in self._rounds

    def items(self, number: int) -> list[Tried]:
        """Returns what was tried up to a round, except what has a reward of 0, which teaches nothing.

        >>> buffer = ReplayBuffer(2, baseline="mean")
        >>> for number, reward in enumerate([9.0, 1.0, 0.0]):
        ...     buffer.add(number, [Tried((), (), reward)])
        >>> [one.reward for one in buffer.items(2)]
        [0.5, -0.5]
        """
        first = max(0, number + 1 - self._limit)
        kept = {each: self._rounds.get(each, []) for each in range(first, number + 1)}
        found = [one for items in kept.values() for one in items]
        rewards = [one.reward for one in found]
        if self._baseline == "mean":
            expected = [statistics.fmean(rewards)] * len(rewards) if rewards else []
        elif self._baseline == "task":
            expected = [mean for items in kept.values() for mean in _means_of_groups(items)]
        else:
            expected = [0.0] * len(rewards)
        spread = (statistics.pstdev(rewards) if rewards and self._normalise else 1.0) or 1.0
        paid = [(reward - mean) / spread for reward, mean in zip(rewards, expected, strict=True)]
        return [dataclasses.replace(one, reward=reward) for one, reward in zip(found, paid, strict=True) if reward]


def _means_of_groups(items: Sequence[Tried]) -> list[float]:
    """Returns for each item the mean reward of its group."""
    groups: defaultdict[str, list[float]] = defaultdict(list)
    for one in items:
        groups[one.group].append(one.reward)
    means = {group: statistics.fmean(rewards) for group, rewards in groups.items()}
    return [means[one.group] for one in items]


def tried(example: Example, model: LanguageModel, *, whole: bool = False) -> Tried | None:
    """Returns an example with the tokens that the model wrote.

    Args:
        example: what a role wrote.
        model: the role, for the tokens of its prompts.
        whole: makes a trial one reply to its first prompt, observations included.

    Returns:
        None if a text has no tokens, because it was not written by a local model.
    """
    replies, behaviour = [], []
    for one in example.written:
        if one.generation is None:
            return None
        replies.append(Reply(model.encode(one.prompt), one.generation.token_ids))
        behaviour.append(one.generation.logprobs)
    found = Tried(tuple(replies), tuple(behaviour), example.reward, f"{example.task_id} {example.trial}")
    return _as_one(found) if whole else found


def _as_one(one: Tried) -> Tried:
    replies, known, start = [], [], 0
    for chain in chained(one.replies):
        first = chain.spans[0][0] + 1
        last = chain.spans[-1][1][-1]
        tokens = [*chain.ids[first:], last]
        logprobs = [float("nan")] * len(tokens)
        for (at, _), row in zip(chain.spans, one.behaviour[start:], strict=False):
            within = row if at == chain.spans[-1][0] else row[:-1]  # other turns' end tokens are not in the row
            logprobs[at + 1 - first : at + 1 - first + len(within)] = within
        start += len(chain.spans)
        replies.append(Reply(chain.ids[:first], tokens))
        known.append(tuple(logprobs))
    return dataclasses.replace(one, replies=tuple(replies), behaviour=tuple(known))
