"""The policies without a model: what each says, on whose knowledge, and that it is the same for the same seed."""

import gymnasium as gym
import numpy as np
import pytest

from retro_gym import RetroEnv, TaskEnv, TaskPrompt, Teacher, UnicodeText
from retro_gym.errors import ConfigError
from retro_gym.testing import EchoActor, ScriptedActor
from retro_gym.trajectory import EndReason, Trajectory, Turn
from retro_gym_agents.evaluation.evaluate import evaluate, evaluate_all
from retro_gym_agents.evaluation.evaluation import EvaluationConfig
from retro_gym_agents.play.envs import make_retro_env
from retro_gym_agents.play.policies import BASELINES, check_teacher, make_policy
from retro_gym_agents.play.policies.mentions import mentions
from tests.coin import CoinEnv

UNTAUGHT = [name for name, baseline in BASELINES.items() if baseline.needs is None]
PLACES = {"train": ["the red barn", "a blue lake", "the old mill"], "test": ["the new mill", "a lake", "a tower"]}


class Places(TaskEnv, Teacher):
    """Tasks with texts of their own, counted resets, and a teacher that names the task."""

    metadata = {"render_modes": [], "render_fps": 1}
    observation_space = action_space = UnicodeText(200)
    prompt = TaskPrompt("Go to a place.")
    resets = None  # set by a test to a list, which copies share

    def task_ids(self, split):
        return [f"{split}-{i}" for i in range(len(PLACES[split]))]

    def reset(self, *, seed=None, options=None):
        task_id = options["task_id"]
        split, _, number = task_id.partition("-")
        if self.resets is not None:
            self.resets.append(task_id)
        return f"Find {PLACES[split][int(number)]}.", {"task_id": task_id, "success": False}

    def step(self, action):
        return f"You went to '{action}'.", 0.0, False, False, {"success": False}

    def oracle_reflection(self, task_id):
        return f"oracle of {task_id}"


class Game(gym.Env):
    """A text environment that knows nothing of tasks and teachers."""

    observation_space = action_space = gym.spaces.Text(100)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return f"Guess a number of {seed % 7}.", {}

    def step(self, action):
        return "Wrong.", 0.0, True, False, {}


class GuidedGame(Game, Teacher):
    """The same, with a teacher."""

    def oracle_reflection(self, task_id):
        return f"oracle of {task_id}"


@pytest.fixture
def places():
    env = RetroEnv(Places(), actor=ScriptedActor(["go[barn 3]", "go[Lake Oru]"]), split="test", max_turns=2)
    env.reset(seed=0, options={"task_id": "test-0"})
    return env


def says(name, env, seed=0):
    (text,) = make_policy(name).reflect([env.observation_within(env.max_observation_chars)], [env], [seed])
    return text


def test_copy_is_the_observation_without_the_words_around_it(places):
    assert says("copy", places) == (
        "Find the new mill.\nAction 1: go[barn 3]\nObservation 1: You went to 'go[barn 3]'.\n"
        "Action 2: go[Lake Oru]\nObservation 2: You went to 'go[Lake Oru]'.\nReturn: 0.00"
    )
    places.max_reflection_chars = 60
    text = says("copy", places)
    assert text.startswith("Find the new mill.")
    assert text.endswith("Return: 0.00")
    assert "[...]" in text
    assert len(text) <= 60


@pytest.mark.parametrize(
    ("template", "copied"),
    [
        ("{task_id} of trial {trial}", "test-0 of trial 0"),
        ("Read: {task_id}! Now write:", "test-0"),
        ("{{failed}} {task_id} {trial} {{}}", "test-0 0"),
        ("nothing is shown", ""),
    ],
)
def test_copy_finds_those_words_in_a_template_of_ones_own(template, copied):
    env = RetroEnv(Places(), actor=EchoActor("go[mill]"), observation_template=template, max_turns=1)
    env.reset(seed=0, options={"task_id": "test-0"})
    assert says("copy", env) == copied


def test_what_is_said_of_the_task_and_of_the_actions(places):
    assert says("task_only", places) == "Next time I should do exactly what the task says: Find the new mill."
    assert says("actions", places) == "Next time I should do the following, in this order: go[barn 3]; go[Lake Oru]."


@pytest.mark.parametrize(
    ("end", "score", "said"),
    [
        (EndReason.FAILED, 0.0, "The last attempt failed: it ended without success (score 0)."),
        (EndReason.FAILED, 2 / 3, "The last attempt failed: it ended without success (score 0.67)."),
        (EndReason.FAILED, -0.001, "The last attempt failed: it ended without success (score 0)."),
        (EndReason.OUT_OF_TURNS, -1.0, "The last attempt failed: it ran out of turns (score -1)."),
        (
            EndReason.REPEATED_ACTION,
            0.0,
            "The last attempt failed: it was stopped because it repeated itself (score 0).",
        ),
        (EndReason.SOLVED, 1.0, "The last attempt solved the task (score 1)."),
    ],
)
def test_outcome_says_how_the_trial_ended_and_no_more(places, end, score, said):
    turns = (Turn("Lake Oru?", "go[barn 3]", "You went to 'barn 3'."),)
    stored = Trajectory("test-0", 0, "Find the new mill.", turns, score, end is EndReason.SOLVED, end)
    places.reset(seed=0, options={"trajectory": stored})
    assert says("outcome", places) == said


