"""Log-probabilities of tokens: equal to autograd's own, values and gradients, in pieces or at once."""

import pytest
import torch

from retro_gym_agents.lm import logprobs
from retro_gym_agents.lm.logprobs import token_logprobs


def plain(logits, tokens, temperature):
    return torch.log_softmax(logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature, -1).gather(
        -1, tokens
    )


@pytest.fixture(params=[1, 30, 2**20], ids=["row by row", "three rows at once", "all at once"])
def _chunks(request, monkeypatch):
    monkeypatch.setattr(logprobs, "_CHUNK", request.param)


@pytest.mark.usefixtures("_chunks")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(7, 1), (2, 5, 3)], ids=str)
@pytest.mark.parametrize("temperature", [0.7, 1, 1.0])
def test_values_and_gradients_are_those_of_autograd(dtype, shape, temperature):
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(10, shape, generator=generator)  # with repetitions
    weights = torch.randn(shape, generator=generator)
    results = []
    for way in (token_logprobs, plain):
        logits = (3 * torch.randn(*shape[:-1], 10, generator=torch.Generator().manual_seed(1))).to(dtype)
        logits.requires_grad_()
        given = logits.detach().clone()
        values = way(logits, tokens, temperature)
        assert values.dtype == torch.promote_types(dtype, torch.float32)
        torch.autograd.backward((values * weights).sum())
        assert logits.grad.dtype == dtype
        assert torch.equal(logits, given)
        results.append((values.detach(), logits.grad))
    tolerance = {"rtol": 1e-2, "atol": 1e-2} if dtype == torch.bfloat16 else {}
    torch.testing.assert_close(results[0][0], results[1][0])
    torch.testing.assert_close(results[0][1], results[1][1], **tolerance)


@pytest.mark.usefixtures("_chunks")
def test_numerically():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    tokens = torch.randint(6, (4, 2), generator=generator)
    assert torch.autograd.gradcheck(lambda given: token_logprobs(given, tokens, 1.3), (logits,))


def test_impossible_tokens_and_no_rows():
    logits = torch.tensor([[0.0, -torch.inf, 0.0]], requires_grad=True)
    values = token_logprobs(logits, torch.tensor([[0, 1]]), 1.0)
    assert values.tolist() == [[pytest.approx(-0.6931472), -torch.inf]]
    torch.autograd.backward(values[0, 0])
    assert logits.grad.tolist() == [[pytest.approx(0.5), 0.0, pytest.approx(-0.5)]]
    assert token_logprobs(torch.zeros(2, 0, 5), torch.zeros(2, 0, 1, dtype=torch.long), 1.0).shape == (2, 0, 1)
