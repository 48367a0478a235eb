"""Task environments that have to wait: nobody else waits for them, and each is called in one thread of its own."""

import copy
import gc
import sqlite3
import threading
import time
import weakref

import gymnasium as gym
import pytest

from retro_gym import RetroEnv
from retro_gym.actors import Reply
from retro_gym.env_threads import close_envs, run_in_thread
from retro_gym.errors import ActorError, ConfigError
from retro_gym.prompts import TaskPrompt
from retro_gym.scheduling import ActorStats, run_trials
from retro_gym.spaces import UnicodeText
from retro_gym.task_env import TaskEnv
from retro_gym.testing import ScriptedActor
from retro_gym.trajectory import EndReason
from retro_gym.trial import play_trial
from retro_gym.vector import RetroVectorEnv

STEP = 0.05


class Slow(TaskEnv):
    """Takes its time over every step, until ``turns`` are over; says in which thread it was called."""

    metadata = {"render_modes": [], "render_fps": 1}
    prompt = TaskPrompt("Wait.")
    max_turns = 4
    observation_space = action_space = UnicodeText(200)

    def __init__(self, seconds=STEP):
        self.seconds = seconds
        self.threads = set()
        self.closed_in = None

    def task_ids(self, split):
        return [f"task-{i}" for i in range(1_000)]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.task_id = (options or {}).get("task_id", "task-0")
        self.threads.add(threading.get_ident())
        return f"This is {self.task_id}.", {"success": False}

    def step(self, action):
        self.threads.add(threading.get_ident())
        time.sleep(self.seconds)
        return f"{action}?", 0.0, False, False, {"success": False}

    def __deepcopy__(self, memo):
        return type(self)(self.seconds)

    def close(self):
        self.closed_in = threading.get_ident()


def seconds_for(envs):
    vector = RetroVectorEnv(envs, task_env=Slow(), actor=ScriptedActor(["go"]), max_reflections=1)
    start = time.perf_counter()
    vector.reset(seed=0)
    vector.step(["again"] * envs)
    seconds = time.perf_counter() - start
    vector.close()
    return seconds


def test_32_slow_episodes_take_hardly_longer_than_one():
    one, many = min(seconds_for(1) for _ in range(2)), min(seconds_for(32) for _ in range(3))
    assert one > 8 * STEP  # two trials of four turns and more
    assert many < 1.5 * one


def test_one_that_stalls_holds_up_nobody():
    replies = {}

    class Noted:
        def reply(self, prompts):
            for prompt in prompts:
                replies.setdefault(prompt.task, []).append(time.perf_counter())
            return [Reply("go") for _ in prompts]

    start = time.perf_counter()
    envs = [Slow(0.6 if i == 0 else 0.001) for i in range(8)]
    trials = [play_trial(env, f"task-{i}", trial=0, seed=i) for i, env in enumerate(envs)]
    run_trials(trials, Noted(), ActorStats())
    others = [times[-1] - start for task, times in replies.items() if task != "This is task-0."]
    assert len(others) == 7
    assert max(others) < 0.5  # all their turns were over before the stalled one had made its first


def test_environments_that_step_together_share_the_actors_batches():
    sizes = []

    def noted(prompts):
        sizes.append(len(prompts))
        return ["go"] * len(prompts)

    envs = RetroVectorEnv(16, task_env=Slow(0.01), actor=noted)
    envs.reset(seed=0)
    assert sum(sizes) == 16 * Slow.max_turns
    assert len(sizes) <= 3 * Slow.max_turns


def test_each_instance_is_called_in_one_thread_which_closes_it():
    env = RetroEnv(Slow(0.0), actor=ScriptedActor(["go"]))
    env.reset(seed=0)
    env.branch(["a", "b", "c"])
    env.step("d")
    env.close()
    instances = [env.task_env, *env._stage.copies]
    assert len(instances) == 3
    own = [instance.threads - {threading.get_ident()} for instance in instances]
    assert all(len(threads) == 1 for threads in own)
    assert len(set.union(*own)) == 3
    assert all({instance.closed_in} == threads for instance, threads in zip(instances, own, strict=True))


def test_one_that_only_computes_stays_in_the_callers_thread():
    env = RetroEnv(Slow(0.0), actor=ScriptedActor(["go"]))
    env.task_env.blocking = False
    env.reset(seed=0)
    env.close()
    assert env.task_env.threads == {env.task_env.closed_in} == {threading.get_ident()}


@pytest.mark.parametrize("wish", [None, True, False])
def test_a_foreign_environment_says_itself_whether_it_waits(wish):
    class Game(gym.Env):
        observation_space = action_space = gym.spaces.Text(100)

        def reset(self, *, seed=None, options=None):
            return str(threading.get_ident()), {}

        def step(self, action):
            return "Wrong.", 0.0, True, False, {}

    game = Game()
    if wish is not None:
        game.blocking = wish
    env = RetroEnv(game, actor=lambda prompts: ["x"] * len(prompts))
    _, info = env.reset(seed=0)
    assert (info["trajectory"]["task"] == str(threading.get_ident())) == (
        not wish
    )  # by default not, for the sake of global generators


