"""The four rewards through RetroEnv, against values worked out by hand; branch; records; the bank."""

import copy

import numpy as np
import pytest

from retro_gym import FailureBank, RecordWriter, RetroEnv, read_records
from retro_gym.errors import ActionError, EpisodeError, NoFailureError, UnknownTaskError
from retro_gym.seeding import derive_seed
from retro_gym.testing import EchoActor, FlakyActor, IdentityEnv, LuckyActor

DRAWS = {"0.0": 0.4, "0.5": 0.4, "0.75": 0.2}


@pytest.fixture
def make(graded):
    """A RetroEnv whose actor says its last reflection, and 0.25 without one."""

    def made(actor=None, **kwargs):
        return RetroEnv(graded(), actor=actor or EchoActor("0.25"), **kwargs)

    return made


# -- rewards -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [  # returns of the trials: 0.25, 0.75, 0.5, 1.0
        ({"reward": "return"}, [0.75, 0.5, 1.0]),
        ({"reward": "improvement"}, [0.5, -0.25, 0.5]),
        ({"reward": "retroact"}, [0.5 * 1.25, -0.25 * 1.75, 0.5 * 1.5]),
        ({"reward": "retroact", "retroact_c": 0.5}, [0.5 * 0.75 / 0.5, -0.25 * 1.25 / 0.5, 0.5 * 1.0 / 0.5]),
        ({"reward": "over_control"}, [0.5, -0.25, 0.5]),  # the controls repeat what the memory says
    ],
)
def test_rewards_of_an_episode(make, kwargs, expected):
    env = make(**kwargs)
    env.reset(seed=0)
    steps = [env.step(text) for text in ("0.75", "0.5", "1.0")]
    assert [step[1] for step in steps] == pytest.approx(expected, abs=1e-12)
    assert [step[4]["return"] for step in steps] == [0.75, 0.5, 1.0]
    assert [step[2] for step in steps] == [False, False, True]


def drawn(episode_seed, task_id, trial, replica):
    """What the lucky actor says in the first turn of a trial, from the seeds as they are documented."""
    seed = derive_seed(derive_seed(episode_seed, task_id, trial, replica), "turn", 0)
    return float(np.random.default_rng(seed).choice(list(DRAWS), p=list(DRAWS.values())))


@pytest.mark.parametrize("replicas", [1, 4, 7])
def test_over_control_takes_the_luck_of_common_seeds_away(make, replicas):
    env = make(LuckyActor(DRAWS), reward="over_control", control_trials=replicas)
    for seed in range(10):
        _, info = env.reset(seed=seed)
        for trial in (1, 2):
            draws = [drawn(env._episode_seed, info["task_id"], trial, replica) for replica in range(replicas)]
            _, reward, _, _, info = env.step("this reflection has no effect")
            assert info["return"] == draws[0]  # the step and the first control share their seeds
            assert reward == pytest.approx(draws[0] - np.mean(draws), abs=1e-12)


def test_controls_are_played_without_the_new_reflection(make):
    actor = EchoActor("0.25")
    env = make(actor, reward="over_control", control_trials=3, memory_window=1)
    env.reset(seed=0)
    env.step("0.5")
    actor.prompts.clear()
    env.step("0.75")
    assert [prompt.reflections for prompt in actor.prompts] == [("0.75",), ("0.5",), ("0.5",), ("0.5",)]
    assert len({prompt.seed for prompt in actor.prompts}) == 3


def test_controls_of_a_state_are_played_once(make):
    env = make(reward="over_control", control_trials=5)
    env.reset(seed=0)
    calls = []
    for call in (lambda: env.branch(["0.5", "0.75"]), lambda: env.branch(["0.1"]), lambda: env.step("0.1")):
        before = env.stats.calls
        call()
        calls.append(env.stats.calls - before)
    assert calls == [2 + 5, 1, 1]


def test_a_control_on_which_the_actor_fails_is_left_out(make):
    failing = derive_seed("the seed of no prompt")
    env = make(FlakyActor(LuckyActor(DRAWS), lambda prompt: prompt.seed == failing), reward="over_control")
    _, info = env.reset(seed=0)
    draws = [drawn(env._episode_seed, info["task_id"], 1, replica) for replica in range(4)]
    failing = derive_seed(derive_seed(env._episode_seed, info["task_id"], 1, 2), "turn", 0)
    _, reward, _, truncated, _ = env.step("x")
    assert not truncated
    assert reward == pytest.approx(draws[0] - np.mean([draws[0], draws[1], draws[3]]), abs=1e-12)


def test_without_any_control_there_is_no_reward(make):
    flaky = FlakyActor(EchoActor("0.25"), lambda prompt: False)
    env = make(flaky, reward="over_control")
    env.reset(seed=0)
    flaky.fails = lambda prompt: not prompt.reflections
    _, reward, terminated, truncated, info = env.step("0.5")
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert info["actor_error"] == "every control trial failed"


# -- branch --------------------------------------------------------------------------------------------------------


def state(env):
    return env.trajectory, env.memory, env._observation(), copy.deepcopy(env.np_random.bit_generator.state)


@pytest.mark.parametrize("reward", ["return", "improvement", "retroact", "over_control"])
def test_branch_pays_what_step_pays_and_leaves_the_state(make, reward):
    env = make(LuckyActor(DRAWS), reward=reward)
    for seed in range(5):
        env.reset(seed=seed)
        env.step("0.1")
        before = state(env)
        outcomes = env.branch(["0.5", "", "x" * 5_000, "1.0"])
        assert state(env) == before
        for outcome in outcomes:
            twin = copy.deepcopy(env)
            _, paid, *_ = twin.step(outcome.reflection)
            assert outcome.reward == paid
            assert outcome.trajectory == twin.trajectory
        assert state(env) == before


