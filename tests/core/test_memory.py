import pytest

from retro_gym.errors import ConfigError
from retro_gym.memory import Memory


def test_the_oldest_reflection_leaves_first():
    memory = Memory(window=2)
    for text in ("a", "b", "c"):
        memory = memory.add(text)
    assert memory.reflections == ("b", "c")


def test_adding_leaves_the_memory_as_it_was():
    memory = Memory(window=1).add("a")
    memory.add("b")
    assert memory.reflections == ("a",)


@pytest.mark.parametrize("blank", ["", "   ", "\n\t", "\u3000\u2028"])
def test_a_blank_reflection_takes_no_place(blank):
    memory = Memory(window=1).add("a")
    assert memory.add(blank) is memory


@pytest.mark.parametrize("window", [0, -1])
def test_a_window_below_one_is_refused(window):
    with pytest.raises(ConfigError, match=rf"memory window is {window}"):
        Memory(window)
