import logging

import numpy as np
import pytest
import torch
from tokenizers import processors
from transformers import (
    GenerationConfig,
)

from retro_gym.actors import HfActor, Reply, split_reasoning
from retro_gym.errors import ActorError, ConfigError, PromptTooLongError
from retro_gym.prompts import Prompt
from tests.agents.hf_models import (
    CHAT,
    CONTEXT,
    PROMPTS,
    TURNS,
    WORDS,
    chain_model,
    chained,
    make_tokenizer,
    prompt,
    random_model,
)

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
    ids = actor._load().layout.row(asked).ids
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
