import copy
import pickle
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector.utils import create_shared_memory, read_from_shared_memory, write_to_shared_memory
from hypothesis import given
from hypothesis import strategies as st

from retro_gym.errors import ConfigError
from retro_gym.spaces import UnicodeText

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=12)
STRANGE = ("", "\x00", "\ud800 lone", "🙂" * 40, "e\u0301", "\u202e<", "\r\n", "反省", "\U0010ffff")


@pytest.mark.parametrize("text", STRANGE)
def test_any_text_that_is_short_enough_belongs_to_the_space(text):
    assert text in UnicodeText(40)


@pytest.mark.parametrize("other", ["x" * 41, b"bytes", None, 3, ["a"], np.zeros(3)])
def test_nothing_else_does(other):
    assert not UnicodeText(40).contains(other)


def test_contains_looks_at_no_character():
    class Counted(str):
        looks = 0

        def __iter__(self):
            type(self).looks += 1
            return super().__iter__()

        def __getitem__(self, index):
            type(self).looks += 1
            return super().__getitem__(index)

    assert Counted("x" * 1_000) in UnicodeText(1_000)
    assert Counted.looks == 0


@pytest.mark.parametrize("max_length", [1, 10, 1_000_000_000])
def test_samples_are_bounded_members(max_length):
    space = UnicodeText(max_length, seed=0)
    samples = [space.sample() for _ in range(200)]
    assert all(sample in space for sample in samples)
    assert max(map(len, samples)) == min(max_length, 64)
    assert len("".join(samples).encode()) > len("".join(samples))  # not ASCII alone


def test_samples_follow_the_seed():
    first, second, third = UnicodeText(99, seed=3), UnicodeText(99, seed=3), UnicodeText(99, seed=4)
    drawn = [[space.sample() for _ in range(5)] for space in (first, second, third)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_mask_fixes_the_length():
    space = UnicodeText(9, seed=0)
    assert len(space.sample(mask=(7, None))) == 7
    assert space.sample(mask=(0, None)) == ""
    with pytest.raises(ConfigError, match="10 characters"):
        space.sample(mask=(10, None))
    with pytest.raises(ConfigError, match="no mask over characters"):
        space.sample(mask=(None, np.ones(3, dtype=np.int8)))


@pytest.mark.parametrize("max_length", [0, -3])
def test_a_space_without_room_is_refused(max_length):
    with pytest.raises(ConfigError, match=f"max_length is {max_length}"):
        UnicodeText(max_length)


def test_equality_hash_repr():
    assert UnicodeText(5) == UnicodeText(5, seed=1) != UnicodeText(6)
    assert UnicodeText(5) != gym.spaces.Text(5)
    assert hash(UnicodeText(5)) == hash(UnicodeText(5))
    assert repr(UnicodeText(5)) == "UnicodeText(5)"


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda space: pickle.loads(pickle.dumps(space))])
def test_a_copy_goes_on_sampling_alike(copied):
    space = UnicodeText(50, seed=2)
    space.sample()
    twin = copied(space)
    assert twin == space
    assert [twin.sample() for _ in range(5)] == [space.sample() for _ in range(5)]


def test_the_character_set_is_every_code_point_without_holding_one():
    space = UnicodeText(5)
    assert len(space.character_set) == len(space.character_list) == sys.maxunicode + 1
    assert "反" in space.character_set
    assert "ab" not in space.character_set
    assert space.character_list[65] == "A"
    assert space.character_list[65:67] == ["A", "B"]
    assert space.character_index("🙂") == 0x1F642
    assert next(iter(space.character_set)) == "\x00"
    assert space.character_set == UnicodeText(9).character_set
    assert len({space.character_set, space.character_list}) == 1


@given(ANY_TEXT)
def test_a_text_flattens_and_comes_back(text):
    space = UnicodeText(12)
    flat = gym.spaces.flatten(space, text)
    assert gym.spaces.unflatten(space, flat).rstrip("\x00") == text.rstrip("\x00")


@given(st.lists(ANY_TEXT, min_size=3, max_size=3))
def test_shared_memory_holds_any_text(texts):
    space = UnicodeText(12)
    memory = create_shared_memory(space, n=3)
    for index, text in enumerate(texts):
        write_to_shared_memory(space, index, text, memory)
    assert tuple(read_from_shared_memory(space, memory, n=3)) == tuple(texts)


def test_shared_memory_is_read_through_a_view_whose_copy_stays():
    space = UnicodeText(12)
    memory = create_shared_memory(space, n=2)
    view = read_from_shared_memory(space, memory, n=2)
    write_to_shared_memory(space, 0, "before", memory)
    kept = copy.deepcopy(view)
    write_to_shared_memory(space, 0, "now", memory)
    assert kept == ("before", "")
    assert view[0] == "now"
    assert view[:1] == ("now",)
    assert len(view) == 2
