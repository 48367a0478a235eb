import copy
import itertools
import logging
import pickle
import string
import sys

import numpy as np
import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from retro_gym.actors import HfActor, RecordingActor, ReplayActor, Reply, split_reasoning
from retro_gym.errors import ActorError, ConfigError, MissingExtraError, PromptTooLongError
from retro_gym.prompts import Prompt
from retro_gym.trajectory import Turn
from retro_gym_agents.reflector import Reflector

SPECIAL = ["<pad>", "<s>", "</s>", "<|user|>", "<|assistant|>"]
WORDS = [*SPECIAL, "<think>", "</think>", *string.ascii_letters, *string.digits, *" \n.,:;?!()[]-+*/=<>|'\""]
WORDS += [f"<{number}>" for number in range(-len(WORDS) % 8)]
CHAT = (
    "<s>{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
CONTEXT = 512


def make_tokenizer(*, chat=None, pad="<pad>", bos=True):
    """A token for each character: what is decoded is what was encoded."""
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.add_tokens(["<think>", "</think>"])
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token=pad, chat_template=chat
    )


def random_model(family):
    """Random weights, large enough that what is read decides what is written."""
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": len(WORDS), "initializer_range": 0.3}
    llama = {"hidden_size": 32, "intermediate_size": 64, "num_key_value_heads": 2, "max_position_embeddings": CONTEXT}
    special = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if family == "gpt2":
            model = GPT2LMHeadModel(GPT2Config(**sizes, **special, hidden_size=32, n_positions=CONTEXT))
        elif family == "qwen3":
            model = Qwen3ForCausalLM(Qwen3Config(**sizes, **llama, **special, head_dim=16))
        else:
            model = LlamaForCausalLM(LlamaConfig(**sizes, **llama, **special))
    return model.eval()


def chain_model(script):
    """A Llama that writes the script behind ``<|assistant|>``: each token is followed by the next one, always."""
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=len(WORDS),
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config).eval()
    chain = [WORDS.index("<|assistant|>"), *make_tokenizer()(script, add_special_tokens=False)["input_ids"], 2]
    assert len(set(chain)) == len(chain), "a token that comes twice has no single follower"
    with torch.no_grad():
        model.model.layers[0].self_attn.o_proj.weight.zero_()
        model.model.layers[0].mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(len(WORDS)))
        model.lm_head.weight.zero_()
        for token, follower in itertools.pairwise(chain):
            model.lm_head.weight[follower, token] = 1.0
    return model


def prompt(number=0, length=1, seed=0, turns=(), stop=("\nObservation",)):
    return Prompt("Answer.", (), (), f"Task {number}: " + "ab cd. " * length, turns, seed=seed, stop=stop)


TURNS = tuple(Turn(f"Thought {i}", f"Say[{i}]", "Wrong. " * i) for i in range(3))
PROMPTS = [
    prompt(number, length, seed=number, turns=TURNS[: number % 4]) for number, length in enumerate([1, 9, 3, 20, 1])
]


def chained(script, **options):
    return HfActor(chain_model(script), make_tokenizer(chat=CHAT), **options)


@pytest.fixture
def folder(tmp_path):
    random_model("llama").save_pretrained(tmp_path)
    make_tokenizer(chat=CHAT).save_pretrained(tmp_path)
    return tmp_path


# -- greedy decoding -----------------------------------------------------------------------------------------------


@torch.no_grad()
def plain_greedy(model, ids, limit):
    """Without cache, padding or batch."""
    ids = torch.tensor([ids])
    start = ids.shape[1]
    while ids.shape[1] < start + limit and (ids.shape[1] == start or ids[0, -1] != 2):
        ids = torch.cat([ids, model(input_ids=ids, use_cache=False).logits[:, -1:].argmax(-1)], -1)
    return ids[0, start:].tolist()


