"""Adapters that act on the reply alone: peft computes the same, and so does one pass in which the adapter is masked."""

import contextlib
import json

import pytest
import torch
from peft import AutoPeftModelForCausalLM

from retro_gym.errors import ConfigError
from retro_gym_agents.bridges.token_policy import TokenPolicy
from retro_gym_agents.bridges.trl import trl_settings
from retro_gym_agents.lm.adapters import LoraSettings, add_lora, quiet
from retro_gym_agents.lm.batching import Prompts
from retro_gym_agents.lm.chains import Reply, chained
from retro_gym_agents.lm.planner import Planner
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.lm.reward_model import RewardModel
from retro_gym_agents.lm.sampler import draw
from retro_gym_agents.lm.samples import Sampling
from retro_gym_agents.lm.scoring import score
from retro_gym_agents.lm.served import ServedSampler
from retro_gym_agents.lm.shared_rows import GraphedRows, SharedRows
from tests.agents.hf_models import random_model

LORA = LoraSettings(rank=4, alpha=8, reply_only=True)
SAMPLING = Sampling(temperature=0.8, max_new_tokens=9, end_ids=tuple(range(40, 50)), pad_id=0)
TEXTS = ["The word is blue.\nObservation 1: Wrong.\n\nReflection:", "The word is red. Reflection:"]


def stir(weights):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in weights:
            weight += 0.2 * torch.randn(weight.shape, generator=generator)


@pytest.fixture
def reflector(small_model):
    made = Reflector.load(small_model, lora=LORA)
    stir(made.trainable.values())
    return made


@pytest.fixture(scope="module", params=["gpt2", "llama", "qwen3"])
def model(request):
    made = add_lora(random_model(request.param), LORA, request.param, seed=0).eval()
    stir(trainable(made))
    return made


def trainable(model):
    return [weight for weight in model.parameters() if weight.requires_grad]


@pytest.fixture(scope="module", params=[(40, 13, 27), (1, 6), (1, 1)], ids=str)
def prompts(request):
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randint(5, 90, (length,), generator=generator).tolist() for length in request.param]
    return Prompts.from_rows(rows, 0, "cpu")


@contextlib.contextmanager
def masked(model, mask_NL):
    """Masks what every layer's adapter adds."""
    layers = [module for name, module in model.named_modules() if name.endswith("lora_B.default")]
    hooks = [layer.register_forward_hook(lambda _, __, out: out * mask_NL[..., None]) for layer in layers]
    assert hooks
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def in_one_pass(model, prompts, draws, samples):
    """Log-probabilities and hidden states of plain rows, in which the adapter is off up to the last token."""
    width = prompts.ids_PS.shape[1]
    prompts = prompts.repeat(samples)
    seen_NL = torch.cat([prompts.mask_PS, draws.mask_NT], 1)
    on_NL = torch.arange(seen_NL.shape[1]).expand_as(seen_NL) >= width - 1
    with masked(model, on_NL):
        return score(model, prompts, draws.tokens_NT, draws.mask_NT, temperature=0.8, keep_hidden=True)


def with_gradient(model, scores, mask_NT):
    model.zero_grad()
    weights_NT = torch.linspace(-1, 1, mask_NT.numel()).view(mask_NT.shape)
    torch.autograd.backward((scores.logprobs_NT * weights_NT).sum() + scores.hidden_NTD.sum())
    return (
        scores.logprobs_NT.detach(),
        scores.hidden_NTD.detach(),
        torch.cat([w.grad.flatten() for w in trainable(model)]),
    )


@pytest.mark.parametrize("share_prompt", [True, False])
@pytest.mark.parametrize("samples", [1, 6])
def test_values_and_gradient_are_those_of_one_pass_with_a_mask(model, prompts, samples, share_prompt):
    draws = draw(model, prompts, SAMPLING, num_samples=samples, seed=1, reply_only=True, share_prompt=share_prompt)
    ways = {"num_samples": samples, "share_prompt": share_prompt, "keep_hidden": True, "reply_only": True}
    scores = score(model, prompts, draws.tokens_NT, draws.mask_NT, temperature=0.8, **ways)
    torch.testing.assert_close(scores.logprobs_NT, draws.logprobs_NT, rtol=1e-4, atol=1e-4)
    found = with_gradient(model, scores, draws.mask_NT)
    expected = with_gradient(model, in_one_pass(model, prompts, draws, samples), draws.mask_NT)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    everywhere = score(model, prompts, draws.tokens_NT, draws.mask_NT, temperature=0.8, num_samples=samples)
    if draws.mask_NT.sum() > 2 and prompts.ids_PS.shape[1] > 1:
        assert not torch.allclose(everywhere.logprobs_NT, found[0], atol=1e-2), "the adapter must say something"


