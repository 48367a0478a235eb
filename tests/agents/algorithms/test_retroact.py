import json

import pytest
import torch

from retro_gym.errors import ConfigError
from retro_gym.records import load_run
from retro_gym_agents.algorithms.retroact import (
    RetroActConfig,
    RetroActRun,
    clipped_weights,
    off_policy_loss,
    train,
)
from retro_gym_agents.data.examples import Example, first_and_last, load_examples, num_replies
from retro_gym_agents.data.replay import ReplayBuffer, Tried, tried
from retro_gym_agents.lm.chains import chained
from retro_gym_agents.lm.planner import Planner

LOGPROBS = torch.tensor([[-1.0, -2.0, -0.5]])
BEHAVIOUR = torch.tensor([[-1.0, -1.0, -2.0]])
MASK = torch.tensor([[True, True, True]])


def test_weights_by_hand():
    # exp(0) = 1; exp(−1) = 0.37, clipped to 0.7; exp(1.5) = 4.48, clipped to 1.3; 1 where the behaviour is unknown
    torch.testing.assert_close(
        clipped_weights(LOGPROBS, BEHAVIOUR, torch.ones(1), 0.3), torch.tensor([[1.0, 0.7, 1.3]])
    )
    unknown = torch.tensor([[float("nan"), -1.0, -2.0]])
    torch.testing.assert_close(clipped_weights(LOGPROBS, unknown, torch.ones(1), 0.3), torch.tensor([[1.0, 0.7, 1.3]]))


def test_loss_and_gradient_by_hand():
    logprobs = LOGPROBS.clone().requires_grad_()
    loss = off_policy_loss(logprobs, BEHAVIOUR, torch.tensor([2.0]), MASK, clip=0.3)
    # −2 (1 · −1 + 0.7 · −2 + 1.3 · −0.5) = 6.1
    torch.testing.assert_close(loss, torch.tensor(6.1))
    torch.autograd.backward(loss)
    # −R w: outside of the band too, in contrast to PPO, and none through the weight
    torch.testing.assert_close(logprobs.grad, torch.tensor([[-2.0, -1.4, -2.6]]))


def test_the_weight_carries_no_gradient():
    logprobs = torch.tensor([[-1.0, -1.1]], requires_grad=True)  # within the band
    loss = off_policy_loss(
        logprobs, torch.tensor([[-1.1, -1.0]]), torch.tensor([1.0]), torch.ones(1, 2, dtype=torch.bool), clip=0.3
    )
    torch.autograd.backward(loss)
    torch.testing.assert_close(logprobs.grad, -torch.tensor([[0.1, -0.1]]).exp())


def test_a_token_that_has_become_unlikely_is_not_pushed_further():
    logprobs = LOGPROBS.clone().requires_grad_()
    torch.autograd.backward(off_policy_loss(logprobs, BEHAVIOUR, torch.tensor([-2.0]), MASK, clip=0.3))
    # the second has fallen to 0.37 of what it was; the third has risen, and is pushed down with the weight's maximum
    torch.testing.assert_close(logprobs.grad, torch.tensor([[2.0, 0.0, 2.6]]))


def test_negative_rewards_come_to_an_end():
    """Many steps on the same samples lower a token by its band; without an end it would fall to nothing."""
    logits = torch.zeros(1, 4, requires_grad=True)
    behaviour = torch.full((1, 1), 0.25).log()
    optimizer = torch.optim.SGD([logits], lr=0.05)
    for _ in range(500):
        optimizer.zero_grad()
        logprobs = logits.log_softmax(-1)[:, :1]
        torch.autograd.backward(
            off_policy_loss(logprobs, behaviour, torch.tensor([-1.0]), torch.ones(1, 1, dtype=torch.bool), clip=0.3)
        )
        optimizer.step()
    assert float(logits.detach().softmax(-1)[0, 0]) == pytest.approx(0.7 * 0.25, abs=0.01)