def test_a_call_that_hangs_is_given_up_at_the_trials_time_limit():
    hung = threading.Event()

    class Hanging(Slow):
        def step(self, action):
            if self.task_id == "task-0":
                hung.wait(20)
            return super().step(action)

    envs = [Hanging(0.0) for _ in range(3)]
    start = time.perf_counter()
    trials = [play_trial(env, f"task-{i}", trial=0, seed=0, time_limit=0.3) for i, env in enumerate(envs)]
    first, *others = run_trials(trials, ScriptedActor(["go"]), ActorStats())
    assert time.perf_counter() - start < 5
    assert (first.end, first.error) == (EndReason.ACTOR_ERROR, "the trial took longer than its limit of 0.3 s")
    assert {trajectory.end for trajectory in others} == {EndReason.OUT_OF_TURNS}
    hung.set()  # it goes on where it was; what comes after waits for it
    (again,) = run_trials([play_trial(envs[0], "task-1", trial=0, seed=0)], ScriptedActor(["go"]), ActorStats())
    assert again.end is EndReason.OUT_OF_TURNS


def test_an_error_of_the_environment_comes_out_and_the_next_episode_plays():
    class Broken(Slow):
        def step(self, action):
            if action == "break":
                raise KeyError("broken")
            if action == "lose":
                raise ActorError("the line is dead")
            return super().step(action)

    env = RetroEnv(Broken(0.0), actor=lambda prompts: [(*prompt.reflections, "go")[0] for prompt in prompts])
    env.reset(seed=0)
    with pytest.raises(KeyError, match="broken"):
        env.step("break")
    assert env.branch(["lose"])[0].actor_error == "the line is dead"
    assert not env.branch(["go"])[0].success


def test_threads_end_with_their_environments():
    env = Slow(0.0)
    thread = run_in_thread(env, threading.current_thread).result()
    assert thread.is_alive()
    assert run_in_thread(env, threading.current_thread).result() is thread
    assert run_in_thread(copy.deepcopy(env), threading.current_thread).result() is not thread
    close_envs([env])
    gone = weakref.ref(env)
    del env
    gc.collect()
    assert gone() is None
    thread.join(5)
    assert not thread.is_alive()


def test_an_instance_that_hangs_is_left_and_another_goes_on():
    waiting = threading.Event()

    class Stuck(Slow):
        def step(self, action):
            if action == "hang":
                waiting.wait(30)
            return super().step(action)

    def says(prompts):
        return [(*prompt.reflections, "go")[0] for prompt in prompts]

    envs = RetroVectorEnv(4, task_env=Stuck(0.0), actor=says, trial_time_limit=0.4, max_reflections=1)
    envs.reset(seed=0)
    first = envs.envs[1].task_env
    _, _, terminations, truncations, _ = envs.step(["a", "hang", "b", "c"])
    assert truncations.tolist() == [False, True, False, False]
    assert envs.envs[1].task_env is not first
    for _ in range(3):
        _, _, terminations, truncations, _ = envs.step(["a", "b", "c", "d"])
        assert terminations.all()
        assert not truncations.any()
    start = time.perf_counter()
    envs.step(["hang", "hang", "a", "b"])
    envs.close()
    assert time.perf_counter() - start < 5  # what hangs is not waited for
    waiting.set()


def test_what_cannot_be_copied_says_so_when_copies_are_needed():
    class Locked(Slow):
        def __init__(self):
            super().__init__(0.0)
            self.lock = threading.Lock()

        def __deepcopy__(self, memo):
            return copy.deepcopy(self.__dict__, memo)

    env = RetroEnv(Locked(), actor=ScriptedActor(["go"]))
    env.reset(seed=0)
    env.step("alone")
    with pytest.raises(ConfigError, match=r"Locked cannot be copied \(TypeError: cannot pickle.*__deepcopy__"):
        env.branch(["a", "b"])


def test_an_error_of_what_is_bound_to_its_thread_tells_of_the_remedy():
    class Bound(Slow):
        def __init__(self):
            super().__init__(0.0)
            self.database = sqlite3.connect(":memory:")

        def step(self, action):
            self.database.execute("SELECT 1")
            return super().step(action)

    env = RetroEnv(Bound(), actor=ScriptedActor(["go"]))
    with pytest.raises(sqlite3.ProgrammingError) as raised:
        env.reset(seed=0)
    assert "blocking = False" in raised.value.__notes__[0]
    env.task_env.blocking = False
    env.reset(seed=0)
    env.task_env.database.close()


def test_all_are_closed_although_one_raises():
    class Sour(Slow):
        def close(self):
            super().close()
            raise OSError("no")

    envs = [Slow(0.0), Sour(0.0), Slow(0.0)]
    run_in_thread(envs[1], dict).result()
    with pytest.raises(OSError, match="no"):
        close_envs(envs)
    assert all(env.closed_in for env in envs)
