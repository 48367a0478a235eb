"""What may go wrong while a model of transformers replies: it is said, and other rows keep their replies."""

import functools

import pytest
import torch
from tokenizers import models
from transformers import LlamaConfig, LlamaForCausalLM

from retro_gym.actors import HfActor, Reply
from retro_gym.errors import ActorError, ConfigError
from retro_gym.prompts import Prompt
from tests.agents.hf_models import (
    CHAT,
    CONTEXT,
    PROMPTS,
    WORDS,
    chain_model,
    chained,
    make_tokenizer,
    prompt,
    random_model,
)

NAN, INF = float("nan"), float("inf")

# -- cut replies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "limit", "stop", "text", "reasoning", "cut"),
    [
        ("abcdefg", 3, (), "abc", "", True),
        ("abcdefg", 7, (), "abcdefg", "", True),  # whether it would have ended there is not known
        ("abcdefg", 8, (), "abcdefg", "", False),  # the last token is the one that ends it
        ("abcdefg", 20, (), "abcdefg", "", False),
        ("abcdefg", 4, ("d",), "abc", "", False),
        ("abcdefg", 3, ("d",), "abc", "", True),
        ("<think>hm</think>Act", 3, (), "", "hm", True),
        ("<think>hm</think>Act", 3, ("h",), "", "hm", True),
        ("<think>hm</think>Act", 5, (), "A", "hm", True),
        ("<think>hm</think>Act", 9, (), "Act", "hm", False),
        ("ab\ncd", 3, (), "ab\n", "", True),  # the line is whole
    ],
)
def test_a_reply_that_ran_into_its_limit_says_so(script, limit, stop, text, reasoning, cut):
    (reply,) = chained(script, max_new_tokens=limit).reply([prompt(stop=stop)])
    assert (reply.text, reply.reasoning, reply.cut) == (text, reasoning, cut)


def test_each_row_of_a_batch_is_cut_for_itself():
    replies = chained("abcdefg", max_new_tokens=4).reply([prompt(stop=("c",)), prompt(stop=())])
    assert [(reply.text, reply.cut) for reply in replies] == [("ab", False), ("abcd", True)]


@pytest.mark.parametrize(("context", "limit"), [(3, 1), (CONTEXT, 128), (4_000, 1_000), (32_768, 1_024)])
def test_the_limit_leaves_room_for_reasoning_and_for_the_prompt(context, limit):
    model = random_model("llama")
    model.config.max_position_embeddings = context
    actor = HfActor(model, make_tokenizer())
    assert actor.parameters["max_new_tokens"] is None
    assert actor._load().layout.max_new_tokens == actor.parameters["max_new_tokens"] == limit
    assert actor._load().layout.room == context - limit


def test_a_model_without_a_limit_of_its_own_has_the_default(monkeypatch):
    monkeypatch.setattr("retro_gym.actors.hf_prompts.context_of", lambda model: None)
    actor = HfActor(random_model("llama"), make_tokenizer())
    assert (actor._load().layout.max_new_tokens, actor._load().layout.room) == (1_024, None)


def test_a_limit_of_none_is_one_and_of_nothing_is_not():
    with pytest.raises(ConfigError, match="max_new_tokens is 0"):
        HfActor("some/model", max_new_tokens=0)
    with pytest.raises(ConfigError, match="batch_size is None"):
        HfActor("some/model", batch_size=None)


# -- reasoning between special tokens, which are left out of texts ----------------------------------------------------


def special_tags(chat=CHAT):
    tokenizer = make_tokenizer(chat=chat)
    tokenizer.backend_tokenizer.add_special_tokens(["<think>", "</think>"])
    return tokenizer


@pytest.mark.parametrize("opened", [False, True])
def test_reasoning_between_special_tokens_is_no_answer(opened):
    tokenizer = special_tags(CHAT + ("{{ '<think>\n' }}" if opened else ""))
    assert tokenizer.decode([WORDS.index("<think>"), WORDS.index("a")], skip_special_tokens=True) == "a"
    model = chain_model("<think>\nhm.Ob</think>Act")
    (reply,) = HfActor(model, tokenizer).reply([prompt(stop=("Ob",))])
    assert (reply.text, reply.reasoning, reply.cut) == ("Act", "hm.Ob", False)


# -- logits that are no numbers ------------------------------------------------------------------------------------


