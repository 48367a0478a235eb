import json

import pytest
import torch

from retro_gym.errors import ConfigError
from retro_gym_agents.algorithms.reward_model import (
    RewardModelConfig,
    RewardModelRun,
    accuracy,
    improve,
    pairs_in,
    pairwise_loss,
    train,
)
from retro_gym_agents.data.examples import Example, Written, load_examples
from retro_gym_agents.lm.chains import Reply, chained
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.lm.reward_model import RewardModel
from retro_gym_agents.play.collection import CollectConfig, collect
from retro_gym_agents.play.policies import ReflectorPolicy
from retro_gym_agents.runs.checkpoints import read_checkpoint


@pytest.fixture(scope="module")
def records(small_model, tmp_path_factory):
    """Six reflections of the small model on each failure of RetroIdentity-v0."""
    path = tmp_path_factory.mktemp("records") / "pairs.jsonl"
    config = CollectConfig("RetroIdentity-v0", path, num_episodes=60, max_reflections=1, num_samples=6)
    collect(config, ReflectorPolicy(str(small_model)))
    return path


def config(small_model, output, records, **fields):
    defaults = {"model": str(small_model), "epochs": 12, "batch_size": 8, "learning_rate": 1e-2, "output": output}
    return RewardModelConfig(records=(str(records),), **{**defaults, **fields})


def test_loss_by_hand():
    # −log σ(1) = 0.313262, −log σ(−2) = 2.126928, −log σ(0) = 0.693147
    loss = pairwise_loss(torch.tensor([2.0, -1.0, 3.0]), torch.tensor([1.0, 1.0, 3.0]))
    torch.testing.assert_close(loss, torch.tensor(0.313262 + 2.126928 + 0.693147))