def test_outcome_speaks_of_every_end_that_leaves_something_to_reflect_on():
    env = make_retro_env("RetroIdentity-v0", split="test")
    for end in EndReason:
        if not end.void:
            env.reset(seed=0, options={"trajectory": Trajectory("test-2-blue", 0, "The word", (), 0.0, False, end)})
            assert says("outcome", env).startswith("The last attempt")


@pytest.mark.parametrize("env_id", ["RetroHotpotQA-v0", "RetroALFWorld-v0", "RetroWebShop-v0", "RetroInterCodeSQL-v0"])
def test_the_scripted_actor_gains_nothing_from_the_outcome(env_id):
    config = EvaluationConfig(env_id, "validation", num_tasks=20, trials=1)
    retry, told = evaluate_all(config, [make_policy("none"), make_policy("outcome")])
    assert any(task.reflections for task in told.tasks)
    assert [task.success for task in told.tasks] == [task.success for task in retry.tasks]


def test_shotgun_names_everything_that_is_named(places):
    assert says("shotgun", places) == (
        "Next time I should use all of the following: Find; barn 3; go[barn 3]; Lake Oru; go[Lake Oru]."
    )


def test_of_too_many_names_shotgun_draws_some_from_the_seed(places):
    places.max_reflection_chars = 75
    texts = {says("shotgun", places, seed) for seed in range(20)}
    assert len(texts) > 3
    assert all(len(text) <= 75 and "[...]" not in text for text in texts)
    assert says("shotgun", places, 5) == says("shotgun", places, 5)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("It's in the University of Velmora.", ["University of Velmora"]),
        ("The price is $60.00, not 1,250.", ["60.00", "1,250"]),
        ("[('ship_id', 'int'), (7,)]", ["ship_id", "int", "7"]),
        ('She said "look here" to him', ["look here"]),
        ("Back [SEP] light blue [SEP] B0123 [SEP] < Prev", ["Back", "SEP", "light blue", "B0123", "< Prev", "Prev"]),
        ("You see a drawer 2 and, of 12, a cup 10.", ["drawer 2", "12", "cup 10"]),
        ("nothing at all", []),
        ("", []),
    ],
)
def test_what_counts_as_named(text, named):
    trajectory = Trajectory("t", 0, "", (Turn("", "", text),), 0.0, False, EndReason.FAILED)
    assert mentions(trajectory) == named


def test_lookup_says_what_the_oracle_says_on_the_nearest_training_task(places):
    assert says("lookup", places) == "oracle of train-2"  # "the old mill"
    places.reset(seed=0, options={"task_id": "test-1"})
    assert says("lookup", places) == "oracle of train-1"
    places.reset(seed=0, options={"task_id": "test-2"})
    assert says("lookup", places).startswith("oracle of train-")  # nothing is similar
    places.reset(seed=0, options={"task_id": "train-2"})
    assert says("lookup", places) == "oracle of train-0"  # never the task itself


def test_lookup_reads_the_training_tasks_once_for_an_environment_and_its_twins(places, monkeypatch):
    monkeypatch.setattr(Places, "resets", [])
    twins = [places, places.twin(), places.twin().twin()]
    make_policy("lookup").reflect([""] * 3, twins, [0, 1, 2])
    make_policy("lookup").reflect([""], [places.twin()], [0])
    assert Places.resets == ["train-0", "train-1", "train-2"]
    assert places.task_env.resets is Places.resets


def test_lookup_draws_from_many_training_tasks(monkeypatch):
    env = make_retro_env("RetroIdentity-v0", split="test", num_tasks=2_000)
    env.reset(seed=0, options={"task_id": "test-2-blue"})
    calls = []
    reset = type(env.task_env).reset
    monkeypatch.setattr(
        type(env.task_env), "reset", lambda self, **kwargs: calls.append(kwargs) or reset(self, **kwargs)
    )
    assert says("lookup", env) == "blue"
    assert len(calls) == len({call["options"]["task_id"] for call in calls}) == 500


def test_lookup_needs_another_training_task(monkeypatch):
    monkeypatch.setitem(PLACES, "train", ["a lake"])
    env = RetroEnv(Places(), actor=EchoActor("go[mill]"), max_turns=1)
    env.reset(seed=0, options={"task_id": "train-0"})
    with pytest.raises(ConfigError, match="needs a training task other than 'train-0'; split 'train' has 1 tasks"):
        says("lookup", env)


def test_lookup_compares_tasks_without_words_too(monkeypatch):
    monkeypatch.setattr(Places, "reset", lambda self, **kwargs: ("?!", {**kwargs["options"], "success": False}))
    env = RetroEnv(Places(), actor=EchoActor("go[mill]"), max_turns=1)
    env.reset(seed=0, options={"task_id": "test-0"})
    assert says("lookup", env) == "oracle of train-0"


