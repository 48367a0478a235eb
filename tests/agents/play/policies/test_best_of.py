"""Best of n: which sample is chosen, what it costs, and what it depends on."""

import json
import sys

import pytest
import torch

from retro_gym.errors import ConfigError, MissingExtraError
from retro_gym_agents.algorithms.reward_model import RewardModelConfig, train
from retro_gym_agents.evaluation.evaluate import evaluate, evaluate_all
from retro_gym_agents.evaluation.evaluation import EvaluationConfig
from retro_gym_agents.lm.adapter_folder import REWARD_HEAD
from retro_gym_agents.lm.chains import Reply
from retro_gym_agents.lm.reward_model import RewardModel
from retro_gym_agents.play.collection import CollectConfig, collect
from retro_gym_agents.play.policies import BestOfPolicy, LocalPolicy, MeteredPolicy, ReflectorPolicy, make_policy

ENV = "RetroIdentity-v0"
OBSERVATIONS = [f"This attempt failed . The word is {word} . Reflection :" for word in ("red", "blue", "gold")]


@pytest.fixture(scope="module")
def folder(small_model, tmp_path_factory):
    """A reward model that has learned which words help on RetroIdentity-v0."""
    path = tmp_path_factory.mktemp("reward_model")
    collected = CollectConfig(ENV, path / "pairs.jsonl", num_episodes=60, max_reflections=1, num_samples=6)
    collect(collected, ReflectorPolicy(str(small_model)))
    settings = {"epochs": 12, "batch_size": 8, "learning_rate": 1e-2, "held_out": 0.0}
    records = (str(path / "pairs.jsonl"),)
    train(RewardModelConfig(records=records, model=str(small_model), output=path / "run", **settings))
    return path / "run"


def named(folder, small_model, **options):
    return make_policy(f"best_of:{folder}", reflector=str(small_model), **options)


def test_it_returns_the_sample_with_the_highest_score(folder, small_model):
    policy = named(folder, small_model, num_samples=5, batch_size=10)
    chosen = policy.reflect(OBSERVATIONS, [], [3, 4, 5])
    reflector, model = policy.load()
    samples = reflector.sample(OBSERVATIONS, num_samples=5, seed=[3, 4, 5])
    best = []
    for place, observation in enumerate(OBSERVATIONS):
        texts = samples.texts[5 * place : 5 * place + 5]
        replies = [Reply(reflector.encode(observation), reflector.encode_reply(text)) for text in texts]
        best.append(texts[int(model.score(replies).argmax())])
    assert chosen == best
    assert [type(text) for text in chosen] == [str] * 3, "without the log-probabilities of the samples"
    assert chosen == named(folder, small_model, num_samples=5, batch_size=1).reflect(OBSERVATIONS, [], [3, 4, 5])
    assert len({*named(folder, small_model, num_samples=1).reflect(OBSERVATIONS * 9, [], range(27))}) > 1


def test_of_equal_scores_the_first_wins(folder, small_model, monkeypatch):
    monkeypatch.setattr(RewardModel, "score", lambda self, replies, tokens=None: torch.zeros(len(replies)))
    policy = named(folder, small_model, num_samples=6)
    chosen = policy.reflect(OBSERVATIONS, [], [0, 1, 2])
    assert chosen == list(policy.load()[0].sample(OBSERVATIONS, num_samples=6, seed=[0, 1, 2]).texts[::6])


def test_more_samples_help(folder, small_model):
    """The model alone is right in 40 % of the cases."""
    one, several = (
        evaluate(ENV, named(folder, small_model, num_samples=count), num_tasks=40, trials=1).success_at_trial()[1].mean
        for count in (1, 8)
    )
    assert one < 0.65
    assert several > one + 0.2


def test_it_counts_what_both_models_read_and_what_was_sampled(folder, small_model):
    policy = named(folder, small_model, num_samples=4)
    assert isinstance(policy, MeteredPolicy)
    assert isinstance(policy, LocalPolicy)
    policy.reflect(OBSERVATIONS[:1], [], [0])
    reflector, _ = policy.load()
    samples = reflector.sample(OBSERVATIONS[:1], num_samples=4, seed=[0])
    prompt = len(reflector.encode(OBSERVATIONS[0]))
    read = sum(prompt + len(reflector.encode_reply(text)) for text in set(samples.texts))
    assert (policy.prompt_tokens, policy.completion_tokens) == (prompt + read, samples.num_tokens)


