import copy
import json
import pickle
import sys

import pytest
import torch

from retro_gym.actors import HfActor, RecordingActor, ReplayActor
from retro_gym.errors import ConfigError, MissingExtraError
from retro_gym_agents.lm.adapters import load_adapter
from retro_gym_agents.lm.reflector import Reflector
from tests.agents.hf_models import CHAT, PROMPTS, chained, make_tokenizer, random_model


@pytest.fixture
def folder(tmp_path):
    random_model("llama").save_pretrained(tmp_path)
    make_tokenizer(chat=CHAT).save_pretrained(tmp_path)
    return tmp_path


# -- arguments, loading, copies ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"max_new_tokens": 1.5}, "max_new_tokens is 1.5"),
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"shape": "chta"}, "Did you mean 'chat'"),
        ({"dtype": "float23"}, "Did you mean 'float32'"),
    ],
)
def test_bad_arguments_are_refused_at_once(options, said):
    with pytest.raises(ConfigError, match=said):
        HfActor("some/model", **options)


def test_a_model_needs_its_tokenizer():
    with pytest.raises(ConfigError, match="together with its tokenizer"):
        HfActor(random_model("llama"))
    with pytest.raises(ConfigError, match="model is int"):
        HfActor(3, make_tokenizer())


def test_nothing_is_loaded_before_the_first_reply(tmp_path):
    actor = HfActor(tmp_path / "none")
    assert repr(actor) == f"HfActor({str(tmp_path / 'none')!r})"
    with pytest.raises(ConfigError, match=r"actor '.*none' cannot be loaded: .* Give a folder"):
        actor.reply(PROMPTS)


@pytest.mark.parametrize(
    ("device", "said"), [("nonsense", "is unknown to torch"), ("meta:x", "is unknown"), (3.5, "unknown")]
)
def test_a_device_that_there_is_not_is_a_clear_error(folder, device, said):
    with pytest.raises(ConfigError, match=said):
        HfActor(folder, device=device).reply(PROMPTS)


@pytest.mark.parametrize("library", ["torch", "transformers"])
def test_a_missing_library_names_its_extra(folder, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=rf"{library} is not installed.*\[train\]"):
        HfActor(folder).reply(PROMPTS)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"max_position_embeddings": "many"}, "max_position_embeddings"),
        ({"vocab_size": 8}, r"embed_tokens|size"),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, "bitsandbytes"),
        ({"rope_parameters": {"rope_type": "unheard of"}}, ""),
    ],
)
def test_a_folder_that_transformers_cannot_read_is_a_clear_error(folder, setting, said):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **setting}))
    with pytest.raises(ConfigError, match=rf"actor '.*' cannot be loaded: .*{said}.* Give a folder"):
        HfActor(folder).reply(PROMPTS)


