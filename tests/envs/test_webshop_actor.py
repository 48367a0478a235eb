"""WebShop's scripted actor: what it reads, what it does, and what reflections bring it in the built-in test shops."""

import re
from collections import Counter, defaultdict

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import retro_gym  # noqa: F401 - registers the environments
from retro_gym.prompts import Prompt
from retro_gym.testing.hosting import hosted_prompt
from retro_gym.trajectory import Turn
from retro_gym_envs.webshop.actor import ScriptedShopActor
from retro_gym_envs.webshop.observations import asked_in, hits_on, instruction_of, item_on, reviews_on
from retro_gym_envs.webshop.prompt import WEBSHOP_PROMPT
from retro_gym_envs.webshop.rule import doubts_in

TASKS = 100


@pytest.fixture(scope="module")
def env():
    return gym.make("RetroWebShop-v0", split="test").unwrapped


def seen_in(trajectory):
    """All ids, makers, titles, values and words that the pages of a trial show."""
    names = []
    for turn in trajectory.turns:
        for hit in hits_on(turn.observation):
            names += [hit.asin, hit.title.split()[0], hit.title]
        item = item_on(turn.observation)
        names += [value for values in item.options.values() for value in values] if item else []
        names += reviews_on(turn.observation)
    return list(dict.fromkeys(names))


def must_not_work(env, observation, rng):
    """Reflections that need no understanding of the failure, by policy."""
    teacher, trajectory = env.task_env.teacher, env.trajectory
    instruction = instruction_of(trajectory.task)
    asked = asked_in(instruction)
    values = " and ".join(asked.options.values())
    actions = [turn.action for turn in trajectory.turns]
    names = seen_in(trajectory)
    coined = [name for doubt in doubts_in(observation) for name in doubt.meanings]
    hits = next(hits for turn in trajectory.turns if (hits := hits_on(turn.observation)))
    counts = Counter(re.findall(r"[\w-]+", observation))
    told = observation.partition("\n\n")[2]
    return {
        **{f"first {size}": observation[:size] for size in (300, 600, 1_000)},
        **{f"first {size} of the trial": told[:size] for size in (300, 600, 1_000)},
        **{f"last {size}": observation[-size:] for size in (300, 600, 1_000)},
        "task": trajectory.task,
        "task as advice": f"Search for {asked.thing}, buy one that is {asked.attribute} and choose {values}.",
        "task as queries": f'Search for "{asked.attribute} {values}" and read the reviews.',
        "task as riddle": f"Choose what the reviews call {values} and the maker that they call {asked.attribute}.",
        "actions": ", then ".join(actions),
        "shotgun": f"Choose {', '.join(names)}.",
        "shotgun at the coined": f"Choose {' and '.join(coined)}.",
        **{f"{n} of all": f"Choose {' and '.join(rng.permutation(names)[:n])}." for n in (1, 2, 3)},
        **{f"{n} of the coined": f"Choose {' and '.join(rng.permutation(coined)[:n])}." for n in (1, 2)},
        "first review": f"Choose {coined[0]}.",
        "last review": f"Choose {coined[-1]}.",
        "last name": f"Choose {names[-1]}.",
        "most named": f"Choose {max(names, key=counts.__getitem__)}.",
        "least named": f"Choose {min(coined, key=counts.__getitem__)}.",
        "first link": f"Open {hits[0].asin}.",
        "last link": f"Open {hits[-1].asin}.",
        "cheapest": f"Open {min(hits, key=lambda hit: hit.price).asin}.",
        "last choice": f"{actions[-2]} again.",
        "another's oracle": teacher.oracle_reflection(f"test-{rng.integers(500):04d}"),
        "a training task's": teacher.oracle_reflection(f"train-{rng.integers(20_000):05d}"),
        "vague": "Look more carefully, check the reviews, and choose the right product with the right options.",
        "place": "Buy the second product and choose the last option.",
    }