def test_both_models_share_their_base(folder, small_model):
    policy = named(folder, small_model)
    reflector, model = policy.load()
    assert policy.load()[1] is model
    assert model.reflector.model is reflector.model
    assert model.reflector.adapter != reflector.adapter
    alone = RewardModel.load(folder)
    replies = [Reply(reflector.encode(OBSERVATIONS[0]), [token, 2]) for token in (4, 5, 6)]
    torch.testing.assert_close(model.score(replies), alone.score(replies))
    policy.unload()
    assert policy.load()[1] is not model


def test_a_reflector_on_another_base_has_its_own(folder):
    reflector, model = make_policy(f"best_of:{folder}").load()
    assert (reflector.name, model.reflector.model is reflector.model) == ("tiny", False)


def test_the_temperature_is_that_of_sampling(folder, small_model):
    texts = named(folder, small_model, num_samples=1, temperature=0.01).reflect(OBSERVATIONS * 6, [], range(18))
    assert len({*texts[::3]}) == 1


def test_a_resumed_evaluation_needs_the_same_reward_model_and_options(folder, small_model, tmp_path):
    config, journal = EvaluationConfig(ENV, num_tasks=4, trials=1), tmp_path / "journal.jsonl"
    (first,) = evaluate_all(config, [named(folder, small_model)], journal=journal)
    (again,) = evaluate_all(config, [named(folder, small_model)], journal=journal, resume=True)
    assert (again.tasks, again.reflector_tokens) == (first.tasks, first.reflector_tokens)
    for options in ({"num_samples": 2}, {"temperature": 0.5}, {"reflector": "tiny"}):
        changed = make_policy(f"best_of:{folder}", **{"reflector": str(small_model), **options})
        with pytest.raises(ConfigError, match="is of an evaluation with other settings"):
            evaluate_all(config, [changed], journal=journal, resume=True)
    head = folder / "adapter" / f"{REWARD_HEAD}.pt"
    before = head.read_bytes()
    try:
        torch.save({**torch.load(head), "mean": torch.tensor(9.0)}, head)
        with pytest.raises(ConfigError, match=r"was {'reward_model': '\w+'} and is {'reward_model': '\w+'}"):
            evaluate_all(config, [named(folder, small_model)], journal=journal, resume=True)
    finally:
        head.write_bytes(before)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"num_samples": 0}, "num_samples is 0; it must be a whole number, at least 1"),
        ({"temperature": 0}, "temperature is 0; it must be above 0"),
        ({"reflector": "oracle"}, "samples with the reflector 'oracle', which is no model in this process"),
        ({"reflector": "openai:m"}, "which is no model in this process"),
        ({"reflector": "./absent"}, "there is no such folder"),
        ({"samples": 3}, "has no options but reflector, num_samples and temperature; received samples"),
    ],
)
def test_wrong_options(folder, options, said):
    with pytest.raises(ConfigError, match=said):
        make_policy(f"best_of:{folder}", **options)


def test_a_folder_without_a_reward_model_is_refused_at_once(small_model, tmp_path):
    with pytest.raises(ConfigError, match=r"holds no reward model: .* is absent. Train one"):
        make_policy(f"best_of:{small_model}")
    with pytest.raises(ConfigError, match="holds no reward model"):
        BestOfPolicy(tmp_path / "absent")


def test_missing_torch_names_the_extra(folder, monkeypatch):
    policy = make_policy(f"best_of:{folder}")
    monkeypatch.delitem(sys.modules, "retro_gym_agents.lm.reflector", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"retro-gym\[train\]"):
        policy.reflect(["a"], [], [0])


def test_the_parameters_are_json(folder, small_model):
    assert json.loads(json.dumps(named(folder, small_model).parameters))["num_samples"] == 8
