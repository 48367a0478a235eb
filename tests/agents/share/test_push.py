"""Adapters on the hub: pushed, loaded from there, and what stands in the way."""

from __future__ import annotations

import json

import pytest
import torch

from retro_gym.errors import ConfigError, HubError
from retro_gym_agents import Planner, Reflector
from retro_gym_agents.lm.sources import tiny_version
from retro_gym_agents.play.policies import make_policy
from tests.agents.share.hub_double import DROP, TOKEN

# huggingface_hub's own, of its transport.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")

NAME = "someone/first"
FAILURE = "Question: Who? This attempt failed. What should be done differently next time?"
TINY = f"someone/retro-gym-tiny-{tiny_version()}"


@pytest.fixture(scope="module")
def tiny():
    reflector = Reflector.load("tiny")
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in reflector.trainable.values():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.05)
    return reflector


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_what_is_pushed_is_loaded(hub, tiny):
    url = tiny.push_to_hub(NAME)
    assert url == f"{hub.address}/{NAME}"
    files = hub.files(NAME)
    config = json.loads(files["adapter_config.json"])
    assert (config["base_model_name_or_path"], config["revision"]) == (TINY, None)
    assert {"adapter_model.safetensors", "tokenizer.json", "generation_config.json", "README.md"} <= files.keys()
    assert f"base_model: {TINY}" in files["README.md"].decode()
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= hub.files(TINY).keys()
    loaded = Reflector.load(NAME)
    assert loaded.name == "tiny"
    assert same(loaded.adapter_state(), tiny.adapter_state())
    assert loaded.sampling == tiny.sampling
    assert not [line for line in hub.asked if line.startswith("GET") and "retro-gym-tiny" in line and "resolve" in line]


def test_a_second_push_replaces_the_first_and_leaves_other_files(hub, tiny):
    tiny.push_to_hub(NAME)
    repo = hub.repos["models", NAME]
    files = {**hub.files(NAME), "planner.json": b"{}", "notes/mine.txt": b"mine"}
    repo.add("main", files)
    asked = len(hub.asked)
    tiny.push_to_hub(NAME, message="again")
    assert hub.files(NAME).keys() == files.keys() - {"planner.json"}
    assert hub.files(NAME)["notes/mine.txt"] == b"mine"
    assert not [line for line in hub.asked[asked:] if "retro-gym-tiny" in line and "HEAD" not in line], "it is there"


def test_a_revision(hub, tiny):
    first = Reflector.load("tiny")
    first.push_to_hub(NAME)
    tiny.push_to_hub(NAME, revision="v2")
    assert same(Reflector.load(NAME).adapter_state(), first.adapter_state())
    for loaded in (Reflector.load(NAME, revision="v2"), Reflector.load(f"{NAME}@v2")):
        assert same(loaded.adapter_state(), tiny.adapter_state())
    commit = hub.repos["models", NAME].branches["v2"]
    assert same(Reflector.load(f"{NAME}@{commit}").adapter_state(), tiny.adapter_state())
    with pytest.raises(HubError, match=r"has no revision 'v9'\. Give one of its branches"):
        Reflector.load(NAME, revision="v9")


def test_every_place_that_takes_a_reflectors_folder_takes_its_name(hub, tiny):
    tiny.push_to_hub(NAME)
    policy = make_policy(f"{NAME}@main", greedy=True)
    assert policy.name == f"{NAME}@main"
    assert policy.reflect([FAILURE], [], [0]) == tiny.reflect([FAILURE])
    beside = Planner.beside(tiny, folder=NAME)
    assert same(beside.adapter_state(), tiny.adapter_state())
    assert Planner.load(NAME).template is not None


def test_a_private_repository(hub, tiny, monkeypatch):
    tiny.push_to_hub(NAME, private=True)
    assert hub.repos["models", NAME].private
    assert hub.repos["models", TINY].private
    monkeypatch.delenv("HF_TOKEN")
    said = r"there is no model 'someone/first' on the hub .* or it is private.*Log in with 'hf auth login'"
    with pytest.raises(HubError, match=said):
        Reflector.load(NAME)
    assert Reflector.load(NAME, token=TOKEN).name == "tiny"


def test_a_public_repository_does_not_get_what_is_to_be_private(hub, tiny):
    hub.make(NAME, {"README.md": b"public"})
    with pytest.raises(ConfigError, match="is on the hub already, and is public"):
        tiny.push_to_hub(NAME, private=True)
    assert hub.files(NAME) == {"README.md": b"public"}


@pytest.mark.parametrize(
    "name",
    ["first", "someone/", "/first", "a/b/c", "someone/a b", "someone/..", "../x", "someone/a--b", "", "some one/x"],
)
def test_what_is_no_name(hub, tiny, name):
    with pytest.raises(ConfigError, match=r"is no name on the hub .* Give OWNER/NAME"):
        tiny.push_to_hub(name)
    assert hub.asked == []


def test_a_whole_model_is_not_mixed_with_an_adapter(hub, tiny):
    hub.make(NAME, {"config.json": b"{}", "model.safetensors": b""})
    with pytest.raises(ConfigError, match="holds a whole model already"):
        tiny.push_to_hub(NAME)
    assert hub.files(NAME).keys() == {"config.json", "model.safetensors"}


