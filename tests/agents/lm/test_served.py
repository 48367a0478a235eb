"""Reflections that a server samples with the learner's adapter."""

import json
import math

import pytest
import torch

from retro_gym.errors import CheckpointError, ConfigError, SamplerError
from retro_gym_agents.algorithms import ppo, reinforce
from retro_gym_agents.algorithms.reinforce import reinforce_loss
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.lm.served import LARGEST_WEIGHT, ServedSampler, check_agreement, truncated_weights
from tests.agents.lm.adapter_server import AdapterServer

TEXTS = ["Say it. You said red.", "Say it, please. You said green, which was wrong."]


@pytest.fixture
def reflector(small_model):
    reflector = Reflector.load(small_model, max_new_tokens=12)
    yield reflector
    if reflector.server is not None:
        reflector.server.close()


def served(reflector, server, tmp_path, **options):
    if reflector.server is not None:
        reflector.server.close()
    reflector.server = ServedSampler(server.url, tmp_path / "served", **options)
    return reflector


def test_a_server_samples_what_the_learner_would(reflector, small_model, tmp_path):
    alone = reflector.sample(TEXTS, num_samples=3, seed=[7, 8])
    with AdapterServer() as server:
        found = served(reflector, server, tmp_path).sample(TEXTS, num_samples=3, seed=[7, 8])
        assert found.texts == alone.texts
        assert torch.equal(found.tokens_NT, alone.tokens_NT)
        assert torch.equal(found.mask_NT, alone.mask_NT)
        assert torch.allclose(found.logprobs_NT, alone.logprobs_NT, atol=1e-5)
        assert found.texts[0].generation.logprobs == pytest.approx(alone.texts[0].generation.logprobs, abs=1e-5)
        greedy = reflector.reflect(TEXTS)
        reflector.server.close()
    reflector.server = None
    assert greedy == reflector.reflect(TEXTS)


def test_sglang(reflector, tmp_path):
    with AdapterServer("sglang") as server:
        found = served(reflector, server, tmp_path).sample(TEXTS, num_samples=2)
        (single,) = reflector.sample(TEXTS[:1]).texts
        reflector.server.close()
        assert server.adapters == {}
    ours = reflector.logprobs(found)
    assert torch.allclose(ours, found.logprobs_NT, atol=1e-5)
    assert single == found.texts[0]


def test_hidden_states_are_the_learners(reflector, tmp_path):
    alone = reflector.sample(TEXTS, num_samples=2, seed=[7, 8], keep_hidden=True)
    with AdapterServer() as server:
        found = served(reflector, server, tmp_path).sample(TEXTS, num_samples=2, seed=[7, 8], keep_hidden=True)
        reflector.server.close()
    assert torch.allclose(found.hidden_NTD, alone.hidden_NTD, atol=1e-4)


