"""The scripted actor on the built-in test tasks: what reflections bring it, and what must not bring anything."""

import re
from collections import Counter

import gymnasium as gym
import numpy as np
import pytest

import retro_gym  # noqa: F401 - registers the environments
from retro_gym.prompts import Prompt
from retro_gym.testing.hosting import hosted_prompt
from retro_gym.trajectory import Turn
from retro_gym_envs.alfworld.actor import ScriptedAlfworldActor
from retro_gym_envs.alfworld.advice import read_reflections
from retro_gym_envs.alfworld.observations import NAME, Goal, kind_of, names_in, preposition, read_goal
from retro_gym_envs.alfworld.remarks import WORDS, sights_in
from tests.envs.alfworld_sentences import FETCH, TARGET, TOOL, WITHOUT_EFFECT

TASKS = 100


@pytest.fixture(scope="module")
def env():
    return gym.make("RetroALFWorld-v0", split="test", max_reflections=1).unwrapped


@pytest.fixture(scope="module")
def failures(env):
    """Observation and trajectory of every failed trial 0 of the first test tasks, by id."""
    found = {}
    for task_id in env.task_env.task_ids("test")[:TASKS]:
        observation, info = env.reset(seed=0, options={"task_id": task_id})
        if not info["success"]:
            found[task_id] = (observation, env.trajectory)
    return found


def success(env, failures, write):
    """Success after trial 1 over all tasks; ``write`` gives the reflection on a failure."""
    after = 0
    for task_id, (observation, trajectory) in failures.items():
        env.reset(seed=0, options={"task_id": task_id})
        after += env.branch([write(task_id, observation, trajectory)])[0].success
    return (TASKS - len(failures) + after) / TASKS


@pytest.fixture(scope="module")
def none(env, failures):
    return success(env, failures, lambda *_: "")


def test_a_plain_retry_sometimes_helps(failures, none):
    assert 0.10 <= 1 - len(failures) / TASKS <= 0.25
    assert 0.20 <= none <= 0.45


def test_the_oracle_solves_everything_and_the_rule_says_the_same(env, failures):
    teacher = env.task_env.teacher
    assert success(env, failures, lambda task_id, *_: teacher.oracle_reflection(task_id)) >= 0.96
    for task_id, (observation, trajectory) in failures.items():
        oracle = teacher.oracle_reflection(task_id)
        assert teacher.rule_reflection(observation) == oracle
        assert not teacher.leaks(oracle, task_id)
        check = teacher.check_reflection(oracle, trajectory)
        assert check.well_formed
        assert check.grounded
        assert len(oracle.split()) <= 30


@pytest.mark.parametrize("temperature", [0.0, 1.0, 4.0])
def test_every_failure_shows_what_is_needed(temperature):
    other = gym.make("RetroALFWorld-v0", world_seed=3, actor_kwargs={"temperature": temperature}).unwrapped
    for seed in range(60):
        observation, info = other.reset(seed=seed)
        teacher = other.task_env.teacher
        assert teacher.rule_reflection(observation) == teacher.oracle_reflection(info["task_id"])


def test_the_answer_told_is_a_leak_and_succeeds(env, failures):
    teacher = env.task_env.teacher
    assert all(teacher.leaks(teacher.told_reflection(task_id).upper(), task_id) for task_id in failures)
    assert success(env, failures, lambda task_id, *_: teacher.told_reflection(task_id)) >= 0.9


def names(trajectory):
    found = dict.fromkeys(re.findall(rf"\b{NAME}\b", trajectory.render().lower()))
    return [name for name in found if kind_of(name) not in ("thought", "action", "observation")]


def fixed(env, number):
    """A reflection that is a function of the task's text: the same number for every decision."""

    def write(task_id, observation, trajectory):
        goal, room = read_goal(trajectory.task), env.task_env.task(task_id).receptacles
        tool = {"clean": "sinkbasin", "heat": "microwave", "cool": "fridge", "light": "desklamp"}.get(goal.treatment)
        places = [name for name in room[2:] if kind_of(name) not in (tool, goal.target)]
        used = f", then use the {tool} {number}" if tool else ""
        place = places[number - 1]
        return f"Take the {goal.thing} {number} from the {place}{used}, then put it in the {goal.target} {number}."

    return write


