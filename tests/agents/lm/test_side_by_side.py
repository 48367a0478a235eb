"""Parts of an update side by side: really at once, with the sum of their gradients, and nothing left changed."""

import threading
import time

import pytest
import torch
from peft.tuners.lora import LoraLayer

from retro_gym_agents.algorithms import reinforce
from retro_gym_agents.algorithms.imitation import ImitationConfig, encode, loss_on
from retro_gym_agents.algorithms.reinforce import ReinforceConfig
from retro_gym_agents.data.examples import Example, Written
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.lm.side_by_side import add_gradients, side_by_side, workers_for
from retro_gym_agents.play.envs import make_envs
from retro_gym_agents.play.roller import roll_out
from tests.agents.configs import identity_config


@pytest.fixture(params=[1, 2, 5])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_order_and_the_threads_are_shared_out(threads, workers):
    at_once = min(threads, workers)
    meeting = threading.Barrier(at_once, timeout=20)

    def task(number):
        meeting.wait()  # passes only if so many run at once
        time.sleep(0.01 * (number % 2))
        return number, torch.get_num_threads()

    tasks = [lambda number=number: task(number) for number in range(2 * at_once)]
    found = list(side_by_side(tasks, workers))
    assert [number for number, _ in found] == list(range(2 * at_once))
    assert {own for _, own in found} == {threads // at_once}
    assert torch.get_num_threads() == threads


def test_an_error_is_raised_and_the_threads_are_as_before(threads):
    def bad():
        raise ValueError("a task failed")

    with pytest.raises(ValueError, match="a task failed"):
        list(side_by_side([bad, lambda: 1], 2))
    assert torch.get_num_threads() == threads


def test_gradients_are_added_in_order_whoever_is_first(threads):
    generator = torch.Generator().manual_seed(0)
    weight, unused = torch.nn.Parameter(torch.randn(30, generator=generator)), torch.nn.Parameter(torch.ones(2))
    factors = [torch.randn(30, generator=generator) * 10.0**power for power in range(-3, 4)]

    def sums(waits):
        def loss(factor, wait):
            time.sleep(wait)
            return (factor * weight).sin().sum(), wait

        weight.grad = None
        losses = [lambda f=factor, w=wait: loss(f, w) for factor, wait in zip(factors, waits, strict=True)]
        assert add_gradients(losses, [weight, unused], 3) == list(waits)
        return weight.grad

    one, other = sums([0.002 * n for n in range(7)]), sums([0.002 * (7 - n) for n in range(7)])
    assert torch.equal(one, other)
    wanted = sum(factor * (factor * weight.detach()).cos() for factor in factors)
    torch.testing.assert_close(one, wanted)
    assert unused.grad is None


def test_as_many_workers_as_there_are_threads_and_memory_for(small_model, threads, monkeypatch):
    model = Reflector.load(small_model)
    monkeypatch.setattr(Reflector, "tokens_that_fit", 1_000)
    assert workers_for(model, None) == 1
    assert workers_for(model, 100) == min(threads, 10)
    assert workers_for(model, 400) == min(threads, 2)
    assert workers_for(model, 2_000) == 1


def gradient_of(reflector):
    return torch.cat([weight.grad.flatten() for weight in reflector.trainable.values()])


def at_once(monkeypatch):
    """Counts how many forward passes of the model are under way at the same time."""
    running, most, lock = [0], [0], threading.Lock()
    original = Reflector.score, Reflector.score_groups

    def counted(method):
        def count(*args, **options):
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            time.sleep(0.02)
            try:
                return method(*args, **options)
            finally:
                with lock:
                    running[0] -= 1

        return count

    monkeypatch.setattr(Reflector, "score", counted(original[0]))
    monkeypatch.setattr(Reflector, "score_groups", counted(original[1]))
    return most


def untouched(reflector):
    layers = [layer for layer in reflector.model.modules() if isinstance(layer, LoraLayer)]
    return layers and all(layer.cast_input_dtype_enabled for layer in layers)


@pytest.mark.parametrize("fields", [{}, {"autocast_updates": True}, {"kl_coef": 0.0}, {"dtype": "bfloat16"}], ids=str)
def test_reinforce_makes_the_same_update(small_model, tmp_path, fields, threads, monkeypatch):
    limits = {"group_size": 3, "max_grad_norm": 1e9, "micro_tokens": 100, **fields}
    config = identity_config(ReinforceConfig, small_model, tmp_path, **limits)
    reflector = config.load(Reflector, str(small_model))
    reflector.freeze_reference()
    envs = make_envs("RetroIdentity-v0", {"max_reflections": 2}, actor="scripted", num=6, records=None)
    rollout = roll_out(envs, reflector, seed=0, update=1, num_samples=3)
    most = at_once(monkeypatch)
    found = []
    for workers in (1, threads, threads):
        monkeypatch.setattr(reinforce, "workers_for", lambda *_, workers=workers: workers)
        optimizer = torch.optim.SGD(reflector.trainable.values(), lr=0.0)
        metrics = reinforce.improve(reflector, optimizer, rollout, config)
        found.append((metrics, gradient_of(reflector)))
        assert untouched(reflector)
    assert most[0] == min(threads, 3) or (threads > 3 and most[0] > 1)
    alone, together, again = found
    rough = "autocast_updates" in fields or "dtype" in fields
    tolerance = {"rtol": 0.05, "atol": 0.05 * float(alone[1].abs().max())} if rough else {"rtol": 1e-4, "atol": 1e-6}
    torch.testing.assert_close(together[1], alone[1], **tolerance)
    assert torch.equal(together[1], again[1])
    assert together[0] == again[0]
    assert together[0]["loss"] == pytest.approx(alone[0]["loss"], rel=0.05 if rough else 1e-4, abs=1e-5)


@pytest.mark.parametrize("together", [False, True])
def test_imitation_makes_the_same_update(small_model, tmp_path, together, threads, monkeypatch):
    config = ImitationConfig(output=tmp_path, records=("none",), model=str(small_model), micro_tokens=200)
    reflector = Reflector.load(small_model)
    written = [Written(f"Attempt {'x' * (number // 3)} failed.", f"Say {number}.") for number in range(12)]
    replies = encode(reflector, [Example("reflector", (one,), 1.0, True, "task", 0, one.text) for one in written])
    found = []
    for workers in (1, threads, threads):
        monkeypatch.setattr("retro_gym_agents.algorithms.imitation.workers_for", lambda *_, workers=workers: workers)
        for weight in reflector.trainable.values():
            weight.grad = None
        loss = loss_on(reflector, replies, config, together=together)
        found.append((loss, gradient_of(reflector)))
    alone, side, again = found
    assert side[0] == pytest.approx(alone[0], rel=1e-5)
    torch.testing.assert_close(side[1], alone[1], rtol=1e-4, atol=1e-6)
    assert torch.equal(side[1], again[1])
    with torch.no_grad():
        assert loss_on(reflector, replies, config, together=together) == pytest.approx(alone[0], rel=1e-5)
