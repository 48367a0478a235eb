"""Lessons of other tasks: which are kept, which are chosen, and what is refused."""

import dataclasses
import json

import pytest

from retro_gym import RetroEnv
from retro_gym.errors import ActorError, ConfigError, RecordError
from retro_gym.records import ReflectionRecord, RunHeader, TrialRecord
from retro_gym.records.rows import row_of
from retro_gym.testing import EchoActor
from retro_gym_agents.evaluation.evaluate import evaluate, evaluate_all
from retro_gym_agents.evaluation.evaluation import EvaluationConfig
from retro_gym_agents.play.collection import CollectConfig, collect
from retro_gym_agents.play.envs import make_retro_env
from retro_gym_agents.play.policies import LessonsPolicy, check_teacher, make_policy, policy_parameters
from tests.coin import CoinEnv

ENV = "RetroIdentity-v0"
LEAD = "A lesson from a similar task: "
TASKS = {"a": "the red barn", "b": "the blue lake", "c": "the blue barn", "d": "nothing alike"}


def write(path, lessons, tasks=TASKS):
    """A file of records with a failed trial on each task and the given reflections: (task, text, rating)."""
    turns, numbers = (), {"prompt_tokens": 0, "completion_tokens": 0}
    rows = [RunHeader(id="0")]
    for task_id, task in tasks.items():
        told = {"task_id": task_id, "task": task, "turns": turns, "return_": 0.0, "success": False, "end": "failed"}
        own = {"episode": 0, "replica": 0, "source": "reset", "prompt": "", "reflections": (), "trial": 0}
        rows.append(TrialRecord(id=f"0-{task_id}", **told, **own, **numbers, error=""))
    for number, (task_id, text, rating) in enumerate(lessons):
        about = {"episode": 0, "task_id": task_id, "trial": 0, "source": "branch", "group": "", "parent": ""}
        links = {"before": f"0-{task_id}", "after": (), "controls": (), "policy": "", "observation": ""}
        paid = {"reward": 0.0, "return_before": 0.25, "return_": 0.25 + rating, "success": rating > 0}
        rows.append(ReflectionRecord(id=f"0-{number}", reflection=text, leak=False, **about, **links, **paid))
    path.write_text("".join(f"{json.dumps(row_of(row))}\n" for row in rows))
    return path


@pytest.fixture
def env():
    env = make_retro_env(ENV, split="test")
    env.reset(seed=0, options={"task_id": "test-2-blue"})
    return env


def offered(env, task_id, task, path, **options):
    """The lessons that are offered on a task."""
    env._trajectory = dataclasses.replace(env.trajectory, task_id=task_id, task=task)
    (text,) = LessonsPolicy(path, **options).reflect([""], [env], [0])
    return text.replace(LEAD, "").split("\n") if text else []


def test_similar_tasks_and_high_ratings_come_first(env, tmp_path):
    lessons = [("a", "of the barn", 0.0), ("b", "of the lake", 0.0), ("c", "of both", 0.0), ("d", "of else", 1.0)]
    path = write(tmp_path / "records.jsonl", lessons)
    assert offered(env, "x", "the blue lake", path, num=2, weight=0) == ["of the lake", "of both"]
    assert offered(env, "x", "the blue lake", path, num=1, weight=2.0) == ["of else"]
    assert offered(env, "x", "the blue lake", path, num=9, weight=0)[-1] == "of else"
    assert offered(env, "x", "no word is known", path, num=2, weight=0) == ["of the barn", "of the lake"]
    assert offered(env, "x", "no word is known", path, num=2) == ["of else", "of the barn"]


def test_similarity_is_that_of_the_best_other_task(env, tmp_path):
    """BM25 has no bound, so it is divided by its maximum: here 1 against 0 + 0.9 · 1, and then 1 against 1.1."""
    path = write(tmp_path / "records.jsonl", [("b", "near", 0.0), ("d", "far", 1.0)])
    assert offered(env, "x", "blue lake", path, num=1, weight=0.9) == ["near"]
    assert offered(env, "x", "blue lake", path, num=1, weight=1.1) == ["far"]


def test_lessons_of_the_task_itself_are_left_out(env, tmp_path):
    path = write(tmp_path / "records.jsonl", [("b", "own", 1.0), ("c", "other", 0.0)])
    assert offered(env, "b", "the blue lake", path) == ["other"]
    assert offered(env, "b", "the blue lake", write(tmp_path / "own.jsonl", [("b", "own", 1.0)])) == []


def test_equal_lessons_are_one_with_the_mean_of_their_ratings(env, tmp_path):
    lessons = [("a", "lucky", 1.0), ("a", " lucky\n", -1.0), ("a", "lucky", 0.0), ("a", "steady", 0.5), ("a", "", 1.0)]
    path = write(tmp_path / "records.jsonl", [*lessons, ("b", "steady", 0.0)])
    assert offered(env, "x", "the red barn", path, num=3) == ["steady", "lucky"]


def test_what_does_not_fit_is_left_out(env, tmp_path):
    path = write(tmp_path / "records.jsonl", [("a", "word " * 40, 1.0), ("b", "short", 0.0)])
    env.max_reflection_chars = 60
    (text,) = offered(env, "x", "the red barn", path)
    assert text.startswith("word")
    assert "[...]" in text
    assert len(f"{LEAD}{text}") <= 60
    beside = make_policy(f"lessons:{path}", beside="vague")
    env.max_reflection_chars = 120
    vague = make_policy("vague").reflect([""], [env], [0])[0]
    assert beside.reflect([""], [env], [0]) == [f"{vague}\n{LEAD}short"]