def test_padding_has_no_gradient():
    logprobs = LOGPROBS.clone().requires_grad_()
    mask = torch.tensor([[True, True, False]])
    torch.autograd.backward(off_policy_loss(logprobs, BEHAVIOUR, torch.tensor([2.0]), mask, clip=0.3))
    assert logprobs.grad[0, 2] == 0.0


def test_a_buffer_keeps_the_last_rounds():
    buffer = ReplayBuffer(2, normalise=True)
    for number, rewards in enumerate([(5.0, 5.0), (1.0, -1.0), (0.0, 3.0)]):
        buffer.add(number, [Tried((), (), reward) for reward in rewards])
    assert [one.reward for one in buffer.items(0)] == [5.0, 5.0], "no spread to divide by"
    found = [one.reward for one in buffer.items(2)]
    spread = torch.tensor([1.0, -1.0, 0.0, 3.0]).std(correction=0).item()
    assert found == pytest.approx([1 / spread, -1 / spread, 3 / spread]), "a reward of 0 teaches nothing"


def test_a_task_has_a_baseline_of_its_own():
    buffer = ReplayBuffer(2, baseline="task")
    buffer.add(0, [Tried((), (), 1.0, "easy 0"), Tried((), (), 1.0, "easy 0"), Tried((), (), 0.0, "hard 0")])
    buffer.add(1, [Tried((), (), 1.0, "hard 0"), Tried((), (), 0.0, "hard 0"), Tried((), (), 0.5, "hard 1")])
    assert buffer.items(0) == [], "attempts at one task with the same outcome teach nothing"
    assert [one.reward for one in buffer.items(1)] == [0.5, -0.5], "a later trial, or round, is another matter"


def settings(output, **fields):
    small = {
        "expert_episodes": 16,
        "imitation_updates": 1,
        "rounds": 2,
        "episodes": 10,
        "temperature": 0.5,
        "updates": 1,
        "batch_size": 4,
        "max_reflections": 1,
        "baseline": "mean",
    }
    return RetroActConfig(output=output, **{**small, **fields})


