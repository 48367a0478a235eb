"""What a model wrote: its tokens travel with the text, through copies, processes, tapes and trajectories."""

import copy
import pickle

import pytest

from retro_gym import Generation, Reflection, RetroEnv, Trajectory
from retro_gym.actors import RecordingActor, ReplayActor, Reply
from retro_gym.errors import DataError

GENERATION = Generation("tiny", (7, 2), (-0.5, -0.25), 0.7)


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_a_copied_reflection_keeps_its_origin(clone):
    text = clone(Reflection("Look there.", policy="tiny", generation=GENERATION))
    assert (text, text.policy, text.generation) == ("Look there.", "tiny", GENERATION)


def test_a_cut_reflection_keeps_its_origin_and_a_plain_text_gets_one():
    cut = Reflection.of(Reflection("Look there.", policy="tiny", generation=GENERATION), 4, policy="other")
    assert (cut, cut.policy, cut.generation) == ("Look", "tiny", GENERATION)
    plain = Reflection.of("Look there.", policy="other")
    assert (plain, plain.policy, plain.generation) == ("Look there.", "other", None)


@pytest.mark.parametrize(
    "row",
    [
        {},
        None,
        {"model": "m", "token_ids": [1], "logprobs": []},
        {"model": "m", "token_ids": [1.5], "logprobs": [0.0]},
        {"model": "m", "token_ids": [1], "logprobs": [float("nan")]},
        {"model": "m", "token_ids": ["1"], "logprobs": [0.0]},
        {"model": "m", "token_ids": [1], "logprobs": [0.0], "more": 1},
    ],
)
def test_what_is_no_generation_is_refused(row):
    with pytest.raises(DataError, match="generation"):
        Generation.from_json(row)


class Writer:
    """An actor whose model is known."""

    def reply(self, prompts):
        return [Reply("Action 1: guess", generation=GENERATION) for _ in prompts]


def test_an_actors_tokens_are_in_the_trajectory_and_on_the_tape(tmp_path):
    tape = tmp_path / "tape.jsonl"
    env = RetroEnv("Identity-v0", actor=RecordingActor(Writer(), tape))
    env.reset(seed=0, options={"task_id": env.task_env.task_ids("train")[0]})
    assert {turn.generation for turn in env.trajectory.turns} == {GENERATION}
    assert Trajectory.from_json(env.trajectory.to_json()) == env.trajectory
    again = RetroEnv("Identity-v0", actor=ReplayActor(tape))
    again.reset(seed=0, options={"task_id": env.trajectory.task_id})
    assert again.trajectory == env.trajectory
