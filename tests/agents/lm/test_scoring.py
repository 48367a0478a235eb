"""The learner's shared prompts: gradients, checkpointing, autocast, and the way back to plain rows."""

import dataclasses
import warnings

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    MistralConfig,
    MistralForCausalLM,
)

from retro_gym.actors.loading import load_causal_lm
from retro_gym.errors import ConfigError
from retro_gym_agents.lm import scoring
from retro_gym_agents.lm.adapters import LoraSettings, add_lora
from retro_gym_agents.lm.batching import Prompts
from retro_gym_agents.lm.packing import pack
from retro_gym_agents.lm.planner import Planner
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.lm.sampler import draw
from retro_gym_agents.lm.samples import Sampling
from retro_gym_agents.lm.scoring import score
from tests.agents.hf_models import make_tokenizer, random_model

SAMPLING = Sampling(temperature=0.8, max_new_tokens=9, end_ids=tuple(range(40, 50)), pad_id=0)


def adapted(family, **options):
    """A model with an adapter that says something."""
    model = add_lora(random_model(family), LoraSettings(rank=4, alpha=8), family, seed=0).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in trainable(model):
            weight += 0.2 * torch.randn(weight.shape, generator=generator)
    return model


def trainable(model):
    return [weight for weight in model.parameters() if weight.requires_grad]


@pytest.fixture(scope="module")
def prompts():
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randint(5, 90, (length,), generator=generator).tolist() for length in (40, 13, 27)]
    return Prompts.from_rows(rows, 0, "cpu")


def gradient(model, prompts, draws, samples, **options):
    model.zero_grad()
    scores = score(
        model,
        prompts,
        draws.tokens_NT,
        draws.mask_NT,
        temperature=0.8,
        num_samples=samples,
        keep_hidden=True,
        **options,
    )
    weights_NT = torch.linspace(-1, 1, draws.mask_NT.numel()).view(draws.mask_NT.shape)
    torch.autograd.backward((scores.logprobs_NT * weights_NT).sum() + scores.hidden_NTD.sum())
    return torch.cat([weight.grad.flatten() for weight in trainable(model)])


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("samples", [1, 6])
def test_the_gradient_is_that_of_plain_rows(prompts, family, attention, samples):
    model = adapted(family)
    model.set_attn_implementation(attention)
    draws = draw(model, prompts, SAMPLING, num_samples=samples, seed=1)
    assert samples == 1 or not draws.mask_NT.all(), "reflections of several lengths are what packing is about"
    plain, shared = (gradient(model, prompts, draws, samples, share_prompt=share) for share in (False, True))
    assert float((shared - plain).norm() / plain.norm()) < 1e-5
    assert float(plain.norm()) > 0