def test_the_gradient_is_that_of_finite_differences():
    scores = torch.tensor([[2.0, -1.0, 3.0], [1.0, 1.0, 3.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda both: pairwise_loss(both[0], both[1]), (scores,))


def example(failure, text, rating):
    return Example("reflector", (Written("The word is red .", text),), rating, rating > 0, "task", 0, text, failure)


def test_pairs_are_of_one_failure_and_of_different_ratings(small_model):
    reflector = Reflector.load(small_model)
    tried = [example("a", "red", 1.0), example("a", "blue", 0.0), example("a", "gold", 0.0)]
    tried += [example("a", "red", 1.0), example("b", "red", 1.0), example("b", "green", 1.0), example("c", "blue", 0.0)]
    (one,) = pairs_in(tried, reflector)
    assert one.ratings == (1.0, 0.0, 0.0)
    assert one.pairs == [(0, 1), (0, 2)]
    with pytest.raises(ConfigError, match="no two on one failure with different ratings"):
        pairs_in(tried[4:], reflector)


def test_padding_does_not_change_a_score(small_model):
    model = RewardModel(Reflector.load(small_model))
    torch.nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(0))
    short, long = Reply([1, 5, 6], [7, 2]), Reply([1, 5, 6, 7, 8, 9, 10], [5, 2])
    together = model([short, long])
    torch.testing.assert_close(together, torch.cat([model([short]), model([long])]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together.detach(), model.score([short, long], tokens=6), rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def reversed_records(records, tmp_path_factory):
    """The same with the ratings the wrong way round: what the model finds likely is worse."""
    path = tmp_path_factory.mktemp("reversed") / "pairs.jsonl"
    with path.open("w") as file:
        for line in records.read_text().splitlines():
            row = json.loads(line)
            if row["kind"] == "trial" and row["trial"] > 0:
                row |= {"return": 1 - row["return"], "success": not row["success"]}
            file.write(f"{json.dumps(row)}\n")
    return path


def test_the_likelihood_is_that_of_the_adapted_model(small_model):
    reflector = Reflector.load(small_model)
    replies = [Reply([1, 5, 6], [7, 2]), Reply([1, 5, 6, 7, 8], [9, 5, 2])]
    logprobs_NT, mask_NT = reflector.score_chains([chain for reply in replies for chain in chained([reply])])
    scores_N = RewardModel(reflector)(replies)
    torch.testing.assert_close(scores_N, 0.3 * logprobs_NT.where(mask_NT, 0.0).sum(1), rtol=1e-4, atol=1e-5)
    torch.autograd.backward(scores_N[1] - scores_N[0])
    assert any(weight.grad.abs().sum() > 0 for weight in reflector.trainable.values())
    assert RewardModel(reflector, likelihood=False)(replies).tolist() == [0.0, 0.0], "the head begins with zeros"


@pytest.mark.parametrize("likelihood", [True, False])
def test_it_learns_the_order_of_pairs_that_it_has_not_seen(
    small_model, tmp_path, records, reversed_records, likelihood
):
    learned = reversed_records if likelihood else records
    settings = config(small_model, tmp_path / "run", learned, held_out=0.3, validate_every=10, likelihood=likelihood)
    result = train(settings)
    assert result.metrics["validation_accuracy"] >= 0.7, "by chance it would be a half"
    model = RewardModel.load(tmp_path / "run")
    other = config(small_model, tmp_path / "other", learned, held_out=0.3, likelihood=likelihood)
    with RewardModelRun(other) as run:
        assert accuracy(model, run.apart, settings) >= 0.7
        assert accuracy(run.model, run.apart, settings) <= 0.3, "all are equal, or in the wrong order"
        scores = model.score([reply for failure in run.passes.items for reply in failure.replies])
    assert float(scores.mean()) == pytest.approx(0.0, abs=1e-3)
    assert float(scores.std()) == pytest.approx(1.0, abs=1e-3)


def test_it_stands_beside_the_policy_on_one_base_model(small_model, tmp_path, records):
    train(config(small_model, tmp_path / "run", records, epochs=2))
    policy = Reflector.load(small_model)
    beside, alone = RewardModel.load(tmp_path / "run", beside=policy), RewardModel.load(tmp_path / "run")
    replies = [Reply(policy.encode("The word is red ."), [token, 2]) for token in (4, 5, 6)]
    torch.testing.assert_close(beside.score(replies), alone.score(replies))
    assert beside.reflector.model is policy.model


def test_a_stopped_run_goes_on_to_the_same_weights(small_model, tmp_path, records):
    whole = config(small_model, tmp_path / "whole", records, epochs=2)
    train(whole)
    parts = config(small_model, tmp_path / "parts", records, epochs=2, checkpoint_every=1)
    with RewardModelRun(parts) as run:
        weights = [*run.learner.trainable.values(), *run.model.learned()]
        optimizer = torch.optim.AdamW(weights, lr=1e-2, weight_decay=0.0)
        for update in run.updates(optimizer, reward_head=run.model):
            run.log(improve(run.model, optimizer, run.passes.batch(update), parts))
            if update == 3:
                break
    train(config(small_model, tmp_path / "parts", records, epochs=2, checkpoint_every=1, resume=True))
    found = [read_checkpoint(tmp_path / name / "checkpoint.pt") for name in ("whole", "parts")]
    for name, weight in found[0].adapter.items():
        assert torch.equal(weight, found[1].adapter[name]), name
    for name, weight in found[0].modules["reward_head"].items():
        assert torch.equal(weight, found[1].modules["reward_head"][name]), name


def test_a_folder_without_a_reward_model(tmp_path):
    with pytest.raises(ConfigError, match="holds no reward model"):
        RewardModel.load(tmp_path)


def test_the_examples_know_their_failures(records):
    examples = load_examples([records], "reflector")
    by_failure = {one.failure: [other for other in examples if other.failure == one.failure] for one in examples}
    assert {len(group) for group in by_failure.values()} == {6}
    for group in by_failure.values():
        assert len({one.written[0].prompt for one in group}) == 1