@pytest.mark.parametrize("chat", [None, CHAT], ids=["plain", "chat"])
@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
def test_batched_replies_are_those_of_one_by_one_and_of_a_plain_loop(family, chat):
    model, tokenizer = random_model(family), make_tokenizer(chat=chat, pad=None)
    options = {"max_new_tokens": 16}
    batched = HfActor(model, tokenizer, batch_size=3, **options).reply(PROMPTS)
    one_by_one = HfActor(model, tokenizer, batch_size=1, **options)
    assert batched == [one_by_one.reply([each])[0] for each in PROMPTS]
    assert batched == HfActor(model, tokenizer, **options).reply(PROMPTS[::-1])[::-1]
    assert len({reply.text for reply in batched}) > 1
    for each, reply in zip(PROMPTS, batched, strict=True):
        text = each.text
        if chat:
            text = tokenizer.apply_chat_template(each.messages("chat"), tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text, add_special_tokens=not chat)["input_ids"]
        tokens = plain_greedy(model, ids, 16)
        assert reply.text == split_reasoning(tokenizer.decode(tokens, skip_special_tokens=True))[0].strip()
        assert (reply.prompt_tokens, reply.completion_tokens) == (len(ids), len(tokens))


def test_a_generation_config_leaks_into_nothing_and_warns_of_nothing(caplog):
    model, tokenizer = random_model("llama"), make_tokenizer()
    clean = HfActor(model, tokenizer, max_new_tokens=12).reply(PROMPTS)
    config = GenerationConfig(
        do_sample=True,
        temperature=0.2,
        top_k=3,
        top_p=0.5,
        repetition_penalty=2.0,
        no_repeat_ngram_size=2,
        min_new_tokens=5,
        max_length=7,
        num_beams=2,
        eos_token_id=2,
    )
    model.generation_config = config
    state = torch.random.get_rng_state()
    with caplog.at_level(logging.WARNING):
        logging.getLogger("transformers").propagate = True
        try:
            assert HfActor(model, tokenizer, max_new_tokens=12).reply(PROMPTS) == clean
        finally:
            logging.getLogger("transformers").propagate = False
    assert caplog.records == []
    assert model.generation_config is config
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_model_in_training_mode_has_no_dropout_while_it_replies():
    model = random_model("gpt2").train()
    model.requires_grad_(False)
    wanted = HfActor(random_model("gpt2"), make_tokenizer(), max_new_tokens=12).reply(PROMPTS)
    assert HfActor(model, make_tokenizer(), max_new_tokens=12).reply(PROMPTS) == wanted
    assert model.training
    assert not any(weight.requires_grad for weight in model.parameters())


# -- sampling ------------------------------------------------------------------------------------------------------


def test_a_sample_depends_on_its_own_seed_alone():
    model, tokenizer = random_model("llama"), make_tokenizer()
    actor = HfActor(model, tokenizer, temperature=1.0, max_new_tokens=16)
    together = actor.reply(PROMPTS)
    assert together == [actor.reply([each])[0] for each in PROMPTS]
    assert together == HfActor(model, tokenizer, temperature=1.0, max_new_tokens=16, batch_size=2).reply(PROMPTS)
    again = actor.reply([prompt(seed=seed) for seed in range(8)])
    assert len({reply.text for reply in again}) == 8
    assert together != HfActor(model, tokenizer, max_new_tokens=16).reply(PROMPTS)


def test_samples_follow_the_models_distribution_at_the_temperature():
    model, tokenizer = random_model("llama"), make_tokenizer()
    model.generation_config.top_k = 1
    number, temperature = 4_000, 2.0
    actor = HfActor(model, tokenizer, temperature=temperature, max_new_tokens=1, batch_size=1_000)
    replies = actor.reply([prompt(seed=seed, stop=()) for seed in range(number)])
    with torch.no_grad():
        logits_V = model(input_ids=torch.tensor([tokenizer(prompt().text)["input_ids"]])).logits[0, -1]
    wanted_V = torch.softmax(logits_V / temperature, -1).numpy()
    letters = [i for i, word in enumerate(WORDS) if len(word) == 1 and not word.isspace()]
    got_V = np.array([sum(reply.text == WORDS[i] for reply in replies) for i in letters]) / number
    error_V = np.sqrt(wanted_V[letters] * (1 - wanted_V[letters]) / number)
    assert (np.abs(got_V - wanted_V[letters]) < 5 * error_V + 1e-3).all()
    assert got_V.max() > 0.01