def test_an_adapter_with_settings_of_another_peft_is_a_clear_error(tmp_path):
    reflector = Reflector(random_model("llama"), make_tokenizer(chat=CHAT), name="random", max_new_tokens=8)
    reflector.save(tmp_path)
    settings = json.loads((tmp_path / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps({**settings, "r": {"q_proj": 8}}))
    with pytest.raises(ConfigError, match="holds no adapter that fits its base model"):
        load_adapter(random_model("llama"), tmp_path, "cpu")
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    (tmp_path / "generation_config.json").write_text("torn")
    with pytest.raises(ConfigError, match="holds no adapter that fits its base model"):
        load_adapter(random_model("llama"), tmp_path, "cpu")


def test_a_model_from_a_folder_answers_as_the_object_does(folder):
    actor = HfActor(str(folder), max_new_tokens=4)
    wanted = HfActor(random_model("llama"), make_tokenizer(chat=CHAT), max_new_tokens=4).reply(PROMPTS)
    assert actor.reply(PROMPTS) == wanted
    assert next(actor._load().model.parameters()).dtype == torch.float32
    half = HfActor(folder, make_tokenizer(), dtype="bfloat16", max_new_tokens=4)
    assert len(half.reply(PROMPTS)) == 5
    assert next(half._load().model.parameters()).dtype == torch.bfloat16
    assert half.parameters == {
        "model": str(folder),
        "shape": "completion",
        "dtype": "bfloat16",
        "max_new_tokens": 4,
        "temperature": 0.0,
    }


def test_copies_share_the_weights_and_pickles_leave_them_behind(folder):
    actor = HfActor(folder, max_new_tokens=4)
    before = pickle.loads(pickle.dumps(actor))
    wanted = actor.reply(PROMPTS)
    assert copy.deepcopy(actor)._load().model is actor._load().model
    pickled = pickle.dumps(actor)
    assert len(pickled) < 5_000
    assert pickle.loads(pickled).reply(PROMPTS) == before.reply(PROMPTS) == wanted


def test_a_model_that_was_given_is_pickled_whole():
    actor = HfActor(random_model("llama"), make_tokenizer(), max_new_tokens=4)
    assert copy.deepcopy(actor) is actor
    again = pickle.loads(pickle.dumps(actor))
    assert again.reply(PROMPTS) == actor.reply(PROMPTS)
    assert again._model is not actor._model


# -- sharing the reflector's weights -------------------------------------------------------------------------------


@pytest.fixture(params=["llama", "gpt2"])
def reflector(request):
    return Reflector(random_model(request.param), make_tokenizer(chat=CHAT), name="random", max_new_tokens=8)


def disturb(reflector):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in reflector.trainable.values():
            weight += 0.3 * torch.randn(weight.shape, generator=generator)


def test_learning_does_not_change_the_actor_that_shares_the_weights(reflector):
    base = reflector.model.get_base_model()
    wanted = HfActor(random_model(base.config.model_type), make_tokenizer(chat=CHAT), max_new_tokens=8).reply(PROMPTS)
    actor = reflector.as_actor(max_new_tokens=8, batch_size=2)
    assert actor.reply(PROMPTS) == wanted
    reflections = reflector.reflect(["Task 1: Wrong."])
    disturb(reflector)
    changed = reflector.reflect(["Task 1: Wrong."])
    assert changed != reflections  # the adapter does something
    trainable, config = set(reflector.trainable), base.generation_config
    assert actor.reply(PROMPTS) == wanted
    assert set(reflector.trainable) == trainable
    assert base.generation_config is config
    assert reflector.reflect(["Task 1: Wrong."]) == changed  # and does it again afterwards


def test_there_is_no_second_copy_of_the_weights(reflector):
    actor = reflector.as_actor()
    actor.reply(PROMPTS[:1])
    held = {weight.data_ptr() for weight in reflector.model.parameters()}
    for each in (actor, copy.deepcopy(actor)):
        assert {weight.data_ptr() for weight in each._load().model.parameters()} == held


def test_gradients_are_left_as_they_were(reflector):
    for weight in reflector.model.parameters():
        weight.requires_grad_(False)
    reflector.as_actor(max_new_tokens=2).reply(PROMPTS[:1])
    assert not any(weight.requires_grad for weight in reflector.model.parameters())


def test_a_reflector_without_an_adapter_is_an_actor_too():
    reflector = Reflector(random_model("llama"), make_tokenizer(chat=CHAT), name="random", lora=None, max_new_tokens=8)
    wanted = HfActor(random_model("llama"), make_tokenizer(chat=CHAT), max_new_tokens=8).reply(PROMPTS)
    assert reflector.as_actor(max_new_tokens=8).reply(PROMPTS) == wanted


# -- in an environment ---------------------------------------------------------------------------------------------


def test_it_plays_episodes_and_its_tape_replays_them(tmp_path):
    import gymnasium as gym

    def play(actor):
        env = gym.make("RetroIdentity-v0", actor=actor).unwrapped
        failure, _ = env.reset(seed=0)
        return failure, [outcome.trajectory.to_json() for outcome in env.branch(["red", "green", "blue"])]

    actor = chained("Action: S[rd]", batch_size=2)
    assert chained("abc").batch_size == 16
    live = play(RecordingActor(actor, tmp_path / "tape.jsonl"))
    assert "You said" not in live[0]
    assert "S[rd]" in live[0]
    replay = ReplayActor(tmp_path / "tape.jsonl")
    assert replay.parameters["shape"] == "chat"
    assert play(replay) == live
