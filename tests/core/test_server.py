"""The test server, asked without the actor that it is made for."""

import http.client
import json
import os
import pty
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from urllib.parse import urlsplit

import pytest

from retro_gym import Prompt, Reply
from retro_gym.actors import CallableActor
from retro_gym.adapting import as_task_env
from retro_gym.errors import ActorError, ConfigError, DataError, PromptTooLongError
from retro_gym.testing import EchoActor, IdentityActor, ScriptedActor
from retro_gym.testing.faults import PASSING_FAULTS, Fault, Faults, Latency
from retro_gym.testing.hosting import hosted_prompt
from retro_gym.testing.server import ServerThread, main
from retro_gym.trajectory import Turn

TURNS = (
    Turn("I should look.", "Search[Velmora]", "A town.\nOn a river."),
    Turn("", "execute[SELECT a\nFROM b]", "[(1,)]"),
    Turn("", "Finish[it]", "Wrong."),
)
EXAMPLE = "Question: Old?\nThought 1: a\nAction 1: b\nObservation 1: c"
PROMPT = Prompt("Answer.", (EXAMPLE,), ("Look twice.",), "Question: Where?", TURNS, seed=9)
MESSAGES = {"messages": [{"role": "user", "content": "Hello"}]}


class Client:
    """A connection that is kept."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection(urlsplit(server.base_url).netloc, timeout=10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def ask(self, path, body=None, headers=None):
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        self.connection.request("GET" if body is None else "POST", path, content, headers or {})
        response = self.connection.getresponse()
        self.headers = response.headers
        return response.status, json.loads(response.read() or b"null")

    def chat(self, **more):
        return self.ask("/v1/chat/completions", {**MESSAGES, **more})


@pytest.mark.parametrize("shape", ["chat", "user", "completion"])
@pytest.mark.parametrize("prompt", [PROMPT, Prompt("Answer.", (), (), "Question: Where?", (), seed=3)])
def test_the_prompt_behind_a_request_is_found_again(shape, prompt):
    request = {"prompt": prompt.text} if shape == "completion" else {"messages": prompt.messages(shape)}
    found = hosted_prompt({**request, "seed": prompt.seed, "stop": list(prompt.stop)})
    assert found.text == prompt.text
    assert (found.seed, found.stop) == (prompt.seed, prompt.stop)
    assert (found.reflections, found.turns) == (prompt.reflections, prompt.turns)


def test_content_in_parts():
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
    assert hosted_prompt({"messages": [{"role": "user", "content": parts}]}).text == "Hello\n"


@pytest.mark.parametrize("request_", [{}, {"prompt": 3}, {"messages": []}, {"messages": [3]}, {"messages": [{}]}])
def test_what_is_no_request(request_):
    with pytest.raises(DataError):
        hosted_prompt(request_)


def test_a_chat_and_a_completion():
    with ServerThread(EchoActor("Hi.\nObservation 1: no")) as server, Client(server) as client:
        status, answer = client.chat(model="any", stop="\nObservation")
        assert (status, answer["choices"][0]["message"]["content"]) == (200, "Hi.")
        assert answer["usage"] == {"prompt_tokens": 6, "completion_tokens": 21, "total_tokens": 27}
        status, answer = client.ask("/v1/completions", {"prompt": "Hello", "model": "any"})
        assert (answer["choices"][0]["text"], answer["model"]) == ("Hi.\nObservation 1: no", "any")
        assert client.ask("/v1/models")[1]["data"][0]["id"] == "test"
        assert client.ask("/counts")[1] == {"requests": 2, "replies": 2, "peak": 1}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/chat/completions", b"{", 400),
        ("/v1/chat/completions", b"[]", 400),
        ("/v1/chat/completions", b"{}", 400),
        ("/v1/chat/completions", b"\xff", 400),
        ("/v1/completions", b'{"prompt": "x", "stop": 5}', 400),
        ("/v1/completions", b'{"prompt": "x", "stop": [5]}', 400),
        ("/v1/completions", b'{"prompt": "x", "stop": [""]}', 200),
        ("/v1/chat/completions", b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
        ("/v1/chat/completions", None, 404),
        ("/v2/chat", b"{}", 404),
    ],
)
def test_what_it_cannot_answer(path, body, status):
    with ServerThread(EchoActor()) as server, Client(server) as client:
        assert client.ask(path, body)[0] == status
        assert client.chat()[0] == 200  # on the same connection


def test_a_body_of_unknown_length_is_refused():
    with ServerThread(EchoActor()) as server, socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        with client.makefile("rb") as answer:
            assert answer.read().startswith(b"HTTP/1.1 411 ")  # and then it ends the connection


def test_what_an_actor_cannot_answer():
    errors = iter([ActorError("down"), PromptTooLongError("long"), Reply("x")])
    with ServerThread(CallableActor(lambda prompts: [next(errors)])) as server, Client(server) as client:
        assert client.chat()[0] == 500
        status, answer = client.chat()
        assert (status, answer["error"]["code"]) == (400, "context_length_exceeded")
        assert client.chat()[0] == 200


def test_a_cut_reply_is_answered_as_one():
    replies = iter([Reply("Action 1: go\nand", cut=True), Reply("I th", cut=True)])
    with ServerThread(CallableActor(lambda prompts: [next(replies)])) as server, Client(server) as client:
        choices = [client.chat()[1]["choices"][0] for _ in range(2)]
    assert [choice["finish_reason"] for choice in choices] == ["length", "length"]
    assert [choice["message"]["content"] for choice in choices] == ["Action 1: go\nand", ""]


def test_a_key_a_model_and_a_limit():
    server = ServerThread(EchoActor(), api_key="open sesame", model="gpt", context_words=3, rejects=["stop"])
    with server, Client(server) as client:
        key = {"Authorization": "Bearer open sesame"}
        path, body = "/v1/chat/completions", {**MESSAGES, "model": "gpt"}
        assert client.ask(path, body)[0] == 401
        assert client.ask(path, body, {"Authorization": "Bearer x"})[0] == 401
        assert client.ask(path, {**body, "model": "gtp"}, key)[0] == 404
        assert client.ask(path, {**body, "stop": ["x"]}, key)[1]["error"]["param"] == "stop"
        assert client.ask(path, body, key)[0] == 200
        long = {"messages": [{"role": "user", "content": "too many words here"}], "model": "gpt"}
        assert "maximum context length is 3" in client.ask(path, long, key)[1]["error"]["message"]


@pytest.mark.parametrize("style", ["reasoning", "reasoning_content"])
def test_reasoning_in_a_field(style):
    with ServerThread(ScriptedActor(["x"]), reasoning=style) as server, Client(server) as client:
        message = client.chat()[1]["choices"][0]["message"]
        assert (message["content"], bool(message[style])) == ("x", True)


def test_reasoning_in_the_text():
    actor = CallableActor(lambda prompts: [Reply("x", reasoning="Hm.")])
    with ServerThread(actor, reasoning="think") as server, Client(server) as client:
        assert client.chat()[1]["choices"][0]["message"]["content"] == "<think>\nHm.\n</think>\n\nx"


@pytest.mark.parametrize(
    ("fault", "status"),
    [("rate_limit", 429), ("rate_limit_bare", 429), ("server_error", 500), ("unavailable", 503), ("slow_body", 200),
     ("empty_choices", 200), ("wrong_types", 200), ("choice_error", 200), ("refusal", 200), ("length", 200),
     ("context_length", 400)],
)  # fmt: skip
def test_each_fault_and_that_it_passes(fault, status):
    faults = Faults(first=[Fault(fault)], retry_after=1.5, slow_seconds=0.05)
    with ServerThread(EchoActor("long"), faults=faults) as server, Client(server) as client:
        first, answer = client.chat()
        assert first == status
        assert client.headers.get("retry-after") == ("1.5" if fault == "rate_limit" else None)
        choices = answer.get("choices")
        content = choices[0]["message"]["content"] if isinstance(choices, list) and choices else None
        wrong = {
            "slow_body": "long",
            "wrong_types": 42 if isinstance(choices, list) else None,
            "choice_error": "",
            "length": "lo",
        }
        assert content == wrong.get(fault)
        if fault in ("choice_error", "length"):
            assert choices[0]["finish_reason"] == ("length" if fault == "length" else "error")
        assert client.chat()[1]["choices"][0]["message"]["content"] == "long"
        assert server.counts == {"requests": 2, "replies": 1, fault: 1, "peak": 1}


def test_a_cut_connection_and_half_a_document():
    faults = Faults(first=[Fault.CUT, Fault.INVALID_JSON])
    with ServerThread(EchoActor("x"), faults=faults) as server, Client(server) as client:
        with pytest.raises(http.client.IncompleteRead):
            client.chat()
        client.connection.close()
        with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
            client.chat()
        assert client.chat()[0] == 200


def test_a_date_to_come_back_at():
    faults = Faults(first=[Fault.RATE_LIMIT], retry_after=5, retry_after_date=True)
    with ServerThread(EchoActor("x"), faults=faults) as server, Client(server) as client:
        client.chat()
        assert client.headers["retry-after"].endswith("GMT")


def test_faults_come_in_their_shares_and_from_their_seed():
    faults = Faults.mixed(0.3, PASSING_FAULTS, seed=1)
    draws = [[faults.draw(i, rng) for i in range(9_000)] for rng in (random.Random(1), random.Random(1))]
    assert draws[0] == draws[1]
    counts = Counter(draws[0])
    assert all(220 < counts[fault] < 380 for fault in PASSING_FAULTS)
    assert 6_150 < counts[None] < 6_450


def test_latencies_have_their_median_and_their_tail():
    rng, latency = random.Random(0), Latency(0.2, 2.0)
    draws = sorted(latency.draw(rng) for _ in range(20_000))
    assert draws[10_000] == pytest.approx(0.2, rel=0.03)
    assert draws[19_800] == pytest.approx(2.0, rel=0.1)


@pytest.mark.parametrize(
    ("build", "arguments", "said"),
    [
        (Faults, {"shares": {"rate_limits": 0.1}}, "Did you mean 'rate_limit'"),
        (Faults, {"shares": {Fault.CUT: 1.1}}, "sum to <= 1"),
        (Faults, {"shares": {Fault.CUT: -0.1}}, "sum to <= 1"),
        (Faults, {"shares": {Fault.CUT: float("nan")}}, "sum to <= 1"),
        (Faults, {"first": ["cute"]}, "'cut'"),
        (Latency, {"median": float("nan")}, "median >= 0"),
        (Latency, {"median": float("inf")}, "median >= 0"),
        (ServerThread, {"actor": EchoActor(), "port": 99_999}, "0 to 65535"),
        (Latency, {"median": -1}, "median >= 0"),
        (Latency, {"median": 0.2, "p99": 0.1}, "p99 >= median"),
        (Latency, {"median": 0, "p99": 1}, "p99 >= median"),
    ],
)
def test_bad_settings(build, arguments, said):
    with pytest.raises(ConfigError, match=said):
        build(**arguments)


def test_many_requests_wait_at_once():
    with ServerThread(EchoActor("x"), latency=0.5) as server:

        def work():
            with Client(server) as client:
                client.chat()

        threads = [threading.Thread(target=work) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (server.counts["peak"], server.counts["replies"]) == (16, 16)


def test_it_stops_twice_and_starts_again_on_its_port():
    server = ServerThread(EchoActor("x"), latency=60.0)
    with server, Client(server) as client:
        client.connection.request("POST", "/v1/completions", b'{"prompt": "x"}')
        server.stop()
        with pytest.raises(ConnectionError):
            client.connection.getresponse()
    server.stop()
    with pytest.raises(ConnectionRefusedError), Client(server) as client:
        client.chat()
    with ServerThread(EchoActor("x"), port=server.port) as again, Client(again) as client:
        assert client.chat()[0] == 200
        with pytest.raises(OSError, match="in use"):
            ServerThread(EchoActor("x"), port=server.port).start()


def test_it_listens_on_the_loopback_only():
    with ServerThread(EchoActor("x")) as server, socket.socket() as other:
        other.bind(("127.0.0.2", server.port))  # taken, had it bound every interface


def url_of(process):
    return process.stdout.readline().strip()


def is_asked(url):
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    reflected = Prompt("Say it.", (), ("It is blue.",), "The word is blue.", (), seed=0)
    connection.request("POST", "/v1/completions", json.dumps({"prompt": reflected.text}).encode())
    answer = json.loads(connection.getresponse().read())
    connection.close()
    assert answer["choices"][0]["text"] == IdentityActor().reply([reflected])[0].text == "Say[blue]"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--env", "RetroIdentity-v0"], "scripted actor"),
        (["--env", "Nope-v0"], "not registered"),
        (["--env", "Identity-v0", "--port", "99999"], "port is 99999"),
        (["--env", "Identity-v0", "--latency", "-1"], "median >= 0"),
        (["--env", "Identity-v0", "--fault-share", "nan"], "sum to <= 1"),
    ],
)
def test_a_command_that_cannot_be_served_says_why(arguments, said):
    with pytest.raises(SystemExit, match=said):
        main(arguments)


def test_a_port_that_is_taken_is_named():
    with ServerThread(EchoActor()) as server, pytest.raises(SystemExit, match=f"{server.port}"):
        main(["--env", "Identity-v0", "--port", str(server.port)])


def test_a_long_prompt_is_read_in_time():
    actor = as_task_env("HotpotQA-v0").scripted_actor()
    prompt = hosted_prompt({"prompt": "Question: x " * 40_000})
    started = time.process_time()
    assert actor.reply([prompt])[0].text
    assert time.process_time() - started < 5.0


def test_it_stops_though_its_actor_does_not_come_back(monkeypatch):
    monkeypatch.setattr("retro_gym.testing.server._LONGEST_STOP", 0.1)
    done = threading.Event()
    actor = CallableActor(lambda prompts: [str(done.wait(30.0))])
    with ServerThread(actor) as server, Client(server) as client:
        client.connection.request("POST", "/v1/completions", b'{"prompt": "x"}')
        thread = server._thread
        server.stop()
    assert thread.is_alive()
    done.set()
    thread.join()


COMMAND = [sys.executable, "-W", "error", "-m", "retro_gym.testing.server", "--env", "Identity-v0"]
PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}


@pytest.mark.parametrize(("end", "said"), [("input", "its standard input has ended"), ("signal", "SIGTERM")])
def test_a_process_of_its_own(end, said):
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, **PIPES) as process:
        is_asked(url_of(process))
        if end == "signal":
            process.send_signal(signal.SIGTERM)
        else:
            process.stdin.close()
        assert process.wait(timeout=30) == 0
        assert process.stderr.read() == f"the test server ends: {said}\n"


def test_a_process_ends_with_its_terminal():
    master, terminal = pty.openpty()
    with subprocess.Popen(COMMAND, stdin=terminal, **PIPES) as process:
        os.close(terminal)
        is_asked(url_of(process))
        os.close(master)
        assert process.wait(timeout=30) == 0
        assert process.stderr.read() == "the test server ends: its standard input has ended\n"


@pytest.mark.parametrize("given", ["device", "write-only device", "ended pipe", "closed", "file"])
def test_a_process_without_an_input_serves_until_a_signal(given, tmp_path):
    (tmp_path / "empty").touch()
    pipe, other_end = os.pipe()
    os.close(other_end)
    inputs = {
        "device": os.open(os.devnull, os.O_RDONLY),
        "write-only device": os.open(os.devnull, os.O_WRONLY),  # nohup's
        "ended pipe": pipe,
        "file": os.open(tmp_path / "empty", os.O_RDONLY),
        "closed": None,
    }
    closing = ["sh", "-c", 'exec "$@" <&-', "sh"] if given == "closed" else []
    with subprocess.Popen([*closing, *COMMAND], stdin=inputs[given], **PIPES) as process:
        url = url_of(process)
        assert "no standard input" in process.stderr.readline()
        is_asked(url)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        assert process.stderr.read() == "the test server ends: SIGTERM\n"
    for number in filter(None, inputs.values()):
        os.close(number)