def test_a_low_temperature_is_nearly_greedy():
    model, tokenizer = random_model("llama"), make_tokenizer()
    greedy = HfActor(model, tokenizer, max_new_tokens=12).reply(PROMPTS)
    assert HfActor(model, tokenizer, max_new_tokens=12, temperature=1e-4).reply(PROMPTS) == greedy


# -- where a reply ends --------------------------------------------------------------------------------------------


def prompt_tokens(asked, chat=CHAT):
    tokenizer = make_tokenizer(chat=chat)
    text = tokenizer.apply_chat_template(asked.messages("chat"), tokenize=False, add_generation_prompt=True)
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])


def test_a_reply_ends_at_its_end_token_and_its_tokens_are_counted():
    asked = prompt(turns=TURNS)
    assert chained("Action: S[rd]").reply([asked]) == [Reply("Action: S[rd]", prompt_tokens(asked), 14)]


def test_every_end_token_of_the_generation_config_counts():
    model = chain_model("abcdefg")
    model.generation_config.eos_token_id = [2, WORDS.index("d")]
    (reply,) = HfActor(model, make_tokenizer(chat=CHAT)).reply([prompt()])
    assert (reply.text, reply.completion_tokens) == ("abc", 4)


def test_the_longest_reply_has_max_new_tokens():
    (reply,) = chained("abcdefg", max_new_tokens=3).reply([prompt()])
    assert (reply.text, reply.completion_tokens) == ("abc", 3)


def test_a_stop_text_ends_its_own_row_at_once_and_is_cut():
    asked = [prompt(stop=("\nOb",)), prompt(length=5, stop=()), prompt(stop=("zz", "ay", ":", ""))]
    replies = chained("Say:\nObi").reply(asked)
    assert [reply.text for reply in replies] == ["Say:", "Say:\nObi", "S"]
    assert [reply.completion_tokens for reply in replies] == [7, 9, 3]


def test_a_model_without_any_special_token_goes_to_its_limit():
    model, tokenizer = random_model("gpt2"), make_tokenizer(pad=None, bos=False)
    tokenizer.eos_token = tokenizer.bos_token = None
    model.generation_config = GenerationConfig()
    replies = HfActor(model, tokenizer, max_new_tokens=5).reply(PROMPTS[:2])
    assert [reply.completion_tokens for reply in replies] == [5, 5]


# -- what the model is shown ---------------------------------------------------------------------------------------


def shown(actor, asked):
    ids = actor._encoded(actor._load(), asked).ids
    return make_tokenizer().decode(ids)


def test_prompts_are_laid_out_as_the_shape_says_with_one_bos():
    model, tokenizer = random_model("llama"), make_tokenizer(chat=CHAT)
    asked = prompt(turns=TURNS[:1])
    said, seen = "Thought 1: Thought 0\nAction 1: Say[0]", "Observation 1: "
    task = "Answer.\n\nTask 0: ab cd."
    assert shown(HfActor(model, tokenizer), asked) == f"<s><|user|>{task}<|assistant|>{said}<|user|>{seen}<|assistant|>"
    assert shown(HfActor(model, tokenizer, shape="completion"), asked) == f"<s>{asked.text}"
    assert shown(HfActor(model, make_tokenizer()), asked) == f"<s>{asked.text}"
    assert shown(HfActor(model, make_tokenizer(bos=False)), asked) == asked.text
    user = HfActor(model, tokenizer, shape="user")
    assert shown(user, asked) == f"<s><|user|>{asked.text.strip()}<|assistant|>"
    assert user.parameters["shape"] == "user"
    assert HfActor(model, tokenizer).parameters["shape"] is None


