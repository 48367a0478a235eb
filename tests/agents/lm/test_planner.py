"""The planner replies as HfActor does, and its turns can be scored again from a record."""

import copy
import pickle

import pytest
import torch

from retro_gym import Prompt, Reply, RetroEnv
from retro_gym.actors import HfActor
from retro_gym.errors import ActorError, ConfigError, PromptTooLongError
from retro_gym.testing.identity import IdentityEnv
from retro_gym.trajectory import Trajectory
from retro_gym_agents import LoraSettings, Planner
from tests.agents.hf_models import CHAT, PROMPTS, WORDS, chain_model, make_tokenizer, prompt, random_model


def make(model, chat=None, **options):
    return Planner(model, make_tokenizer(chat=chat), name="small", **{"max_new_tokens": 16, **options})


def disturb(role, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in role.trainable.values():
            weight += 0.1 * torch.randn(weight.shape, generator=generator)


def said(replies):
    """What is compared with HfActor: all but the tokens themselves, and whether the limit voids a trial."""
    return [(one.text, one.prompt_tokens, one.completion_tokens, one.reasoning) for one in replies]


# -- replies -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chat", [None, CHAT], ids=["plain", "chat"])
@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
@pytest.mark.parametrize("lora", [None, LoraSettings()], ids=["base", "fresh adapter"])
def test_greedy_replies_are_those_of_the_transformers_actor(family, chat, lora):
    planner = make(random_model(family), chat, greedy=True, batch_size=3, lora=lora)
    actor = HfActor(random_model(family), make_tokenizer(chat=chat), max_new_tokens=16)
    assert said(planner.reply(PROMPTS)) == said(actor.reply(PROMPTS))


def test_the_adapter_is_on():
    planner = make(random_model("llama"), greedy=True)
    before = said(planner.reply(PROMPTS))
    disturb(planner)
    assert said(planner.reply(PROMPTS)) != before


def test_stop_texts_end_a_row_at_once_and_its_tokens_are_kept():
    planner = make(chain_model("Say:\nObi"), CHAT, greedy=True)
    replies = planner.reply([prompt(stop=("\nOb",)), prompt(length=5, stop=()), prompt(stop=("zz", "ay", ":"))])
    assert [reply.text for reply in replies] == ["Say:", "Say:\nObi", "S"]
    assert [len(reply.generation.token_ids) for reply in replies] == [7, 9, 3]
    assert "".join(WORDS[token] for token in replies[0].generation.token_ids) == "Say:\nOb"
    assert replies[1].generation.token_ids[-1] == 2
    assert not any(reply.cut for reply in replies)


def test_a_reply_that_runs_into_its_limit_is_an_action_like_any_other():
    (reply,) = make(chain_model("abcdefg"), CHAT, greedy=True, max_new_tokens=3).reply([prompt()])
    assert (reply.text, reply.cut, len(reply.generation.token_ids)) == ("abc", False, 3)


def test_reasoning_is_kept_apart():
    (reply,) = make(chain_model("<think>ab</think>cd"), CHAT, greedy=True).reply([prompt()])
    assert (reply.text, reply.reasoning) == ("cd", "ab")


def test_a_sample_depends_on_its_own_seed_alone():
    planner = make(random_model("llama"), temperature=1.0)
    disturb(planner)
    together = planner.reply(PROMPTS)
    for each, reply in zip(PROMPTS, together, strict=True):
        (alone,) = planner.reply([each])
        assert said([alone]) == said([reply])
        assert alone.generation.token_ids == reply.generation.token_ids
        assert alone.generation.logprobs == pytest.approx(reply.generation.logprobs, abs=1e-4)
    assert len({reply.text for reply in planner.reply([prompt(seed=seed) for seed in range(8)])}) == 8


def test_a_prompt_that_is_too_long_is_an_error_in_its_place():
    first, second = make(random_model("llama")).reply([prompt(length=200), prompt()])
    assert isinstance(first, PromptTooLongError)
    assert isinstance(second, Reply)


@pytest.mark.parametrize("greedy", [False, True])
def test_logits_that_no_token_can_be_chosen_from_are_an_error(greedy):
    model = chain_model("abcdefg")

    def spoil(module, given, logits):
        return logits.where(given[0][..., WORDS.index("c")][..., None] == 0, torch.nan)  # behind a "c"

    model.lm_head.register_forward_hook(spoil)
    temperature = None if greedy else 0.01
    (error,) = make(model, CHAT, greedy=greedy, temperature=temperature, lora=None).reply([prompt()])
    assert type(error) is ActorError
    assert "no usable logits" in str(error)
    assert "and 3 of the reply" in str(error)


def test_a_batch_that_the_model_fails_on_is_tried_in_halves():
    model = random_model("llama")
    forward, sizes = model.forward, []

    def small_only(*args, **kwargs):
        sizes.append(len(kwargs["input_ids"]))
        if sizes[-1] > 2:
            raise RuntimeError("CUDA out of memory")
        return forward(*args, **kwargs)

    model.forward = small_only
    planner = make(model, lora=None)
    planner.reply(PROMPTS[:1])  # a first call also tests what the model supports
    sizes.clear()
    replies = planner.reply(PROMPTS)
    assert all(isinstance(reply, Reply) for reply in replies)
    assert sizes[0] == len(PROMPTS)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"shape": "chats"}, "shape 'chats' is not one of"),
        ({"shape": "chat"}, "has no chat template"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"max_new_tokens": 512}, "context of 512 tokens"),
    ],
)
def test_arguments_out_of_their_rule(options, words):
    with pytest.raises(ConfigError, match=words):
        make(random_model("llama"), **options)