def restated(form, *, places=False):
    """A reflection that says the same of every candidate of the decisions that the trial has shown."""

    def write(_, observation, __):
        sights = [sight for each in sights_in(observation) for sight in each]
        at = {sight: f" from the {sight.place}" if sight.place and places else "" for sight in sights}
        said = (form.format(state=sight.state, name=sight.name, at=at[sight]) for sight in sights)
        return " ".join(" ".join(said).split())

    return write


MUST_NOT_WORK = {
    "every state": restated("The {name} is {state}."),
    "every use": restated("Use the {state} {name}."),
    "every object": restated("Use the {name}{at}.", places=True),
    "every condition": restated("If the {name} is good, use the {name}."),
    "first 300": lambda _, observation, __: observation[:300],
    "first 600": lambda _, observation, __: observation[:600],
    "first 1000": lambda _, observation, __: observation[:1000],
    "last 600": lambda _, observation, __: observation[-600:],
    "last 1000": lambda _, observation, __: observation[-1000:],
    "task": lambda _, __, trajectory: trajectory.task,
    "goal": lambda _, __, trajectory: trajectory.task.partition("\n")[2],
    "actions": lambda _, __, trajectory: ", ".join(turn.action for turn in trajectory.turns),
    "all names": lambda _, __, trajectory: f"Use {', '.join(names(trajectory))}.",
    "last name": lambda _, __, trajectory: f"Use the {names(trajectory)[-1]}.",
    "vague": lambda *_: "I should be more careful, clean everything and search all drawers before I give up.",
}


@pytest.mark.parametrize("policy", MUST_NOT_WORK)
def test_what_does_not_understand_the_failure_brings_little(env, failures, none, policy):
    """At most a quarter of the way from none to oracle; over more tasks it is less than a tenth."""
    assert success(env, failures, MUST_NOT_WORK[policy]) <= none + 0.25 * (1 - none)


@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_fixed_function_of_the_task_brings_little(env, failures, none, number):
    assert success(env, failures, fixed(env, number)) <= none + 0.25 * (1 - none)


def test_another_tasks_oracle_and_random_names_bring_little(env, failures, none):
    rng, teacher = np.random.default_rng(0), env.task_env.teacher
    others = dict(zip(failures, [*list(failures)[1:], next(iter(failures))], strict=True))
    shuffled = success(env, failures, lambda task_id, *_: teacher.oracle_reflection(others[task_id]))
    assert shuffled <= none + 0.25 * (1 - none)
    for count in (1, 2, 3):
        drawn = success(
            env,
            failures,
            lambda _, __, t, n=count: f"Use the {' and the '.join(rng.choice(names(t), n, replace=False))}.",
        )
        assert drawn <= none + 0.25 * (1 - none)


def test_the_noisy_teacher_is_well_formed_grounded_and_usually_wrong(env, failures, none):
    rng, teacher = np.random.default_rng(0), env.task_env.teacher

    def write(task_id, _, trajectory):
        text = teacher.noisy_reflection(trajectory, rng)
        check = teacher.check_reflection(text, trajectory)
        assert check.well_formed, text
        assert check.grounded, text
        assert not teacher.leaks(text, task_id)
        return text

    def likeliest(_, __, trajectory):
        return Counter(teacher.noisy_reflection(trajectory, rng) for _ in range(100)).most_common(1)[0][0]

    assert 0.05 <= success(env, failures, write) - none <= 0.25
    assert success(env, failures, likeliest) <= none + 0.1


def test_no_word_for_a_state_occurs_twice(failures):
    for observation, _ in failures.values():
        for sights in sights_in(observation):
            states = [sight.state for sight in sights if sight.state]
            assert len(set(states)) == len(states)
            assert not states or sum(state in words.good for words in WORDS.values() for state in states) == 1


def test_failures_are_short(failures):
    lengths = [len(observation) for observation, _ in failures.values()]
    assert 1_000 <= np.mean(lengths) <= 1_750
    assert max(lengths) <= 2_100


# -- English ---------------------------------------------------------------------------------------------------------