class Model:
    """A policy that is a model of this process, and fails on some observations."""

    name = "model"
    prompt_tokens = completion_tokens = loads = unloads = 0

    def reflect(self, observations, envs, seeds):
        self.prompt_tokens += 10 * len(observations)
        return [ActorError("down") if "red" in text else "Look." for text in observations]

    def load(self):
        self.loads += 1

    def unload(self):
        self.unloads += 1

    def adapter_source(self):
        return "best"


def test_the_policy_beside_it_is_loaded_metered_and_may_fail(tmp_path):
    path, model = write(tmp_path / "records.jsonl", [("a", "lesson", 1.0)]), Model()
    result = evaluate(ENV, make_policy(f"lessons:{path}", beside=model), num_tasks=8, trials=1, max_error_rate=0.9)
    assert {text for task in result.tasks for text in task.reflections} == {f"Look.\n{LEAD}lesson"}
    lost = [task.task_id for task in result.tasks if task.actor_error]
    assert lost == [task.task_id for task in result.tasks if task.task_id.endswith("red")]
    assert result.reflector_tokens == (80, 0)
    assert result.reflector_source == "best"
    assert (model.loads, model.unloads) == (1, 0)
    assert evaluate(ENV, make_policy(f"lessons:{path}"), num_tasks=2, trials=1).reflector_tokens is None


def test_the_teacher_of_a_baseline_beside_it_is_checked(tmp_path):
    policy = make_policy(f"lessons:{write(tmp_path / 'records.jsonl', [('a', 'lesson', 1.0)])}", beside="oracle")
    check_teacher(policy, make_retro_env(ENV))
    with pytest.raises(ConfigError, match="oracle_reflection is needed"):
        check_teacher(policy, RetroEnv(CoinEnv(), actor=EchoActor("Say[edge]")))


def test_records_of_a_collection_are_lessons(tmp_path):
    """On RetroIdentity-v0 the right word of a task is that of all others with the same word."""
    path = tmp_path / "records.jsonl"
    collect(CollectConfig(ENV, path, num_episodes=40, max_reflections=1, num_samples=2), make_policy("noisy"))
    policies = [make_policy(name) for name in ("none", f"lessons:{path}")]
    none, lessons = evaluate_all(EvaluationConfig(ENV, num_tasks=16, trials=1), policies)
    assert none.success_at_trial()[1].mean == 0.0
    assert lessons.success_at_trial()[1].mean > 0.5
    again = evaluate(ENV, make_policy(f"lessons:{path}"), num_tasks=16, trials=1)
    assert again.tasks == lessons.tasks


def test_a_resumed_evaluation_needs_the_same_lessons(tmp_path):
    path, journal = write(tmp_path / "records.jsonl", [("a", "lesson", 1.0)]), tmp_path / "journal.jsonl"
    config = EvaluationConfig(ENV, num_tasks=4, trials=1)
    evaluate_all(config, [make_policy(f"lessons:{path}")], journal=journal)
    evaluate_all(config, [make_policy(f"lessons:{path}")], journal=journal, resume=True)
    for options in ({"num": 1}, {"weight": 0.5}, {"beside": "vague"}):
        with pytest.raises(ConfigError, match="is of an evaluation with other settings"):
            evaluate_all(config, [make_policy(f"lessons:{path}", **options)], journal=journal, resume=True)
    write(path, [("a", "another lesson", 1.0)])
    with pytest.raises(ConfigError, match=r"reflector 'lessons:.*' was {'records': '\w+'} and is {'records': '\w+'}"):
        evaluate_all(config, [make_policy(f"lessons:{path}")], journal=journal, resume=True)
    greedy = policy_parameters(make_policy(f"lessons:{path}", beside="tiny", greedy=True))
    assert greedy["beside"]["tiny"]["greedy"] is True


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"num": 0}, "num is 0; it must be a whole number, at least 1"),
        ({"weight": -0.1}, "weight is -0.1; it must be a finite number of at least 0"),
        ({"weight": float("nan")}, "weight is nan"),
        ({"weight": "much"}, "weight is 'much'"),
        ({"number": 3}, "has no options but num, weight and beside; received number"),
        ({"beside": "orcale"}, "Did you mean 'oracle'"),
        ({"beside": "vague", "temperature": 1}, "reflector 'vague' has no options; received temperature"),
    ],
)
def test_wrong_options(tmp_path, options, said):
    path = write(tmp_path / "records.jsonl", [("a", "lesson", 1.0)])
    with pytest.raises(ConfigError, match=said):
        make_policy(f"lessons:{path}", **options)


def test_wrong_files(tmp_path):
    with pytest.raises(ConfigError, match=r"absent.jsonl': there is no such file. Give the records of"):
        make_policy(f"lessons:{tmp_path / 'absent.jsonl'}")
    with pytest.raises(ConfigError, match="holds no rated reflection"):
        make_policy(f"lessons:{write(tmp_path / 'none.jsonl', [])}")
    (tmp_path / "notes.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(RecordError, match="is not a record"):
        make_policy(f"lessons:{tmp_path / 'notes.jsonl'}")