def with_logits(change):
    """A model whose logits are changed, as (B, L, V), on their way out."""
    model = chain_model("abcdefg")
    model.lm_head.register_forward_hook(lambda module, given, logits: change(logits.clone()))
    return model


def filled(value, columns, logits):
    logits[..., columns] = value
    return logits


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize(
    "change",
    [
        functools.partial(filled, NAN, slice(None)),
        functools.partial(filled, NAN, 40),
        functools.partial(filled, INF, 40),
        functools.partial(filled, -INF, slice(None)),
    ],
    ids=["nan", "one nan", "inf", "all -inf"],
)
def test_logits_that_no_token_can_be_chosen_from_are_an_error(change, temperature):
    (error,) = HfActor(with_logits(change), make_tokenizer(chat=CHAT), temperature=temperature).reply([prompt()])
    assert type(error) is ActorError
    assert "no usable logits" in str(error)
    assert "give dtype='bfloat16' or 'float32'" in str(error)


def test_tokens_that_a_model_rules_out_are_no_error():
    ruled_out = [number for number, word in enumerate(WORDS) if word not in "abcdefg" and number != 2]
    model = with_logits(functools.partial(filled, -INF, ruled_out))
    assert HfActor(model, make_tokenizer(chat=CHAT)).reply([prompt()])[0].text == "abcdefg"
    (drawn,) = HfActor(model, make_tokenizer(chat=CHAT), temperature=5.0, max_new_tokens=20).reply([prompt()])
    assert set(drawn.text) <= set("abcdefg")


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_rows_that_are_well_keep_their_replies(temperature):
    model = random_model("llama")
    actor = HfActor(model, make_tokenizer(), temperature=temperature, max_new_tokens=12)
    three = WORDS.index("3")  # written by none
    model.lm_head.register_forward_hook(lambda module, given, logits: filled(-INF, three, logits.clone()))
    wanted = actor.reply(PROMPTS)
    with torch.no_grad():
        model.model.embed_tokens.weight[three] = NAN  # read in some prompts alone
    replies = actor.reply(PROMPTS)
    ill = ["3" in each.text for each in PROMPTS]
    assert set(ill) == {True, False}
    assert [type(reply) is ActorError for reply in replies] == ill
    assert [reply for reply in replies if isinstance(reply, Reply)] == [
        reply for reply, is_ill in zip(wanted, ill, strict=True) if not is_ill
    ]


def test_logits_that_break_in_the_middle_are_an_error_too():
    model = chain_model("abcdefg")
    with torch.no_grad():
        model.model.embed_tokens.weight[WORDS.index("c")] = NAN
    asked = Prompt("Answer.", (), (), "Task", (), seed=0)
    (error,) = HfActor(model, make_tokenizer(chat=CHAT)).reply([asked])
    assert isinstance(error, ActorError)
    assert "and 3 of the reply" in str(error)


def test_a_row_that_its_padding_has_broken_is_answered_alone():
    model, tokenizer = random_model("llama"), make_tokenizer()
    with torch.no_grad():
        model.lm_head.weight[0] = 0.0
    wanted = HfActor(model, tokenizer, max_new_tokens=8).reply(PROMPTS)
    with torch.no_grad():
        model.model.embed_tokens.weight[0] = NAN  # <pad>: 0 times NaN is NaN, masked or not
    assert HfActor(model, tokenizer, max_new_tokens=8).reply(PROMPTS) == wanted


def test_float16_that_overflows_is_an_error_and_its_remedy_helps():
    model = chain_model("abcdefg")
    with torch.no_grad():
        model.lm_head.weight *= 6e4
    options = {"tokenizer": make_tokenizer(chat=CHAT), "temperature": 1.0}
    assert HfActor(model, **options).reply([prompt()])[0].text == "abcdefg"
    (error,) = HfActor(model.half(), **options).reply([prompt()])
    assert "float16 overflows" in str(error)


def test_no_temperature_is_too_low():
    model, tokenizer = random_model("llama"), make_tokenizer()
    greedy = HfActor(model, tokenizer, max_new_tokens=12).reply(PROMPTS)
    assert HfActor(model, tokenizer, max_new_tokens=12, temperature=1e-320).reply(PROMPTS) == greedy


# -- models and tokenizers that fail -------------------------------------------------------------------------------


