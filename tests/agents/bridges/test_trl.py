"""The data set and the reward function, without a trainer."""

import json

import pytest

from retro_gym.errors import ActorError, ConfigError, DataError, EpisodeError, NoFailureError, RecordError
from retro_gym.records import RecordWriter
from retro_gym.testing import EchoActor, FlakyActor, IdentityActor
from retro_gym.trajectory import EndReason
from retro_gym_agents.bridges.trl import RetroReward, failures, prompt_of, trl_settings
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.play.envs import make_retro_env
from retro_gym_agents.play.policies import BaselinePolicy
from tests.agents.hf_models import CHAT, make_tokenizer, random_model

pytest.importorskip("datasets")

WORDS = ["red", "green", "blue", "gold"]
VAGUE = BaselinePolicy("vague")


@pytest.fixture(scope="module")
def reflector(small_model):
    return Reflector.load(small_model)


def identity(**kwargs):
    return make_retro_env("RetroIdentity-v0", **kwargs)


def paid(env, rows, texts, **columns):
    """The reward of each text on each row."""
    given = [row for row in rows for _ in texts]
    kept = {name: [row[name] for row in given] for name in given[0] if name != "prompt"}
    completions = [text for _ in rows for text in texts]
    return RetroReward(env)([row["prompt"] for row in given], completions, **{**kept, **columns})


def seen_by_trl(tokenizer, prompt):
    """As both trainers make token ids of a prompt."""
    if isinstance(prompt, str):
        return tokenizer(text=[prompt])["input_ids"][0]
    kwargs = {"enable_thinking": False}
    return tokenizer.apply_chat_template(
        conversation=[prompt], add_generation_prompt=True, tokenize=True, return_dict=True, **kwargs
    )["input_ids"][0]


@pytest.mark.parametrize("reward", ["return", "improvement", "over_control"])
def test_the_reward_is_that_of_branch(reflector, reward):
    env = identity(reward=reward)
    rows = failures(env, reflector, num_tasks=5, seed=0)
    expected = []
    for row in rows:
        env.reset(seed=row["seed"], options={"task_id": row["task_id"]})
        expected += [outcome.reward for outcome in env.branch(WORDS)]
    rewards = paid(env, rows, WORDS)
    assert rewards == expected
    assert sum(rewards) == 5.0


def test_rows_may_come_in_any_order_and_any_part_of_a_group(reflector):
    env = identity()
    rows = list(failures(env, reflector, num_tasks=3, seed=0))
    reward = RetroReward(env)
    whole = paid(env, rows, WORDS)
    picked = [(2, 1), (0, 3), (2, 2), (1, 0), (0, 0)]
    given = [rows[row] for row, _ in picked]
    columns = {name: [row[name] for row in given] for name in ("task_id", "seed", "failure", "reflections", "state")}
    for _ in range(2):  # a second call finds nothing changed
        rewards = reward([row["prompt"] for row in given], [WORDS[word] for _, word in picked], **columns)
        assert rewards == [whole[row * len(WORDS) + word] for row, word in picked]


def test_completions_may_be_messages(reflector):
    env = identity()
    row = failures(env, reflector, num_tasks=1, seed=0)[0]
    word = row["task_id"].rpartition("-")[2]
    blocks = [{"type": "text", "text": f" {word}"}]
    texts = [[{"role": "assistant", "content": word}], [{"role": "assistant", "content": blocks}], f"\n{word} "]
    assert paid(env, [row], [*texts, [{"role": "assistant", "content": None}]]) == [1.0, 1.0, 1.0, 0.0]
    with pytest.raises(ConfigError, match="neither text nor chat messages"):
        paid(env, [row], [[{"role": "assistant", "content": 7}]])


def test_the_same_seed_gives_the_same_rows(reflector):
    rows, again, other = (list(failures(identity(), reflector, num_tasks=9, seed=seed)) for seed in (0, 0, 1))
    assert rows == again
    assert [row["task_id"] for row in rows] != [row["task_id"] for row in other]
    assert len({row["task_id"] for row in rows}) == 9


def test_tasks_that_are_solved_unaided_are_passed_over(reflector):
    env = identity(actor=EchoActor("Say[red]"), max_reflections=1)
    rows = failures(env, reflector, seed=0)
    assert len(rows) == 48
    assert not any(row["task_id"].endswith("red") for row in rows)
    with pytest.raises(NoFailureError, match="none of the 64 tasks"):
        failures(identity(words=["red"], actor=EchoActor("Say[red]")), reflector)


