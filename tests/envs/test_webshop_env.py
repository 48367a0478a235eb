"""WebShop-v0: pages, grammar, corner cases, and the promises of a Gymnasium environment."""

import pickle
import re
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st

import retro_gym  # noqa: F401 - registers the environments
from retro_gym.errors import ConfigError, DataError, EpisodeError, UnknownTaskError
from retro_gym_envs.webshop import WebShopEnv
from retro_gym_envs.webshop.observations import hits_on, item_on
from retro_gym_envs.webshop.prompt import WEBSHOP_PROMPT
from tests.envs.webshop_data import product as row

TASK = next(t for t in WebShopEnv().task_ids("test") if WebShopEnv().teacher.failure_cause(t) == "maker")


@pytest.fixture
def env():
    env = WebShopEnv()
    env.reset(seed=0, options={"task_id": TASK})
    return env


@pytest.fixture
def goal(env):
    return env.goal(TASK)


@pytest.fixture
def query(goal):
    return re.search(rf"an? ([a-z]+ {goal.query})", goal.instruction).group(1)


def play(env, *actions):
    """The observations of the actions."""
    return [env.step(action)[0] for action in actions]


# -- pages -----------------------------------------------------------------------------------------------------------


def test_the_instruction_comes_first(env, goal):
    observation, info = env.reset(options={"task_id": TASK})
    assert observation == f"WebShop [SEP] Instruction: [SEP] {goal.instruction} [SEP] Search"
    assert info == {
        "task_id": TASK,
        "group": goal.group,
        "success": False,
        "score": 0.0,
        "clickables": [],
        "has_search_bar": True,
    }


def test_ten_results_a_page_and_the_way_through_them(written, data):
    data["items_shuffle.json"] += [row(f"B1{i:04}", f"Kettle {i}", "kettles") for i in range(60)]
    env = WebShopEnv(tasks=written(data))
    env.reset()
    (first,) = play(env, "search[KETTLES]")
    assert first.startswith("Back to Search [SEP] Page 1 (Total results: 50) [SEP] Next > [SEP] B")
    assert len(hits_on(first)) == 10
    pages = [first, *play(env, *["click[next >]"] * 4)]
    assert " [SEP] < Prev [SEP] Next > [SEP] " in pages[1]
    assert "Next >" not in pages[4]
    assert len({hit.asin for page in pages for hit in hits_on(page)}) == 50
    assert play(env, "click[Next >]") == ["Invalid action!"]
    assert play(env, "click[< Prev]", "click[< prev]", "click[< Prev]", "click[< Prev]") == pages[3::-1]
    assert play(env, "click[< Prev]") == ["Invalid action!"]


def test_a_product_and_its_pages(env, goal, query):
    results, item, text = play(env, f"search[{query}]", f"click[{goal.asin.lower()}]", "click[Description]")
    product = env.catalog(TASK).get(goal.asin)
    shown = item_on(item)
    assert shown.title == product.name
    assert shown.options == {name: list(values) for name, values in product.options}
    assert item.endswith(
        f"Price: {product.price_tag} [SEP] Rating: N.A. [SEP] Description [SEP] Features [SEP] Reviews [SEP] Buy Now"
    )
    assert text == "Back to Search [SEP] < Prev [SEP] No Description"
    assert play(env, "click[Reviews]") == ["Invalid action!"]
    assert play(env, "click[< Prev]", "click[Features]") == [
        item,
        " [SEP] ".join(["Back to Search", "< Prev", *product.bullets]),
    ]
    assert play(env, "click[< Prev]", "click[reviews]", "click[< Prev]", "click[< Prev]") == [
        item,
        " [SEP] ".join(
            ["Back to Search", "< Prev", *(f'"{name}" {stars} {text}' for name, stars, text in product.reviews)]
        ),
        item,
        results,
    ]


def test_back_to_search_leads_back_from_everywhere(env, goal, query):
    first, _ = env.reset(options={"task_id": TASK})
    assert play(env, f"search[{query}]", "click[back to search]")[1] == first
    assert play(env, f"search[{query}]", f"click[{goal.asin}]", "click[Features]", "click[Back to Search]")[3] == first
    assert play(env, "search[zzzz]", "click[Next >]") == [
        "Back to Search [SEP] Page 1 (Total results: 0)",
        "Invalid action!",
    ]


