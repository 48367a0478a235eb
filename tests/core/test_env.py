"""An episode of RetroEnv, from reset to close."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest

from retro_gym import RetroEnv
from retro_gym.errors import ActionError, ActorError, EpisodeError, NoFailureError, UnknownTaskError
from retro_gym.testing import EchoActor, FlakyActor, IdentityEnv, LuckyActor

LONG = 10**6


def make(**kwargs):
    return RetroEnv(IdentityEnv(), **kwargs)


def word(info):
    return info["task_id"].rpartition("-")[2]


def fails_after_reset(prompt):
    return bool(prompt.reflections)


# -- reset ---------------------------------------------------------------------------------------------------------


def test_reset_shows_a_failure():
    env = make()
    observation, info = env.reset(seed=0)
    assert observation in env.observation_space
    assert f"The word is {word(info)}." in observation
    assert "Action 1: Say[]" in observation
    assert (info["trial"], info["success"], info["return"], info["skipped"]) == (0, False, 0.0, 0)
    assert info["trajectory"] is env.trajectory


def test_the_same_seed_gives_the_same_episode_and_the_next_reset_goes_on():
    first, second = make(), make()
    assert first.reset(seed=5) == second.reset(seed=5)
    assert [first.reset() for _ in range(5)] == [second.reset() for _ in range(5)]
    tasks = {make().reset(seed=seed)[1]["task_id"] for seed in range(20)}
    assert len(tasks) > 5


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_tasks_are_of_the_split(split):
    env = make(split=split)
    assert all(env.reset(seed=seed)[1]["task_id"].startswith(split) for seed in range(5))


def test_a_task_can_be_asked_for():
    env = make()
    assert env.reset(options={"task_id": "train-3-gold"})[1]["task_id"] == "train-3-gold"


def test_a_task_that_was_asked_for_comes_solved_or_not():
    env = make(actor=EchoActor("Say[gold]"))
    _, info = env.reset(options={"task_id": "train-3-gold"})
    assert info["success"]
    assert info["skipped"] == 0


@pytest.mark.parametrize("task_id", [3, 3.0, b"train-0-red", ["train-0-red"], np.int64(3), "train-0-pink", ""])
def test_an_unknown_task_is_refused_at_the_door(task_id):
    with pytest.raises(UnknownTaskError):
        make().reset(options={"task_id": task_id})


def test_an_unknown_split_is_refused():
    with pytest.raises(UnknownTaskError, match="'dev'"):
        make(split="dev").reset(seed=0)


def test_solved_tasks_are_skipped_and_counted():
    env = make(actor=EchoActor("Say[gold]"))  # solves one task in four
    infos = [env.reset(seed=seed)[1] for seed in range(40)]
    assert {word(info) for info in infos} == {"red", "green", "blue"}
    assert {info["skipped"] for info in infos} >= {0, 1}
    assert env.stats.trials == sum(1 + info["skipped"] for info in infos)


def test_an_actor_that_solves_everything_leaves_nothing_to_reflect_on():
    env = RetroEnv(IdentityEnv(words=("red",), num_tasks=7), actor=EchoActor("Say[red]"))
    with pytest.raises(NoFailureError, match="solves all 7 tasks of split 'train'"):
        env.reset(seed=0)
    with pytest.raises(EpisodeError):
        env.step("x")


# -- an actor that fails at reset ------------------------------------------------------------------------------------


def test_a_task_on_which_the_actor_fails_is_neither_shown_nor_counted():
    flaky = FlakyActor(EchoActor("Say[gold]"), lambda prompt: "red" in prompt.task)
    env = make(actor=flaky)
    for seed in range(30):
        before = env.stats.errors, env.stats.trials
        _, info = env.reset(seed=seed)
        errors, trials = env.stats.errors - before[0], env.stats.trials - before[1]
        assert word(info) in ("green", "blue")
        assert info["skipped"] == trials - errors - 1
    assert env.stats.errors > 0


def test_an_actor_that_is_down_is_an_error_not_a_failed_task():
    env = make(actor=FlakyActor(EchoActor(), lambda prompt: True))
    with pytest.raises(ActorError, match=r"10 tasks in a row.*no connection"):
        env.reset(seed=0)
    assert env.stats.calls == 10
    with pytest.raises(ActorError, match=r"task 'train-0-red': no connection"):
        env.reset(options={"task_id": "train-0-red"})


def test_errors_that_are_not_in_a_row_do_not_mean_that_the_actor_is_down():
    flaky = FlakyActor(EchoActor("Say[gold]"), lambda prompt: "red" in prompt.task)
    env = RetroEnv(IdentityEnv(words=("red", "gold"), num_tasks=40), actor=flaky)
    with pytest.raises(ActorError, match="failed on 20 tasks and solved the others"):
        env.reset(seed=1)
    assert env.stats.calls == 40


def test_a_split_of_solved_tasks_and_actor_errors_is_not_said_to_be_solved():
    flaky = FlakyActor(EchoActor("Say[gold]"), lambda prompt: "gold" not in prompt.task)
    env = RetroEnv(IdentityEnv(words=("red", "gold"), num_tasks=6), actor=flaky)
    with pytest.raises(ActorError, match="failed on 3 tasks and solved the others"):
        env.reset(seed=0)


# -- step ----------------------------------------------------------------------------------------------------------


def test_the_right_word_solves_the_task():
    env = make()
    _, info = env.reset(seed=0)
    observation, reward, terminated, truncated, info = env.step(f"The word is {word(info)}!")
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert (info["success"], info["return"], info["trial"]) == (True, 1.0, 1)
    assert observation in env.observation_space


def test_an_episode_terminates_when_its_reflections_are_spent(graded):
    env = RetroEnv(graded(), actor=EchoActor("0.25"), max_reflections=3)
    env.reset(seed=0)
    steps = [env.step(text) for text in ("0.1", "", "0.3")]
    assert [step[1] for step in steps] == [0.1, 0.1, 0.3]  # a blank one says nothing, and spends its turn
    assert [step[2] for step in steps] == [False, False, True]
    assert [step[4]["trial"] for step in steps] == [1, 2, 3]
    with pytest.raises(EpisodeError, match="is over"):
        env.step("more")


def test_the_next_observation_is_the_new_failure_with_the_reflections_so_far(graded):
    env = RetroEnv(graded(), actor=EchoActor("0.25"))
    env.reset(seed=0)
    observation, *_ = env.step("0.5")
    assert "Action 1: 0.5" in observation
    assert "Return: 0.50" in observation
    assert "Reflection 1: 0.5" in observation


def test_the_actors_prompt_holds_a_window_of_reflections(graded):
    actor = EchoActor("0.25")
    env = RetroEnv(graded(), actor=actor, max_reflections=4, memory_window=2)
    env.reset(seed=0)
    for text in ("0.1", "0.2", "  ", "0.3"):
        env.step(text)
    assert [prompt.reflections for prompt in actor.prompts] == [
        (),
        ("0.1",),
        ("0.1", "0.2"),
        ("0.1", "0.2"),
        ("0.2", "0.3"),
    ]
    env.reset(seed=0)
    assert env.memory.reflections == ()
    assert actor.prompts[-1].reflections == ()


def test_a_long_reflection_is_cut_and_flagged(graded):
    actor = EchoActor("0.25")
    env = RetroEnv(graded(), actor=actor, max_reflection_chars=10)
    env.reset(seed=0)
    assert env.step("x" * 10)[4]["reflection_truncated"] is False
    assert env.step("y" * LONG)[4]["reflection_truncated"] is True
    assert actor.prompts[-1].reflections == ("x" * 10, "y" * 10)


@pytest.mark.parametrize("action", [None, 3, b"bytes", ["text"], np.array("text")])
def test_an_action_that_is_not_text_is_refused_and_changes_nothing(action):
    env = make()
    env.reset(seed=0)
    twin = copy.deepcopy(env)
    with pytest.raises(ActionError, match=type(action).__name__):
        env.step(action)
    assert env.step("red") == twin.step("red")


def test_numpy_text_is_text():
    env = make()
    _, info = env.reset(seed=0)
    assert env.step(np.str_(word(info)))[1] == 1.0


def test_step_before_reset():
    env = make()
    assert env.memory.reflections == ()
    for call in (lambda: env.step("x"), lambda: env.branch(["x"]), lambda: env.trajectory):
        with pytest.raises(EpisodeError, match="Call reset"):
            call()


def test_step_after_success():
    env = make()
    _, info = env.reset(seed=0)
    env.step(word(info))
    with pytest.raises(EpisodeError, match="is over"):
        env.step("again")


def test_a_failed_actor_is_never_a_reward_of_zero():
    env = make(actor=FlakyActor(EchoActor("Say[]"), fails_after_reset))
    observation, before = env.reset(seed=0)
    memory = env.memory
    after, reward, terminated, truncated, info = env.step("red")
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert info.pop("actor_error") == "no connection (simulated)"
    assert info.pop("end") == "actor error"
    assert info == before  # the state stays as it was
    assert after == observation
    assert env.memory == memory
    assert env.stats.errors == 1
    with pytest.raises(EpisodeError):
        env.step("again")


# -- info, render, close, copies -------------------------------------------------------------------------------------


def test_info_is_fresh_at_every_call():
    env = make()
    _, first = env.reset(seed=0)
    assert first["trajectory"]["turns"] == first["trajectory"].to_json()["turns"]
    first["trajectory"]["turns"].clear()  # of a copy
    first["trial"] = 7
    _, _, _, _, second = env.step("nothing")
    assert len(env.trajectory.turns) == len(first["trajectory"]["turns"]) == 1
    assert second["trial"] == 1


def test_info_has_the_same_keys_and_types_at_every_call():
    env = make(max_reflections=3)
    infos = [env.reset(seed=0)[1], env.step("nothing")[4], env.step("x" * 5_000)[4]]
    kinds = [{key: type(value) for key, value in info.items()} for info in infos]
    assert kinds[0] == kinds[1] == kinds[2]
    assert [info["reflection_truncated"] for info in infos] == [False, False, True]
    assert set(kinds[0]) >= {"task_id", "trial", "success", "return", "trajectory", "skipped", "leak"}


def test_skipped_stays_what_it_was_at_the_reset():
    env = make(actor=EchoActor("Say[gold]"))  # solves one task in four
    for seed in range(20):
        _, info = env.reset(seed=seed)
        assert env.step("nothing")[4]["skipped"] == info["skipped"]
    assert env.stats.trials > 40


def test_stats_count_what_the_actor_cost(graded):
    env = RetroEnv(graded(), actor=EchoActor("0.25"))
    env.reset(seed=0)
    env.step("0.5")
    assert (env.stats.trials, env.stats.calls, env.stats.errors) == (2, 2, 0)
    assert env.stats.completion_tokens == len("0.25") + len("0.5")
    assert env.stats.prompt_tokens > 20


def test_render():
    assert make().render() is None
    env = make(render_mode="ansi")
    observation, _ = env.reset(seed=0)
    assert env.render() == observation


def test_templates_can_be_replaced(graded):
    actor = EchoActor("0.25")
    env = RetroEnv(graded(), actor=actor, observation_template="{task_id}: {score:.1f}", actor_template=">{history}")
    observation, info = env.reset(seed=0)
    assert observation == f"{info['task_id']}: 0.2"
    assert actor.prompts[0].text == f">This is {info['task_id']}."


def test_observations_keep_their_limit(graded):
    env = RetroEnv(graded(), actor=EchoActor("0" * 500), max_observation_chars=120)
    observation, _ = env.reset(options={"task_id": "task-0"})
    assert len(observation) <= 120


def test_max_turns_reaches_the_trial():
    env = make(max_turns=1)
    env.reset(seed=0)
    assert len(env.trajectory.turns) == 1


def test_max_turns_may_be_more_than_the_environments_own():
    env = RetroEnv("HotpotQA-v0", actor=EchoActor("Search[nothing]"), max_turns=9)
    env.reset(seed=0)
    assert len(env.trajectory.turns) == 9


def test_close_may_be_called_again_and_closes_every_copy(graded):
    env = RetroEnv(graded(), actor=EchoActor("0.25"))
    env.reset(seed=0)
    env.branch(["0.1", "0.2", "0.3"])
    copies = [env.task_env, *env._stage.copies]
    env.close()
    env.close()
    assert len(copies) == 3
    assert all(copied.closed == 2 for copied in copies)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
@pytest.mark.parametrize("reward", ["return", "over_control"])
def test_a_copy_made_mid_episode_goes_on_alike(copied, reward):
    env = make(actor=LuckyActor({"Say[red]": 0.3, "Say[blue]": 0.3, "": 0.4}), reward=reward, max_reflections=4)
    for seed in range(5):
        env.reset(seed=seed)
        env.step("first")
        twin = copied(env)
        if env._running:
            assert env.branch(["a", "b"]) == twin.branch(["a", "b"])
            assert env.step("second") == twin.step("second")
        assert [env.reset() for _ in range(3)] == [twin.reset() for _ in range(3)]
        assert env.stats.calls == twin.stats.calls


def test_a_copy_leaves_the_original_alone():
    env = make()
    env.reset(seed=0)
    expected = copy.deepcopy(env).step("red")
    twin = pickle.loads(pickle.dumps(env))
    twin.step("blue")
    twin.reset()
    assert env.step("red") == expected


def test_a_wrapper_of_gymnasium_finds_its_way():
    env = gym.wrappers.RecordEpisodeStatistics(gym.make("RetroIdentity-v0", max_reflections=1))
    env.reset(seed=0)
    assert env.step("nothing")[4]["episode"]["l"] == 1
