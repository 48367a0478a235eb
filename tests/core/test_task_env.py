"""Text environments that know nothing of retro_gym."""

import gymnasium as gym
import pytest

from retro_gym import RetroEnv, Teacher, TextTask, check_retro_env
from retro_gym.adapting import as_task_env
from retro_gym.errors import ConfigError, UnknownTaskError
from retro_gym.prompts import TaskPrompt
from retro_gym.task_env import TaskEnv
from retro_gym.testing import EchoActor, IdentityEnv
from tests.coin import CoinEnv, say_as_noted


class Guess(gym.Env):
    """A user's own game: guess a number below 10 within three turns."""

    metadata = {"render_modes": [], "render_fps": 1}
    observation_space = gym.spaces.Text(100)
    action_space = gym.spaces.Text(100)

    def __init__(self, top=10):
        self.top = top

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.number = int(self.np_random.integers(self.top))
        self.turns = 0
        return f"Guess a number below {self.top}.", {"hint": "none"}

    def step(self, action):
        self.turns += 1
        right = action == str(self.number)
        return ("Right." if right else "Wrong."), int(right), right, self.turns == 3, {"hint": "none"}


def guess_last_reflection(prompts):
    return [prompt.reflections[-1] if prompt.reflections else "?" for prompt in prompts]


def test_an_episode_of_a_users_own_game():
    env = RetroEnv(Guess(), actor=guess_last_reflection)
    observation, info = env.reset(seed=0)
    assert info["task_id"].startswith("seed-")
    assert "Guess a number below 10." in observation
    assert len(info["trajectory"]["turns"]) == 3
    number = str(env.task_env.env.number)
    outcomes = env.branch([str(i) for i in range(10)])
    assert [outcome.reflection for outcome in outcomes if outcome.success] == [number]
    _, reward, terminated, _, info = env.step(number)
    assert (reward, terminated, info["success"]) == (1.0, True, True)


def test_such_an_environment_passes_the_check():
    check_retro_env(RetroEnv(Guess(top=10**9), actor=guess_last_reflection))
    with pytest.warns(UserWarning, match=r"tasks of 'train' begin like one of 'validation'.*name those that there are"):
        check_retro_env(RetroEnv(Guess(), actor=guess_last_reflection))


def test_a_task_is_fixed_by_its_seed():
    task = TextTask(Guess())
    numbers = set()
    for _ in range(3):
        observation, info = task.reset(options={"task_id": "seed-7"})
        assert (observation, info["task_id"], info["success"]) == ("Guess a number below 10.", "seed-7", False)
        numbers.add(task.env.number)
    assert len(numbers) == 1


