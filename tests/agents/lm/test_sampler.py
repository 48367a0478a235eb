import math

import numpy as np
import pytest
import torch
from transformers import TopKLogitsWarper, TopPLogitsWarper

from retro_gym.errors import ConfigError
from retro_gym_agents.lm import next_token, sampler
from retro_gym_agents.lm.batching import Prompts
from retro_gym_agents.lm.sampler import draw
from retro_gym_agents.lm.samples import Samples, Sampling, each_seed
from retro_gym_agents.lm.scoring import score, why_not_shared
from tests.agents.lm.random_models import ROWS, SAMPLING, VOCABULARY, Calls, build


def gradients(model, logprobs_NT, mask_NT):
    weights = torch.linspace(0.5, 1.5, mask_NT.numel()).view(mask_NT.shape)
    model.zero_grad()
    (logprobs_NT * weights).sum().backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def test_shared_prompts_give_the_values_and_gradients_of_plain_rows(model, prompts):
    draws = draw(model, prompts, SAMPLING, num_samples=3, seed=1)
    assert not draws.mask_NT.all(), "some rows must end early for this test to say something"
    both = {}
    for share in (False, True):
        scores = score(
            model,
            prompts,
            draws.tokens_NT,
            draws.mask_NT,
            temperature=0.7,
            num_samples=3,
            share_prompt=share,
            keep_hidden=True,
        )
        assert scores.hidden_NTD is not None
        hidden = scores.hidden_NTD.detach()[draws.mask_NT]
        both[share] = scores.logprobs_NT.detach(), hidden, gradients(model, scores.logprobs_NT, draws.mask_NT)
    for plain, shared in zip(both[False], both[True], strict=True):
        torch.testing.assert_close(shared, plain, rtol=1e-4, atol=1e-4 if plain is both[False][2] else 1e-5)


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("num_samples", [1, 3])
def test_sampled_logprobs_and_hidden_states_are_those_of_a_later_pass(model, prompts, share, num_samples):
    draws = draw(model, prompts, SAMPLING, num_samples=num_samples, seed=2, share_prompt=share, keep_hidden=True)
    plain = score(
        model,
        prompts,
        draws.tokens_NT,
        draws.mask_NT,
        temperature=0.7,
        num_samples=num_samples,
        share_prompt=False,
        keep_hidden=True,
    )
    torch.testing.assert_close(draws.logprobs_NT, plain.logprobs_NT.detach(), rtol=1e-4, atol=1e-5)
    assert draws.hidden_NTD is not None
    assert plain.hidden_NTD is not None
    torch.testing.assert_close(
        draws.hidden_NTD[draws.mask_NT], plain.hidden_NTD.detach()[draws.mask_NT], rtol=1e-4, atol=1e-5
    )


def test_both_layouts_draw_the_same_tokens(model, prompts):
    shared, plain = (draw(model, prompts, SAMPLING, num_samples=4, seed=3, share_prompt=s) for s in (True, False))
    assert torch.equal(shared.tokens_NT, plain.tokens_NT)


def test_padding_changes_nothing(model, prompts):
    together = draw(model, prompts, SAMPLING, greedy=True)
    for row, ids in enumerate(ROWS):
        alone = draw(model, Prompts.from_rows([ids], 0, "cpu"), SAMPLING, greedy=True)
        length = int(alone.mask_NT.sum())
        assert together.tokens_NT[row, :length].tolist() == alone.tokens_NT[0].tolist()
        assert int(together.mask_NT[row].sum()) == length


@pytest.mark.parametrize("share", [True, False])
def test_greedy_is_what_generate_gives(model, prompts, share):
    draws = draw(model, prompts, SAMPLING, num_samples=2, greedy=True, share_prompt=share)
    width = prompts.ids_PS.shape[1]
    expected = model.generate(
        input_ids=prompts.ids_PS,
        attention_mask=prompts.mask_PS.long(),
        do_sample=False,
        max_new_tokens=SAMPLING.max_new_tokens,
        eos_token_id=list(SAMPLING.end_ids),
        pad_token_id=0,
    )[:, width:]
    assert torch.equal(draws.tokens_NT[0::2], expected)
    assert torch.equal(draws.tokens_NT[1::2], expected)