@pytest.mark.parametrize("again", [[0, 0, 0, 1, 2, 1], [3, 4, 4, 3, 3, 3], [0, 1, 2, 3, 4, 5], [5, 5, 5, 5, 5, 5]])
def test_what_several_samples_begin_with_is_computed_once(prompts, again, monkeypatch):
    model, packed = adapted("llama"), []
    drawn = draw(model, prompts, SAMPLING, num_samples=6, seed=1)
    rows = [*again, *range(6, 12), *(12 + row for row in reversed(again))]
    draws = dataclasses.replace(drawn, tokens_NT=drawn.tokens_NT[rows], mask_NT=drawn.mask_NT[rows])
    plain = gradient(model, prompts, draws, 6, share_prompt=False)
    monkeypatch.setattr(scoring, "pack", lambda *given: packed.append(pack(*given)) or packed[-1])
    shared = gradient(model, prompts, draws, 6)
    assert float((shared - plain).norm() / plain.norm()) < 1e-5
    ways = {"temperature": 0.8, "num_samples": 6, "keep_hidden": True}
    scores = score(model, prompts, draws.tokens_NT, draws.mask_NT, **ways)
    assert not scores.logprobs_NT[~draws.mask_NT].any()
    assert not scores.hidden_NTD[~draws.mask_NT].any()
    beginnings = {(place // 6, *row[:end]) for place, row in enumerate(draws.rows()) for end in range(1, len(row))}
    assert (packed[0].positions_PL[:, packed[0].prompt_width :] > 0).sum() == len(beginnings)


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
@pytest.mark.parametrize("share_prompt", [True, False])
def test_activations_that_are_computed_again_give_the_same_gradient(prompts, family, share_prompt):
    plain, checkpointed = (
        Reflector(adapted(family), make_tokenizer(), name=family, gradient_checkpointing=on) for on in (False, True)
    )
    draws = draw(plain.model, prompts, SAMPLING, num_samples=4, seed=1)
    expected = gradient(plain.model, prompts, draws, 4, share_prompt=share_prompt)
    forwards = []
    layers = [module.mlp for module in checkpointed.model.modules() if hasattr(module, "mlp")]
    for layer in layers:
        layer.register_forward_pre_hook(lambda *_: forwards.append(1))
    found = gradient(checkpointed.model, prompts, draws, 4, share_prompt=share_prompt)
    assert len(forwards) == 2 * len(layers), "each layer is computed once more in the backward pass"
    assert float((found - expected).norm() / expected.norm()) < 1e-5


def test_checkpointing_leaves_sampling_and_dropout_alone():
    config = GPT2Config(vocab_size=104, n_embd=32, n_layer=2, n_head=2, n_positions=64, bos_token_id=1, eos_token_id=2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GPT2LMHeadModel(config)
    assert model.transformer.h[0].mlp.dropout.p > 0
    reflector = Reflector(model, make_tokenizer(), name="gpt2", max_new_tokens=6, gradient_checkpointing=True)
    samples = reflector.sample(["abc", "de"], num_samples=3, seed=0)
    first, second = (reflector.logprobs(samples).detach() for _ in range(2))
    assert torch.equal(first, second)
    torch.testing.assert_close(first, samples.logprobs_NT, rtol=1e-4, atol=1e-5)


def test_autocast_computes_in_bfloat16_and_keeps_the_weights(small_model):
    exact, rough = (Reflector.load(small_model, autocast=on) for on in (False, True))
    texts = ["The word is blue.\nObservation 1: Wrong.\n\nReflection:", "The word is red. Reflection:"]
    samples = rough.sample(texts, num_samples=4, seed=0)
    scores = rough.score(samples, keep_hidden=True)
    assert scores.hidden_NTD.dtype == torch.bfloat16 or not torch.equal(scores.logprobs_NT, exact.logprobs(samples))
    torch.testing.assert_close(scores.logprobs_NT.detach(), exact.logprobs(samples).detach(), rtol=0.05, atol=0.05)
    assert {weight.dtype for weight in rough.model.parameters()} == {torch.float32}
    torch.autograd.backward(scores.logprobs_NT.sum())
    assert all(weight.grad.isfinite().all() for weight in rough.trainable.values())


def test_autocast_of_updates_leaves_sampling_exact(small_model):
    exact, rough, mixed = (Reflector.load(small_model, autocast=on) for on in (False, True, "updates"))
    texts = ["The word is blue.\nObservation 1: Wrong.\n\nReflection:"]
    samples = [each.sample(texts, num_samples=8, seed=0) for each in (exact, mixed)]
    assert torch.equal(samples[0].logprobs_NT, samples[1].logprobs_NT)
    assert torch.equal(rough.logprobs(samples[0]), mixed.logprobs(samples[0]))
    assert not torch.equal(exact.logprobs(samples[0]), mixed.logprobs(samples[0]))


def test_peft_casts_no_input_that_autocast_would_cast_back(small_model):
    rough = Reflector.load(small_model, autocast="updates")
    layers = [module for name, module in rough.model.named_modules() if name.endswith("lora_A.default")]
    types = []
    for layer in layers:
        layer.register_forward_pre_hook(lambda _, given: types.append(given[0].dtype))
    samples = rough.sample(["The word is blue. Reflection:"], num_samples=2, seed=0)
    types.clear()
    scores = rough.logprobs(samples).detach()
    assert layers
    assert torch.bfloat16 in types
    tuners = [module for module in rough.model.modules() if hasattr(module, "cast_input_dtype_enabled")]
    assert all(module.cast_input_dtype_enabled for module in tuners)
    with torch.autocast("cpu", torch.bfloat16):
        exact = score(
            rough.model,
            samples.prompts,
            samples.tokens_NT,
            samples.mask_NT,
            temperature=samples.temperature,
            num_samples=2,
        )
    torch.testing.assert_close(scores, exact.logprobs_NT.detach(), rtol=0, atol=0)


def of_an_actor(folder):
    return load_causal_lm(folder, device="cpu", dtype=None, what="it", give="a folder")[0]


def of_a_reflector(folder):
    plain = AutoModelForCausalLM.from_pretrained(folder)
    reflector = Reflector(plain, AutoTokenizer.from_pretrained(folder), name=str(folder))
    Planner.beside(reflector)  # a second role on the same weights
    return reflector.model


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("load", [of_an_actor, of_a_reflector])
def test_the_output_layer_gets_its_input_in_one_piece(small_model, load, rows):
    """PyTorch would multiply a slice of the hidden states with a copy of the weights for each row."""
    model = load(small_model)
    head, given = model.get_output_embeddings(), []
    before = len(head._forward_pre_hooks)
    head.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    ids = torch.arange(5, 5 + 4 * rows).view(rows, 4)
    last = model(input_ids=ids, logits_to_keep=1).logits
    assert before == 1
    assert given[0].shape[:2] == (rows, 1)
    assert given[0].stride() == (given[0].shape[-1], given[0].shape[-1], 1)
    torch.testing.assert_close(last, model(input_ids=ids).logits[:, -1:])


def test_a_model_that_cannot_share_says_so_once():
    config = MistralConfig(
        vocab_size=104,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=2,
        sliding_window=4,
        num_key_value_heads=2,
        bos_token_id=1,
        eos_token_id=2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        reflector = Reflector(MistralForCausalLM(config), make_tokenizer(), name="mistral", max_new_tokens=4)
    with pytest.warns(UserWarning, match="'mistral' computes a prompt again .* sliding"):
        samples = reflector.sample(["abcdefgh", "ij"], num_samples=3, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = reflector.logprobs(samples)
    torch.testing.assert_close(scores.detach(), samples.logprobs_NT, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("options", "words"), [({"top_k": -1}, "top_k is -1"), ({"top_p": 0.0}, "top_p 0.0")])
def test_a_truncation_out_of_its_rule_is_refused(small_model, options, words):
    with pytest.raises(ConfigError, match=words):
        Reflector.load(small_model).sample(["The word is red."], **options)


def test_top_k_of_one_is_greedy(small_model):
    reflector = Reflector.load(small_model)
    texts = ["The word is red. Reflection:", "The word is blue. Reflection:"]
    cut = reflector.sample(texts, num_samples=5, top_k=1, seed=3)
    greedy = reflector.sample(texts, num_samples=5, greedy=True)
    assert torch.equal(cut.tokens_NT, greedy.tokens_NT)
    torch.testing.assert_close(cut.logprobs_NT, greedy.logprobs_NT)