def failing(monkeypatch, error, ill):
    """A model that fails on every batch with a prompt of so many tokens."""
    model = random_model("llama")
    whole = model.generate

    def generate(input_ids, attention_mask, **kwargs):
        if ill in attention_mask.sum(-1).tolist():
            raise error
        return whole(input_ids=input_ids, attention_mask=attention_mask, **kwargs)

    monkeypatch.setattr(model, "generate", generate)
    return model


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            RuntimeError("CUDA error: device-side assert triggered"),
            "RuntimeError .*only a new process can use the device",
        ),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), "only a new process can use the device"),
        (IndexError("index out of range in self"), r"IndexError \('index out of range in self'\)"),
        (TypeError("forward() got an unexpected keyword argument"), "TypeError"),
        (ImportError("needs mamba_ssm"), "needs mamba_ssm"),
        (RuntimeError("MPS backend out of memory"), "does not fit into the memory"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
            "does not fit into",
        ),
        (MemoryError(), "does not fit into the memory"),
    ],
)
def test_a_model_that_fails_on_one_prompt_answers_the_others(monkeypatch, error, said):
    wanted = HfActor(random_model("llama"), make_tokenizer(), max_new_tokens=4).reply(PROMPTS)
    model = failing(monkeypatch, error, ill=wanted[3].prompt_tokens)
    replies = HfActor(model, make_tokenizer(), max_new_tokens=4).reply(PROMPTS)
    failed = replies.pop(3)
    assert replies == wanted[:3] + wanted[4:]
    assert type(failed) is ActorError
    assert said.partition(" ")[0] in str(failed)
    with pytest.raises(ActorError, match=said):
        raise failed


def test_a_tokenizer_with_more_ids_than_the_model_is_refused():
    tokenizer = make_tokenizer(chat=CHAT)
    tokenizer.add_tokens(["<extra>"])
    actor = HfActor(random_model("llama"), tokenizer)
    with pytest.raises(ConfigError, match=rf"gives the id {len(WORDS)}, but the model has embeddings for {len(WORDS)}"):
        actor.reply([Prompt("Answer.", (), (), "Say <extra>.", (), seed=0)])


def test_a_padding_token_that_the_model_does_not_have_does_no_harm():
    tokenizer = make_tokenizer(pad=None)
    wanted = HfActor(random_model("llama"), tokenizer, max_new_tokens=4).reply(PROMPTS)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    assert tokenizer.pad_token_id >= len(WORDS)
    assert HfActor(random_model("llama"), tokenizer, max_new_tokens=4).reply(PROMPTS) == wanted


def test_ids_that_only_the_model_has_stand_for_no_text():
    config = LlamaConfig(**{**random_model("llama").config.to_dict(), "vocab_size": len(WORDS) + 8})
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        model.lm_head.weight.zero_()
        model.lm_head.register_forward_hook(lambda module, given, logits: filled(9.0, len(WORDS) + 2, logits.clone()))
    (reply,) = HfActor(model, make_tokenizer(), max_new_tokens=3).reply([prompt()])
    assert (reply.text, reply.completion_tokens, reply.cut) == ("", 3, True)


@pytest.mark.parametrize("chat", [None, CHAT])
def test_a_text_that_no_tokenizer_can_read_fails_alone(chat):
    torn = Prompt("Answer.", (), (), "Task \ud83d", (), seed=0)
    actor = HfActor(random_model("llama"), make_tokenizer(chat=chat), max_new_tokens=4)
    well, error = actor.reply([PROMPTS[0], torn])
    assert well == actor.reply([PROMPTS[0]])[0]
    assert type(error) is ActorError
    assert "cannot read the prompt" in str(error)


def test_a_character_that_a_tokenizer_has_no_token_for_fails_alone():
    tokenizer = make_tokenizer()
    words = {word: number for number, word in enumerate(WORDS)}
    tokenizer.backend_tokenizer.model = models.WordLevel(words, unk_token="<none such>")
    odd = Prompt("Answer.", (), (), "Task \u4e16", (), seed=0)
    well, error = HfActor(random_model("llama"), tokenizer, max_new_tokens=4).reply([PROMPTS[0], odd])
    assert isinstance(well, Reply)
    assert type(error) is ActorError
    assert "cannot read the prompt" in str(error)


def test_an_encoder_with_a_decoder_is_refused():
    model = random_model("llama")
    model.config.is_encoder_decoder = True
    with pytest.raises(ConfigError, match="an encoder with a decoder"):
        HfActor(model, make_tokenizer()).reply(PROMPTS)
