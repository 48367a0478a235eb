from types import SimpleNamespace

import pytest
import torch
from torch import nn

from retro_gym.prompts import Prompt
from retro_gym.trajectory import Turn
from retro_gym_agents.lm.chains import Reply, chained, chains_in_groups, score_chains
from retro_gym_agents.lm.planner import Planner
from retro_gym_agents.lm.reflector import Reflector

VOCABULARY = 9


class TableModel(nn.Module):
    """A causal LM whose logits are a parameter for each place, so that gradients show which places count."""

    def __init__(self, rows, width):
        super().__init__()
        self.logits_BLV = nn.Parameter(torch.randn(rows, width, VOCABULARY, generator=torch.Generator().manual_seed(0)))
        self.embedding = nn.Embedding(VOCABULARY, 1)

    def get_input_embeddings(self):
        return self.embedding

    def forward(self, input_ids, use_cache, logits_to_keep):
        assert input_ids.shape == self.logits_BLV.shape[:2]
        return SimpleNamespace(logits=self.logits_BLV[:, logits_to_keep])


REPLIES = [
    Reply([1, 2], [3, 0]),  # the next two continue it
    Reply([1, 2, 3, 4], [5, 6, 0]),
    Reply([1, 2, 3, 4, 5, 6, 7], [8, 0]),
    Reply([1, 2], [6, 6, 0]),
]


def test_replies_whose_prompts_continue_share_a_row():
    chains = chained(REPLIES)
    assert [chain.ids for chain in chains] == [[1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 6, 6]]
    assert [[at for at, _ in chain.spans] for chain in chains] == [[1, 3, 6], [1]]


def test_a_prompt_that_differs_in_its_last_token_begins_a_row():
    assert len(chained([Reply([1, 2], [3, 0]), Reply([1, 2, 4], [5, 0])])) == 2
    assert len(chained([Reply([1, 2], [3, 0]), Reply([1, 2, 3], [5, 0])])) == 2, "nothing stands between the two"
    assert chained([]) == []


def test_only_places_that_predict_a_reply_have_a_gradient():
    chains = chained(REPLIES)
    model = TableModel(2, 8)
    logprobs_NT, mask_NT = score_chains(model, chains, pad_id=0)
    assert mask_NT.tolist() == [[True, True, False], [True, True, True], [True, True, False], [True, True, True]]
    torch.autograd.backward(logprobs_NT.sum())
    touched = model.logits_BLV.grad.abs().sum(-1) > 0
    # The place after token 2 predicts 3; the one after 3 predicts the end of the first reply; and so on. Prompt,
    # observations (4, 7) except their last tokens, and padding predict nothing.
    assert touched[0].tolist() == [False, True, True, True, True, True, True, True]
    assert touched[1].tolist() == [False, True, True, True, False, False, False, False]


def test_values_by_hand():
    chains = chained(REPLIES)
    model = TableModel(2, 8)
    logprobs_NT, mask_NT = score_chains(model, chains, pad_id=0, temperature=0.5)
    table = (model.logits_BLV / 0.5).log_softmax(-1)
    want = [
        [table[0, 1, 3], table[0, 2, 0]],
        [table[0, 3, 5], table[0, 4, 6], table[0, 5, 0]],
        [table[0, 6, 8], table[0, 7, 0]],
        [table[1, 1, 6], table[1, 2, 6], table[1, 3, 0]],
    ]
    for row, mask, values in zip(logprobs_NT, mask_NT, want, strict=True):
        torch.testing.assert_close(row[mask], torch.stack(values))
        assert not row[~mask].any()


def test_groups_are_limited_in_tokens():
    chains = chained(REPLIES)
    assert [len(group) for group in chains_in_groups(chains, None)] == [2]
    assert [[len(chain.ids) for chain in group] for group in chains_in_groups(chains, 10)] == [[4], [8]]


def plain(model, reply):
    """Scores one reply in a row of its own."""
    ids = torch.tensor([[*reply.prompt, *reply.tokens]])
    logits = model(input_ids=ids).logits[0].log_softmax(-1)
    return torch.stack([logits[len(reply.prompt) - 1 + step, token] for step, token in enumerate(reply.tokens)])


@pytest.mark.parametrize("limit", [None, 60])
def test_chains_score_like_rows_of_their_own(small_model, limit):
    planner = Planner.load(small_model)
    turns = tuple(Turn("", f"Say {word}", f"Observation : {word}", 0.0) for word in ("red", "green", "blue"))
    prompts = [Prompt("", (), (), "The word is red .", turns[:number], seed=0) for number in range(3)]
    replies = [
        Reply(planner.encode(prompt), planner.encode_reply(f"Say {word}"))
        for prompt, word in zip(prompts, ("red", "green", "blue"), strict=True)
    ]
    replies += [Reply(Reflector.load(small_model).encode("The word is green ."), [4, 2])]
    found = []
    for group in chains_in_groups(chained(replies), limit):
        logprobs_NT, mask_NT = planner.score_chains(group)
        found += [row[mask] for row, mask in zip(logprobs_NT, mask_NT, strict=True)]
    want = [plain(planner.model, reply) for reply in replies]
    assert len(found) == len(want)
    for row in want:
        assert any(len(row) == len(other) and torch.allclose(row, other, atol=1e-5) for other in found)
