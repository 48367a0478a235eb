"""The scripted actor, the oracle and the noisy teacher, played on the built-in test tasks."""

import gymnasium as gym
import numpy as np
import pytest

import retro_gym  # noqa: F401 - registers the environments
from retro_gym.prompts import Prompt
from retro_gym_envs.hotpotqa.actor import ScriptedHotpotActor
from retro_gym_envs.hotpotqa.advice import read_reflection
from retro_gym_envs.hotpotqa.observations import answer_sort, candidates, spans
from tests.envs.first_trials import share, solved_unaided, success_at_trial_1, success_with_anothers_oracle

TASKS = 300


@pytest.fixture(scope="module")
def env():
    return gym.make("RetroHotpotQA-v0", split="test").unwrapped


@pytest.fixture(scope="module")
def solved(env):
    return solved_unaided(env, TASKS)


def test_unaided_it_fails_mostly(env, solved):
    assert 0.20 <= share(solved) <= 0.45
    bridges = {task_id: s for task_id, s in solved.items() if env.task_env.teacher.task_group(task_id) == "bridge"}
    assert share(bridges) < 0.5


def test_a_vague_reflection_brings_nothing(env, solved):
    for vague in (
        "I should be more careful next time and check every step before I answer.",
        "Be more careful! Read everything twice. Think step by step.",
        "Search better. Look at other pages.",
    ):
        assert success_at_trial_1(env, solved, lambda _, text=vague: text) == share(solved)


def test_the_oracle_solves_nearly_everything(env, solved):
    assert success_at_trial_1(env, solved, env.task_env.teacher.oracle_reflection) >= 0.85


def test_another_tasks_oracle_brings_next_to_nothing(env, solved):
    shuffled = success_with_anothers_oracle(env, solved)
    assert shuffled <= share(solved) + 0.05


def test_a_wrong_name_or_attribute_leads_astray(env):
    task_id = next(t for t in env.task_env.task_ids("test") if env.task_env.task(t).type == "bridge")
    env.reset(seed=0, options={"task_id": task_id})
    right = env.task_env.teacher.oracle_reflection(task_id)
    name = read_reflection(right).entities[0]
    attribute = read_reflection(right).attribute.name
    astray = [right.replace(name, "Skumex Orvin"), right.replace(attribute, "prize and the mayor")]
    assert [outcome.success for outcome in env.branch([right, *astray])] == [True, False, False]


@pytest.mark.parametrize("form", ["Next time search for {n}, then find the {a} there.", 'Read "{n}" and note its {a}!'])
def test_it_understands_other_words_for_the_same(env, form):
    task_id = next(t for t in env.task_env.task_ids("test") if env.task_env.task(t).type == "bridge")
    env.reset(seed=0, options={"task_id": task_id})
    advice = read_reflection(env.task_env.teacher.oracle_reflection(task_id))
    text = form.format(n=advice.entities[0], a=advice.attribute.name)
    assert env.branch([text])[0].success


def test_it_reads_the_prompts_text_and_nothing_else():
    actor = ScriptedHotpotActor()
    parts = Prompt("Instruction", (), (), "Question: Who owns Velmora Works?", (), seed=1)
    told = Prompt(parts.text.rstrip(), (), (), "", (), seed=2, template="{instruction}")
    assert (
        actor.reply([parts])[0].text
        == actor.reply([told])[0].text
        == ("Thought 1: I should look up Velmora Works.\nAction 1: Search[Velmora Works]")
    )


def test_teacher_is_well_formed_grounded_and_usually_wrong(env):
    rng = np.random.default_rng(0)
    right = []
    for seed in range(200):
        env.reset(seed=seed)
        text = env.task_env.teacher.noisy_reflection(env.trajectory, rng)
        check = env.task_env.teacher.check_reflection(text, env.trajectory)
        assert check.well_formed, text
        assert check.grounded, text
        right.append(env.branch([text])[0].success)
    assert 0.03 < np.mean(right) < 0.3


def test_teacher_depends_on_its_generator_alone(env):
    env.reset(seed=3)
    first = [env.task_env.teacher.noisy_reflection(env.trajectory, np.random.default_rng(5)) for _ in range(2)]
    assert first[0] == first[1]


def test_check_reflection_tells_form_from_content(env):
    group = env.task_env.teacher.task_group
    env.reset(seed=next(s for s in range(50) if group(env.reset(seed=s)[1]["task_id"]) == "bridge"))
    right = env.task_env.teacher.oracle_reflection(env.trajectory.task_id)
    name = read_reflection(right).entities[0]
    assert env.task_env.teacher.check_reflection(right, env.trajectory).grounded
    wrong = env.task_env.teacher.check_reflection(right.replace(name, "Skumex Orvin"), env.trajectory)
    assert wrong.well_formed
    assert not wrong.grounded
    assert not env.task_env.teacher.check_reflection("Be careful.", env.trajectory).well_formed
    assert not env.task_env.teacher.check_reflection(right + " And so on", env.trajectory).well_formed


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("In what year was the director of Velmora Nights born?", ["Velmora Nights"]),
        ('Who covered "If You Ever Get Lonely"?', ["If You Ever Get Lonely"]),
        ("Search[Maine gubernatorial election, 1820] next", ["Maine gubernatorial election, 1820"]),
        ("The capital of New Zealand", ["New Zealand"]),
        ("be careful. Nothing else", []),
        ("", []),
    ],
)
def test_spans(text, names):
    assert spans(text) == names


@pytest.mark.parametrize(
    ("question", "offered"),
    [
        ("Who was born first, Lucie Hradecká or Raffaella Reggi?", ["Lucie Hradecká", "Raffaella Reggi"]),
        ("What are Woman's Era and Naj?", ["Woman's Era", "Naj"]),
        ("Who owns Velmora Works?", []),
    ],
)
def test_candidates(question, offered):
    assert candidates(question) == offered


@pytest.mark.parametrize(
    ("question", "sort"),
    [
        ("When was it?", "year"),
        ("How many are there?", "number"),
        ("Who is it?", "person"),
        ("Where is it?", "place"),
        ("Which prize is it?", "name"),
    ],
)
def test_answer_sort(question, sort):
    assert answer_sort(question) == sort
