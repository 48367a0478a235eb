"""What is sent, and what answers mean; no server is needed for either."""

import contextlib
import json
import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retro_gym.actors import Reply
from retro_gym.actors.openai_wire import Failure, MalformedReplyError, Request, failed_status, read_reply, retry_after
from retro_gym.errors import ActorError, PromptTooLongError
from retro_gym.prompts import Prompt
from retro_gym.trajectory import Turn

REQUEST = Request("gpt", "chat", 0.0, 64, "max_tokens", True, True, {})
PROMPT = Prompt("Answer.", (), (), "Question: Is it so?", (Turn("Hm.", "Search[it]", "It is."),), seed=7)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def answer(message, **more):
    return json.dumps({"choices": [{"message": message}], **more}).encode()


def request(**changes):
    fields = {name: getattr(REQUEST, name) for name in REQUEST.__dataclass_fields__}
    return Request(**{**fields, **changes})


def test_a_request_says_all_that_was_asked_for():
    assert REQUEST.path == "/chat/completions"
    assert REQUEST.body(PROMPT) == {
        "model": "gpt",
        "messages": PROMPT.messages("chat"),
        "temperature": 0.0,
        "max_tokens": 64,
        "stop": ["\nObservation"],
        "seed": 7,
    }


def test_a_completion_is_one_text():
    completion = request(shape="completion")
    assert completion.path == "/completions"
    assert completion.body(PROMPT)["prompt"] == PROMPT.text


def test_what_is_left_out_is_not_sent():
    bare = request(temperature=None, max_tokens=None, send_stop=False, send_seed=False)
    assert set(bare.body(PROMPT)) == {"model", "messages"}


def test_the_name_of_max_tokens_and_further_parameters():
    body = request(max_tokens_field="max_completion_tokens", extra_body={"top_k": 5, "seed": 1}).body(PROMPT)
    assert (body["max_completion_tokens"], body["top_k"], body["seed"]) == (64, 5, 1)
    assert "max_tokens" not in body


def test_no_more_stop_texts_are_sent_than_servers_take():
    prompt = Prompt("Answer.", (), (), "Question", (), seed=0, stop=tuple("abcdef"))
    assert REQUEST.body(prompt)["stop"] == list("abcd")


def test_half_a_character_is_replaced_on_its_way():
    prompt = Prompt("Answer \ud83d.", (), (), "Question", (), seed=0)
    json.dumps(REQUEST.body(prompt), ensure_ascii=False).encode()
    assert read_reply(b'{"choices": [{"text": "half \\ud83d of"}]}').text == "half \ufffd of"
    assert read_reply(b'{"choices": [{"text": "\\ud83d\\ude00"}]}').text == "\U0001f600"


@pytest.mark.parametrize(
    ("message", "text", "reasoning"),
    [
        ({"content": "Finish[yes]"}, "Finish[yes]", ""),
        ({"content": ""}, "", ""),
        ({"content": None}, "", ""),
        ({}, "", ""),
        ({"content": None, "refusal": "I will not."}, "I will not.", ""),
        ({"content": "", "refusal": "I will not."}, "I will not.", ""),
        ({"content": "Finish[yes]", "refusal": None}, "Finish[yes]", ""),
        ({"content": "Finish[yes]", "reasoning_content": "Easy."}, "Finish[yes]", "Easy."),
        ({"content": "Finish[yes]", "reasoning": "Easy."}, "Finish[yes]", "Easy."),
        ({"content": "Finish[yes]", "reasoning": "Easy.", "reasoning_content": "Easy."}, "Finish[yes]", "Easy."),
        ({"content": "<think>Easy.</think>Finish[yes]"}, "Finish[yes]", "Easy."),
        ({"content": None, "reasoning": "Endless"}, "", "Endless"),
        ({"content": [{"type": "text", "text": "Finish"}, {"type": "text", "text": "[yes]"}]}, "Finish[yes]", ""),
        ({"content": "Finish[yes]\nObservation 2: Right."}, "Finish[yes]", ""),
        ({"content": "", "tool_calls": [{"id": "1"}]}, "", ""),
    ],
)
def test_messages_and_what_becomes_of_them(message, text, reasoning):
    assert read_reply(answer(message), PROMPT.stop) == Reply(text, 0, 0, reasoning)