def test_a_base_model_in_a_folder_must_have_a_name(hub, small_model, tmp_path):
    reflector = Reflector.load(small_model)
    with pytest.raises(ConfigError, match=r"is the folder 'small_model0' of this machine.*--base.*--merged"):
        reflector.push_to_hub(NAME)
    with pytest.raises(ConfigError, match="base 'someone/base' is no model on the hub"):
        reflector.push_to_hub(NAME, base="someone/base")
    hub.make("someone/base", {file.name: file.read_bytes() for file in small_model.iterdir()})
    reflector.push_to_hub(NAME, base="someone/base")
    everything = b"".join(hub.files(NAME).values())
    assert str(small_model.parent).encode() not in everything
    assert json.loads(hub.files(NAME)["adapter_config.json"])["base_model_name_or_path"] == "someone/base"


REFUSED = {
    401: r"status 401: .* Log in with 'hf auth login', or set HF_TOKEN to a token that may write",
    403: r"status 403: .* Its token may not write there",
    409: r"status 409: .* Somebody else changed it at the same time\. Try again",
    429: r"status 429: .* Try again later\. No commit was made",
    500: r"status 500: .* Try again later\. No commit was made",
    503: r"status 503: .* Try again later\. No commit was made",
}
STEPS = ["repos/create", "preupload", "objects/batch", "commit"]


@pytest.mark.parametrize(
    ("at", "status"),
    # 409 at the creation is no refusal: the repository is there.
    [(at, status) for at in STEPS for status in REFUSED if (at, status) != ("repos/create", 409)],
)
def test_a_hub_that_refuses(hub, tiny, at, status):
    hub.make(NAME, {"README.md": b"before"})
    hub.make(TINY, {"model.safetensors": b""})
    hub.fault = lambda method, path: status if at in path else None
    if at == "repos/create" and status in (401, 403):
        del hub.repos["models", NAME]  # of one that is there, creation may be refused and writing allowed
    with pytest.raises(HubError, match=REFUSED[status]) as caught:
        tiny.push_to_hub(NAME)
    assert TOKEN not in str(caught.value)
    if ("models", NAME) in hub.repos:
        assert hub.files(NAME) == {"README.md": b"before"}, "nothing is half written"


@pytest.mark.parametrize("at", ["repos/create", "/large/", "commit"])
def test_a_push_that_is_interrupted_leaves_nothing_half_written(hub, tiny, at):
    hub.make(TINY, {"model.safetensors": b""})
    hub.fault = lambda method, path: DROP if at in path else None
    with pytest.raises(HubError, match=r"cannot be reached for model 'someone/first'|could not be written"):
        tiny.push_to_hub(NAME)
    assert ("models", NAME) not in hub.repos or hub.files(NAME) == {}
    hub.fault = lambda method, path: None
    tiny.push_to_hub(NAME)
    assert same(Reflector.load(NAME).adapter_state(), tiny.adapter_state())


def test_someone_elses_name(hub, tiny):
    with pytest.raises(HubError, match=r"status 403: .*right to create.* another owner than 'other'"):
        tiny.push_to_hub("other/first")


def test_without_a_token(hub, tiny, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match=r"status 401: .*Log in with 'hf auth login'"):
        tiny.push_to_hub(NAME)
    assert hub.repos == {}


def test_without_a_connection(hub, tiny, monkeypatch):
    from huggingface_hub import constants

    tiny.push_to_hub(NAME)
    assert Reflector.load(NAME).name == "tiny"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert same(Reflector.load(NAME).adapter_state(), tiny.adapter_state()), "the cache holds it"
    with pytest.raises(HubError, match=r"cannot be reached for model 'someone/other' \(HF_HUB_OFFLINE is set\)"):
        Reflector.load("someone/other")
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set"):
        tiny.push_to_hub(NAME)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    hub.fault = lambda method, path: DROP
    with pytest.raises(HubError, match=r"cannot be reached for model 'someone/other' .*and it is not in the cache"):
        Reflector.load("someone/other")


def test_what_is_not_on_the_hub_or_no_adapter(hub):
    with pytest.raises(HubError, match=r"there is no model 'someone/nothing' on the hub"):
        Reflector.load("someone/nothing")
    hub.make("someone/text", {"README.md": b"only text"})
    with pytest.raises(HubError, match="'someone/text' on the hub holds neither an adapter"):
        Reflector.load("someone/text")
    hub.make("someone/model", {"config.json": b"{}"})
    tiny = Reflector.load("tiny")
    with pytest.raises(ConfigError, match=r"holds no adapter\. Give a folder that save"):
        Planner.beside(tiny, folder="someone/model")


def test_a_base_model_that_the_hub_does_not_have(hub, tiny):
    tiny.push_to_hub(NAME)
    row = json.loads(hub.files(NAME)["adapter_config.json"]) | {"base_model_name_or_path": "/home/me/model"}
    hub.repos["models", NAME].add("main", {**hub.files(NAME), "adapter_config.json": json.dumps(row).encode()})
    with pytest.raises(ConfigError, match="made for the base model in '/home/me/model', which is not there"):
        Reflector.load(NAME)
