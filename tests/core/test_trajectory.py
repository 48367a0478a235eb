import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retro_gym.errors import DataError
from retro_gym.trajectory import EndReason, Outcome, Trajectory, Turn, render_turns

TURN = Turn("I should look.", "Search[Velmora]", "Velmora is a town.", 0.25)
TRAJECTORY = Trajectory("t-0", 2, "Question: Where?", (TURN,), 0.25, False, EndReason.FAILED, 12, 3)

TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TRAJECTORIES = st.builds(
    Trajectory,
    task_id=TEXTS,
    trial=st.integers(0, 9),
    task=TEXTS,
    turns=st.lists(st.builds(Turn, TEXTS, TEXTS, TEXTS, NUMBERS), max_size=3).map(tuple),
    return_=NUMBERS,
    success=st.booleans(),
    end=st.sampled_from(EndReason),
    error=st.none() | TEXTS,
)


@given(TRAJECTORIES)
def test_any_trajectory_goes_through_json_and_back(trajectory):
    assert Trajectory.from_json(json.loads(json.dumps(trajectory.to_json()))) == trajectory
    assert pickle.loads(pickle.dumps(trajectory)) == trajectory


def test_json_form_is_fresh_and_of_plain_types():
    first, second = TRAJECTORY.to_json(), TRAJECTORY.to_json()
    assert first["return"] == 0.25
    assert type(first["end"]) is str
    first["turns"][0]["action"] = "changed"
    first["turns"].clear()
    assert TRAJECTORY.to_json() == second


def test_render_numbers_the_turns_and_leaves_out_empty_thoughts():
    turns = [TURN, Turn("", "Finish[x]", "Wrong.")]
    assert render_turns("Question: Where?", turns).splitlines() == [
        "Question: Where?",
        "Thought 1: I should look.",
        "Action 1: Search[Velmora]",
        "Observation 1: Velmora is a town.",
        "Action 2: Finish[x]",
        "Observation 2: Wrong.",
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("task_id", 5),
        ("trial", "0"),
        ("trial", True),
        ("success", 1),
        ("return", "high"),
        ("end", "asleep"),
        ("turns", 3),
        ("turns", [{"thought": "", "action": "x"}]),
        ("turns", [{"thought": "", "action": 7, "observation": ""}]),
        ("prompt_tokens", 1.5),
        ("error", 404),
        ("unknown", 1),
    ],
)
def test_a_row_with_a_wrong_field_is_refused(field, value):
    with pytest.raises(DataError, match="not a trajectory"):
        Trajectory.from_json({**TRAJECTORY.to_json(), field: value})


def test_a_row_without_a_field_is_refused():
    row = TRAJECTORY.to_json()
    del row["return"]
    with pytest.raises(DataError, match="'return'"):
        Trajectory.from_json(row)


def test_an_outcome_tells_of_its_trial():
    failed = Trajectory("t", 1, "", (), 0.0, False, EndReason.ACTOR_ERROR, error="no connection")
    assert Outcome("look", 0.25, TRAJECTORY).actor_error is None
    assert Outcome("look", None, failed).actor_error == "no connection"
    assert (
        Outcome("look", None, TRAJECTORY).actor_error
        == "the actor failed in the control, or in the trial, of every pair"
    )
    assert not Outcome("look", 0.25, TRAJECTORY).success


def test_by_key_it_reads_as_its_json():
    row = TRAJECTORY.to_json()
    assert {name: TRAJECTORY[name] for name in row} == row
    for name in ("result", 0):
        with pytest.raises(KeyError):
            TRAJECTORY[name]
    assert np.array([TRAJECTORY, TRAJECTORY], dtype=object).shape == (2,)  # one thing, whoever gathers it
    assert pickle.loads(pickle.dumps(TRAJECTORY)) == TRAJECTORY