def test_a_tokenizer_that_ends_every_text_does_not_end_the_prompt():
    tokenizer = make_tokenizer()
    both = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    tokenizer.backend_tokenizer.post_processor = both
    assert tokenizer("x")["input_ids"][-1] == 2
    assert shown(HfActor(random_model("llama"), tokenizer), prompt()) == f"<s>{prompt().text}"


def test_an_empty_prompt_is_answered():
    empty = Prompt("", (), (), "", (), seed=0, template="{history}")
    (reply,) = HfActor(random_model("llama"), make_tokenizer(bos=False), max_new_tokens=2).reply([empty])
    assert reply.prompt_tokens == 1
    assert HfActor(random_model("llama"), make_tokenizer()).reply([]) == []


def test_options_of_the_chat_template_reach_it():
    chat = CHAT + "{% if silent %}!{% endif %}"
    model, tokenizer = random_model("llama"), make_tokenizer(chat=chat)
    assert shown(HfActor(model, tokenizer, template_options={"silent": True}), prompt()).endswith("<|assistant|>!")
    assert shown(HfActor(model, tokenizer), prompt()).endswith("<|assistant|>")


def test_a_template_that_refuses_the_messages_is_a_clear_error():
    chat = "{{ raise_exception('Only one user message is allowed') }}"
    actor = HfActor(random_model("llama"), make_tokenizer(chat=chat))
    with pytest.raises(ConfigError, match=r"refuses the messages: 'Only one user .* Try shape='user'"):
        actor.reply(PROMPTS)


def test_a_shape_without_a_template_is_refused():
    with pytest.raises(ConfigError, match="but the tokenizer of LlamaForCausalLM has no chat template"):
        HfActor(random_model("llama"), make_tokenizer(), shape="user").reply(PROMPTS)


@pytest.mark.parametrize(
    ("limit", "stop", "opened", "text", "reasoning"),
    [
        (40, ("Ob", "c"), False, "A", "hm.Ob"),
        (40, (), False, "Act", "hm.Ob"),
        (4, (), False, "", "hm"),
        (40, ("Ob", "c"), True, "A", "hm.Ob"),
        (2, ("h",), True, "", "hm"),
    ],
)
def test_reasoning_is_kept_apart_and_no_stop_text_ends_it(limit, stop, opened, text, reasoning):
    chat = CHAT + ("{{ '<think>\n' }}" if opened else "")  # several templates open the reasoning themselves
    model = chain_model("<think>\nhm.Ob</think>Act")
    actor = HfActor(model, make_tokenizer(chat=chat), max_new_tokens=limit)
    (reply,) = actor.reply([prompt(stop=stop)])
    assert (reply.text, reply.reasoning) == (text, reasoning)


# -- what does not fit ---------------------------------------------------------------------------------------------