def test_the_layouts_of_the_sampler_agree(model, prompts):
    steps_TR = torch.arange(5, 29).view(4, 6)

    def logits(layout):
        rows = layout(model, prompts, 6 // len(prompts.ids_PS), len(steps_TR) + 1, hidden=False, reply_only=True)
        with torch.no_grad():
            return torch.stack([rows.start()[0], *(rows.extend(token_R)[0].clone() for token_R in steps_TR)])

    torch.testing.assert_close(logits(GraphedRows), logits(SharedRows), rtol=1e-4, atol=1e-4)


def test_peft_computes_the_same(reflector, tmp_path):
    samples = reflector.sample(TEXTS, num_samples=3, seed=0)
    found = reflector.logprobs(samples).detach()
    reflector.save(tmp_path / "adapter")
    with quiet():
        theirs = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "adapter").eval()
    assert theirs.peft_config["default"].alora_invocation_tokens
    for row, tokens in enumerate(samples.rows()):
        prompt = reflector.encode(TEXTS[row // 3])
        with torch.no_grad():
            logits_LV = theirs(input_ids=torch.tensor([[*prompt, *tokens]])).logits[0, len(prompt) - 1 : -1]
        logits_LV = logits_LV / samples.temperature
        expected = torch.log_softmax(logits_LV, -1).gather(1, torch.tensor(tokens)[:, None])[:, 0]
        torch.testing.assert_close(found[row, : len(tokens)], expected, rtol=1e-4, atol=1e-4)


def test_what_is_saved_is_loaded(reflector, small_model, tmp_path):
    reflector.save(tmp_path / "adapter")
    samples = reflector.sample(TEXTS, num_samples=3, seed=0)
    other = Reflector.load(small_model, lora=LoraSettings(rank=2))
    for loaded in (
        Reflector.load(tmp_path / "adapter"),
        Reflector.load(tmp_path / "adapter", lora=LORA),
        Reflector.beside(other, folder=tmp_path / "adapter"),
    ):
        assert loaded.reply_only
        assert loaded.lora == LoraSettings(4, 8, "all-linear", reply_only=True)
        assert torch.equal(loaded.sample(TEXTS, num_samples=3, seed=0).tokens_NT, samples.tokens_NT)
        torch.testing.assert_close(loaded.logprobs(samples), reflector.logprobs(samples), rtol=1e-5, atol=1e-5)
    assert not other.reply_only
    with pytest.raises(ConfigError, match=r"reply_only is given as False, but the adapter in .* has True"):
        Reflector.load(tmp_path / "adapter", lora=LoraSettings(reply_only=False))
    other.save(tmp_path / "other")
    with pytest.raises(ConfigError, match=r"reply_only is given as True, but the adapter in .* has False"):
        Reflector.load(tmp_path / "other", lora=LoraSettings(reply_only=True))


def test_an_adapter_that_begins_earlier_is_refused(reflector, tmp_path):
    reflector.save(tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"alora_invocation_tokens": [5, 6]}))
    with pytest.raises(ConfigError, match="activated by 2 tokens"):
        Reflector.load(tmp_path / "adapter")


def test_chains_and_groups_are_scored_alike(reflector):
    samples = reflector.sample(TEXTS, num_samples=3, seed=0)
    replies = [Reply(reflector.encode(TEXTS[row // 3]), tokens) for row, tokens in enumerate(samples.rows())]
    found, mask = reflector.score_groups([replies[:3], replies[3:]])
    assert torch.equal(mask, samples.mask_NT)
    torch.testing.assert_close(reflector.score_chains(chained(replies))[0], found, rtol=1e-4, atol=1e-4)


def test_the_reference_is_that_of_before(reflector):
    samples = reflector.sample(TEXTS, num_samples=3, seed=0)
    reflector.freeze_reference()
    before = reflector.logprobs(samples).detach()
    stir(reflector.trainable.values())
    torch.testing.assert_close(reflector.reference_logprobs(samples), before, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(reflector.logprobs(samples), before, atol=1e-2)


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda made, path: Planner.beside(made), "a planner goes on"),
        (lambda made, path: RewardModel(made), "reward model"),
        (lambda made, path: TokenPolicy(made), "token view"),
        (lambda made, path: trl_settings(made), "TRL"),
        (lambda made, path: made.save_merged(path / "merged"), "merged weights"),
        (lambda made, path: Reflector.beside(made, gradient_checkpointing=True), "gradient_checkpointing"),
        (lambda made, path: served(made, path), "servers"),
    ],
)
def test_what_reads_whole_rows_refuses_it(reflector, tmp_path, use, words):
    with pytest.raises(ConfigError, match=rf"acts on the reply alone \(reply_only=True\), but .*{words}|{words}"):
        use(reflector, tmp_path)


def served(made, path):
    made.server = ServedSampler("http://localhost:9", path / "served")
    made.sample(TEXTS)