@pytest.fixture(scope="module")
def outcomes(env):
    """Success at trial 1 by policy, a task that was solved at trial 0 counts as solved; and facts about the trials."""
    rng = np.random.default_rng(0)
    teacher = env.task_env.teacher
    earned, facts = defaultdict(list), defaultdict(list)
    for seed, task_id in enumerate(env.task_env.task_ids("test")[:TASKS]):
        observation, info = env.reset(seed=seed, options={"task_id": task_id})
        facts["solved"].append(info["success"])
        if info["success"]:
            continue
        facts["length"].append(len(observation))
        facts["turns"].append(len(env.trajectory.turns))
        policies = {
            "none": "",
            "oracle": teacher.oracle_reflection(task_id),
            "rule": teacher.rule_reflection(observation),
            "told": teacher.told_reflection(task_id),
            "noisy": teacher.noisy_reflection(env.trajectory, rng),
            **must_not_work(env, observation, rng),
        }
        for policy, outcome in zip(policies, env.branch(list(policies.values())), strict=True):
            earned[policy].append(outcome.success)
    failed = 1 - np.mean(facts["solved"])
    return {policy: 1 - failed + failed * np.mean(each) for policy, each in earned.items()}, facts


def test_a_plain_retry_sometimes_helps(outcomes):
    success, facts = outcomes
    assert 0.05 <= np.mean(facts["solved"]) <= 0.25
    assert 0.2 <= success["none"] <= 0.45


def test_oracle_and_rule_solve_nearly_everything(outcomes):
    success, _ = outcomes
    assert min(success["oracle"], success["rule"], success["told"]) >= 0.97


def test_nothing_that_does_not_read_the_failure_works(outcomes):
    success, _ = outcomes
    known = {"none", "oracle", "rule", "told", "noisy"}
    bound = success["none"] + 0.12 * (success["oracle"] - success["none"])  # a tenth, and some luck in 100 tasks
    assert {policy: value for policy, value in success.items() if policy not in known and value > bound} == {}
    assert len(success) > 30


def test_the_noisy_teacher_is_between(outcomes):
    success, _ = outcomes
    assert 0.04 < success["noisy"] - success["none"] < 0.25


def test_what_the_reflector_reads_is_short(outcomes):
    _, facts = outcomes
    assert np.mean(facts["length"]) < 1_900
    assert max(facts["length"]) < 2_500
    assert max(facts["turns"]) <= 10


@pytest.mark.parametrize("temperature", [0.0, 1.0, 4.0])
def test_every_failure_shows_what_was_needed(temperature):
    """Whatever the luck: five names of each sort that the oracle names, and what each of them stands for."""
    env = gym.make("RetroWebShop-v0", split="train", world_seed=3, actor_kwargs={"temperature": temperature}).unwrapped
    teacher = env.task_env.teacher
    for seed, task_id in enumerate(env.task_env.task_ids("train")[:300]):
        observation, info = env.reset(seed=seed, options={"task_id": task_id})
        if not info["success"]:
            assert teacher.rule_reflection(observation) == teacher.oracle_reflection(task_id)
            assert all(len(doubt.meanings) == 5 for doubt in doubts_in(observation))


def test_luck_is_alike_on_all_causes_and_gone_at_temperature_zero(env):
    cold = gym.make("RetroWebShop-v0", split="test", actor_kwargs={"temperature": 0}).unwrapped
    solved = defaultdict(list)
    for seed, task_id in enumerate(env.task_env.task_ids("test")[:400]):
        solved[env.task_env.teacher.failure_cause(task_id)].append(
            env.reset(seed=seed, options={"task_id": task_id})[1]["success"]
        )
        if seed < 40:
            first, again = (cold.reset(seed=s, options={"task_id": task_id})[1]["trajectory"] for s in (seed, 99))
            assert first["turns"] == again["turns"]
    for cause, each in solved.items():
        assert np.mean(each) < 0.25 if " and " in cause else 0.08 < np.mean(each) < 0.36


def test_too_much_or_contradicting_advice_costs(env):
    """On an option the actor can use two names and takes one of them by luck; with more it chooses nothing."""
    teacher, names = env.task_env.teacher, []
    for seed, task_id in enumerate(env.task_env.task_ids("test")):
        if teacher.failure_cause(task_id) == "first option":
            observation, info = env.reset(seed=seed, options={"task_id": task_id})
            if not info["success"]:
                break
    (doubt,) = doubts_in(observation)
    names = sorted(doubt.meanings, key=lambda name: name != doubt.right)
    texts = [f"Choose {' and '.join(names[:count])}." for count in (1, 2, 3, 5)]
    texts.append(f"Choose {names[0]}. Do not choose {names[0]}.")
    outcomes = [each.trajectory.turns for each in env.branch(texts)]
    chosen = [[name for name in names if f"click[{name}]" in [turn.action for turn in turns]] for turns in outcomes]
    assert chosen[0] == names[:1]
    assert chosen[1] in ([names[0]], [names[1]])
    assert chosen[2] == chosen[3] == []
    assert len(chosen[4]) == 1


