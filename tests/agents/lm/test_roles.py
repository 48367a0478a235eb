"""Two roles on one base model: each gives the numbers that it gives alone, and learns by itself."""

import pytest
import torch

from retro_gym.errors import ConfigError
from retro_gym_agents import LoraSettings, Planner, Reflector
from tests.agents.hf_models import PROMPTS, make_tokenizer, random_model

OBSERVATIONS = ["This attempt failed. abc", "Say it again."]
OPTIONS = {"name": "small", "max_new_tokens": 8}
PLANS = LoraSettings(rank=4, target_modules="q_proj,v_proj")


def reflector(**options):
    return Reflector(random_model("llama"), make_tokenizer(), **{**OPTIONS, **options})


def disturb(role, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in role.trainable.values():
            weight += 0.1 * torch.randn(weight.shape, generator=generator)
    return role


def pair(**options):
    """A reflector, and a planner with an adapter of its own beside it, after some learning."""
    first = disturb(reflector(**options), 1)
    return first, disturb(Planner.beside(first, lora=PLANS, seed=5), 2)


def alone(**options):
    """The same two on a base model each."""
    planner = Planner(random_model("llama"), make_tokenizer(), lora=PLANS, seed=5, **OPTIONS, **options)
    return disturb(reflector(**options), 1), disturb(planner, 2)


def losses(writer, planner):
    """A figure of each role that follows from its log-probabilities."""
    samples = writer.sample(OBSERVATIONS, num_samples=3, seed=7)
    turns = planner.recorded(PROMPTS, [reply.generation for reply in planner.reply(PROMPTS)])
    return writer.logprobs(samples).sum(), planner.logprobs(turns).sum()


def gradients(role):
    return {name: weight.grad for name, weight in role.trainable.items()}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def test_both_give_what_they_give_alone():
    for one, other in zip(pair(), alone(), strict=True):
        assert one.lora == other.lora
        assert_same(one.adapter_state(), other.adapter_state())
    (writer, planner), (lone_writer, lone_planner) = pair(), alone()
    samples, wanted = (role.sample(OBSERVATIONS, num_samples=3, seed=7) for role in (writer, lone_writer))
    assert torch.equal(samples.tokens_NT, wanted.tokens_NT)
    assert torch.equal(samples.logprobs_NT, wanted.logprobs_NT)
    assert planner.reply(PROMPTS) == lone_planner.reply(PROMPTS)
    assert torch.equal(writer.logprobs(samples), lone_writer.logprobs(wanted))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_are_those_of_each_alone_in_whatever_order(checkpointing):
    together, apart = pair(gradient_checkpointing=checkpointing), alone(gradient_checkpointing=checkpointing)
    for role in (*together, *apart):
        layers = [module for module in role.model.modules() if getattr(module, "gradient_checkpointing", False)]
        assert bool(layers) == any(module.training for module in role.model.modules()) == checkpointing
    torch.autograd.backward(sum(losses(*together)))  # the planner's pass stands between the reflector's two
    for loss in losses(*apart):
        torch.autograd.backward(loss)
    for one, other in zip(together, apart, strict=True):
        assert all(float(weight.grad.abs().sum()) > 0 for weight in one.trainable.values())
        assert_same(gradients(one), gradients(other))


def test_training_one_leaves_the_other_as_it_was():
    writer, planner = pair()
    replies = planner.reply(PROMPTS)
    state = planner.adapter_state()
    optimizer = torch.optim.AdamW(writer.trainable.values(), lr=0.1)
    torch.autograd.backward(losses(writer, planner)[0])
    optimizer.step()
    assert_same(planner.adapter_state(), state)
    assert planner.reply(PROMPTS) == replies
    assert all(weight.grad is None for weight in planner.trainable.values())


def test_each_has_a_reference_policy_of_its_own():
    writer, planner = pair()
    turns = planner.recorded(PROMPTS, [reply.generation for reply in planner.reply(PROMPTS)])
    samples = writer.sample(OBSERVATIONS, seed=7)
    for role, rows in ((writer, samples), (planner, turns)):
        role.freeze_reference()
        before = role.logprobs(rows).detach()
        disturb(role, 9)
        torch.testing.assert_close(role.reference_logprobs(rows), before, rtol=1e-4, atol=1e-4)
        assert not torch.allclose(role.logprobs(rows), before, rtol=1e-3, atol=1e-3)


def test_the_base_model_plays_without_any_adapter():
    writer, _ = pair()
    wanted = reflector(lora=None).as_actor(max_new_tokens=8).reply(PROMPTS)
    assert writer.as_actor(max_new_tokens=8).reply(PROMPTS) == wanted
    assert all(weight.requires_grad for weight in writer.trainable.values())


def test_without_an_adapter_of_its_own_a_role_shares_the_others():
    writer = disturb(reflector(temperature=0.5), 1)
    planner = Planner.beside(writer, greedy=True)
    assert planner.trainable.keys() == writer.trainable.keys()
    assert all(planner.trainable[name] is weight for name, weight in writer.trainable.items())
    assert planner.sampling == writer.sampling
    before = planner.reply(PROMPTS)
    disturb(writer, 2)
    assert planner.reply(PROMPTS) != before


def test_a_second_adapter_is_saved_and_loaded_as_any(tmp_path):
    writer, planner = pair()
    writer.save(tmp_path / "reflector")
    planner.save(tmp_path / "planner")
    assert {file.name for file in (tmp_path / "planner").iterdir()} == {
        file.name for file in (tmp_path / "reflector").iterdir()
    }
    fresh = reflector()
    again = Planner.beside(fresh, folder=tmp_path / "planner")
    assert_same(again.adapter_state(), planner.adapter_state())
    assert [one.text for one in again.reply(PROMPTS)] == [one.text for one in planner.reply(PROMPTS)]
    assert again.version
    assert (again.adapter, Planner.beside(fresh, folder=tmp_path / "planner").adapter) == ("planner", "planner_2")
    lone = Planner(random_model("llama"), make_tokenizer(), lora=PLANS, **OPTIONS)
    lone.load_adapter_state(planner.adapter_state())
    assert lone.reply(PROMPTS) == planner.reply(PROMPTS)


def test_what_cannot_stand_beside(tmp_path):
    with pytest.raises(ConfigError, match="has no adapter, and would compute with that of the new role"):
        Planner.beside(reflector(lora=None), lora=LoraSettings())
    writer = reflector()
    with pytest.raises(ConfigError, match="holds no adapter"):
        Planner.beside(writer, folder=tmp_path)
    reflector(name="large").save(tmp_path / "other")
    with pytest.raises(ConfigError, match="was made for 'large', the base model here is 'small'"):
        Planner.beside(writer, folder=tmp_path / "other")
    reflector().save(tmp_path / "torn")
    (tmp_path / "torn" / "adapter_model.safetensors").write_bytes(b"torn")
    with pytest.raises(ConfigError, match="holds no adapter that fits"):
        Planner.beside(writer, folder=tmp_path / "torn")
    (tmp_path / "torn" / "generation_config.json").write_text("{")
    with pytest.raises(ConfigError, match="It must be a file that transformers wrote"):
        Planner.beside(writer, folder=tmp_path / "torn")
    with pytest.raises(ConfigError, match="batch_size is 0"):
        Planner.beside(writer, lora=LoraSettings(), batch_size=0)
    assert list(writer.model.peft_config) == ["default"], "what was refused leaves nothing behind"


def test_a_version_holds_until_the_weights_change():
    writer, planner = pair()
    assert (writer.model_id, planner.model_id) == ("small", "small")
    writer.version = "update 1"
    losses(writer, planner)
    assert writer.model_id == "small@update 1"
    assert writer.sample(OBSERVATIONS).texts[0].generation.model == "small@update 1"
    disturb(planner, 3)
    assert writer.version == "update 1"
    disturb(writer, 3)
    assert (writer.version, writer.model_id) == ("", "small")