def test_the_seed_decides(model, prompts):
    first, again, other = (draw(model, prompts, SAMPLING, num_samples=2, seed=seed).tokens_NT for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert first.shape != other.shape or not torch.equal(first, other)


@pytest.mark.parametrize("share", [True, False])
def test_a_sample_depends_on_its_own_prompt_seed_and_number(model, prompts, share):
    seeds = [11, 12, 13][: len(prompts.ids_PS)]
    whole = draw(model, prompts, SAMPLING, num_samples=4, seed=seeds, share_prompt=share)
    for place in reversed(range(len(seeds))):
        one = draw(model, prompts.select([place]), SAMPLING, num_samples=2, seed=[seeds[place]], share_prompt=share)
        for sample in range(2):
            row = place * 4 + sample
            drawn, length = one.tokens_NT[sample][one.mask_NT[sample]], int(whole.mask_NT[row].sum())
            assert drawn.tolist() == whole.tokens_NT[row, :length].tolist()
    other = draw(model, prompts, SAMPLING, num_samples=4, seed=[seed + 1 for seed in seeds], share_prompt=share)
    assert whole.tokens_NT.shape != other.tokens_NT.shape or not torch.equal(whole.tokens_NT, other.tokens_NT)


def test_a_seed_for_each_prompt_or_one_for_all(model, prompts):
    count = len(prompts.ids_PS)
    one = draw(model, prompts, SAMPLING, seed=5)
    each = draw(model, prompts, SAMPLING, seed=each_seed(np.int64(5), count))
    assert torch.equal(one.tokens_NT, each.tokens_NT)
    with pytest.raises(ConfigError, match=rf"seed is range\(0, {count + 1}\) for {count} prompts"):
        draw(model, prompts, SAMPLING, seed=range(count + 1))


def test_what_is_masked_is_padding_behind_the_end(model, prompts):
    draws = draw(model, prompts, SAMPLING, num_samples=8, seed=4)
    for tokens, mask, logprobs in zip(
        draws.tokens_NT.tolist(), draws.mask_NT.tolist(), draws.logprobs_NT.tolist(), strict=True
    ):
        length = sum(mask)
        assert mask == [True] * length + [False] * (len(mask) - length)
        assert not set(tokens[: length - 1]) & set(SAMPLING.end_ids)
        assert tokens[length - 1] in SAMPLING.end_ids or length == SAMPLING.max_new_tokens
        assert tokens[length:] == [SAMPLING.pad_id] * (len(mask) - length)
        assert logprobs[length:] == [0.0] * (len(mask) - length)


def test_a_prompt_is_read_once_and_sampling_stops_when_all_have_ended(model, prompts):
    calls = Calls(model)
    draw(calls, prompts, SAMPLING, num_samples=3, seed=5)
    assert calls.tokens[0] == prompts.ids_PS.numel()
    assert max(calls.tokens[1:]) <= 9
    assert len(calls.tokens) <= SAMPLING.max_new_tokens
    everything_ends = Sampling(0.7, 6, tuple(range(VOCABULARY)), 0)
    calls = Calls(model)
    draws = draw(calls, prompts, everything_ends, num_samples=3)
    assert len(calls.tokens) == 1
    assert draws.tokens_NT.shape == (9, 1)


def test_samples_follow_the_distribution_under_the_temperature(model):
    prompts = Prompts.from_rows([ROWS[0]], 0, "cpu")
    one_token = Sampling(0.5, 1, (), 0)
    count = 20_000
    draws = draw(model, prompts, one_token, num_samples=count, seed=6)
    with torch.no_grad():
        logits_V = model(input_ids=prompts.ids_PS).logits[0, -1]
    probabilities_V = torch.softmax(logits_V / 0.5, -1)
    frequencies_V = torch.bincount(draws.tokens_NT[:, 0], minlength=VOCABULARY) / count
    error_V = (probabilities_V * (1 - probabilities_V) / count).sqrt()
    assert ((frequencies_V - probabilities_V).abs() <= 5 * error_V + 1e-4).all()
    expected = probabilities_V.log()[draws.tokens_NT[:, 0]]
    torch.testing.assert_close(draws.logprobs_NT[:, 0], expected, rtol=1e-4, atol=1e-4)


def test_an_impossible_token_is_never_drawn():
    weights = torch.tensor([[0.0, 1.0, 0.0]]).expand(4, -1)
    uniform = torch.tensor([0.0, 1e-300, 0.5, 1.0 - 2**-53], dtype=torch.float64)
    assert next_token.pick(weights, uniform).tolist() == [1, 1, 1, 1]


def test_numbers_that_share_a_row_of_weights_draw_as_if_each_had_its_own():
    generator = torch.Generator().manual_seed(0)
    weights_BV = torch.rand(5, VOCABULARY, generator=generator)
    uniform_R = torch.rand(40, generator=generator, dtype=torch.float64)
    of_R = torch.randint(0, 4, (40,), generator=generator)  # nothing draws from the last row
    drawn = next_token.pick(weights_BV, uniform_R, of_R)
    assert drawn.tolist() == next_token.pick(weights_BV[of_R], uniform_R).tolist()
    assert drawn.tolist() == [
        int(next_token.pick(weights_BV[[row]], uniform_R[[number]])) for number, row in enumerate(of_R.tolist())
    ]


@pytest.mark.parametrize(("top_k", "top_p"), [(3, 1.0), (0, 0.6), (4, 0.8), (1, 1.0), (500, 1.0)])
def test_unlikely_tokens_are_left_out_as_generate_does_it(top_k, top_p):
    logits = torch.randn(20, VOCABULARY, generator=torch.Generator().manual_seed(0))
    expected = logits
    if top_k:
        expected = TopKLogitsWarper(min(top_k, VOCABULARY))(None, expected)
    if top_p < 1:
        expected = TopPLogitsWarper(top_p)(None, expected)
    cut = Sampling(1.0, 6, (), 0, top_k=top_k, top_p=top_p)
    weights = next_token.truncated(torch.softmax(logits, -1), cut)
    assert torch.equal(weights > 0, expected > -math.inf)


def test_samples_leave_the_batch_when_they_have_ended(model):
    """Nothing that is drawn depends on it, however few are left."""
    prompts = Prompts.from_rows([*ROWS, *(row[::-1] for row in ROWS)], 0, "cpu")
    ends_often = Sampling(1.0, 16, tuple(range(3, 15)), 0)
    drawn = {}
    for share in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            for crowded in (0.0, 0.7):
                patch.setattr(sampler, "_CROWDED", crowded)
                calls = Calls(model)
                drawn[share, crowded] = draw(
                    calls, prompts, ends_often, num_samples=4, seed=1, share_prompt=share, keep_hidden=True
                )
                sizes = calls.tokens[1:]
                assert (min(sizes) < max(sizes)) is (crowded > 0), "the test must see rows leave"
    whole = drawn[True, 0.0]
    for other in drawn.values():
        assert torch.equal(other.tokens_NT, whole.tokens_NT)
        assert torch.equal(other.mask_NT, whole.mask_NT)
        torch.testing.assert_close(other.logprobs_NT, whole.logprobs_NT, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(other.hidden_NTD, whole.hidden_NTD, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("llama", None),
        ("qwen3", None),
        ("gpt2", None),
        ("mistral", "sliding"),
        ("bloom", "refuses the block mask"),
    ],
)
def test_which_models_can_share_prompts(kind, reason):
    with torch.random.fork_rng(devices=[]):
        found = why_not_shared(build(kind))
    assert found == reason if reason is None else reason in found


def test_a_sliding_window_is_sampled_plainly():
    with torch.random.fork_rng(devices=[]):
        model = build("mistral")
    prompts = Prompts.from_rows([[5, 6, 7, 8, 9, 10, 11]], 0, "cpu")
    draws = draw(model, prompts, SAMPLING, num_samples=2, seed=7, share_prompt=False)
    scores = score(model, prompts, draws.tokens_NT, draws.mask_NT, temperature=0.7, num_samples=2, share_prompt=False)
    torch.testing.assert_close(draws.logprobs_NT, scores.logprobs_NT.detach(), rtol=1e-4, atol=1e-5)


def test_a_part_of_the_samples_scores_as_it_does_in_the_whole(model, prompts):
    draws = draw(model, prompts, SAMPLING, num_samples=2, seed=8)
    texts = tuple(str(row) for row in range(6))
    samples = Samples(draws.tokens_NT, draws.mask_NT, draws.logprobs_NT, None, prompts, texts, 2, 0.7)
    part = samples.select([1, 2])
    assert part.texts == ("2", "3", "4", "5")
    assert part.num_prompts == 2
    assert part.prompts.ids_PS.shape == (2, 4), "columns that hold only padding are left out"
    assert part.num_tokens == int(draws.mask_NT[2:].sum())
    scores = score(model, part.prompts, part.tokens_NT, part.mask_NT, temperature=0.7, num_samples=2)
    width = part.tokens_NT.shape[1]
    torch.testing.assert_close(scores.logprobs_NT.detach(), draws.logprobs_NT[2:, :width], rtol=1e-4, atol=1e-5)


def test_parts_keep_to_the_budget_and_lose_nothing(model):
    prompts = Prompts.from_rows([*ROWS, *ROWS], 0, "cpu")
    draws = draw(model, prompts, SAMPLING, num_samples=2, seed=8)
    texts = tuple(str(row) for row in range(12))
    samples = Samples(draws.tokens_NT, draws.mask_NT, draws.logprobs_NT, None, prompts, texts, 2, 0.7)
    fed = [int(draws.mask_NT[2 * i : 2 * i + 2].sum()) - 2 + len(([*ROWS, *ROWS])[i]) for i in range(6)]
    for size, tokens in ((None, None), (2, None), (None, 30), (3, 30), (None, 1), (4, 10_000)):
        groups = samples.batches(range(6), size, tokens)
        assert sorted(prompt for group in groups for prompt in group) == list(range(6))
        for group in groups:
            assert len(group) <= (size or 6)
            assert tokens is None or len(group) == 1 or len(group) * max(fed[p] for p in group) <= tokens
    assert len(samples.batches(range(6), None, None)) == 1
    assert len(samples.batches(range(6), None, 1)) == 6
    assert len(samples.batches(range(6), None, 30)) < 6
    seen = [(rows, part.texts) for rows, part in samples.parts(None, 30)]
    assert sorted(row for rows, _ in seen for row in rows) == list(range(12))
    assert all(tuple(str(row) for row in rows) == texts for rows, texts in seen)