PARAPHRASES = {
    "fetch": (
        "In my previous attempt I looked in the wrong place. The {thing} is {on} the {place}.",
        "I should have gone to the {place} and taken the {thing} from there.",
        "go to the {place}, the {thing} is waiting there",
        "Because it was {on} the {place} all along, grab the {thing} there before anything else.",
        "- Get the {thing} ({place})",
        "Next time, instead of searching elsewhere, pick up the {thing} at the {place}.",
        "I never looked at the {place}, where the {thing} lies.",
        "1. Visit the {place}. 2. Take the {thing}. 3. Do the rest as before.",
        "The {thing} should be taken from the {place}.",
        "Do not waste turns elsewhere; head straight to {place} for {thing}.",
        "I overlooked that the {thing} was {on} the {place}.",
        "It is the {THING} THAT I SHOULD FETCH.",
        *FETCH,
    ),
    "tool": (
        "The {thing} is the one that works, so use it.",
        "I should have used the {thing}.",
        "My mistake was the choice of the other one; use the {thing} instead.",
        "I saw that the {thing} is {state}, so I will use that one.",
        "I never tried the {thing}.",
        "I noticed a {state} {thing}. Use it!",
        "Next time I will go to the {thing} rather than to the {bad}.",
        "The right tool is {THING}.",
        *TOOL,
    ),
    "target": (
        "The {thing} has room, so put it there.",
        "I should have put the {kind} into the {thing}.",
        "bring it to {thing}",
        "Leave the {kind} at the {thing}, not at the {bad}.",
        "It must be placed {on} the {thing}.",
        "I saw that the {thing} is {state}, so I will go there.",
        "Next time, choose the {thing} rather than the {bad}.",
        "The {bad} is {badstate}, so I will take it to the {thing}.",
        *TARGET,
    ),
}
PARAPHRASES["hidden"] = PARAPHRASES["stuck"] = PARAPHRASES.pop("fetch")

NOT_ADVICE = (
    "Sing a song for the {thing}.",
    "Do not use the {thing}.",
    "Avoid the {thing}.",
    "I went to the {thing}.",
    "Should I use the {thing}?",
    "The {thing} is a nice word.",
    "I used the {thing} and it did not help.",
    "It was not the {thing}.",
    *WITHOUT_EFFECT,
)


def worded(env, failures, forms):
    """Success on the failures of one cause, by form: a form is filled with what is needed."""
    teacher, outcomes = env.task_env.teacher, {}
    for task_id in failures:
        task = env.task_env.task(task_id)
        if len(task.needs) > 1:
            continue
        observation, _ = env.reset(seed=0, options={"task_id": task_id})
        cause, name, place, _ = task.needs[0]
        sights = {sight.name: sight.state for sight in sights_in(observation)[0]}
        bad = next(other for other in sights if other != name)
        words = {"thing": name, "THING": name.upper(), "place": place, "on": preposition(place or name), "bad": bad}
        words |= {"kind": task.thing, "state": sights[name], "badstate": sights[bad]}
        assert teacher.failure_cause(task_id) == cause
        chosen = forms if isinstance(forms, tuple) else forms[cause]
        for form, outcome in zip(chosen, env.branch([form.format(**words) for form in chosen]), strict=True):
            outcomes.setdefault(form, []).append(outcome.success)
    return {form: np.mean(successes) for form, successes in outcomes.items()}


def test_it_understands_other_words_for_the_same(env, failures):
    shares = worded(env, failures, PARAPHRASES)
    assert len(shares) == len({form for forms in PARAPHRASES.values() for form in forms})
    assert np.mean(list(shares.values())) >= 0.95, shares
    assert min(shares.values()) >= 0.8, shares


def test_what_is_no_advice_does_not_act_as_advice(env, failures):
    shares = worded(env, failures, NOT_ADVICE)
    assert max(shares.values()) <= 0.35, shares