def test_told_and_rule_ask_the_teacher():
    env = make_retro_env("RetroIdentity-v0", split="test")
    env.reset(seed=0, options={"task_id": "test-2-blue"})
    assert says("told", env) == "Say[blue]"
    assert says("rule", env) == "blue"
    assert make_policy("rule").reflect(["The word is gold."], [env], [0]) == ["gold"]  # of the observation alone


@pytest.mark.parametrize("game", [CoinEnv, Game])
@pytest.mark.parametrize("name", [name for name in BASELINES if name not in UNTAUGHT])
def test_what_needs_a_teacher_says_so_before_anything_is_played(name, game):
    method = BASELINES[name].needs
    env = RetroEnv(game(), actor=EchoActor("Say[edge]"))
    with pytest.raises(ConfigError, match=rf"{game.__name__} has no teacher, and {method} is needed here"):
        check_teacher(make_policy(name), env)
    env.reset(seed=0)
    with pytest.raises(ConfigError, match=f"{method} is needed"):
        says(name, env)


@pytest.mark.parametrize("game", [CoinEnv, Game])
@pytest.mark.parametrize("name", UNTAUGHT)
def test_what_needs_no_teacher_plays_a_users_own_environment(name, game):
    env = RetroEnv(game(), actor=EchoActor("Say[edge]"))
    check_teacher(make_policy(name), env)
    env.reset(seed=0)
    assert says(name, env) == says(name, env)


def test_lookup_plays_a_game_that_is_fixed_by_its_seed():
    env = RetroEnv(GuidedGame(), actor=EchoActor("Say[edge]"))
    env.reset(seed=0, options={"task_id": "seed-10004"})
    number = says("lookup", env).removeprefix("oracle of seed-")
    assert 0 <= int(number) < 10_000
    assert int(number) % 7 == 10_004 % 7


@pytest.mark.parametrize("name", BASELINES)
def test_a_mixture_asks_the_teacher_of_the_tasks_environment(name):
    env = make_retro_env("RetroMix-v0", envs=["Identity-v0"], split="test")
    env.reset(seed=0, options={"task_id": "Identity-v0:test-2-blue"})
    check_teacher(make_policy(name), env)
    alone = make_retro_env("RetroIdentity-v0", split="test")
    alone.reset(seed=0, options={"task_id": "test-2-blue"})
    if name in ("oracle", "told", "rule", "lookup", "noisy", "none", "vague", "actions"):
        assert says(name, env) == says(name, alone)
    assert "blue" in says(name, env) or name in ("none", "vague", "outcome", "actions", "shotgun", "shuffled", "noisy")


def test_a_mixture_with_a_teacher_that_lacks_a_method_says_so():
    gym.register("Places-v0", Places)
    try:
        env = make_retro_env("RetroMix-v0", envs=["Identity-v0", "Places-v0"], actor=EchoActor("x"))
        with pytest.raises(ConfigError, match=r"Places.told_reflection is needed here but not defined"):
            check_teacher(make_policy("told"), env)
        check_teacher(make_policy("oracle"), env)
    finally:
        del gym.registry["Places-v0"]


@pytest.mark.parametrize("env_id", ["RetroHotpotQA-v0", "RetroALFWorld-v0", "RetroWebShop-v0", "RetroInterCodeSQL-v0"])
def test_those_that_need_no_solution_speak_of_every_embedded_environment(env_id):
    env = make_retro_env(env_id, split="test")
    env.reset(seed=3)
    texts = {name: says(name, env, seed=1) for name in UNTAUGHT}
    assert all(len(text) <= env.max_reflection_chars for text in texts.values())
    assert all(texts[name] for name in UNTAUGHT if name != "none")
    assert texts == {name: says(name, env, seed=1) for name in UNTAUGHT}
    first = env.trajectory.turns[0].action
    assert first in texts["actions"]
    assert first in texts["copy"]


def test_an_evaluation_by_name():
    policy = make_policy("lookup")
    found = evaluate("RetroIdentity-v0", policy, num_tasks=8, trials=1)
    again = evaluate("RetroIdentity-v0", make_policy("lookup"), num_tasks=8, trials=1)
    assert [task.reflections for task in found.tasks] == [task.reflections for task in again.tasks]
    assert np.mean([task.success[-1] for task in found.tasks]) == 1.0


@pytest.mark.parametrize(("leak", "success"), [("allow", [0.0, 1.0, 1.0]), ("ignore", [0.0, 0.0, 0.0])])
def test_an_evaluation_may_ignore_leaks(tmp_path, leak, success):
    """Also when it is resumed from its journal."""
    config = EvaluationConfig("RetroIdentity-v0", num_tasks=8, trials=2, env_kwargs={"leak": leak})
    for resume in (False, True):
        (found,) = evaluate_all(config, [make_policy("told")], journal=tmp_path / "journal.jsonl", resume=resume)
        assert [estimate.mean for estimate in found.success_at_trial()] == success