def test_branches_differ_by_their_reflections_alone(make):
    actor = EchoActor("0.25")
    env = make(actor)
    env.reset(seed=0)
    actor.prompts.clear()
    outcomes = env.branch(["0.5", "0.75", "0.5", "1.0"])
    assert [outcome.reward for outcome in outcomes] == [0.5, 0.75, 0.5, 1.0]
    assert [outcome.success for outcome in outcomes] == [False, False, False, True]
    assert len({prompt.seed for prompt in actor.prompts}) == 1
    assert outcomes[0] == outcomes[2]


def test_branch_cuts_as_step_does(make):
    env = make(max_reflection_chars=3)
    env.reset(seed=0)
    (outcome,) = env.branch(["0.55555"])
    assert (outcome.reflection, outcome.reward) == ("0.5", 0.5)


def test_branch_of_nothing(make):
    env = make()
    env.reset(seed=0)
    assert env.branch([]) == []


def test_a_branch_on_which_the_actor_fails_has_no_reward(make):
    env = make(FlakyActor(EchoActor("0.25"), lambda prompt: "bad" in prompt.reflections))
    env.reset(seed=0)
    good, bad = env.branch(["0.5", "bad"])
    assert (good.reward, good.actor_error) == (0.5, None)
    assert (bad.reward, bad.actor_error) == (None, "no connection (simulated)")
    assert env.step("0.75")[1] == 0.75  # the episode goes on


@pytest.mark.parametrize(("reflections", "said"), [(["x", 3], "int"), ("text", "several"), ([None], "NoneType")])
def test_branch_takes_texts_only(make, reflections, said):
    env = make()
    env.reset(seed=0)
    with pytest.raises(ActionError, match=said):
        env.branch(reflections)


def test_branch_after_the_end(make):
    env = make(max_reflections=1)
    env.reset(seed=0)
    env.step("0.5")
    with pytest.raises(EpisodeError, match="is over"):
        env.branch(["0.5"])


# -- records -------------------------------------------------------------------------------------------------------


@pytest.fixture
def recorded(make, tmp_path):
    path = tmp_path / "records.jsonl"
    env = make(reward="over_control", control_trials=2, records=path)
    observation, _ = env.reset(seed=0)
    env.branch(["0.5", "0.75"])
    env.step("0.75")
    env.close()
    return env, observation, path


def test_every_trial_is_recorded_with_where_it_came_from(recorded):
    _, _, path = recorded
    trials = [(row["source"], row["trial"], row["return"], row["reflections"]) for row in read_records(path, "trial")]
    assert trials == [
        ("reset", 0, 0.25, []),
        ("branch", 1, 0.5, ["0.5"]),
        ("branch", 1, 0.75, ["0.75"]),
        ("control", 1, 0.25, []),
        ("control", 1, 0.25, []),
        ("step", 1, 0.75, ["0.75"]),
    ]


def test_every_reflection_is_recorded_with_what_it_earned(recorded):
    env, observation, path = recorded
    rows = list(read_records(path, "reflection"))
    assert [(row["source"], row["reflection"], row["reward"]) for row in rows] == [
        ("branch", "0.5", 0.25),
        ("branch", "0.75", 0.5),
        ("step", "0.75", 0.5),
    ]
    assert rows[-1] == {
        "schema": 1,
        "kind": "reflection",
        "episode": env._episode_seed,
        "task_id": env.trajectory.task_id,
        "trial": 0,
        "source": "step",
        "observation": observation,
        "reflection": "0.75",
        "reward": 0.5,
        "return_before": 0.25,
        "return": 0.75,
        "success": False,
    }


def test_an_actor_error_is_recorded_as_a_trial_but_not_as_a_reflection(make, tmp_path):
    path = tmp_path / "records.jsonl"
    env = make(FlakyActor(EchoActor("0.25"), lambda prompt: bool(prompt.reflections)), records=RecordWriter(path))
    env.reset(seed=0)
    env.branch(["0.5"])
    env.step("0.5")
    env.close()
    assert list(read_records(path, "reflection")) == []
    errors = [row["error"] for row in read_records(path, "trial")]
    assert errors == [None, "no connection (simulated)", "no connection (simulated)"]


# -- the bank ------------------------------------------------------------------------------------------------------


@pytest.fixture
def bank(tmp_path):
    path = tmp_path / "failures.jsonl"
    env = RetroEnv(IdentityEnv(), records=path)
    for task_id in ("train-0-red", "train-1-green", "test-2-blue"):
        env.reset(options={"task_id": task_id})
    env.close()
    return path


def test_stored_failures_stand_in_for_trial_0(bank):
    env = RetroEnv(IdentityEnv(), bank=bank)
    infos = [env.reset(seed=seed)[1] for seed in range(10)]
    assert {info["task_id"] for info in infos} == {"train-0-red", "train-1-green"}
    assert env.stats.calls == 0
    assert env.step(infos[-1]["task_id"].rpartition("-")[2])[1] == 1.0
    assert env.stats.calls == 1


def test_a_bank_may_be_shared_and_asked_for_a_task(bank):
    shared = FailureBank(bank)
    env = RetroEnv(IdentityEnv(), bank=shared, split="test")
    assert env.bank is shared
    assert env.reset(seed=0)[1]["task_id"] == "test-2-blue"
    with pytest.raises(UnknownTaskError, match="no failure of task 'train-2-blue'"):
        env.reset(options={"task_id": "train-2-blue"})


def test_a_bank_without_a_failure_of_the_split(bank):
    with pytest.raises(NoFailureError, match="'validation'"):
        RetroEnv(IdentityEnv(), bank=bank, split="validation").reset(seed=0)