@pytest.fixture(scope="module")
def imitated(tmp_path_factory):
    """The planner after the first stage, which explores in the first round."""
    output = tmp_path_factory.mktemp("imitated") / "run"
    train(settings(output, rounds=0))
    return Planner.load(output / "planner")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A short run, from beginning to end."""
    output = tmp_path_factory.mktemp("retroact") / "run"
    train(settings(output))
    return output


def test_a_run_leaves_both_roles_and_their_records(whole):
    for role in ("planner", "reflector"):
        assert (whole / role / "adapter_model.safetensors").is_file()
    rows = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert [set(row) >= {"planner_nll", "reflector_nll"} for row in rows] == [True] * 3
    assert "first_success" in rows[-1]
    assert {"planner_loss"} <= set(rows[-1]), "the second stage has learned from the buffer"
    examples = load_examples([whole / "rounds" / "1-0.jsonl"], "planner")
    assert all(one.generation is not None for example in examples for one in example.written)
    assert {one.generation.model for example in examples for one in example.written} == {"tiny@round-1"}


def test_what_a_planner_wrote_is_scored_as_it_was_sampled(whole, imitated):
    examples = load_examples([whole / "rounds" / "0-0.jsonl"], "planner")
    for example in examples[:3]:
        one = tried(example, imitated)
        logprobs_NT, mask_NT = imitated.score_chains(chained(one.replies), temperature=0.5)
        sampled = torch.tensor([value for row in one.behaviour for value in row])
        torch.testing.assert_close(logprobs_NT[mask_NT], sampled, rtol=1e-3, atol=1e-3)


def test_a_whole_trial_may_be_learned_with_its_observations(whole):
    planner = Planner.load(whole / "planner")
    example = max(load_examples([whole / "rounds" / "0-0.jsonl"], "planner"), key=lambda each: len(each.written))
    parts, one = tried(example, planner), tried(example, planner, whole=True)
    known = sum(len(reply.tokens) for reply in parts.replies) - (len(parts.replies) - len(one.replies))
    assert len(one.replies) <= len(parts.replies)
    assert sum(value == value for row in one.behaviour for value in row) == known
    assert [len(reply.tokens) for reply in one.replies] == [len(row) for row in one.behaviour]
    assert sum(len(reply.tokens) for reply in one.replies) > known, "observations are among them"


@pytest.mark.parametrize("as_text", [False, True])
def test_a_run_goes_on_from_the_roles_of_another(whole, tmp_path, as_text):
    start = str(whole) if as_text else whole
    train(settings(tmp_path / "next", start=start, imitation_updates=0, rounds=1))
    assert json.loads((tmp_path / "next" / "config.json").read_text())["start"] == str(whole)
    assert not (tmp_path / "next" / "expert.jsonl").exists(), "the expert's examples are the earlier run's"
    with RetroActRun(settings(tmp_path / "same", start=start, imitation_updates=0, rounds=0)) as run:
        for role, model in run.roles.items():
            earlier = type(model).load(whole / role).adapter_state()
            for name, weight in model.adapter_state().items():
                torch.testing.assert_close(weight, earlier[name], rtol=0, atol=0)


def test_a_stopped_run_goes_on_to_the_same_weights(whole, tmp_path):
    from retro_gym_agents.algorithms import retroact

    class KilledError(Exception):
        pass

    calls = 0

    def explore(self, number):
        nonlocal calls
        calls += 1
        if number == 1:
            raise KilledError
        return original(self, number)

    original = RetroActRun.explore
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retroact.RetroActRun, "explore", explore)
        with pytest.raises(KilledError):
            train(settings(tmp_path / "run", checkpoint_every=1))
    train(settings(tmp_path / "run", checkpoint_every=1, resume=True))
    for role in ("planner", "reflector"):
        name = f"{role}/adapter_model.safetensors"
        assert (whole / name).read_bytes() == (tmp_path / "run" / name).read_bytes(), role
    counted = [
        [json.loads(line)["actor_calls"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for folder in (whole, tmp_path / "run")
    ]
    files = [whole / "expert.jsonl", *sorted((whole / "rounds").glob("*.jsonl"))]
    assert counted[0] == counted[1]
    assert counted[0][-1] == sum(num_replies(load_run(file)) for file in files)


def test_roles_that_are_not_learned_stay_as_imitation_made_them(tmp_path):
    only = settings(tmp_path / "run", learn=("reflector",), imitation_updates=0, rounds=1, imitation_weight=0.0)
    train(only)
    untouched = Planner.load("tiny").adapter_state()
    learned = Planner.load(tmp_path / "run" / "planner").adapter_state()
    assert all(torch.equal(weight, learned[name]) for name, weight in untouched.items())


def test_one_adapter_for_both_roles(tmp_path):
    train(settings(tmp_path / "run", adapters="one", rounds=0))
    weights = [
        (tmp_path / "run" / role / "adapter_model.safetensors").read_bytes() for role in ("planner", "reflector")
    ]
    assert weights[0] == weights[1]


def test_success_of_the_first_and_the_last_trial():
    def trial(number, success):
        return Example("planner", (), 0.0, success, "task", number, "row")

    trials = [trial(0, True), trial(0, False), trial(1, True), trial(0, False), trial(1, False), trial(2, False)]
    assert first_and_last(trials) == {"first_success": 1 / 3, "last_success": 2 / 3}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"baseline": "task"}, "nothing is compared; give repeats"),
        ({"learn": ()}, "learn is empty"),
        ({"learn": ("judge",)}, "'judge'"),
        ({"clip": 1.0}, "clip is 1.0"),
        ({"imitation_weight": -1.0}, "imitation_weight -1.0"),
        ({"rounds": -1}, "rounds is -1"),
    ],
)
def test_bad_settings(tmp_path, fields, told):
    with pytest.raises(ConfigError, match=told):
        settings(tmp_path, **fields)
