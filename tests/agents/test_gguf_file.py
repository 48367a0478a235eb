"""Models in GGUF files."""

import json
import os
from pathlib import Path

import pytest
import torch
from tokenizers import pre_tokenizers

from retro_gym.actors import HfActor
from retro_gym.actors.gguf_file import transformers_folder
from retro_gym.actors.loading import load_causal_lm
from retro_gym.errors import ConfigError, MissingExtraError
from retro_gym.prompts import Prompt
from retro_gym_agents import Planner, Reflector
from retro_gym_agents.lm.adapter_folder import weights_digest
from retro_gym_agents.play.policies.reflectors import check_reflector

gguf = pytest.importorskip("gguf", reason="the extra [gguf] is not installed")

from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM  # noqa: E402

CHAT = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}{% if add_generation_prompt %}>{% endif %}"
ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
TOKENS = ["<unk>", "<s>", "</s>", *ALPHABET, "th", "the", "an"]
MERGES = ["t h", "th e", "a n"]


def make_model():
    config = LlamaConfig(
        vocab_size=len(TOKENS),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        rope_theta=5000.0,
        initializer_range=0.3,
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LlamaForCausalLM(config).eval()


def rows_of_llama_cpp(weight, heads):
    """llama.cpp rotates neighbouring dimensions, transformers the two halves of a head: so rows change places."""
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1)
    return halves.transpose(1, 2).reshape(weight.shape)


