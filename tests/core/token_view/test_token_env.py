"""TokenEnv and ReflectionEnv: the same episodes, seen by tokens."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from retro_gym import ReflectionEnv, RetroEnv, TokenEnv, token_text_equivalence
from retro_gym.errors import ActionError, ConfigError, EpisodeError
from retro_gym.testing import EchoActor, FlakyActor, IdentityEnv
from retro_gym.token_view.tokens import encode_prompt
from tests.core.characters import Characters, written

IDENTITY = "RetroIdentity-v0"
BLUE = {"task_id": "train-2-blue"}


def make(cls=TokenEnv, env_id=IDENTITY, tokenizer=None, **options):
    kwargs = {name: options.pop(name) for name in ("max_reflections", "actor") if name in options}
    return cls(gym.make(env_id, **kwargs), tokenizer or Characters(), **options)


def tokens_of(observation):
    if isinstance(observation, dict):
        return observation["ids"][observation["mask"] == 1].tolist()
    return observation[observation >= 0].tolist()


def write(env, text):
    for token in written(text):
        step = env.step(token)
    return step


@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")  # it is a wrapper
@pytest.mark.parametrize("cls", [TokenEnv, ReflectionEnv])
@pytest.mark.parametrize("observation", ["dict", "ids"])
@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_gymnasiums_own_check_passes(cls, observation, padding_side):
    check_env(make(cls, observation=observation, padding_side=padding_side, max_new_tokens=3))


@pytest.mark.parametrize("observation", ["dict", "ids"])
def test_a_reflection_token_by_token(observation):
    env = make(max_reflections=2, observation=observation)
    failure, _ = env.env.reset(seed=0, options=BLUE)
    shown, info = env.reset(seed=0, options=BLUE)
    prompt = encode_prompt(env.tokenizer, failure)
    assert tokens_of(shown) == prompt
    assert (info["reflection"], info["reflection_tokens"], info["prompt_cut"]) == ("", 0, False)
    assert info["prompt_tokens"] == len(prompt)
    for number, token in enumerate(written("red")[:-1]):
        shown, reward, terminated, truncated, info = env.step(token)
        assert tokens_of(shown) == prompt + written("red")[: number + 1]
        assert (reward, terminated, truncated, info) == (0.0, False, False, {})
    shown, reward, terminated, _, info = env.step(np.int64(2))
    assert (reward, terminated, info["reflection"], info["reflection_tokens"]) == (0.0, False, "red", 4)
    assert "Reflection 1: red" in env.tokenizer.decode(tokens_of(shown), skip_special_tokens=True)
    _, reward, terminated, truncated, info = write(env, "blue")
    assert (reward, terminated, truncated, info["success"]) == (1.0, True, False, True)
    with pytest.raises(EpisodeError, match=r"Call reset\(\)"):
        env.step(5)


def test_where_the_tokens_stand():
    left, right = (make(padding_side=side, max_prompt_tokens=400, max_new_tokens=6) for side in ("left", "right"))
    for env, first in ((left, 400), (right, None)):
        shown, info = env.reset(seed=0, options=BLUE)
        assert shown["ids"].shape == shown["mask"].shape == (405,)
        length = info["prompt_tokens"]
        first = length if first is None else first
        assert shown["mask"][first - length : first].all()
        assert shown["mask"].sum() == length
        for number in range(5):
            shown, *_ = env.step(50 + number)
            assert shown["ids"][first : first + number + 1].tolist() == [50 + i for i in range(number + 1)]
            assert shown["mask"].sum() == length + number + 1


def test_the_last_token_that_is_allowed_ends_it_too():
    env = make(max_new_tokens=4)
    env.reset(seed=0, options=BLUE)
    *_, info = [env.step(ord(char)) for char in "blue"][-1]
    assert (info["reflection"], info["success"], info["reflection_tokens"]) == ("blue", True, 4)


def test_other_end_tokens_and_a_vocabulary_that_is_larger_than_the_tokenizers():
    env = make(end_ids=[2, 33], vocab_size=200)
    assert env.action_space == gym.spaces.Discrete(200)
    env.reset(seed=0, options=BLUE)
    for token in (150, *map(ord, "blue"), 199):
        env.step(token)
    assert env.step(33)[4]["reflection"] == "blue!"


def test_info_keeps_its_types():
    env = make(max_reflections=3)
    infos = [env.reset(seed=0, options=BLUE)[1]]
    for _ in range(3):
        infos.append(write(env, "none")[4])
    shared = set.intersection(*map(set, infos))
    assert {"task_id", "trial", "success", "return", "trajectory", "reflection", "prompt_cut"} <= shared
    assert all(len({type(info[key]) for info in infos}) == 1 for key in shared)


def test_a_failed_actor_truncates_at_the_end_of_the_reflection():
    env = TokenEnv(
        RetroEnv(IdentityEnv(), actor=FlakyActor(EchoActor(), lambda prompt: bool(prompt.reflections))), Characters()
    )
    env.reset(seed=0)
    assert not env.step(65)[3]
    _, reward, terminated, truncated, info = env.step(2)
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert "no connection" in info["actor_error"]


@pytest.mark.parametrize("action", [-1, 128, 1.5, "a", None, np.array([3, 4]), np.float64(2)])
def test_what_is_no_token_is_refused_and_changes_nothing(action):
    env = make()
    before, _ = env.reset(seed=0)
    with pytest.raises(ActionError, match="between 0 and 127; received"):
        env.step(action)
    assert tokens_of(env.step(65)[0]) == [*tokens_of(before), 65]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_copies_made_in_the_middle_go_on_alike(duplicate):
    env = make(max_reflections=2)
    env.reset(seed=0, options=BLUE)
    for char in "bl":
        env.step(ord(char))
    twin = duplicate(env)
    for token in (*map(ord, "ue"), 2):
        first, second = env.step(token), twin.step(token)
        assert first[1:] == second[1:]
        assert tokens_of(first[0]) == tokens_of(second[0])
    assert first[4]["success"]
    twin = copy.deepcopy(env)
    assert twin.tokenizer is env.tokenizer
    assert twin.env is not env.env


def test_a_step_within_a_reflection_tokenises_nothing():
    env = make(max_new_tokens=500)
    env.reset(seed=0)
    before = env.tokenizer.calls
    for _ in range(400):
        env.step(65)
    assert env.tokenizer.calls == before


def test_observations_are_fresh():
    env = make()
    first, _ = env.reset(seed=0)
    kept = tokens_of(first)
    second, *_ = env.step(65)
    second["ids"][:] = 7
    assert tokens_of(first) == kept
    assert tokens_of(env.step(66)[0]) == [*kept, 65, 66]


# -- prompts that are too long -----------------------------------------------------------------------------------------


def test_a_long_prompt_is_cut_by_the_trajectorys_own_rule():
    env = make(env_id="RetroHotpotQA-v0", max_prompt_tokens=2_000)
    shown, info = env.reset(seed=0)
    whole = env.tokenizer.decode(tokens_of(shown), skip_special_tokens=True)
    assert not info["prompt_cut"]
    lengths = []
    for room in range(len(whole), 20, -40):
        env = make(env_id="RetroHotpotQA-v0", max_prompt_tokens=room)
        shown, info = env.reset(seed=0)
        text = env.tokenizer.decode(tokens_of(shown), skip_special_tokens=True)
        lengths.append(len(text))
        assert info["prompt_cut"] == (text != whole)
        assert info["prompt_tokens"] == len(text) + 1 <= room
        assert set(text.split()) <= {*whole.split(), "[...]"}, "a word was cut"
        assert text.endswith("Reflection:")
    assert lengths == sorted(lengths, reverse=True)
    assert sum(length < len(whole) for length in lengths) > 10


def test_the_largest_prompt_that_fits_is_taken():
    env = make(env_id="RetroHotpotQA-v0", max_prompt_tokens=2_000)
    env.reset(seed=0)
    retro = env.unwrapped
    room = 300
    best = max(
        (text for limit in range(1, 3_000) if len(text := retro.observation_within(limit, whole_words=True)) < room),
        key=len,
    )
    env = make(env_id="RetroHotpotQA-v0", max_prompt_tokens=room)
    shown, _ = env.reset(seed=0)
    assert tokens_of(shown) == encode_prompt(env.tokenizer, best)


def test_a_prompt_that_cannot_fit_is_refused():
    with pytest.raises(ConfigError, match="max_prompt_tokens is 8: not even the last word"):
        make(max_prompt_tokens=8).reset(seed=0)


def test_a_rewritten_observation_is_never_cut():
    def shout(text):
        return text.upper()

    base = gym.wrappers.TransformObservation(gym.make(IDENTITY), shout, None)
    shown, _ = TokenEnv(base, Characters()).reset(seed=0)
    assert "THE WORD IS" in Characters().decode(tokens_of(shown), skip_special_tokens=True)
    with pytest.raises(ConfigError, match="a wrapper has rewritten"):
        TokenEnv(base, Characters(), max_prompt_tokens=60).reset(seed=0)


def test_a_chat_template_goes_around_the_prompt():
    env = make(tokenizer=Characters(chat=True))
    shown, _ = env.reset(seed=0)
    text = env.tokenizer.decode(tokens_of(shown))
    assert text.startswith("<This attempt failed")
    assert text.endswith("Reflection:>")


# -- arguments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_prompt_tokens": 0}, "max_prompt_tokens is 0"),
        ({"max_new_tokens": 2.5}, r"max_new_tokens is 2\.5"),
        ({"padding_side": "rigth"}, "Did you mean 'right'"),
        ({"observation": "text"}, "observation is 'text'"),
        ({"vocab_size": 100}, "the tokenizer has 128 tokens"),
        ({"end_ids": [500]}, "end_ids holds 500"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        make(**options)


def test_only_a_retro_env_has_a_token_view():
    with pytest.raises(ConfigError, match="a token view is a view of a RetroEnv; received"):
        TokenEnv(IdentityEnv(), Characters())


def test_a_spec_makes_it_again():
    env = make(max_new_tokens=7, padding_side="right")
    again = gym.make(env.spec)
    assert again.get_wrapper_attr("codec").max_new_tokens == 7
    assert tokens_of(again.reset(seed=1)[0]) == tokens_of(env.reset(seed=1)[0])


# -- whole reflections -------------------------------------------------------------------------------------------------


def test_one_action_is_one_reflection():
    env = make(ReflectionEnv, max_new_tokens=8, max_reflections=2)
    fine = make(max_new_tokens=8, max_reflections=2)
    shown, _ = env.reset(seed=0, options=BLUE)
    assert tokens_of(shown) == tokens_of(fine.reset(seed=0, options=BLUE)[0])
    assert shown["ids"].shape == (512,)
    for text in ("red", "blue"):
        action = [*written(text), 99, 99, 99, 99, 99][:8]
        step, expected = env.step(np.array(action)), write(fine, text)
        assert step[1:] == expected[1:]
        assert tokens_of(step[0]) == tokens_of(expected[0])
    assert step[1] == 1.0


@pytest.mark.parametrize("action", [[1, 2], np.zeros((8, 1), int), [500] * 8, 3])
def test_what_is_no_reflection_is_refused(action):
    env = make(ReflectionEnv, max_new_tokens=8)
    env.reset(seed=0)
    with pytest.raises(ActionError):
        env.step(action)


# -- equivalence -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{}, {"padding_side": "right", "observation": "ids"}, {"max_prompt_tokens": 80}, {"vocab_size": 300}],
    ids=str,
)
def test_both_views_are_the_same_environment(options):
    returns = token_text_equivalence(gym.make(IDENTITY), Characters(), max_new_tokens=6, **options)
    assert len(returns) == 3
    assert 1.0 in returns


def test_both_views_of_another_environment_are_the_same():
    env = gym.make("RetroHotpotQA-v0", max_reflections=2)
    assert 1.0 in token_text_equivalence(env, Characters(), max_new_tokens=200, max_prompt_tokens=600, episodes=2)


class Lucky(TokenEnv):
    """Pays for tokens that stand in the prompt."""

    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, reward + 0.5, *rest


class Hasty(TokenEnv):
    """Ends a reflection one token early."""

    def step(self, action):
        if len(self._running().tokens) == 2:
            action = 2
        return super().step(action)


class Forgetful(TokenEnv):
    """Shows the first prompt of an episode for ever."""

    def _show(self, observation, info, **about):
        self.first = observation if not about["tokens"] else self.first
        return super()._show(self.first, info, **about)


@pytest.mark.parametrize("broken", [Lucky, Hasty, Forgetful])
def test_a_view_that_differs_is_found_out(broken):
    env = broken(gym.make(IDENTITY), Characters(), max_new_tokens=6)
    with pytest.raises(ConfigError, match="the token view must give the same results as the text view"):
        token_text_equivalence(env, Characters())


def test_a_right_answer_is_paid_the_same_in_both_views():
    env, plain = make(max_reflections=1), gym.make(IDENTITY, max_reflections=1)
    for seed in range(4):
        for word in ("red", "blue"):
            plain.reset(seed=seed)
            env.reset(seed=seed)
            assert write(env, word)[1] == plain.step(word)[1]