def test_without_a_task_the_seed_draws_one():
    task = TextTask(Guess())
    drawn = [task.reset(seed=seed)[1]["task_id"] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_splits_are_disjoint_seeds():
    task = TextTask(Guess())
    splits = [set(task.task_ids(split)) for split in ("train", "validation", "test")]
    assert [len(split) for split in splits] == [10_000, 500, 500]
    assert len(set.union(*splits)) == 11_000
    with pytest.raises(UnknownTaskError, match="'dev' is not one of"):
        task.task_ids("dev")
    assert task.task_ids("train") is task.task_ids("train")  # asked for at every reset


@pytest.mark.parametrize("task_id", ["7", "seed-", "seed-x", "seed--1", "task-7", 7])
def test_a_task_id_of_another_form_is_refused(task_id):
    with pytest.raises(UnknownTaskError, match="of the form 'seed-N'"):
        TextTask(Guess()).reset(options={"task_id": task_id})


def test_success_is_a_return_of_at_least_the_threshold():
    class Paying(Guess):
        def step(self, action):
            observation, _, _, truncated, info = super().step(action)
            return observation, 0.5, False, truncated, info

    task = TextTask(Paying(), solved_at=1.0)
    task.reset(seed=0)
    assert [task.step("?")[4]["success"] for _ in range(3)] == [False, True, True]
    task.reset(seed=0)
    assert not task.solved
    env = RetroEnv(Paying(), actor=guess_last_reflection, success_threshold=1.5)
    assert env.reset(options={"task_id": "seed-0"})[1]["success"]
    assert len(env.trajectory.turns) == 3
    env = RetroEnv(Paying(), actor=guess_last_reflection, success_threshold=0.5)
    env.reset(options={"task_id": "seed-0"})
    assert len(env.trajectory.turns) == 1  # solved is solved, though the game would go on


def test_what_the_actor_is_told():
    actor = EchoActor("5")
    task = TextTask(Guess(), prompt=TaskPrompt("Guess well."), max_turns=2)
    RetroEnv(task, actor=actor).reset(options={"task_id": "seed-0"})
    assert actor.prompts[0].instruction == "Guess well."
    assert len(actor.prompts) <= 2
    assert "Action:" in TextTask(Guess()).prompt.instruction


def test_what_a_text_game_lacks_is_a_clear_error():
    with pytest.raises(ConfigError, match=r"no scripted actor\. Give RetroEnv another one"):
        RetroEnv(Guess())
    assert TextTask(Guess()).teacher.task_group("seed-0") == ""


def test_the_game_alone_is_an_environment():
    env = RetroEnv(CoinEnv(), actor=say_as_noted, split="test")
    check_retro_env(env)
    env.reset(options={"task_id": "test-3"})
    assert [outcome.success for outcome in env.branch(["heads", "tails"])] == [False, True]
    with pytest.raises(ConfigError, match=r"CoinEnv brings no scripted actor\. Give RetroEnv another one"):
        RetroEnv(CoinEnv())


@pytest.mark.parametrize(("env", "named"), [(CoinEnv(), "CoinEnv"), (TextTask(Guess()), "Guess")])
@pytest.mark.parametrize(
    ("method", "arguments"),
    [("oracle_reflection", ("train-0",)), ("noisy_reflection", (None, None)), ("check_reflection", ("", None))],
)
def test_without_a_teacher_its_parts_are_refused(env, named, method, arguments):
    with pytest.raises(
        ConfigError, match=rf"{named} has no teacher, and {method} is needed.*Derive it from retro_gym.Teacher"
    ):
        getattr(env.teacher, method)(*arguments)
    assert env.teacher.task_group("train-0") == ""


def test_a_teacher_may_have_some_parts_only():
    class CoinTeacher(Teacher):
        def oracle_reflection(self, task_id):
            return ("heads", "tails")[int(task_id[-1]) % 2]

    class Taught(CoinEnv):
        teacher = CoinTeacher()

    env = RetroEnv(Taught(), actor=say_as_noted)
    _, info = env.reset(seed=0)
    assert env.step(env.task_env.teacher.oracle_reflection(info["task_id"]))[1] == 1.0
    with pytest.raises(ConfigError, match=r"CoinTeacher\.noisy_reflection is needed here but not defined"):
        env.task_env.teacher.noisy_reflection(env.trajectory, env.np_random)


def test_an_environment_may_be_its_own_teacher():
    class Both(CoinEnv, Teacher):
        def oracle_reflection(self, task_id):
            return "heads"

    env = Both()
    assert env.teacher is env
    assert env.teacher.oracle_reflection("train-0") == "heads"


def test_a_teachers_method_on_an_environment_that_is_none_is_refused():
    with pytest.raises(ConfigError, match=r"Old defines oracle_reflection, .*class Old\(CoinEnv, Teacher\)"):

        class Old(CoinEnv):
            def oracle_reflection(self, task_id):
                return "heads"


def test_a_text_game_may_bring_a_teacher():
    class Taught(Guess):
        teacher = Teacher()

    assert TextTask(Taught()).teacher is Taught.teacher


def test_close_closes_the_game():
    class Closing(Guess):
        closed = False

        def close(self):
            self.closed = True

    game = Closing()
    TextTask(game).close()
    assert game.closed


def test_task_environments_are_taken_as_they_are():
    env = IdentityEnv()
    assert as_task_env(env) is env
    assert isinstance(as_task_env("Identity-v0"), IdentityEnv)
    assert as_task_env(gym.wrappers.TimeLimit(env, 3)) is env


def test_task_ids_must_be_defined():
    class Unfinished(TaskEnv):
        prompt = TaskPrompt("")

    with pytest.raises(NotImplementedError, match="Unfinished must define task_ids"):
        Unfinished().task_ids("train")