@pytest.mark.parametrize(
    ("notes", "wanted", "searched", "confused"),
    [
        (
            ["Take the mug 4 from the cart 2, then clean it with the sinkbasin 3."],
            {"mug 4", "sinkbasin 3"},
            "cart 2",
            0,
        ),
        (["Clean it with the sinkbasin 3.", "Clean it with the sinkbasin 2."], {"sinkbasin 2"}, "", 0),
        (["Clean it with the sinkbasin 3.", "Put it on the shelf 1."], {"sinkbasin 3", "shelf 1"}, "", 0),
        (["Clean it with the sinkbasin 1, the sinkbasin 2 or the sinkbasin 3."], set(), "", 1),
        (["Use the sinkbasin 2. Do not use the sinkbasin 2."], set(), "", 1),
        (["Take the mug from the bed."], set(), "bed 1", 0),
        (["Look for the mug in the sinkbasin 2."], set(), "sinkbasin 2", 0),
        (["Be careful."], set(), "", 0),
        (["Clean the plate 1 with the towel 3."], set(), "", 0),
    ],
)
def test_reflections_are_read(notes, wanted, searched, confused):
    room = ["cart 1", "cart 2", "bed 1", "sinkbasin 1", "sinkbasin 2", "sinkbasin 3", "shelf 1"]
    advice = read_reflections(notes, Goal("mug", "shelf", "clean"), room)
    assert (set(advice.wanted), " ".join(advice.searched), advice.confused) == (wanted, searched, bool(confused))


def test_two_reflections_help_where_two_things_are_needed(env):
    twice = gym.make("RetroALFWorld-v0", split="test", max_reflections=2).unwrapped
    teacher, after = twice.task_env.teacher, []
    for task_id in twice.task_env.task_ids("test")[:TASKS]:
        parts = re.split(", then ", teacher.oracle_reflection(task_id))
        _, info = twice.reset(seed=0, options={"task_id": task_id})
        if len(parts) == 2 and not info["success"]:
            for part in parts:
                *_, done, _, info = twice.step(f"{part[:1].upper()}{part[1:].rstrip('.')}.")
                if done:
                    break
            after.append(info["success"])
    assert len(after) > 8
    assert np.mean(after) >= 0.9


# -- the actor itself ------------------------------------------------------------------------------------------------


def test_it_reads_the_prompts_text_and_nothing_else(env):
    env.reset(seed=0)
    trajectory = env.trajectory
    actor, told = ScriptedAlfworldActor(), env.task_env.prompt
    for number in range(len(trajectory.turns)):
        turns = trajectory.turns[:number]
        prompt = Prompt(told.instruction, told.examples, ("x",), trajectory.task, turns, seed=number)
        for shape in ("user", "chat"):
            hosted = hosted_prompt({"messages": prompt.messages(shape), "seed": number})
            assert actor.reply([hosted])[0].text == actor.reply([prompt])[0].text


def test_without_temperature_the_seed_does_not_matter():
    cold = gym.make("RetroALFWorld-v0", split="test", actor_kwargs={"temperature": 0}).unwrapped
    warm = gym.make("RetroALFWorld-v0", split="test").unwrapped
    played = {cold: set(), warm: set()}
    for env in played:
        for seed in range(6):
            env.reset(seed=seed, options={"task_id": "test-00003"})
            played[env].add(env.trajectory.render())
    assert len(played[cold]) == 1 < len(played[warm])


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
    replies = [ScriptedAlfworldActor().reply([Prompt("", (), (), task, turns[:n], seed=n)])[0].text for n in range(4)]
    assert [reply.rpartition(": ")[2] for reply in replies] == [
        *(turn.action for turn in turns),
        "move cd 2 to drawer 1",
    ]


def test_what_it_reads_may_be_anything():
    actor = ScriptedAlfworldActor()
    turn = Turn("", "look", "You arrive at . The  is closed.\n> You move the  to the . From here you see a .")
    texts = ["", "Your task is to: ", "Your task is to: put a mug in shelf.", "You are in the middle of a room."]
    for text in texts:
        reply = actor.reply([Prompt("", (), ("mug shelf 1",), text, (turn,), seed=0)])[0]
        assert "Action 2: " in reply.text


def test_the_teacher_depends_on_its_generator_alone(env):
    env.reset(seed=3)
    first = [env.task_env.teacher.noisy_reflection(env.trajectory, np.random.default_rng(5)) for _ in range(2)]
    assert first[0] == first[1]


def test_check_reflection_tells_form_from_content(env, failures):
    task_id, (_, trajectory) = next(iter(failures.items()))
    teacher = env.task_env.teacher
    right = teacher.oracle_reflection(task_id)
    wrong = teacher.check_reflection(right.replace(names_in(right)[0], "cabinet 77"), trajectory)
    assert wrong.well_formed
    assert not wrong.grounded
    for text in ("Be careful.", right + " And so on", right[:-1], ""):
        assert not teacher.check_reflection(text, trajectory).well_formed
