"""WebShop's own data files: what is made of them, and playing them."""

import copy
import pickle
import random
import re

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env

import retro_gym  # noqa: F401 - registers the environments
from retro_gym.errors import ConfigError, DataError, UnknownTaskError
from retro_gym.trajectory import Turn, render_turns
from retro_gym_envs.webshop import WebShopEnv, load_shop
from retro_gym_envs.webshop.pages import LocalShop
from retro_gym_envs.webshop.prompt import WEBSHOP_PROMPT
from tests.envs.webshop_data import GOAL, product, values

# -- what is made of them --------------------------------------------------------------------------------------------


def test_products_are_cleaned_as_webshop_cleans_them(shop):
    catalog = shop.catalog("fixed_0")
    assert [each.asin for each in catalog.products] == ["B00017", "B00204", "B00093", "B00300", "B00301"]
    can = catalog.get("B00204")
    assert can.name == "Tarn zinc watering can, leakproof"
    assert can.query == "watering cans"
    assert can.options == (("color", ("blue", "green | grey")), ("size", ("small", "large")))
    assert (can.price, can.price_tag) == (27.5, "$27.5")
    assert can.bullets == ("Leakproof.", "Holds two liters.")
    bench = catalog.get("B00300")
    assert (bench.price, bench.price_tag, bench.bullets, bench.options) == (100.0, "$100.0", ("Sturdy.",), ())
    assert bench.attributes == ("DUMMY_ATTR",)
    assert catalog.get("B00301").price == 1250.99
    assert (catalog.get("B00017").rating, can.rating) == ("4.5", "N.A.")
    assert catalog.get("B00017").reviews == (("Fine", "5.0", "It pours."), ("Hm", "2.0", ""))


def test_a_range_of_prices_is_a_price_that_never_changes(shop, written, data):
    jar = shop.catalog("fixed_0").get("B00093")
    assert jar.price_tag == "$12.5 to $15.0"
    assert 12.5 < jar.price < 15.0
    data["items_shuffle.json"].reverse()
    assert load_shop(written(data)).catalog("fixed_0").get("B00093").price == jar.price


def test_goals_that_people_wrote(shop):
    goals = {goal.asin: goal for goal in map(shop.get, shop.ids("test"))}
    assert sorted(goals) == ["B00017", "B00204"]
    goal = goals["B00204"]
    assert re.fullmatch(
        r"i need a zinc watering can that is leakproof in green and grey, large, and price lower than \d0\.00 dollars",
        goal.instruction,
    )
    assert f"{goal.price_upper:.2f} " in goal.instruction
    assert goal.price_upper in (40.0, 50.0, 60.0)  # the larger one of two among 30, 40, 50, 60
    assert goal.options == ("green | grey", "large")


def test_goals_from_templates_take_every_combination_of_options(written, data):
    del data["items_human_ins.json"]
    shop = load_shop(written(data))
    goals = [shop.get(task_id) for task_id in shop.ids("train")]
    assert sorted(goal.options for goal in goals if goal.asin == "B00204") == [
        ("blue", "large"),
        ("blue", "small"),
        ("green | grey", "large"),
        ("green | grey", "small"),
    ]
    by_options = next(goal for goal in goals if goal.options == ("blue", "small"))
    assert by_options.instruction.startswith("find a leakproof can with color: blue, and size: small, and price lower")
    palace = next(goal for goal in goals if goal.asin == "B00301")
    assert (palace.instruction, palace.price_upper) == ("find a bench", 1_000_000.0)


def test_goals_stand_in_webshops_order(written, data):
    data["items_shuffle.json"] = [product(f"B{i:04}", f"Thing {i}", "things") for i in range(40)]
    data["items_human_ins.json"] = {
        f"B{i:04}": [{"instruction": f"thing {i}", "instruction_attributes": ["thing"]}] for i in range(40)
    }
    order = [f"B{i:04}" for i in range(40)]
    random.seed(233)  # as WebShop does it
    random.shuffle(order)
    shop = load_shop(written(data))
    assert [shop.get(f"fixed_{i}").asin for i in range(40)] == order


def test_few_goals_are_in_every_split_and_many_are_cut_as_officially(shop, written, data):
    assert shop.ids("train") == shop.ids("validation") == shop.ids("test") == ("fixed_0", "fixed_1")
    data["items_human_ins.json"] = {
        "B00017": [{"instruction": f"can {i}", "instruction_attributes": ["can"]} for i in range(1_600)]
    }
    many = load_shop(written(data))
    assert many.ids("test") == tuple(f"fixed_{i}" for i in range(500))
    assert many.ids("validation") == tuple(f"fixed_{i}" for i in range(500, 1_500))
    assert many.ids("train") == tuple(f"fixed_{i}" for i in range(1_500, 1_600))
    for unknown in ("fixed_1600", "test-0000"):
        with pytest.raises(UnknownTaskError, match="fixed_1599"):
            many.get(unknown)
    with pytest.raises(UnknownTaskError, match="Did you mean 'train'"):
        many.ids("trian")


