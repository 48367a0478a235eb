"""A real, foreign server: `transformers serve` with a small model, and an evaluation through it from end to end."""

import importlib.util
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from retro_gym_agents.cli import main

SERVING = all(importlib.util.find_spec(name) is not None for name in ("fastapi", "uvicorn", "accelerate"))
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|> {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture(scope="module")
def chat_model(tmp_path_factory):
    """A small random Llama over bytes with a chat template; its generation config samples, as published ones do."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    special = ["<pad>", "<s>", "</s>"]
    words = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE({word: number for number, word in enumerate(words)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", chat_template=TEMPLATE
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(words),
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=2_048,
                initializer_range=0.3,
                pad_token_id=0,
                bos_token_id=1,
                eos_token_id=2,
            )
        )
    model.generation_config = GenerationConfig(do_sample=True, top_k=20, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    folder = tmp_path_factory.mktemp("chat") / "model"
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def server(chat_model, tmp_path_factory):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(chat_model), "--device", "cpu"]
    log = tmp_path_factory.mktemp("serve") / "log.txt"
    with log.open("wb") as file:
        process = subprocess.Popen([*command, "--host", "127.0.0.1", "--port", str(port)], stdout=file, stderr=file)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            if process.poll() is not None:
                raise RuntimeError(f"transformers serve ended: {log.read_text()[-2_000:]}")
            try:
                if httpx2.get(f"{url}/health", timeout=1.0).status_code == 200:
                    break
            except httpx2.HTTPError:
                time.sleep(0.2)
        yield f"{url}/v1"
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.skipif(not SERVING, reason='needs pip install "transformers[serving]"')
def test_an_evaluation_through_transformers_serve(server, chat_model, tmp_path, capsys):
    words = ["evaluate", "RetroIdentity-v0", "--num-tasks", "8", "--trials", "1", "--reflector", "none", "oracle"]
    words += ["--actor", f"openai:{chat_model}", "--base-url", server]
    words += ["--actor-kwargs", '{"max_tokens": 4, "patience": 120}', "--json"]
    results = []
    for name in ("first", "second"):
        code = main([*words, str(tmp_path / f"{name}.json")])
        assert code == 0, capsys.readouterr().err
        results.append(json.loads((tmp_path / f"{name}.json").read_text()))
    assert results[0] == results[1]  # temperature 0 is greedy, whatever the model's generation config says
    for policy in results[0]["policies"]:
        assert policy["actor_calls"] >= 8
        assert policy["actor_errors"] == 0
        assert policy["completion_tokens"] > 0