def test_the_latest_reflection_counts_and_others_are_not_lost(env):
    """Of several reflections on one decision the last one counts; on another decision an earlier one still does."""
    env = gym.make("RetroWebShop-v0", split="test", max_reflections=3).unwrapped
    teacher = env.task_env.teacher
    two = [t for t in env.task_env.task_ids("test") if teacher.failure_cause(t) == "first option and second option"]
    for seed, task_id in enumerate(two[:6]):
        observation, info = env.reset(seed=seed, options={"task_id": task_id})
        if info["success"]:
            continue
        first, second = doubts_in(observation)
        wrong = next(name for name in first.meanings if name != first.right)
        env.step(f"Choose {wrong}.")
        _, _, terminated, _, _ = env.step(f"Choose {first.right} instead of {wrong}.")
        if not terminated:
            assert env.step(f"Select {second.right} as the {second.kind}.")[1] == 1.0


# -- the actor alone -------------------------------------------------------------------------------------------------

TASK = "WebShop [SEP] Instruction: [SEP] i would like a jute kettle, and price lower than 40.00 dollars [SEP] Search"
RESULTS = (
    "Back to Search [SEP] Page 1 (Total results: 2) [SEP] Next > [SEP] B00017 [SEP] Ansel kettle [SEP] $48.5 "
    "[SEP] B00018 [SEP] Tarn kettle, matte [SEP] $8.5 to $10.5 [SEP] B00019 [SEP] Wick kettle, satin [SEP] $9.0"
)


def replies(*reflections, turns=(), seed=1):
    """The action that the actor takes, from the parts of a prompt, from its text, and from a server's request."""
    prompt = Prompt(WEBSHOP_PROMPT.instruction, WEBSHOP_PROMPT.examples, reflections, TASK, tuple(turns), seed=seed)
    told = [
        prompt,
        hosted_prompt({"messages": prompt.messages("chat"), "seed": seed}),
        hosted_prompt({"prompt": prompt.text, "seed": seed}),
    ]
    actions = {reply.text for reply in ScriptedShopActor().reply(told)}
    assert len(actions) == 1
    return actions.pop().partition(f"Action {len(turns) + 1}: ")[2]


def test_it_reads_the_prompts_text_and_nothing_else():
    assert replies() == "search[jute kettle]"
    assert replies('Search for "kettle of Tarn" and buy B00018.') == "search[kettle of tarn]"
    found = Turn("", "search[jute kettle]", RESULTS)
    unaided = {replies(turns=[found], seed=seed) for seed in range(20)}
    assert unaided == {"click[B00018]", "click[B00019]"}  # the first one costs too much
    for seed in range(20):
        assert replies("Buy the one from Wick.", turns=[found], seed=seed) == "click[B00019]"
        assert replies("b00017 was the right one!", turns=[found], seed=seed) == "click[B00017]"
    assert replies("Buy B00099.", turns=[found]) == "click[Next >]"


def test_a_search_that_finds_nothing_is_tried_in_other_words():
    nothing = "Back to Search [SEP] Page 1 (Total results: 0)"
    turns = [Turn("", "search[x y]", nothing)]
    assert replies('Search for "x y".', turns=turns) == "click[Back to Search]"
    turns.append(Turn("", "click[Back to Search]", TASK))
    assert replies('Search for "x y".', turns=turns) == "search[jute kettle]"
    turns += [Turn("", "search[jute kettle]", nothing), Turn("", "click[Back to Search]", TASK)]
    assert replies('Search for "x y".', turns=turns) == "search[kettle]"


@given(st.lists(st.text(max_size=40), max_size=3), st.lists(st.text(max_size=60), max_size=4))
def test_no_prompt_upsets_it(reflections, observations):
    turns = tuple(Turn("", "search[x]", text) for text in observations)
    prompt = Prompt("Buy.", (), tuple(reflections), TASK, turns, seed=0)
    (reply,) = ScriptedShopActor().reply([prompt])
    assert re.fullmatch(r"(?:Thought \d+: .+\n)?Action \d+: (?:search|click)\[.+\]", reply.text)