def test_paths_may_be_given_one_by_one(written, data, tmp_path):
    written(data)
    paths = {"products": tmp_path / "items_shuffle.json", "attributes": str(tmp_path / "items_ins_v2.json")}
    assert len(load_shop(paths)) == 6  # from templates
    with pytest.raises(DataError, match=r"gone\.json'? cannot be opened"):
        load_shop(paths | {"reviews": tmp_path / "gone.json"})
    for wrong in ({"products": "x"}, paths | {"human": "x"}, paths | {"reviews": 3}, 3, ["x"]):
        with pytest.raises(ConfigError):
            load_shop(wrong)


# -- playing them ----------------------------------------------------------------------------------------------------


def test_the_goal_can_be_bought_and_the_teacher_says_how(written, data):
    env = gym.make("RetroWebShop-v0", tasks=str(written(data)), split="test").unwrapped
    task_id = next(task_id for task_id in env.task_env.task_ids("test") if env.task_env.goal(task_id).options)
    _, info = env.reset(options={"task_id": task_id})
    assert not info["success"]
    teacher = env.task_env.teacher
    right = teacher.told_reflection(task_id)
    name = "Tarn zinc watering can, leakproof"
    assert right == f'Search for "{name}", open B00204 and choose "green | grey" and "large", then buy it.'
    outcome = env.branch([right, "Look more carefully."])
    assert [each.success for each in outcome] == [True, False]
    assert [turn.action for turn in outcome[0].trajectory.turns] == [
        "search[tarn zinc watering can, leakproof]",
        "click[B00204]",
        "click[green | grey]",
        "click[large]",
        "click[Buy Now]",
    ]
    oracle = teacher.oracle_reflection(task_id)
    assert oracle == 'Search for "watering cans", compare titles and features and choose color and size as asked for.'
    assert [teacher.leaks(text, task_id) for text in (right, oracle, "Open B00204.")] == [True, False, False]
    assert teacher.failure_cause(task_id) == teacher.task_group(task_id) == ""
    assert not teacher.names_cause(right, task_id)
    noisy = teacher.noisy_reflection(env.trajectory, env.np_random)
    assert teacher.check_reflection(noisy, env.trajectory).well_formed


def test_the_rule_names_another_product_than_the_one_bought(written, data):
    data["items_human_ins.json"] = {
        "B00017": [{"instruction": "i need a watering thing", "instruction_attributes": ["stackable"]}]
    }
    env = gym.make("RetroWebShop-v0", tasks=str(written(data)), split="test").unwrapped
    only = {"task_id": "fixed_0"}
    observation, _ = next(found for seed in range(9) if not (found := env.reset(seed=seed, options=only))[1]["success"])
    rule = env.task_env.teacher.rule_reflection(observation)
    assert rule in ("Open B00017.", "Open B00204.", "Open B00093.")
    assert env.task_env.teacher.check_reflection(rule, env.trajectory).grounded


def test_a_told_product_is_looked_for_on_all_pages(written, data):
    data["items_shuffle.json"] = [product(f"B{i:04}", "Ansel kettle", "kettles", pricing="$60") for i in range(37)]
    data["items_shuffle.json"][36]["pricing"] = "$9"
    data["items_human_ins.json"] = {
        "B0036": [{"instruction": "i need an ansel kettle", "instruction_attributes": ["kettle"]}]
    }
    env = gym.make("RetroWebShop-v0", tasks=str(written(data)), split="test").unwrapped
    env.reset(options={"task_id": "fixed_0"})
    outcome = env.branch([env.task_env.teacher.told_reflection("fixed_0")])[0]
    assert [turn.action for turn in outcome.trajectory.turns].count("click[Next >]") == 3
    assert outcome.success


JEANS = {"Waist": values("30", "32", "34"), "Length": values("30", "32"), "Fit": values("Buy Now", "next >", "slim")}


@pytest.fixture
def jeans(written, data):
    """The page of a product whose options share values, with each other and with buttons."""
    data["items_shuffle.json"][0]["customization_options"] = JEANS
    data["items_human_ins.json"]["B00017"][0]["instruction_options"] = ["32"]
    env = WebShopEnv(tasks=written(data))
    task_id = next(each for each in env.task_ids("test") if env.goal(each).asin == "B00017")
    env.reset(options={"task_id": task_id})
    env.step("search[stackable can]")
    env.step("click[B00017]")
    return env


@pytest.mark.parametrize(
    ("clicks", "chosen"),
    [
        (["32"], {"length": "32"}),
        (["32", "30"], {"length": "30"}),
        (["34", "32"], {"waist": "34", "length": "32"}),
        (["SLIM"], {"fit": "slim"}),
        (["next >"], {"fit": "next >"}),  # no button of this page
        (["Description", "< Prev", "  34 "], {"waist": "34"}),
    ],
)
def test_a_value_of_two_options_is_chosen_for_the_later_one(jeans, clicks, chosen):
    for click in clicks:
        assert jeans.step(f"click[{click}]")[0] != "Invalid action!"
    assert jeans._options == chosen