def test_the_adapter_is_loaded_when_it_has_changed_and_only_then(reflector, tmp_path):
    with AdapterServer() as server:
        served(reflector, server, tmp_path)
        reflector.sample(TEXTS)
        reflector.sample(TEXTS)
        assert len(server.loads) == 1
        with torch.no_grad():
            for weight in reflector.trainable.values():
                weight.add_(0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
        found = reflector.sample(TEXTS, num_samples=4)
        assert len(server.loads) == 2
        assert list(server.adapters) == server.loads[1:], "the one before was unloaded"
        assert torch.allclose(reflector.logprobs(found), found.logprobs_NT, atol=1e-4), (
            "it samples with the new weights"
        )
        reflector.load_adapter_state(reflector.adapter_state())  # the same numbers
        reflector.sample(TEXTS)
        assert len(server.loads) == 2
        reflector.server.close()
        assert server.adapters == {}
    assert not (tmp_path / "served").exists()


def test_a_server_that_is_busy_is_asked_again(reflector, tmp_path):
    with AdapterServer(failures=2) as server:
        assert served(reflector, server, tmp_path).sample(TEXTS).texts
        reflector.server.close()


def test_servers_that_cannot_be_used(reflector, tmp_path):
    with AdapterServer() as server:
        gone = server.url
    with pytest.raises(SamplerError, match="cannot be reached"):
        served(reflector, server, tmp_path, patience=0.1).sample(TEXTS)
    assert reflector.server.url == gone
    with AdapterServer("neither") as server:
        server.answer = lambda method, path, body: (404, "no such page")
        with pytest.raises(SamplerError, match="neither vLLM nor SGLang"):
            served(reflector, server, tmp_path).sample(TEXTS)
    with AdapterServer(failures=1_000) as server, pytest.raises(SamplerError, match="status 503"):
        served(reflector, server, tmp_path, patience=0.1).sample(TEXTS)
    with AdapterServer() as server:
        before = server.answer
        server.answer = lambda method, path, body: (400, "off") if "load" in path else before(method, path, body)
        with pytest.raises(SamplerError, match=r"refused /v1/load_lora_adapter with status 400: 'off'.*--enable-lora"):
            served(reflector, server, tmp_path).sample(TEXTS)
    with AdapterServer(without="tokens") as server, pytest.raises(SamplerError, match="without token ids"):
        served(reflector, server, tmp_path).sample(TEXTS)


def test_samples_that_are_not_whole(reflector, tmp_path):
    with AdapterServer() as server:
        before = server._completion

        def shortened(body):
            answer = before(body)
            for choice in answer["choices"]:
                choice["logprobs"] = {key: value[:1] for key, value in choice["logprobs"].items()}
            return answer

        server._completion = shortened
        with pytest.raises(SamplerError, match="without an end token"):
            served(reflector, server, tmp_path).sample(TEXTS, num_samples=8)
        server._completion = lambda body: {"choices": before(body)["choices"][:-1]}
        with pytest.raises(SamplerError, match="gave 1 samples for 2"):
            reflector.sample(TEXTS, num_samples=2)
        reflector.server.close()


# -- importance weights ------------------------------------------------------------------------------------------------


def test_weights_by_hand():
    ours_NT = torch.tensor([[-1.0, -2.0, -9.0], [-1.0, -1.0, -1.0]], requires_grad=True)
    theirs_NT = torch.tensor([[-1.2, -2.1, 0.0], [-3.0, -1.0, -1.0]])
    mask_NT = torch.tensor([[True, True, False], [True, True, True]])
    weights_N = truncated_weights(ours_NT, theirs_NT, mask_NT)
    assert weights_N.tolist() == pytest.approx([math.exp(0.3), LARGEST_WEIGHT])
    assert not weights_N.requires_grad
    assert check_agreement(ours_NT[:1], theirs_NT[:1], mask_NT[:1]) == pytest.approx(0.15)
    with pytest.raises(ConfigError, match=r"differ from the learner's by 0\.46 nats per token"):
        check_agreement(ours_NT, theirs_NT, mask_NT)
    with pytest.raises(ConfigError, match="nan"):
        check_agreement(ours_NT, theirs_NT * math.nan, mask_NT)


def test_weighted_gradients_are_those_of_the_learners_policy():
    """In expectation over what the server draws, they are."""
    logits_V = torch.tensor([0.2, -0.4, 0.1, 0.3], requires_grad=True)
    server_V = torch.log_softmax(logits_V.detach() + torch.tensor([0.3, -0.2, 0.1, -0.3]), -1)
    rewards_V, mask = torch.tensor([1.0, 0.0, 0.5, -1.0]), torch.ones(4, 1, dtype=torch.bool)

    def gradient(shares_V, weigh):
        logprobs_V1 = torch.log_softmax(logits_V, -1)[:, None]
        weights_V = truncated_weights(logprobs_V1, server_V[:, None], mask) if weigh else None
        losses = [
            share
            * reinforce_loss(
                logprobs_V1[place : place + 1],
                logprobs_V1[place : place + 1].detach() - 0.1 * place,
                mask[:1],
                rewards_V[place : place + 1],
                kl_coef=0.1,
                weights_N=None if weights_V is None else weights_V[place : place + 1],
            )
            for place, share in enumerate(shares_V)
        ]
        return torch.autograd.grad(sum(losses), logits_V)[0]

    wanted = gradient(torch.softmax(logits_V.detach(), -1), False)
    assert torch.allclose(gradient(server_V.exp(), True), wanted, atol=1e-6)
    assert not torch.allclose(gradient(server_V.exp(), False), wanted, atol=1e-2)


# -- training ----------------------------------------------------------------------------------------------------------

RUN = {
    "env_id": "RetroIdentity-v0",
    "updates": 3,
    "num_prompts": 4,
    "group_size": 3,
    "learning_rate": 1e-2,
    "validate_every": 2,
    "validation_tasks": 4,
    "max_new_tokens": 12,
}


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("module", "kind"), [(reinforce, "ReinforceConfig"), (ppo, "PPOConfig")])
def test_training_with_a_server_is_training_without_one(module, kind, small_model, tmp_path):
    config = getattr(module, kind)
    module.train(config(output=tmp_path / "alone", reflector=str(small_model), **RUN))
    with AdapterServer() as server:
        module.train(config(output=tmp_path / "served", reflector=str(small_model), server=f"{server.url}/v1", **RUN))
        assert server.adapters == {}
        assert len(server.loads) == 4, "the first weights, and those of each update"
    alone, found = (Reflector.load(tmp_path / name / "adapter").adapter_state() for name in ("alone", "served"))
    for name, weight in alone.items():
        assert torch.allclose(found[name], weight, atol=1e-4), name
    rewards = [[row["reward"] for row in metrics(tmp_path / name) if "reward" in row] for name in ("alone", "served")]
    assert rewards[0] == rewards[1]
    assert not (tmp_path / "served" / "served").exists()


def test_a_server_with_rounding_is_corrected_and_logged(small_model, tmp_path):
    with AdapterServer(noise=0.05) as server:
        config = reinforce.ReinforceConfig(
            output=tmp_path / "out", reflector=str(small_model), server=server.url, **RUN
        )
        reinforce.train(config)
    gaps = [row["server_gap"] for row in metrics(tmp_path / "out") if "server_gap" in row]
    assert len(gaps) == 3
    assert all(0.02 < gap < 0.08 for gap in gaps)


def test_a_server_with_another_model_is_refused_and_the_run_resumes(small_model, tmp_path):
    fields = {"output": tmp_path / "out", "reflector": str(small_model), **RUN}
    with AdapterServer(noise=1.0) as server, pytest.raises(ConfigError, match="differ from the learner's"):
        reinforce.train(reinforce.ReinforceConfig(server=server.url, **fields))
    with AdapterServer() as server:
        reinforce.train(reinforce.ReinforceConfig(server=server.url, **fields | {"updates": 1}))
    with AdapterServer() as server:
        result = reinforce.train(reinforce.ReinforceConfig(server=server.url, resume=True, **fields))
    assert result.updates == 3
    with pytest.raises(CheckpointError, match="served"):
        reinforce.train(reinforce.ReinforceConfig(resume=True, **fields))
