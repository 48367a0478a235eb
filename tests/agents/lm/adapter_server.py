"""A server like vLLM or SGLang in a thread: it loads adapters from folders and samples with them."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import torch

from retro_gym_agents.lm.reflector import Reflector


class AdapterServer:
    """Holds a base model, and the adapters that it was told to load.

    Args:
        kind: ``"vllm"`` or ``"sglang"``.
        noise: standard deviation of what is added to each log-probability that it reports.
        failures: how many requests fail first, with status 503.
        without: a key that answers lack, as those of an older version.
    """

    def __init__(self, kind="vllm", *, noise=0.0, failures=0, without=None):
        self.kind, self.noise, self.failures, self.without = kind, noise, failures, without
        self.adapters = {}
        self.counts = Counter()
        self.loads = []
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"owner": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self):
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()

    def answer(self, method, path, body):
        """Returns status and content."""
        with self._lock:
            self.counts[path] += 1
            if self.failures and method == "POST":
                self.failures -= 1
                return 503, "busy"
            vllm = self.kind == "vllm"
            if method == "GET":
                return (200, {}) if path == ("/version" if vllm else "/get_model_info") else (404, "no such page")
            name = path.rsplit("/", 1)[1]
            if name == "load_lora_adapter":
                self.adapters[body["lora_name"]] = Reflector.load(body["lora_path"])
                self.loads.append(body["lora_name"])
                return 200, "Success"
            if name == "unload_lora_adapter":
                del self.adapters[body["lora_name"]]
                return 200, "Success"
            return 200, self._completion(body) if path == "/v1/completions" else self._generation(body)

    def _sampled(self, name, ids, count, seed, temperature, length):
        reflector = self.adapters[name]
        reflector.sampling = reflector.sampling.__class__(
            **vars(reflector.sampling) | {"temperature": temperature or 1.0, "max_new_tokens": length}
        )
        with torch.random.fork_rng():
            samples = reflector.sample_rows([ids], num_samples=count, seed=[seed], greedy=temperature == 0)
        noise = torch.randn(samples.logprobs_NT.shape, generator=torch.Generator().manual_seed(seed)) * self.noise
        for row, mask, logprobs in zip(samples.tokens_NT, samples.mask_NT, samples.logprobs_NT + noise, strict=True):
            yield row[mask].tolist(), logprobs[mask].tolist()

    def _completion(self, body):
        assert body["return_tokens_as_token_ids"]
        assert body["repetition_penalty"] == 1
        asked = (body[key] for key in ("model", "prompt", "n", "seed", "temperature", "max_tokens"))
        choices = [
            {"logprobs": {"tokens": [f"token_id:{one}" for one in ids], "token_logprobs": said}}
            for ids, said in self._sampled(*asked)
        ]
        if self.without is not None:
            for choice in choices:
                del choice["logprobs"][self.without]
        return {"choices": choices}

    def _generation(self, body):
        wanted = body["sampling_params"]
        asked = (wanted[key] for key in ("temperature", "max_new_tokens"))
        found = [
            {"meta_info": {"output_token_logprobs": [[value, id_, None] for id_, value in zip(ids, said, strict=True)]}}
            for ids, said in self._sampled(body["lora_path"], body["input_ids"], wanted["n"], 5, *asked)
        ]
        return found if wanted["n"] > 1 else found[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._send(*self.owner.answer("GET", self.path, None))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._send(*self.owner.answer("POST", self.path, body))

    def _send(self, status, content):
        kind, data = ("text/plain", content) if isinstance(content, str) else ("application/json", json.dumps(content))
        data = data.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Keeps quiet."""