def test_info_lists_what_can_be_clicked(env, goal, query):
    info = env.step(f"search[{query}]")[4]
    assert not info["has_search_bar"]
    assert info["clickables"][0] == "back to search"
    assert goal.asin.lower() in info["clickables"]
    assert len(info["clickables"]) == 6
    info = env.step(f"click[{goal.asin}]")[4]
    values = [value for _, values in env.catalog(TASK).get(goal.asin).options for value in values]
    assert info["clickables"] == [
        "back to search", "< prev", "description", "features", "reviews", "buy now", *values,
    ]  # fmt: skip
    info["clickables"].clear()
    assert env.step(f"click[{values[0]}]")[4]["clickables"]
    assert env.step("click[Buy Now]")[4]["clickables"] == []


# -- buying ----------------------------------------------------------------------------------------------------------


def test_the_right_options_make_a_success(env, goal, query):
    play(env, f"search[{query}]", f"click[{goal.asin}]")
    for value in goal.options:
        assert play(env, f"click[{value.upper()}]") == [f"You have clicked {value}."]
    observation, reward, terminated, truncated, info = env.step("click[Buy Now]")
    assert observation == "Thank you for shopping with us! [SEP] Your score (min 0.0, max 1.0) [SEP] 1.00"
    assert (reward, terminated, truncated, info["success"], info["score"]) == (1.0, True, False, True, 1.0)
    with pytest.raises(EpisodeError, match=r"reset\(\)"):
        env.step("click[Buy Now]")


def test_less_than_all_is_no_success(env, goal, query):
    play(env, f"search[{query}]", f"click[{goal.asin}]")
    _, reward, terminated, _, info = env.step("click[Buy Now]")
    assert reward == pytest.approx(2 / (2 + len(goal.options)))
    assert (terminated, info["success"], info["score"]) == (True, False, reward)


def test_the_last_value_of_an_option_counts_and_a_page_left_forgets_it(env, goal, query):
    product = env.catalog(TASK).get(goal.asin)
    name = product.option_of(goal.options[0])
    other = next(value for value in dict(product.options)[name] if value not in goal.options)
    for way in (
        [f"click[{other}]", *(f"click[{value}]" for value in goal.options)],
        [*(f"click[{value}]" for value in goal.options), "click[Features]", "click[< Prev]"],
    ):
        env.reset(options={"task_id": TASK})
        play(env, f"search[{query}]", f"click[{goal.asin}]", *way)
        assert env.step("click[Buy Now]")[1] == 1.0
    for way in (
        [*(f"click[{value}]" for value in goal.options), f"click[{other}]"],
        [*(f"click[{value}]" for value in goal.options), "click[< Prev]", f"click[{goal.asin}]"],
    ):
        env.reset(options={"task_id": TASK})
        play(env, f"search[{query}]", f"click[{goal.asin}]", *way)
        assert env.step("click[Buy Now]")[1] < 1.0


# -- what is no action -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "action",
    [
        "",
        " ",
        "search",
        "search[]",
        "search[ ]",
        "search[kettle",
        "search [kettle]",
        "search[a\nb]",
        "click[Buy Now]",
        "click[Search]",
        "click[B00000]",
        "click[]",
        "buy[B00000]",
        "🙂[x]",
        "[kettle]",
    ],
)
def test_an_invalid_action_costs_a_turn_and_leaves_the_page(env, query, action):
    assert env.step(action)[:4] == ("Invalid action!", 0.0, False, False)
    assert env.step(f"search[{query}]")[0].startswith("Back to Search [SEP] Page 1 ")
    assert env.step("search[kettle]")[0] == "Invalid action!"  # there is no search bar on this page
    for _ in range(11):
        env.step(action)
    assert env.step(action)[2:4] == (False, True)


def test_thinking_is_allowed(env):
    assert env.step("think[Where do I begin?]")[:4] == ("OK.", 0.0, False, False)


@pytest.mark.parametrize("query", ["[x]", "a] [b", "\ud800", "x" * 100_000, "🙂", "%s{0}"])
def test_odd_searches(env, query):
    observation = env.step(f"search[{query}]")[0]
    assert observation.startswith("Back to Search [SEP] Page 1 (Total results: ")
    assert observation in env.observation_space


@pytest.mark.parametrize("turns", [1, 3])
def test_the_turn_limit_truncates(turns):
    env = WebShopEnv(max_turns=turns)
    env.reset(seed=0)
    for turn in range(1, turns + 1):
        assert env.step("think[x]")[2:4] == (False, turn == turns)
    with pytest.raises(EpisodeError):
        env.step("think[x]")