# -- as an actor ---------------------------------------------------------------------------------------------------


def play(planner):
    """A failure, a reflection and the trial behind it: the two trajectories, by way of their JSON."""
    env = RetroEnv(IdentityEnv(words=("blue", "gold")), actor=planner, max_reflections=2)
    env.reset(seed=0)
    first = env.trajectory
    _, _, _, truncated, info = env.step("Say red.\nOr not.")
    assert not truncated, info
    return env, [Trajectory.from_json(one.to_json()) for one in (first, env.trajectory)]


def test_turns_of_a_record_are_scored_again_with_a_gradient():
    planner = make(chain_model("Say[red]"), CHAT, lora=LoraSettings())
    planner.version = "update 3"
    env, trajectories = play(planner)
    told = env.task_env.prompt
    prompts, generations = [], []
    for trajectory, reflections in zip(trajectories, [(), ("Say red.\nOr not.",)], strict=True):
        for number, turn in enumerate(trajectory.turns):
            assert turn.generation.model == "small@update 3"
            turns = trajectory.turns[:number]
            prompts.append(Prompt(told.instruction, told.examples, reflections, trajectory.task, turns, seed=-1))
            generations.append(turn.generation)
    assert len(generations) == 2
    samples = planner.recorded(prompts, generations)
    assert samples.texts == ("Say[red]",) * 2
    logprobs_NT = planner.logprobs(samples)
    torch.testing.assert_close(logprobs_NT.detach(), samples.logprobs_NT, rtol=1e-4, atol=1e-5)
    assert float(samples.logprobs_NT.abs().sum()) > 0
    torch.autograd.backward(logprobs_NT.sum())
    assert any(bool(weight.grad.abs().sum() > 0) for weight in planner.trainable.values())


def test_several_replies_to_a_prompt_are_scored_over_it_together():
    planner = make(random_model("llama"), temperature=0.7)
    disturb(planner)
    replies = planner.reply([prompt(number, seed=seed) for number in range(2) for seed in range(3)])
    generations = [reply.generation for reply in replies]
    samples = planner.recorded([prompt(number) for number in range(2)], generations)
    assert (samples.num_prompts, samples.num_samples, samples.temperature) == (2, 3, 0.7)
    torch.testing.assert_close(planner.logprobs(samples).detach(), samples.logprobs_NT, rtol=1e-4, atol=1e-4)


def test_greedy_turns_need_a_temperature_to_be_scored_at():
    planner = make(random_model("llama"), greedy=True)
    generations = [reply.generation for reply in planner.reply(PROMPTS)]
    assert planner.temperature == 0
    assert all(one.temperature == 0 and set(one.logprobs) == {0.0} for one in generations)
    with pytest.raises(ConfigError, match=r"temperatures \[0.0\].*above 0.*temperature="):
        planner.recorded(PROMPTS, generations)
    samples = planner.recorded(PROMPTS, generations, temperature=1.0)
    assert float(planner.logprobs(samples).detach().sum()) < 0


def test_copies_share_the_weights_and_a_pickle_has_its_own():
    planner = make(random_model("llama"))
    assert copy.deepcopy(planner) is planner
    again = pickle.loads(pickle.dumps(planner))
    assert again.model is not planner.model
    assert said(again.reply(PROMPTS)) == said(planner.reply(PROMPTS))
    assert planner.parameters == {
        "model": "small",
        "shape": "completion",
        "dtype": "float32",
        "max_new_tokens": 16,
        "temperature": 1.0,
    }
