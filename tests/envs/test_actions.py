"""What the four grammars forgive alike: marks around an action, and the case of its name; never what it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retro_gym_envs.actions import bare, bracketed
from retro_gym_envs.alfworld import ALFWorldEnv
from retro_gym_envs.hotpotqa import HotpotQAEnv
from retro_gym_envs.intercode_sql import InterCodeSQLEnv
from retro_gym_envs.webshop import WebShopEnv

ACTIONS = {
    HotpotQAEnv: 'Finish[Sarn. Or "The" `Isle`?\']',
    WebShopEnv: "search['steel' kettle.]",
    InterCodeSQLEnv: "execute[SELECT 'it.', \"X\"]",
    ALFWorldEnv: "go to {place}",
}
AROUND = [
    "> {}",
    ">{}",
    "> > {}",
    "`{}`",
    '"{}"',
    "“{}”",
    "'{}'.",
    "{}.",
    " {} .\n",
    "**{}**",
    "> `{}`.",
    "\u3000{}\xa0",
]


def answer(kind, wrapped):
    """What an environment answers to an action that was changed by a function."""
    env = kind()
    first, _ = env.reset(options={"task_id": env.task_ids("test")[0]})
    place = first.partition("you see a ")[2].partition(",")[0]
    return env.step(wrapped(ACTIONS[kind].format(place=place) if "{" in ACTIONS[kind] else ACTIONS[kind]))


@pytest.mark.parametrize("kind", ACTIONS)
@pytest.mark.parametrize("around", AROUND)
def test_what_stands_around_an_action_is_forgiven_in_every_environment(kind, around):
    wanted = answer(kind, str)
    assert not wanted[0].startswith(("Nothing happens", "Invalid", "Error"))
    assert answer(kind, around.format) == wanted


@pytest.mark.parametrize("kind", ACTIONS)
@pytest.mark.parametrize("change", [str.upper, str.lower, str.title])
def test_the_case_of_an_action_is_forgiven_in_every_environment(kind, change):
    def changed(action):
        name, bracket, rest = action.partition("[")
        return change(name) + bracket + rest

    assert answer(kind, changed) == answer(kind, str)


@pytest.mark.parametrize("said", ["submit", "Submit", "SUBMIT.", "> submit", "`submit`"])
def test_submit(said):
    env = InterCodeSQLEnv()
    env.reset(seed=0)
    assert env.step(said)[0] == "STATUS: FAIL"


@pytest.mark.parametrize("said", ["think: where is it?", "> Think: where is it?", '"think: where?"'])
def test_thoughts_are_no_commands(said):
    env = ALFWorldEnv()
    env.reset(seed=0)
    assert env.step(said)[0] == "OK."


NAMES = ("Search", "Lookup", "Finish")


@pytest.mark.parametrize(
    "said", ["", ">", "Search", "Search[]", "Search [x]", "Search[x", "Searching[x]", "[x]", "Search[x]!"]
)
def test_what_is_no_action_stays_none(said):
    assert bracketed(said, NAMES) == ("", "")


@pytest.mark.parametrize(
    ("said", "argument"),
    [
        ("Finish[X] or Finish[no]", "X"),
        ("Finish[Sarn] as stated in [1]", "Sarn"),
        ("Search[A], Search[B]", "A"),
        ("Search[a [b] c]", "a [b] c"),
        ("Search[a]b]", "a]b"),
        ("Search[it's] as in [O'Brien's]", "it's"),
        ("Search[']' and '['] as in [1]", "']' and '['"),
    ],
)
def test_a_remark_with_brackets_is_no_part_of_an_argument(said, argument):
    assert bracketed(said, NAMES)[1] == argument


@pytest.mark.parametrize("said", ["execute[SELECT 1] -- rows of [x]", "execute[SELECT 1] and execute[SELECT 2]"])
def test_a_remark_with_brackets_is_no_part_of_a_query(said):
    env = InterCodeSQLEnv()
    env.reset(seed=0)
    assert env.step(said)[0] == "[(1,)]"


ARGUMENTS = st.text(min_size=1).filter(lambda text: "\n" not in text and "[" not in text.partition("]")[2])


@given(ARGUMENTS, st.sampled_from(NAMES), st.sampled_from(AROUND))
def test_an_argument_is_never_changed(argument, name, around):
    assert bracketed(around.format(f"{name.lower()}[{argument}]"), NAMES) == (name, argument)


def test_marks_are_taken_away_at_once_however_many_there_are():
    assert bare(" >" * 200_000 + "look" + ". " * 200_000) == "look"