def test_a_purchase_in_the_last_turn_counts(goal, query):
    env = WebShopEnv(max_turns=3)
    env.reset(options={"task_id": TASK})
    play(env, f"search[{query}]", f"click[{goal.asin}]")
    assert env.step("click[Buy Now]")[2:4] == (True, False)


def test_fifteen_turns_by_default():
    assert WebShopEnv.max_turns == 15


# -- tasks and arguments ---------------------------------------------------------------------------------------------


def test_tasks(env):
    assert len(env.task_ids("train")) == 20_000
    for unknown in ("test-9999", 3, None):
        with pytest.raises(UnknownTaskError):
            env.goal(unknown)
    with pytest.raises(UnknownTaskError):
        env.reset(options={"task_id": 3})
    with pytest.raises(UnknownTaskError):
        env.task_ids("dev")
    drawn = [env.reset(seed=seed)[1]["task_id"] for seed in range(5)]
    assert len(set(drawn)) == 5
    assert all(task_id.startswith("train-") for task_id in drawn)
    assert drawn == [env.reset(seed=seed)[1]["task_id"] for seed in range(5)]


def test_arguments(tmp_path):
    for arguments, says in (
        ({"max_turns": 0}, "max_turns is 0"),
        ({"max_turns": "6"}, "max_turns is '6'"),
        ({"max_turns": True}, "max_turns is True"),
        ({"num_goals": 5}, "without server"),
        ({"server": "localhost:3000"}, "server is 'localhost:3000'"),
        ({"server": 3000}, "server is 3000"),
        ({"server": "http://localhost:3000", "num_goals": 0}, "num_goals is 0"),
        ({"server": "http://localhost:3000", "tasks": tmp_path}, "both given"),
        ({"tasks": 3}, "tasks is 3"),
    ):
        with pytest.raises(ConfigError, match=says):
            WebShopEnv(**arguments)
    with pytest.raises(DataError, match="items_shuffle"):
        WebShopEnv(tasks=tmp_path)


def test_another_world_seed_is_another_world(env):
    assert WebShopEnv(world_seed=1).goal(TASK) != env.goal(TASK)


# -- promises of a Gymnasium environment -----------------------------------------------------------------------------


def test_check_env():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make("WebShop-v0").unwrapped)


def test_random_clicks_and_searches_raise_nothing(env, query):
    rng = np.random.default_rng(0)
    env.action_space.seed(0)
    info = env.reset(seed=0, options={"task_id": TASK})[1]
    bought = 0
    for number in range(3_000):
        actions = [f"click[{text}]" for text in info["clickables"]] + [f"search[{query}]"]
        action = actions[rng.integers(len(actions))] if number % 4 else f"click[{env.action_space.sample()}]"
        observation, reward, terminated, truncated, info = env.step(action)
        assert observation in env.observation_space
        assert 0.0 <= reward <= 1.0
        assert type(info["success"]) is bool
        assert info["success"] == (reward == 1.0)
        bought += terminated
        if terminated or truncated:
            info = env.reset(options={"task_id": TASK})[1]
    assert bought > 20


@given(st.text(max_size=60))
def test_any_text_is_an_action(text):
    env = WebShopEnv()
    env.reset(options={"task_id": TASK})
    for action in (text, f"search[{text}]", f"click[{text}]", f"think[{text}]"):
        assert env.step(action)[0] in env.observation_space


def test_a_megabyte_is_an_action(env):
    for action in ("x" * 1_000_000, f"search[{'kettle ' * 150_000}]", f"click[{'[' * 1_000_000}]"):
        assert env.step(action)[0] in env.observation_space


@pytest.mark.parametrize("played", range(4))
def test_a_copy_goes_on_alike_and_apart(env, goal, query, twin_of, played):
    way = [f"search[{query}]", f"click[{goal.asin}]", f"click[{goal.options[0]}]", "click[Features]", "click[< Prev]"]
    play(env, *way[:played])
    twin = twin_of(env)
    rest = [*way[played:], "click[Buy Now]"]
    assert [twin.step(action) for action in rest] == [env.step(action) for action in rest]
    assert twin.reset() == env.reset()
    assert twin.catalog(TASK) is env.catalog(TASK)


def test_a_copy_is_small(env, query):
    env.step(f"search[{query}]")
    assert len(pickle.dumps(env)) < 10_000


def test_the_instruction_names_every_action():
    assert all(f"{name}[" in WEBSHOP_PROMPT.instruction for name in ("search", "click"))