def test_a_prompt_that_is_too_long_fails_alone():
    actor = HfActor(random_model("llama"), make_tokenizer(), max_new_tokens=12)
    fits = len(prompt(length=1).text) + 1
    longest = prompt(length=1 + (CONTEXT - 12 - fits) // 7)
    exact = Prompt("Answer.", (), (), longest.task + "a" * ((CONTEXT - 12 - fits) % 7), (), seed=0)
    over = Prompt("Answer.", (), (), exact.task + "a", (), seed=0)
    short, error, full = actor.reply([PROMPTS[0], over, exact])
    assert isinstance(error, PromptTooLongError)
    assert "the prompt has 501 tokens; LlamaForCausalLM has room for 500 beside a reply of 12" in str(error)
    assert short == actor.reply([PROMPTS[0]])[0]
    assert full.prompt_tokens == 500


def test_a_limit_that_leaves_no_room_is_refused():
    with pytest.raises(ConfigError, match="max_new_tokens is 512, but LlamaForCausalLM has a context of 512"):
        HfActor(random_model("llama"), make_tokenizer(), max_new_tokens=CONTEXT).reply(PROMPTS)


def test_a_batch_that_does_not_fit_into_memory_is_halved(monkeypatch):
    model, tokenizer = random_model("llama"), make_tokenizer()
    wanted = HfActor(model, tokenizer, max_new_tokens=4).reply(PROMPTS)
    longest = max(range(len(PROMPTS)), key=lambda number: wanted[number].prompt_tokens)
    whole, sizes = model.generate, []

    def generate(input_ids, **kwargs):
        sizes.append(len(input_ids))
        if len(input_ids) > 2 or input_ids.shape[1] == wanted[longest].prompt_tokens:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB. And so on")
        return whole(input_ids=input_ids, **kwargs)

    monkeypatch.setattr(model, "generate", generate)
    config = model.generation_config
    replies = HfActor(model, tokenizer, max_new_tokens=4).reply(PROMPTS)
    assert sizes == [5, 2, 1, 1, 3, 1, 2]
    error = replies.pop(longest)
    assert replies == wanted[:longest] + wanted[longest + 1 :]
    assert type(error) is ActorError
    assert "tokens does not fit into the memory of the device ('CUDA out of memory')" in str(error)
    assert model.generation_config is config


# -- arguments, loading, copies ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"max_new_tokens": 1.5}, "max_new_tokens is 1.5"),
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"shape": "chta"}, "Did you mean 'chat'"),
        ({"dtype": "float23"}, "Did you mean 'float32'"),
    ],
)
def test_bad_arguments_are_refused_at_once(options, said):
    with pytest.raises(ConfigError, match=said):
        HfActor("some/model", **options)


def test_a_model_needs_its_tokenizer():
    with pytest.raises(ConfigError, match="together with its tokenizer"):
        HfActor(random_model("llama"))
    with pytest.raises(ConfigError, match="model is int"):
        HfActor(3, make_tokenizer())


def test_nothing_is_loaded_before_the_first_reply(tmp_path):
    actor = HfActor(tmp_path / "none")
    assert repr(actor) == f"HfActor({str(tmp_path / 'none')!r})"
    with pytest.raises(ConfigError, match=r"actor '.*none' cannot be loaded: .* Give a folder"):
        actor.reply(PROMPTS)


@pytest.mark.parametrize(
    ("device", "said"), [("nonsense", "is unknown to torch"), ("meta:x", "is unknown"), (3.5, "unknown")]
)
def test_a_device_that_there_is_not_is_a_clear_error(folder, device, said):
    with pytest.raises(ConfigError, match=said):
        HfActor(folder, device=device).reply(PROMPTS)


@pytest.mark.parametrize("library", ["torch", "transformers"])
def test_a_missing_library_names_its_extra(folder, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=rf"{library} is not installed.*\[train\]"):
        HfActor(folder).reply(PROMPTS)


def test_a_model_from_a_folder_answers_as_the_object_does(folder):
    actor = HfActor(str(folder), max_new_tokens=4)
    wanted = HfActor(random_model("llama"), make_tokenizer(chat=CHAT), max_new_tokens=4).reply(PROMPTS)
    assert actor.reply(PROMPTS) == wanted
    assert next(actor._load().model.parameters()).dtype == torch.float32
    half = HfActor(folder, make_tokenizer(), dtype="bfloat16", max_new_tokens=4)
    assert len(half.reply(PROMPTS)) == 5
    assert next(half._load().model.parameters()).dtype == torch.bfloat16
    assert half.parameters == {
        "model": str(folder),
        "shape": "completion",
        "dtype": "bfloat16",
        "max_new_tokens": 4,
        "temperature": 0.0,
    }