def test_later_trials_are_rows_of_their_own(reflector):
    env = identity(max_reflections=3)
    rows = list(failures(env, reflector, num_tasks=4, seed=0, trials=3, policy=BaselinePolicy("vague")))
    assert [len(row["reflections"]) for row in rows] == [0] * 4 + [1] * 4 + [2] * 4
    assert "Earlier reflections" in rows[-1]["prompt"]
    assert len({row["failure"] for row in rows}) == 4
    assert sum(paid(env, rows, WORDS)) == 12
    sampled = failures(env, reflector, num_tasks=4, seed=0, trials=2)
    assert {text for row in sampled for text in row["reflections"]} <= set(WORDS)


def test_a_stored_failure_costs_no_actor_call(reflector, tmp_path):
    actor = EchoActor("Say[nothing]")
    rows = list(failures(identity(actor=actor, max_reflections=1), reflector, num_tasks=4, seed=0))
    actor.prompts.clear()
    paid(identity(actor=actor, max_reflections=1), rows, WORDS)
    assert len(actor.prompts) == 16
    without = [{**row, "failure": None} for row in rows]
    paid(identity(actor=actor, max_reflections=1), without, WORDS)
    assert len(actor.prompts) == 16 + 16 + 4


def test_a_bank_gives_the_failures(reflector, tmp_path):
    path = tmp_path / "bank.jsonl"
    writer = RecordWriter(path)
    played = identity(records=writer)
    for seed in range(6):
        played.reset(seed=seed)
    actor = EchoActor()
    env = identity(bank=path, actor=actor)
    rows = list(failures(env, reflector, seed=0))
    assert not actor.prompts
    assert {row["task_id"] for row in rows} == set(env.bank.task_ids)
    for given in (rows, [{**row, "failure": None} for row in rows]):
        assert sum(paid(identity(bank=path), given, WORDS)) == len(rows)


def test_an_actor_error_is_no_reward(reflector):
    def fails(prompt):  # on every trial with the reflection "green"
        return prompt.reflections[-1:] == ("green",)

    env = identity(actor=FlakyActor(IdentityActor(), fails))
    rows = failures(env, reflector, num_tasks=3, seed=0)
    logged = {}
    rewards = paid(env, rows, WORDS, log_metric=logged.__setitem__)
    assert [reward is None for reward in rewards] == [word == "green" for _ in rows for word in WORDS]
    assert logged["retro/actor_errors"] == pytest.approx(1 / 4)
    assert logged["retro/success"] == sum(filter(None, rewards)) / 9


def test_an_actor_that_is_down_stops_the_run(reflector):
    rows = list(failures(identity(), reflector, num_tasks=2, seed=0))
    down = FlakyActor(IdentityActor(), lambda prompt: True)
    reward = RetroReward(identity(actor=down))
    columns = {name: [row[name] for row in rows] for name in rows[0] if name not in ("prompt", "failure")}
    for _ in range(9):
        assert reward(["", ""], ["red", "red"], **columns) == [None, None]
    with pytest.raises(ActorError, match="10 calls in a row"):
        reward(["", ""], ["red", "red"], **columns)
    with pytest.raises(ActorError, match="64 tasks in a row"):
        failures(identity(actor=down), reflector)


@pytest.mark.parametrize("num_tasks", [None, 1, 16, 63])
def test_an_actor_that_is_down_is_noticed_whatever_the_batch(reflector, num_tasks):
    asked = []
    down = FlakyActor(IdentityActor(), lambda prompt: asked.append(prompt) or True)
    with pytest.raises(ActorError, match="failed on 64 tasks in a row"):
        failures(make_retro_env("RetroHotpotQA-v0", actor=down), reflector, num_tasks=num_tasks, policy=VAGUE)
    assert len(asked) <= 2 * 64, "the split has 20,000 tasks"


def test_an_actor_that_fails_on_all_of_a_few_tasks_is_no_lack_of_failures(reflector):
    def fails(prompt):
        return "red" not in prompt.task

    env = identity(actor=FlakyActor(EchoActor("Say[red]"), fails))
    with pytest.raises(ActorError, match=r"failed on 48 tasks of split 'train' and solved the others: .*no connection"):
        failures(env, reflector, num_tasks=5, policy=VAGUE)


