import pytest

from retro_gym.actors import parse_reply, split_reasoning


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("Finish[yes]", "", "Finish[yes]"),
        ("", "", ""),
        ("  Finish[yes]\n", "", "  Finish[yes]\n"),
        ("<think>a</think>Finish[yes]", "a", "Finish[yes]"),
        ("\n <think>\na\n</think>\n\n Finish[yes] ", "a", "Finish[yes] "),
        ("<think></think>Finish[yes]", "", "Finish[yes]"),
        ("<think>a</think><think>b</think>c", "a\nb", "c"),
        ("<think>never at an end", "never at an end", ""),
        ("opened by the prompt</think>Finish[yes]", "opened by the prompt", "Finish[yes]"),
        ("<think>a</think>b</think>c", "a\nb", "c"),
        ("Finish[<think>]", "", "Finish[<think>]"),
        ("Say <think>x</think> aloud", "", "Say <think>x</think> aloud"),
        ("<think>Action 1: no</think>Action 1: yes", "Action 1: no", "Action 1: yes"),
    ],
)
def test_thinking_is_split_off(text, reasoning, answer):
    assert split_reasoning(text) == (answer, reasoning)


def test_an_action_that_was_only_thought_of_is_none():
    answer, _ = split_reasoning("<think>\nAction 1: Finish[no]\n</think>\nThought 1: Yes.\nAction 1: Finish[yes]")
    assert parse_reply(answer) == ("Yes.", "Finish[yes]")