def test_a_button_goes_before_an_option_of_the_same_text(jeans):
    _, _, terminated, _, info = jeans.step("click[buy now]")
    assert (terminated, jeans._options) == (True, {})
    assert not info["clickables"]


def test_what_can_be_clicked_is_listed_once(jeans):
    clickables = jeans.step("think[x]")[4]["clickables"]
    assert clickables[5:] == ["buy now", "30", "32", "34", "next >", "slim"]
    product = jeans.catalog(jeans.task_ids("test")[0]).get("B00017")
    assert [product.option_of(value) for value in ("30", "34", "slim", "36")] == ["length", "waist", "fit", ""]


def test_a_page_of_blank_texts_says_that_there_is_nothing(written, data):
    data["items_shuffle.json"][0] |= {"full_description": " \n", "small_description": ["", " "]}
    catalog = load_shop(written(data)).catalog("fixed_0")
    shop = LocalShop(catalog, GOAL)
    told = [shop.sub(name, "B00017", "x", 1, {}).nodes[2:] for name in ("Description", "Features")]
    assert told == [("No Description",), ("No Features",)]


def test_of_options_whose_names_differ_by_case_the_later_one_stays(written, data):
    data["items_shuffle.json"][0]["customization_options"] = {"Color": values("red"), "color": values("Teal", "teal")}
    catalog = load_shop(written(data)).catalog("fixed_0")
    assert catalog.get("B00017").options == (("color", ("teal", "teal")),)


def test_check_env_and_copies_with_files(written, data):
    env = gym.make("WebShop-v0", tasks=str(written(data))).unwrapped
    check_env(env)
    env.reset(seed=0, options={"task_id": "fixed_1"})
    env.step("search[can]")
    for twin in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        assert twin.step("click[B00204]") == copy.deepcopy(env).step("click[B00204]")
    assert copy.deepcopy(env).catalog("fixed_0") is env.catalog("fixed_0")
    assert len(pickle.dumps(env)) < 10_000


def test_a_pickle_whose_files_have_changed_is_refused(written, data, tmp_path):
    env = WebShopEnv(tasks=written(data))
    pickled = pickle.dumps(env)
    written({"items_human_ins.json": {"B00017": data["items_human_ins.json"]["B00017"]}})
    with pytest.raises(DataError, match=r"^\S+items_human_ins\.json has changed since"):
        pickle.loads(pickled)
    (tmp_path / "items_shuffle.json").unlink()
    with pytest.raises(DataError, match="a pickled environment needs its data files"):
        pickle.loads(pickled)


# -- the prompt ------------------------------------------------------------------------------------------------------

EXAMPLES = {
    "find me": [
        product("B00311", "Quillon travel clock", "clocks", pricing="$45"),
        product(
            "B00312",
            "Dunmere travel clock",
            "clocks",
            pricing="$21.5",
            small_description=["It is shockproof.", "It glows."],
        ),
    ],
    "I need": [
        product("B00017", "Ansel zinc watering can, stackable", "watering cans"),
        product(
            "B00204",
            "Tarn zinc watering can, leakproof",
            "watering cans",
            pricing="$27.50",
            customization_options={"color": values("blue", "green"), "size": values("small", "large")},
        ),
        product("B00093", "Wick clay watering jar, leakproof", "watering jars", pricing="$12.50"),
    ],
}


@pytest.mark.parametrize("example", WEBSHOP_PROMPT.examples)
def test_the_worked_examples_are_what_the_environment_answers(written, monkeypatch, example):
    text = example.split(" [SEP] ")[2]
    products = next(rows for start, rows in EXAMPLES.items() if text.startswith(start))
    wanted, _, price = text.partition(", and price lower than ")
    attribute = "leakproof" if "leakproof" in text else "shockproof"
    goal = {"instruction": wanted, "instruction_attributes": [attribute]}
    goal["instruction_options"] = ["green"] if "green" in text else []
    notes = {row["asin"]: {"attributes": [attribute] if row is products[1] else ["x"]} for row in products}
    limit = float(price.partition(" ")[0])
    monkeypatch.setattr(random.Random, "sample", lambda self, above, count: [min(above), limit])
    files = {"items_shuffle.json": products, "items_ins_v2.json": notes}
    env = WebShopEnv(tasks=written(files | {"items_human_ins.json": {products[1]["asin"]: [goal]}}))
    first, _ = env.reset(options={"task_id": "fixed_0"})
    thoughts, actions = (re.findall(rf"^{label} \d+: (.*)$", example, re.MULTILINE) for label in ("Thought", "Action"))
    turns = [Turn(thought, action, env.step(action)[0]) for thought, action in zip(thoughts, actions, strict=True)]
    assert render_turns(first, turns) == example