def test_what_cannot_be_restored_is_refused(reflector):
    env = identity(max_reflections=2)
    row = failures(env, reflector, num_tasks=1, seed=0)[0]
    word = row["task_id"].rpartition("-")[2]
    stored = json.loads(row["failure"])
    for change, error, message in (
        ({"reflections": [word]}, EpisodeError, "ends with reflection 1 of 1"),
        ({"reflections": ["no", "no"]}, EpisodeError, "ends with reflection 2 of 2"),
        ({"task_id": "train-3-pink", "failure": None}, ConfigError, "none of the words"),
        ({"task_id": "train-0-red" if word != "red" else "train-1-green"}, RecordError, "in a row of"),
        ({"failure": "no JSON"}, DataError, "is not a trial as JSON"),
        ({"failure": json.dumps({**stored, "end": EndReason.SOLVED.value})}, RecordError, "no failed first trial"),
        ({"reflections": ["no"]}, ConfigError, "different failure"),
    ):
        with pytest.raises(error, match=message):
            paid(env, [{**row, **change}], ["red"])
    with pytest.raises(EpisodeError, match="trial 0 solves it"):
        paid(identity(actor=EchoActor(f"Say[{word}]")), [{**row, "failure": None}], ["red"])
    with pytest.raises(ConfigError, match="different failure"):
        paid(identity(observation_template="{trajectory}"), [row], ["red"])
    with pytest.raises(ConfigError, match="no column 'seed'"):
        RetroReward(env)(["x"], ["red"], task_id=[row["task_id"]])


def test_arguments_out_of_their_rule(reflector):
    for arguments, message in (
        ({"num_tasks": 0}, "num_tasks is 0"),
        ({"trials": 0}, "trials is 0"),
        ({"trials": 4}, "at most 3 reflections"),
        ({"split": "nowhere"}, "nowhere"),
    ):
        with pytest.raises(ConfigError, match=message):
            failures(identity(), reflector, **arguments)


@pytest.mark.parametrize("chat", [None, CHAT])
@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("length", [3, 40])
def test_trl_reads_the_tokens_of_the_reflector(chat, bos, length):
    """Also where the tokenizer does not add its BOS token, and where the observation has to be cut."""
    reflector = Reflector(
        random_model("llama"), make_tokenizer(chat=chat, bos=bos), name="random", lora=None, max_new_tokens=200
    )
    observation = "Question: where? Search[it]. " * length
    prompt = prompt_of(reflector, observation)
    assert isinstance(prompt, str) == (chat is None)
    ids = reflector.encode(observation)
    assert seen_by_trl(reflector.tokenizer, prompt) == ids
    assert len(ids) <= 512 - 200
    assert reflector.tokenizer.bos_token_id in ids or chat is not None


def test_the_tiny_reflector_is_read_alike():
    reflector = Reflector.load("tiny", lora=None)
    env = make_retro_env("RetroHotpotQA-v0")
    observations = [env.reset(seed=seed)[0] for seed in range(3)]
    rows = failures(env, reflector, num_tasks=2, seed=0)
    for observation in observations:
        prompt = prompt_of(reflector, observation)
        assert seen_by_trl(reflector.tokenizer, prompt) == reflector.encode(observation)
    assert rows.column_names == ["prompt", "task_id", "seed", "failure", "reflections", "state"]
    settings = trl_settings(reflector)
    assert settings["max_completion_length"] == reflector.sampling.max_new_tokens
    assert settings["bf16"] is False


def test_a_prompt_that_trl_would_read_otherwise_is_refused(small_model):
    reflector = Reflector.load(small_model, lora=None)
    template = (
        "{% for m in messages %}{{ m.content[0]['text'] }}{% endfor %} ? Reflection :"  # of parts: TRL gives text
    )
    reflector.tokenizer.chat_template = template
    with pytest.raises(ConfigError, match="would tokenise the observation"):
        prompt_of(reflector, "The word is red .")


def test_a_prompt_of_which_nothing_fits_is_refused(small_model):
    reflector = Reflector.load(small_model, lora=None, max_new_tokens=126)  # of a context of 128
    reflector.tokenizer.chat_template = "Action {% for m in messages %}{{ m.content }}{% endfor %} ? Reflection :"
    with pytest.raises(ConfigError, match="not even the last word"):
        prompt_of(reflector, "The word is red .")
