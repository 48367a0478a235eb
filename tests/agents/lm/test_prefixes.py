"""Reading growing rows and rows that share prefixes gives what reading each from its start gives."""

import numpy as np
import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM, MistralConfig, MistralForCausalLM

from retro_gym_agents.lm.adapters import DEFAULT_LORA, add_lora
from retro_gym_agents.lm.prefixes import CausalModel, IncrementalReader, read_plain, read_shared, share_prefixes
from tests.agents.hf_models import random_model

SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.3,
}


def make(family):
    if family == "sliding window":
        return MistralForCausalLM(MistralConfig(**SIZES, sliding_window=6)).eval()
    if family == "capped logits":
        return Gemma2ForCausalLM(
            Gemma2Config(**SIZES, head_dim=8, sliding_window=6, final_logit_softcapping=2.0, query_pre_attn_scalar=8)
        ).eval()
    return random_model(family)


FAMILIES = ["llama", "gpt2", "qwen3", "sliding window", "capped logits"]


@pytest.fixture(params=FAMILIES)
def model(request):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CausalModel(make(request.param))


def assert_same(first, second, tolerance=1e-4):
    torch.testing.assert_close(first.logits_BV, second.logits_BV, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(first.hidden_BD, second.hidden_BD, rtol=tolerance, atol=tolerance)


def test_growing_rows(model):
    """Rows that grow, start anew, stay as they are and change in the middle, over several turns of the buffer."""
    rng = np.random.default_rng(0)
    reader = IncrementalReader(model, 3, 16)
    rows = [rng.integers(3, 50, size=size) for size in (5, 9, 2)]
    grown = 0
    for _ in range(45):
        with torch.no_grad():
            assert_same(reader.read(rows), read_plain(model, rows))
        for i, row in enumerate(rows):
            draw = rng.random()
            if len(row) == 16 or draw < 0.1:
                rows[i] = rng.integers(3, 50, size=rng.integers(1, 12))
            elif draw < 0.15:
                rows[i] = np.append([row[0] + 1], row[1:])
            elif draw < 0.95:
                rows[i] = np.append(row, rng.integers(3, 50))
                grown += 1
    assert grown > 80


def test_a_row_that_grows_costs_one_token():
    model = CausalModel(random_model("llama"))
    reader = IncrementalReader(model, 2, 20)
    rows = [np.arange(3, 13), np.arange(20, 28)]
    reader.read(rows)
    assert reader.tokens_read == 18
    reader.read(rows)
    assert reader.tokens_read == 18
    reader.read([np.append(row, 5) for row in rows])
    assert reader.tokens_read == 20
    reader.read([np.append(rows[0], [5, 6]), np.arange(30, 34)])
    assert reader.tokens_read == 25


def test_capped_logits_are_no_plain_map_of_the_hidden_state():
    assert not CausalModel(make("capped logits")).plain_head
    assert CausalModel(make("llama")).plain_head


def prefixes():
    rng = np.random.default_rng(1)
    texts = [rng.integers(3, 50, size=size) for size in (14, 9, 12)]
    rows = [text[:length] for text in texts for length in (3, 5, 6, 9)]
    rows += [np.append(texts[0][:5], [51, 52]), texts[0][:6]]  # a second way on, and a row that comes twice
    return [rows[i] for i in rng.permutation(len(rows))]


def test_shared_prefixes_give_the_same(model):
    rows = prefixes()
    leaves, _ = share_prefixes(rows)
    assert len(leaves) == 4
    assert_same(read_shared(model, rows), read_plain(model, rows))


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen3"])
def test_shared_prefixes_give_the_same_gradient(family):
    model = CausalModel(add_lora(random_model(family), DEFAULT_LORA, family, seed=0).eval())
    trainable = [weight for weight in model.model.parameters() if weight.requires_grad]
    with torch.no_grad():
        for weight in trainable:  # LoRA's B is zero at first, and A would get no gradient
            weight.add_(0.02)
    rows = prefixes()
    gradients = []
    for read in (read_shared, read_plain):
        logits_BV = read(model, rows).logits_BV
        scale_B = torch.linspace(-1, 1, len(rows))
        loss = (torch.log_softmax(logits_BV, -1)[:, 7] * scale_B).mean()
        gradients.append(torch.cat([each.flatten() for each in torch.autograd.grad(loss, trainable)]))
    assert gradients[0].norm() > 0.01
    assert (gradients[0] - gradients[1]).norm() / gradients[1].norm() < 1e-5


def test_prefixes_of_many_rows_against_a_plain_search():
    rng = np.random.default_rng(2)
    rows = [rng.integers(0, 3, size=rng.integers(1, 7)) for _ in range(200)]
    leaves, leaf_of = share_prefixes(rows)
    for row, leaf in zip(rows, leaf_of, strict=True):
        assert leaves[leaf][: len(row)].tolist() == row.tolist()
    for i, leaf in enumerate(leaves):
        others = (other.tolist()[: len(leaf)] for j, other in enumerate(leaves) if j != i)
        assert leaf.tolist() not in others
