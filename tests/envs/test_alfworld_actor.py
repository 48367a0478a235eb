"""The scripted actor, the oracle and the noisy teacher, played on the built-in test tasks."""

from collections import Counter

import gymnasium as gym
import numpy as np
import pytest

import retro_gym  # noqa: F401 - registers the environments
from retro_gym.prompts import Prompt
from retro_gym.testing.hosting import hosted_prompt
from retro_gym.trajectory import Turn
from retro_gym_envs.alfworld.actor import ScriptedAlfworldActor
from retro_gym_envs.alfworld.advice import read_reflection
from retro_gym_envs.alfworld.observations import read_goal
from tests.envs.first_trials import share, solved_unaided, success_at_trial_1, success_with_anothers_oracle

TASKS = 150
VAGUE = (
    "Look more carefully.",
    "Try again and think step by step.",
    "",
    "I should be more careful next time, clean everything and search all drawers before I give up.",
    "Check both cabinets and use the lamp.",
)


@pytest.fixture(scope="module")
def env():
    return gym.make("RetroALFWorld-v0", split="test").unwrapped


@pytest.fixture(scope="module")
def solved(env):
    return solved_unaided(env, TASKS)


def test_unaided_it_fails_mostly(solved):
    assert 0.15 <= share(solved) <= 0.40


def test_a_vague_reflection_changes_nothing(env, solved):
    unaided = share(solved)
    assert success_at_trial_1(env, solved, lambda _: VAGUE) == unaided


def test_the_oracle_solves_nearly_everything(env, solved):
    assert success_at_trial_1(env, solved, env.task_env.teacher.oracle_reflection) >= 0.95


def test_another_tasks_oracle_brings_next_to_nothing(env, solved):
    shuffled = success_with_anothers_oracle(env, solved)
    assert shuffled <= share(solved) + 0.05


def test_the_teacher_is_well_formed_grounded_and_usually_wrong(env, solved):
    rng = np.random.default_rng(0)
    distinct = []

    def write(_):
        texts = [env.task_env.teacher.noisy_reflection(env.trajectory, rng) for _ in range(5)]
        for text in texts:
            check = env.task_env.teacher.check_reflection(text, env.trajectory)
            assert check.well_formed, text
            assert check.grounded, text
            assert len(text.split()) <= 22
        different = list(dict.fromkeys(texts))
        distinct.append(np.mean([outcome.success for outcome in env.branch(different)]))
        return texts

    unaided = share(solved)
    assert 0.05 <= success_at_trial_1(env, solved, write) - unaided <= 0.25
    assert 0.05 <= np.mean(distinct) <= 0.35


def test_failures_are_short(env, solved):
    lengths = []
    for task_id, success in solved.items():
        if not success:
            observation, _ = env.reset(seed=0, options={"task_id": task_id})
            lengths.append(len(observation))
    assert np.median(lengths) < 2_200
    assert max(lengths) < 4_000


def test_the_oracle_is_a_form_of_the_teacher_and_stands_in_the_failure(env, solved):
    for task_id, success in list(solved.items())[:100]:
        if not success:
            env.reset(seed=0, options={"task_id": task_id})
            text = env.task_env.teacher.oracle_reflection(task_id)
            check = env.task_env.teacher.check_reflection(text, env.trajectory)
            assert check.well_formed, text
            assert check.grounded, text


def failed(env, type_, **wanted):
    """The first failed test task of a type whose goal is as wanted; it is left as the current episode."""
    for task_id in env.task_env.task_ids("test"):
        goal = read_goal(env.task_env.task(task_id).goal)
        if env.task_env.task(task_id).type == type_ and all(getattr(goal, k) == v for k, v in wanted.items()):
            _, info = env.reset(seed=0, options={"task_id": task_id})
            if not info["success"]:
                return task_id
    raise AssertionError("no such failure")


def test_a_wrong_place_or_treatment_leads_astray(env):
    task_id = failed(env, "pick_heat_then_place_in_recep", plain=False)
    right = env.task_env.teacher.oracle_reflection(task_id)
    outcomes = env.branch([right, right.replace("heat it", "cool it"), right.replace("heat it", "put it away")])
    assert [outcome.success for outcome in outcomes] == [True, False, False]


@pytest.mark.parametrize(
    "form",
    [
        "The {o} is in the {p}. Go there first, take it and {t} it.",
        "I should have opened the {p}: the {o} was there. After that I must {t} it before I put it down.",
        "Next time {t} the {o}. It is in the {p}",
    ],
)
def test_it_understands_other_words_for_the_same(env, form):
    task_id = failed(env, "pick_heat_then_place_in_recep")
    task = env.task_env.task(task_id)
    place = next(p for p, things in task.contents if f"{task.thing} 1" in things)
    assert env.branch([form.format(o=task.thing, p=place, t="heat")])[0].success


