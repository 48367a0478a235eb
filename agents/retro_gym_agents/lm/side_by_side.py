"""Parts of an update side by side on a CPU, each on its share of the cores.

Two threads on one small matrix product are hardly faster than one: an update of SmolLM2 on a failure took 2.4 s with
one thread and 1.7 s with two. Two parts of an update at once, with a thread each, use both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from retro_gym_agents.lm.adapted_model import AdaptedModel

__all__ = ["add_gradients", "side_by_side", "workers_for"]

T = TypeVar("T")


def workers_for(model: AdaptedModel, tokens: int | None) -> int:
    """Returns how many passes of so many tokens may be under way at once: as many as there are threads and memory for.

    One where the device is not a CPU, or where the size of a pass has no limit.
    """
    if tokens is None or model.device.type != "cpu":
        return 1
    return max(1, min(torch.get_num_threads(), model.tokens_that_fit // tokens))


def side_by_side(tasks: Sequence[Callable[[], T]], workers: int) -> Iterator[T]:
    """Calls functions, some at the same time, and yields their results in order.

    Each worker has its share of PyTorch's threads. Autocast and the gradient's mode belong to a thread: each task sets
    its own.

    Args:
        tasks: the functions.
        workers: how many may run at the same time; no more than PyTorch has threads.
    """
    threads = torch.get_num_threads()
    workers = min(workers, threads, len(tasks))
    if workers < 2:
        for task in tasks:
            yield task()
        return
    torch.set_num_threads(threads // workers)  # also of threads to come
    try:
        with ThreadPoolExecutor(workers) as pool:
            yield from pool.map(lambda task: task(), tasks)
    finally:
        torch.set_num_threads(threads)


def add_gradients(
    losses: Sequence[Callable[[], tuple[Tensor, T]]], weights: Sequence[nn.Parameter], workers: int
) -> list[T]:
    """Adds the gradients of losses to the weights' own, in order, so that the sum does not depend on who is first.

    Args:
        losses: each computes a loss, and what is to be returned beside it.
        weights: what is trained.
        workers: how many are computed at the same time.

    Returns:
        What the losses returned.
    """

    def gradients(compute: Callable[[], tuple[Tensor, T]]) -> tuple[tuple[Tensor | None, ...], T]:
        loss, told = compute()
        return torch.autograd.grad(loss, weights, allow_unused=True), told

    everything = []
    for grads, told in side_by_side([partial(gradients, one) for one in losses], workers):
        for weight, grad in zip(weights, grads, strict=True):
            if grad is not None:
                weight.grad = grad if weight.grad is None else weight.grad.add_(grad)
        everything.append(told)
    return everything
