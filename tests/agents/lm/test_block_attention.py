"""Attention in blocks of queries: the same numbers and gradients as PyTorch's, wherever a model uses it."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from retro_gym_agents.lm.block_attention import attend_in_blocks, use_block_attention
from retro_gym_agents.lm.reflector import Reflector
from tests.agents.lm.random_models import build

HEADS = [(4, 4), (6, 2), (3, 1)]  # of queries, and of keys and values


def _inputs(queries, columns, heads, dtype, rows=2):
    generator = torch.Generator().manual_seed(queries * 1000 + columns)
    shapes = [(rows, heads[0], queries, 8), *[(rows, heads[1], columns, 8)] * 2]
    return [torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes]


def _mask(queries, columns, rows=2):
    """Causal, with padding on the left of the first row, and holes as between branches of a tree."""
    sees = torch.ones(queries, columns, dtype=torch.bool).tril(columns - queries).repeat(rows, 1, 1, 1)
    sees[0, ..., : columns // 3] = False
    sees[..., 1 : columns // 2 : 5] = False
    sees[..., range(queries), range(columns - queries, columns)] = True
    return sees


def _plain(query, key, value, mask):
    groups = query.shape[1] // key.shape[1]
    key, value = (one.repeat_interleave(groups, 1) for one in (key, value))
    return scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=mask is None, scale=0.3)


@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize(("queries", "columns"), [(1, 1), (1, 9), (5, 70), (64, 64), (65, 65), (130, 200)])
def test_output_and_gradients_are_those_of_pytorch(heads, queries, columns):
    inputs = _inputs(queries, columns, heads, torch.float32)
    sees = _mask(queries, columns)
    additive = torch.zeros(sees.shape).masked_fill(~sees, torch.finfo(torch.float32).min)
    masks = [(sees, sees), (additive, sees), (sees[1:], sees[1:])]
    if queries == columns:
        masks.append((None, None))
    for mask, same in masks:
        ours, theirs = attend_in_blocks(*inputs, mask, 0.3), _plain(*inputs, same)
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
        some = torch.randn(ours.shape, generator=torch.Generator().manual_seed(0))
        found, wanted = (torch.autograd.grad(out, inputs, some) for out in (ours, theirs))
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_gradients_are_finite_differences():
    inputs = _inputs(66, 70, (2, 1), torch.float64, rows=1)
    mask = _mask(66, 70, rows=1)
    assert torch.autograd.gradcheck(lambda *given: attend_in_blocks(*given, mask, 0.3), inputs, fast_mode=True)


@pytest.mark.parametrize("mask_dtype", [torch.bool, torch.bfloat16, torch.float32])
def test_half_precision_is_as_close_to_float32_as_pytorchs_own(mask_dtype):
    inputs = _inputs(100, 150, (6, 2), torch.bfloat16)
    sees = _mask(100, 150)
    mask = sees
    if mask_dtype != torch.bool:
        mask = torch.zeros(sees.shape, dtype=mask_dtype).masked_fill(~sees, torch.finfo(mask_dtype).min)
    exact = _plain(*(one.float() for one in inputs), sees)
    ours = (attend_in_blocks(*inputs, mask, 0.3).float() - exact).abs().mean()
    theirs = (_plain(*inputs, sees).float() - exact).abs().mean()
    assert 0 < ours < 2 * theirs


def test_a_query_that_sees_nothing_gives_finite_numbers():
    inputs = _inputs(70, 70, (2, 2), torch.bfloat16)
    mask = _mask(70, 70)
    mask[0, 0, :30] = False  # padding on the left
    out = attend_in_blocks(*inputs, mask, 0.3)
    assert out.isfinite().all()
    assert all(one.isfinite().all() for one in torch.autograd.grad(out.sum(), inputs))


class _Counted:
    """Counts the calls of PyTorch's attention."""

    def __init__(self, monkeypatch):
        self.calls = 0
        monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", self)

    def __call__(self, *args, **options):
        self.calls += 1
        return scaled_dot_product_attention(*args, **options)


IDS = torch.arange(70).view(2, 35) % 40 + 3
PADDED = torch.ones_like(IDS).index_fill(1, torch.arange(5), 0)


@pytest.mark.parametrize("mask", [None, PADDED], ids=["whole", "padded"])
@pytest.mark.parametrize("kind", ["llama", "qwen3", "gpt2", "mistral"])
def test_a_model_uses_it_in_bfloat16_and_pytorchs_in_float32(kind, mask, monkeypatch):
    exact, half = build(kind), build(kind).bfloat16()
    shown = slice(None) if mask is None else mask.bool()

    @torch.no_grad()
    def logits(model, *, autocast=False):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            return model(IDS, attention_mask=mask).logits.float()[shown]

    before = logits(exact)
    theirs = [(one - before).abs().mean() for one in (logits(exact, autocast=True), logits(half))]
    use_block_attention(exact)
    use_block_attention(half)
    counted = _Counted(monkeypatch)
    assert torch.equal(logits(exact), before)
    assert counted.calls == exact.config.num_hidden_layers
    ours = [(one - before).abs().mean() for one in (logits(exact, autocast=True), logits(half))]
    assert counted.calls == exact.config.num_hidden_layers
    assert all(0 < one < 2 * other for one, other in zip(ours, theirs, strict=True))


def test_a_model_with_other_attention_keeps_it_and_a_saved_one_has_no_trace(tmp_path):
    model = build("llama")
    model.set_attn_implementation("eager")
    use_block_attention(model)
    assert model.config._attn_implementation == "eager"
    other = build("llama")
    use_block_attention(other)
    other.save_pretrained(str(tmp_path))
    assert "blocks" not in (tmp_path / "config.json").read_text()


@pytest.mark.parametrize(("autocast", "passes"), [(False, 2), (True, 1)])
def test_a_group_is_scored_in_one_pass_where_attention_is_in_blocks(small_model, autocast, passes):
    reflector = Reflector.load(small_model, autocast=autocast)
    samples = reflector.sample(["This attempt failed.", "So did this one, which is longer."], num_samples=3, seed=1)
    exact = Reflector.load(small_model).logprobs(samples)
    calls = []
    reflector.model.get_base_model().register_forward_hook(lambda *_: calls.append(1))
    rough = reflector.logprobs(samples)
    assert len(calls) == passes
    torch.testing.assert_close(rough, exact, rtol=0.05, atol=0.05)


def test_sampling_in_bfloat16_casts_nothing_to_an_adapters_float32(small_model):
    from peft.tuners.lora import LoraLayer

    reflector = Reflector.load(small_model, dtype="bfloat16")
    assert reflector.share_prompt  # found out by a trial in the weights' own types
    seen = set()
    for module in reflector.model.modules():
        if isinstance(module, LoraLayer):
            for part in module.lora_B.values():
                part.register_forward_hook(lambda _, given, out: seen.add((given[0].dtype, out.dtype)))
    reflector.sample(["This attempt failed."], num_samples=2)
    assert seen == {(torch.bfloat16, torch.bfloat16)}
    assert {weight.dtype for weight in reflector.trainable.values()} == {torch.float32}
