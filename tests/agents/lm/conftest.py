import pytest
import torch

from retro_gym_agents.lm.batching import Prompts
from tests.agents.lm.random_models import ROWS, build


@pytest.fixture(params=["llama", "qwen3", "gpt2"])
def model(request):
    with torch.random.fork_rng(devices=[]):
        return build(request.param)


@pytest.fixture
def prompts():
    return Prompts.from_rows(ROWS, pad_id=0, device="cpu")
