"""Budgets: limits on an actor's calls, tokens and money, shared by concurrent calls."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Sequence
from typing import Any

from retro_gym.actors.base import Actor, Reply, reply_all
from retro_gym.errors import ActorError, BudgetError, ConfigError, one_line
from retro_gym.prompts import Prompt

__all__ = ["Budget", "BudgetedActor", "Spent"]


@dataclasses.dataclass(frozen=True)
class Spent:
    """The cost of all calls so far."""

    calls: int = 0
    """Requests that were sent, including those in flight and retries."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    money: float = 0.0
    """In the currency of the prices; 0 without prices."""

    @property
    def tokens(self) -> int:
        """The tokens of prompts and completions together."""
        return self.prompt_tokens + self.completion_tokens


class Budget:
    """A limit on the cost of an actor. A call that would exceed it is not sent and returns a ``BudgetError``.

    All copies within a process are one budget; every other process counts separately, starting from what was spent when
    it received its copy. The cost of calls in flight is estimated by the mean of the finished calls, so that tokens and
    money can slightly exceed their limits; the number of calls never does.

    Args:
        calls: maximum number of requests.
        tokens: maximum number of tokens, prompts and completions together.
        money: maximum cost, in the currency of the prices.
        price_per_million: price of a million prompt tokens, and of a million completion tokens.
        spent: what an earlier run has already spent.

    Raises:
        ConfigError: a limit below 0, or money without prices.

    >>> budget = Budget(calls=2, money=1.0, price_per_million=(0.5, 1.5))
    >>> budget.reserve()
    >>> budget.settle(prompt_tokens=1_000_000, completion_tokens=100_000)
    >>> budget.spent
    Spent(calls=1, prompt_tokens=1000000, completion_tokens=100000, money=0.65)
    """

    def __init__(
        self,
        calls: int | None = None,
        tokens: int | None = None,
        money: float | None = None,
        *,
        price_per_million: tuple[float, float] | None = None,
        spent: Spent | None = None,
    ) -> None:
        for name, limit in (("calls", calls), ("tokens", tokens), ("money", money)):
            if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float) or not limit >= 0):
                raise ConfigError(f"{name} is {one_line(limit)}; a limit is a number of at least 0, or None.")
        if price_per_million is not None:
            prices = tuple(price_per_million)
            if len(prices) != 2 or not all(isinstance(price, int | float) and price >= 0 for price in prices):
                raise ConfigError(f"price_per_million is {one_line(price_per_million)}; give two prices, in and out.")
        elif money is not None:
            raise ConfigError(
                f"money is {money}, but the prices are not known. Give price_per_million=(input, output)."
            )
        self.calls, self.tokens, self.money = calls, tokens, money
        self.price_per_million = price_per_million
        self._start = self._spent = spent or Spent()
        self._in_flight = 0
        self._lock, self._process = threading.Lock(), os.getpid()

    @property
    def spent(self) -> Spent:
        """What has been spent so far."""
        return self._spent

    @property
    def limited(self) -> bool:
        """Whether it limits anything."""
        return any(limit is not None for limit in (self.calls, self.tokens, self.money))

    def reserve(self) -> None:
        """Reserves one call before its request is sent; :meth:`settle` or :meth:`release` must follow.

        Raises:
            BudgetError: the budget is spent. The message says what was spent and how to resume.
        """
        with self._guard():
            self._check()
            self._spent = dataclasses.replace(self._spent, calls=self._spent.calls + 1)
            self._in_flight += 1

    def settle(self, prompt_tokens: int = 0, completion_tokens: int = 0) -> None:
        """Books the tokens of a request that was answered."""
        with self._guard():
            self._in_flight -= 1
            prompts = self._spent.prompt_tokens + prompt_tokens
            completions = self._spent.completion_tokens + completion_tokens
            into, out = self.price_per_million or (0.0, 0.0)
            money = self._spent.money + (prompt_tokens * into + completion_tokens * out) / 1e6
            self._spent = Spent(self._spent.calls, prompts, completions, money)

    def release(self) -> None:
        """Returns the reserved call of a request that reached no server."""
        with self._guard():
            self._in_flight -= 1
            self._spent = dataclasses.replace(self._spent, calls=self._spent.calls - 1)

    def _check(self) -> None:
        done = self._spent.calls - self._start.calls - self._in_flight
        ahead = self._in_flight / done if done else 0.0  # ratio of calls in flight to finished ones
        for name, limit in (("calls", self.calls), ("tokens", self.tokens), ("money", self.money)):
            if limit is None:
                continue
            now = getattr(self._spent, name)
            expected = now if name == "calls" else now + ahead * (now - getattr(self._start, name))
            if expected >= limit:
                raise BudgetError(
                    f"the budget of {name} is spent: {now:,.6g} of {limit:,.6g} ({self._spent.calls:,} calls, "
                    f"{self._in_flight} of them in flight, {self._spent.tokens:,} tokens). "
                    f"Raise the limit on {name} and resume the run."
                )

    def _guard(self) -> threading.Lock:
        # A forked process may have inherited the lock while it was locked.
        if self._process != os.getpid():
            self._lock, self._process = threading.Lock(), os.getpid()
            self._in_flight = 0
        return self._lock

    def __deepcopy__(self, memo: dict[int, object]) -> Budget:
        return self

    def __copy__(self) -> Budget:
        return self

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_lock", "_process")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._in_flight = 0
        self._lock, self._process = threading.Lock(), os.getpid()

    def __repr__(self) -> str:
        limits = ((name, getattr(self, name)) for name in ("calls", "tokens", "money", "price_per_million"))
        given = ", ".join(f"{name}={value!r}" for name, value in limits if value is not None)
        return f"Budget({given})"


class BudgetedActor:
    """Wraps an actor that replies in batches and limits its cost by a budget. Every prompt counts as one call.

    >>> from retro_gym.actors import CallableActor
    >>> actor = BudgetedActor(CallableActor(lambda prompts: ["Finish[yes]"] * len(prompts)), Budget(calls=1))
    >>> prompt = Prompt("Answer.", (), (), "Question: Is it so?", (), seed=0)
    >>> [type(reply).__name__ for reply in actor.reply([prompt, prompt])]
    ['Reply', 'BudgetError']
    """

    def __init__(self, actor: Actor, budget: Budget) -> None:
        self.actor = actor
        self.budget = budget

    @property
    def batch_size(self) -> int | None:
        """The wrapped actor's batch size, if it has one."""
        return getattr(self.actor, "batch_size", None)

    @property
    def parameters(self) -> dict[str, Any]:
        """The wrapped actor's parameters, if it has any."""
        return dict(getattr(self.actor, "parameters", {}))

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """Returns replies to as many prompts as the budget allows, and a ``BudgetError`` for each of the rest."""
        over: BudgetError | None = None
        allowed = 0
        for _ in prompts:
            try:
                self.budget.reserve()
            except BudgetError as error:
                over = error
                break
            allowed += 1
        replies = reply_all(self.actor, prompts[:allowed]) if allowed else []
        for reply in replies:
            self.budget.settle(reply.prompt_tokens, reply.completion_tokens)
        return [*replies, *[over] * (len(prompts) - allowed)] if over is not None else replies