def test_the_cut_is_at_the_first_stop_text_whichever_it_is():
    assert read_reply(b'{"choices": [{"text": "a b c"}]}', ("c", "b")).text == "a "


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (None, (0, 0)),
        ({}, (0, 0)),
        ({"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}, (5, 3)),
        ({"prompt_tokens": None, "completion_tokens": 3}, (0, 3)),
    ],
)
def test_usage(usage, tokens):
    reply = read_reply(answer({"content": "x"}, usage=usage))
    assert (reply.prompt_tokens, reply.completion_tokens) == tokens


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b'{"choices": [', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "the answer is"),
        (b"{}", "choices is None"),
        (b'{"choices": []}', "without a choice"),
        (b'{"choices": {}}', "choices is"),
        (b'{"choices": [3]}', "the choice is 3"),
        (b'{"choices": [{}]}', "the text is None"),
        (b'{"choices": [{"message": "x"}]}', "the message is 'x'"),
        (answer({"content": 42}), "the content is 42"),
        (answer({"content": ["x"]}), "a part is 'x'"),
        (answer({"refusal": 42}), "the content is 42"),
        (answer({"content": "x"}, usage="a lot"), "usage is 'a lot'"),
        (answer({"content": "x"}, usage={"prompt_tokens": "5"}), "prompt_tokens is '5'"),
        (answer({"content": "x"}, usage={"prompt_tokens": -5}), "prompt_tokens is -5"),
        (answer({"content": "x"}, usage={"completion_tokens": True}), "completion_tokens is True"),
        (b'{"error": {"message": "model is loading", "code": 503}}', "model is loading"),
    ],
)
def test_what_is_no_reply_says_why(body, said):
    with pytest.raises(MalformedReplyError, match=said.replace("[", r"\[")):
        read_reply(body)


@given(ANYTHING, ANYTHING)
def test_no_answer_breaks_anything(anything, other):
    for body in (anything, {"choices": [{"message": anything}]}, {"choices": [{"text": "x"}], "usage": anything}):
        encoded = json.dumps(body).encode()
        with contextlib.suppress(MalformedReplyError):
            assert isinstance(read_reply(encoded), Reply)
    for error in (anything, {"error": anything}, {"error": {"message": anything, "code": other, "param": other}}):
        assert isinstance(failed_status(400, {}, json.dumps(error).encode(), REQUEST, "KEY"), Failure)


CONTEXT_ERRORS = [
    (400, {"error": {"message": "Too long.", "code": "context_length_exceeded"}}),
    (400, {"error": {"message": "This model's maximum context length is 4096 tokens. However, you requested 5000"}}),
    (400, {"object": "error", "message": "This model's maximum context length is 4096 tokens.", "code": 400}),
    (400, {"message": "The input (61709 tokens) is longer than the model's context length (40960 tokens)."}),
    (400, {"message": "The decoder prompt (length 10127) is longer than the maximum model length of 8192."}),
    (400, {"error": {"message": "the request exceeds it", "type": "exceed_context_size_error"}}),
    (500, {"error": {"message": "Context size has been exceeded.", "type": "server_error"}}),
    (422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 9000"}),
]


@pytest.mark.parametrize(("status", "body"), CONTEXT_ERRORS)
def test_context_errors_of_several_servers(status, body):
    failure = failed_status(status, {}, json.dumps(body).encode(), REQUEST, "KEY")
    assert isinstance(failure.final, PromptTooLongError)
    assert "'gpt'" in str(failure.final)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_what_may_pass(status):
    failure = failed_status(status, {"retry-after": "3"}, b'{"error": {"message": "Later."}}', REQUEST, "KEY")
    assert (failure.said, failure.after, failure.final) == (f"{status}: Later.", 3.0, None)


@pytest.mark.parametrize(
    ("status", "error", "remedy"),
    [
        (401, {"message": "no"}, "environment variable MY_KEY"),
        (403, {"message": "no"}, "MY_KEY may not use the model 'gpt'"),
        (404, {"message": "no"}, "/v1"),
        (400, {"message": "no", "param": "stop"}, "send_stop=False"),
        (400, {"message": "Unsupported value: 'temperature' does not support 0.0", "param": None}, "temperature=None"),
        (400, {"message": "no", "param": "seed"}, "send_seed=False"),
        (400, {"message": "Use 'max_completion_tokens'.", "param": "max_tokens"}, "max_tokens_field="),
        (400, {"message": "no", "param": ["stop"]}, "extra_body"),
        (422, {"detail": "Unexpected fields in the request: {'seed'}"}, "send_seed=False"),
        (422, {"detail": [{"loc": ["body"], "msg": "odd"}]}, "shape='chat'"),
        (429, {"message": "no", "code": "insufficient_quota"}, "quota"),
    ],
)
def test_what_does_not_pass_names_the_remedy(status, error, remedy):
    failure = failed_status(status, {}, json.dumps({"error": error}).encode(), REQUEST, "MY_KEY")
    assert type(failure.final) is ActorError
    assert remedy in str(failure.final)


def test_a_page_in_place_of_an_error_is_shown_in_part():
    failure = failed_status(502, {}, b"<html>\n" + b"x " * 5_000, REQUEST, "KEY")
    assert failure.said.startswith("502: <html> x x")
    assert len(failure.said) < 400


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": formatdate(0, usegmt=True)}, 0.0),
    ],
)
def test_retry_after(headers, seconds):
    assert retry_after(headers) == seconds


def test_retry_after_as_a_date():
    seconds = retry_after({"retry-after": formatdate(time.time() + 30, usegmt=True)})
    assert seconds is not None
    assert 20 < seconds <= 30