def test_copies_share_the_weights_and_pickles_leave_them_behind(folder):
    actor = HfActor(folder, max_new_tokens=4)
    before = pickle.loads(pickle.dumps(actor))
    wanted = actor.reply(PROMPTS)
    assert copy.deepcopy(actor)._load().model is actor._load().model
    pickled = pickle.dumps(actor)
    assert len(pickled) < 5_000
    assert pickle.loads(pickled).reply(PROMPTS) == before.reply(PROMPTS) == wanted


def test_a_model_that_was_given_is_pickled_whole():
    actor = HfActor(random_model("llama"), make_tokenizer(), max_new_tokens=4)
    assert copy.deepcopy(actor) is actor
    again = pickle.loads(pickle.dumps(actor))
    assert again.reply(PROMPTS) == actor.reply(PROMPTS)
    assert again._model is not actor._model


# -- sharing the reflector's weights -------------------------------------------------------------------------------


@pytest.fixture(params=["llama", "gpt2"])
def reflector(request):
    return Reflector(random_model(request.param), make_tokenizer(chat=CHAT), name="random", max_new_tokens=8)


def disturb(reflector):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in reflector.trainable.values():
            weight += 0.3 * torch.randn(weight.shape, generator=generator)


def test_learning_does_not_change_the_actor_that_shares_the_weights(reflector):
    base = reflector.model.get_base_model()
    wanted = HfActor(random_model(base.config.model_type), make_tokenizer(chat=CHAT), max_new_tokens=8).reply(PROMPTS)
    actor = reflector.as_actor(max_new_tokens=8, batch_size=2)
    assert actor.reply(PROMPTS) == wanted
    reflections = reflector.reflect(["Task 1: Wrong."])
    disturb(reflector)
    changed = reflector.reflect(["Task 1: Wrong."])
    assert changed != reflections  # the adapter does something
    trainable, config = set(reflector.trainable), base.generation_config
    assert actor.reply(PROMPTS) == wanted
    assert set(reflector.trainable) == trainable
    assert base.generation_config is config
    assert reflector.reflect(["Task 1: Wrong."]) == changed  # and does it again afterwards


def test_there_is_no_second_copy_of_the_weights(reflector):
    actor = reflector.as_actor()
    actor.reply(PROMPTS[:1])
    held = {weight.data_ptr() for weight in reflector.model.parameters()}
    for each in (actor, copy.deepcopy(actor)):
        assert {weight.data_ptr() for weight in each._load().model.parameters()} == held


def test_gradients_are_left_as_they_were(reflector):
    for weight in reflector.model.parameters():
        weight.requires_grad_(False)
    reflector.as_actor(max_new_tokens=2).reply(PROMPTS[:1])
    assert not any(weight.requires_grad for weight in reflector.model.parameters())


def test_a_reflector_without_an_adapter_is_an_actor_too():
    reflector = Reflector(random_model("llama"), make_tokenizer(chat=CHAT), name="random", lora=None, max_new_tokens=8)
    wanted = HfActor(random_model("llama"), make_tokenizer(chat=CHAT), max_new_tokens=8).reply(PROMPTS)
    assert reflector.as_actor(max_new_tokens=8).reply(PROMPTS) == wanted


# -- in an environment ---------------------------------------------------------------------------------------------


def test_it_plays_episodes_and_its_tape_replays_them(tmp_path):
    import gymnasium as gym

    def play(actor):
        env = gym.make("RetroIdentity-v0", actor=actor).unwrapped
        failure, _ = env.reset(seed=0)
        return failure, [outcome.trajectory.to_json() for outcome in env.branch(["red", "green", "blue"])]

    actor = chained("Action: S[rd]", batch_size=2)
    assert chained("abc").batch_size == 16
    live = play(RecordingActor(actor, tmp_path / "tape.jsonl"))
    assert "You said" not in live[0]
    assert "S[rd]" in live[0]
    replay = ReplayActor(tmp_path / "tape.jsonl")
    assert replay.parameters["shape"] == "chat"
    assert play(replay) == live