def test_it_reads_the_prompts_text_and_nothing_else(env):
    env.reset(seed=0)
    trajectory = env.trajectory
    actor, told = ScriptedAlfworldActor(), env.task_env.prompt
    for number in range(len(trajectory.turns)):
        turns = trajectory.turns[:number]
        prompt = Prompt(told.instruction, told.examples, ("x",), trajectory.task, turns, seed=number)
        for shape in ("user", "chat"):
            hosted = hosted_prompt({"messages": prompt.messages(shape), "seed": 99})
            assert actor.reply([hosted])[0].text == actor.reply([prompt])[0].text
        assert f"Action {number + 1}: {trajectory.turns[number].action}" in actor.reply([prompt])[0].text


def test_it_does_not_insist_on_going_where_it_is():
    """In real games a drawer may be at the very place of its desk: one is there already, and ``go to`` does nothing."""
    task = (
        "You are in the middle of a room. Looking quickly around you, you see a desk 1, and a drawer 1.\n"
        "Your task is to: put a cd in drawer."
    )
    turns = (
        Turn("", "go to desk 1", "You arrive at desk 1. On the desk 1, you see a cd 2."),
        Turn("", "take cd 2 from desk 1", "You pick up the cd 2 from the desk 1."),
        Turn("", "go to drawer 1", "Nothing happens."),
    )
    replies = [ScriptedAlfworldActor().reply([Prompt("", (), (), task, turns[:n], seed=0)])[0].text for n in range(4)]
    assert [reply.rpartition(": ")[2] for reply in replies] == [
        *(turn.action for turn in turns),
        "move cd 2 to drawer 1",
    ]


def test_what_it_reads_may_be_anything():
    actor = ScriptedAlfworldActor()
    turn = Turn("", "look", "You arrive at . The  is closed.\n> You move the  to the .")
    texts = ["", "Your task is to: ", "Your task is to: put a mug in shelf.", "You are in the middle of a room."]
    for text in texts:
        reply = actor.reply([Prompt("", (), ("mug shelf 1",), text, (turn,), seed=0)])[0]
        assert "Action 2: " in reply.text


def test_the_teachers_likeliest_reflection_is_mostly_wrong(env, solved):
    rng = np.random.default_rng(1)
    right = []
    for task_id, success in list(solved.items())[:60]:
        if not success:
            env.reset(seed=0, options={"task_id": task_id})
            drawn = Counter(env.task_env.teacher.noisy_reflection(env.trajectory, rng) for _ in range(200))
            right.append(env.branch([drawn.most_common(1)[0][0]])[0].success)
    assert np.mean(right) < 0.3


def test_without_a_list_on_the_wall_the_teacher_guesses():
    bare = gym.make("RetroALFWorld-v0", split="test", note=False).unwrapped
    rng = np.random.default_rng(0)
    for seed in range(40):
        bare.reset(seed=seed)
        text = bare.task_env.teacher.noisy_reflection(bare.trajectory, rng)
        check = bare.task_env.teacher.check_reflection(text, bare.trajectory)
        assert check.well_formed, text
        assert check.grounded, text


def test_the_teacher_depends_on_its_generator_alone(env):
    env.reset(seed=3)
    first = [env.task_env.teacher.noisy_reflection(env.trajectory, np.random.default_rng(5)) for _ in range(2)]
    assert first[0] == first[1]


def test_check_reflection_tells_form_from_content(env):
    task_id = failed(env, "pick_clean_then_place_in_recep")
    right = env.task_env.teacher.oracle_reflection(task_id)
    place = read_reflection(right, env.task_env.task(task_id).thing, env.task_env.task(task_id).receptacles).places[0]
    wrong = env.task_env.teacher.check_reflection(right.replace(place, "cabinet 77"), env.trajectory)
    assert wrong.well_formed
    assert not wrong.grounded
    for text in ("Be careful.", right + " And so on", right[:-1], ""):
        assert not env.task_env.teacher.check_reflection(text, env.trajectory).well_formed


@pytest.mark.parametrize(
    ("text", "places", "treatment"),
    [
        ("Look for the mug 1 in the drawer 2, then clean it.", ("drawer 2",), "clean"),
        ("Look for the mug 1 in the drawer 2 and for the mug 2 on the shelf 1, then bring both.", None, "two"),
        ("Take the mug from drawer 2 and put it in the shelf 1.", ("drawer 2",), ""),
        ("Wash the mug first.", (), "clean"),
        ("Take the mug to the lamp.", (), "light"),
        ("The MUG 1 is in the DRAWER 2.", ("drawer 2",), ""),
        ("The mug 1 is in the drawer 9.", (), ""),
        ("The cup 1 is in the drawer 2, heat it.", (), ""),
        ("", (), ""),
    ],
)
def test_reflections_are_read(text, places, treatment):
    advice = read_reflection(text, "mug", ["drawer 2", "shelf 1"])
    assert advice.places == (("drawer 2", "shelf 1") if places is None else places)
    assert advice.treatment == treatment