def write_gguf(path, architecture="llama", *, without="nothing"):
    """Writes the model as llama.cpp has it, without some weights; returns it."""
    model = make_model()
    config, writer = model.config, gguf.GGUFWriter(path, architecture)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(5000.0)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(TOKENS)
    writer.add_token_types([3, 3, 3, *([1] * (len(TOKENS) - 3))])
    writer.add_token_merges(MERGES)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(CHAT)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, weight in model.state_dict().items():
        if without in name:
            continue
        if ".q_proj." in name:
            weight = rows_of_llama_cpp(weight, config.num_attention_heads)
        elif ".k_proj." in name:
            weight = rows_of_llama_cpp(weight, config.num_key_value_heads)
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), weight.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A GGUF file, and the model that it was written from."""
    path = tmp_path_factory.mktemp("models") / "small.Q8.gguf"
    return path, write_gguf(path)


SMOLLM2 = Path(__file__).parents[2] / "models" / "smollm2-135m.gguf"


def logits_of(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0]


def test_a_file_is_the_model_that_it_was_written_from(made):
    path, model = made
    reflector, planner = Reflector.load(path, lora=None), Planner.load(path, lora=None)
    ids = reflector.tokenizer("then an ant")["input_ids"]
    assert reflector.tokenizer.convert_ids_to_tokens(ids) == ["the", "n", "Ġ", "an", "Ġ", "an", "t"]
    torch.testing.assert_close(logits_of(reflector.model, ids), logits_of(model, ids), atol=1e-4, rtol=0)
    torch.testing.assert_close(logits_of(planner.model, ids), logits_of(model, ids), atol=1e-4, rtol=0)
    folder, tokenizer = load_causal_lm(path.with_suffix(""), device="cpu", dtype=None, what="it", give="a folder")
    assert torch.equal(logits_of(folder, ids), logits_of(reflector.model, ids)), "the converted folder is a model too"
    assert tokenizer.chat_template == CHAT
    assert reflector.name == str(path.resolve())


def test_a_file_in_every_seat(made):
    path, _ = made
    check_reflector(str(path))
    said = HfActor(path, max_new_tokens=4).reply([Prompt("Answer.", (), (), "the", (), seed=0)])
    assert isinstance(said[0].text, str)
    assert weights_digest(path) != weights_digest(path.with_suffix(""))


def test_an_adapter_finds_its_base(made, tmp_path, monkeypatch):
    path, _ = made
    monkeypatch.chdir(path.parent)
    reflector = Reflector.load(path.name)
    reflector.save(tmp_path / "adapter")
    monkeypatch.chdir(tmp_path)
    assert Reflector.load("adapter").name == reflector.name == str(path)


def test_a_file_is_converted_once_and_again_when_it_changes(tmp_path):
    path = tmp_path / "small.gguf"
    write_gguf(path)
    folder = transformers_folder(path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["small", "small.gguf"], "nothing else is left"
    first = (folder / "model.safetensors").stat().st_mtime_ns
    assert transformers_folder(path) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == first
    os.utime(path, ns=(0, 0))
    transformers_folder(path)
    assert (folder / "model.safetensors").stat().st_mtime_ns > first
    (folder / "mine.txt").write_text("mine")
    os.utime(path, ns=(1, 1))
    with pytest.raises(ConfigError, match=r"holds 'mine.txt' too"):
        transformers_folder(path)
    assert (folder / "mine.txt").read_text() == "mine"


def test_what_is_no_model(made, tmp_path, monkeypatch):
    path, _ = made
    content = path.read_bytes()
    for number, cut in enumerate((4, 20, 600, len(content) // 2, len(content) - 64)):
        part = tmp_path / f"cut{number}.gguf"
        part.write_bytes(content[:cut])
        with pytest.raises(ConfigError, match=r"cannot be read to its end: .* truncated or damaged"):
            transformers_folder(part)
    foreign, other = tmp_path / "foreign.gguf", tmp_path / "other.gguf"
    foreign.write_bytes(b"PK\x03\x04 a zip")
    with pytest.raises(ConfigError, match="is no GGUF file: it begins with"):
        check_reflector(str(foreign))
    with pytest.raises(ConfigError, match=r"cannot be read: .*No such file"):
        check_reflector(str(tmp_path / "absent.gguf"))
    write_gguf(other, architecture="clip")
    with pytest.raises(ConfigError, match=r"transformers cannot read: .*architecture"):
        Reflector.load(other)
    assert not list(tmp_path.glob(".*")), "nothing is left"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"retro-gym\[gguf\]"):
        transformers_folder(other)


def test_a_part_of_a_model(tmp_path):
    """Without a check, the weights that are absent would be random ones."""
    path = tmp_path / "PART-1.GGUF"
    write_gguf(path, without="layers.1.")
    with pytest.raises(ConfigError, match=r"lacks 9 of the model's weights, first model.layers.1"):
        Reflector.load(path)
    assert [one.name for one in tmp_path.iterdir()] == ["PART-1.GGUF"]


def test_a_folder_of_the_same_name_is_left_alone(made, tmp_path):
    path, _ = made
    copy = tmp_path / "small.gguf"
    copy.write_bytes(path.read_bytes())
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="Rename one of the two"):
        transformers_folder(copy)
    assert (tmp_path / "small" / "mine.txt").read_text() == "mine"


def test_a_conversion_that_another_process_has_finished_is_taken(made, tmp_path, monkeypatch):
    path, _ = made
    copy = tmp_path / "small.gguf"
    copy.write_bytes(path.read_bytes())
    from retro_gym.actors import gguf_file

    put = gguf_file._put

    def slower(made, folder, source):
        folder.mkdir()
        (folder / "gguf.json").write_text(json.dumps(source))
        put(made, folder, source)

    monkeypatch.setattr(gguf_file, "_put", slower)
    folder = transformers_folder(copy)
    assert [one.name for one in folder.iterdir()] == ["gguf.json"]


def test_a_changed_file_is_converted_again(made, tmp_path):
    path, _ = made
    copy = tmp_path / "small.gguf"
    copy.write_bytes(path.read_bytes())
    folder = transformers_folder(copy)
    (folder / "was_here_before.json").write_text("{}")
    noted = json.loads((folder / "gguf.json").read_text())
    noted["files"].append("was_here_before.json")  # as if transformers wrote fewer files than it did
    (folder / "gguf.json").write_text(json.dumps(noted))
    os.utime(copy, ns=(1, 1))
    assert transformers_folder(copy) == folder
    assert not (folder / "was_here_before.json").exists()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["small", "small.gguf"]
    (folder / "mine.txt").write_text("mine")
    os.utime(copy, ns=(2, 2))
    with pytest.raises(ConfigError, match=r"holds 'mine.txt' too"):
        transformers_folder(copy)
    assert (folder / "mine.txt").read_text() == "mine"


def test_all_files_of_a_folder_have_the_same_mode(made):
    path, _ = made
    assert len({one.stat().st_mode for one in transformers_folder(path).iterdir()}) == 1


@pytest.mark.slow
@pytest.mark.skipif(not SMOLLM2.is_file(), reason="the model is absent; fetch it: make smollm2")
def test_a_real_model_is_what_transformers_reads():
    """The file without a detour, the folder that was made of it, a reflector, and the actor ``hf:``."""
    kept = AutoModelForCausalLM.from_pretrained(SMOLLM2.parent, gguf_file=SMOLLM2.name, dtype="float32")
    reflector, actor = Reflector.load(SMOLLM2, lora=None), HfActor(SMOLLM2, max_new_tokens=8)
    ids = reflector.tokenizer("In 1924 the second attempt failed because")["input_ids"]
    expected = logits_of(kept, ids)
    torch.testing.assert_close(logits_of(reflector.model, ids), expected, atol=1e-4, rtol=0)
    asked = Prompt("Answer with one word.", (), (), "What is the capital of France?", (), seed=0)
    assert "Paris" in actor.reply([asked])[0].text
    torch.testing.assert_close(logits_of(actor._loaded.model, ids), expected, atol=1e-4, rtol=0)
    folder = AutoModelForCausalLM.from_pretrained(SMOLLM2.with_suffix(""), dtype="float32")
    torch.testing.assert_close(logits_of(folder, ids), expected, atol=1e-4, rtol=0)
