"""What is sent, and what answers mean; no server is needed for either."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retro_gym.actors import Reply
from retro_gym.actors.openai.errors import failed_status
from retro_gym.actors.openai.replies import read_reply
from retro_gym.actors.openai.wire import Failure, Request
from retro_gym.errors import ActorError, CutReplyError, PromptTooLongError
from retro_gym.prompts import Prompt
from retro_gym.trajectory import Turn

REQUEST = Request("gpt", "chat", 0.0, 64, "max_tokens", True, True, {})
PROMPT = Prompt("Answer.", (), (), "Question: Is it so?", (Turn("Hm.", "Search[it]", "It is."),), seed=7)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def answer(message, choice=None, **more):
    return json.dumps({"choices": [{"message": message, **(choice or {})}], **more}).encode()


def read(body, stop=()):
    return read_reply(body if isinstance(body, bytes) else json.dumps(body).encode(), REQUEST, stop)


def choices(choice):
    return {"choices": [{"index": 0, **choice}]}


FULL = {"completion_tokens": 64}
CUT = [
    {"finish_reason": {"type": "length"}},
    {"finish_details": {"type": "max_tokens"}},
    {"finishReason": "MAX_TOKENS"},
    {"stopReason": "maxTokens"},
    *(
        {"finish_reason": why}
        for why in ("MaxTokens", "maxTokens", "token_limit_reached", "max_tokens_reached", "max_tokens_exceeded",
                    "length_limit", "length_capped", "context_length_reached", "max_new_tokens", "LengthLimitReached")
    ),
]  # fmt: skip


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
    assert read_reply(b'{"choices": [{"text": "half \\ud83d of"}]}', REQUEST).text == "half \ufffd of"
    assert read_reply(b'{"choices": [{"text": "\\ud83d\\ude00"}]}', REQUEST).text == "\U0001f600"


@pytest.mark.parametrize(
    ("message", "text", "reasoning"),
    [
        ({"content": "Finish[yes]"}, "Finish[yes]", ""),
        ({"content": "Finish[yes]", "refusal": None}, "Finish[yes]", ""),
        ({"content": "Finish[yes]", "tool_calls": []}, "Finish[yes]", ""),
        ({"content": "Finish[yes]", "tool_calls": [{"id": "1"}]}, "Finish[yes]", ""),
        ({"content": "Finish[yes]", "reasoning_content": "Easy."}, "Finish[yes]", "Easy."),
        ({"content": "Finish[yes]", "reasoning": "Easy."}, "Finish[yes]", "Easy."),
        ({"content": "Finish[yes]", "thinking": "Easy."}, "Finish[yes]", "Easy."),
        ({"content": "Finish[yes]", "reasoning_details": [{"text": "Ea"}, {"text": "sy."}]}, "Finish[yes]", "Easy."),
        ({"content": "Finish[yes]", "reasoning": "Easy.", "reasoning_content": "Easy."}, "Finish[yes]", "Easy."),
        ({"content": "<think>Easy.</think>Finish[yes]"}, "Finish[yes]", "Easy."),
        ({"content": "[THINK]Easy.[/THINK]Finish[yes]"}, "Finish[yes]", "Easy."),
        ({"content": [{"type": "text", "text": "Finish"}, {"type": "text", "text": "[yes]"}]}, "Finish[yes]", ""),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"text": "Easy."}]},
                    {"type": "text", "text": "Finish[yes]"},
                ]
            },
            "Finish[yes]",
            "Easy.",
        ),
        ({"content": [{"type": "reasoning", "text": "Easy."}, {"text": "Finish[yes]"}]}, "Finish[yes]", "Easy."),
        ({"content": "Finish[yes]\nObservation 2: Right."}, "Finish[yes]", ""),
        ({"content": "Finish[yes]", "reasoning": {"content": "Easy."}}, "Finish[yes]", "Easy."),
        ({"content": "Finish[yes]", "reasoning_text": "Easy."}, "Finish[yes]", "Easy."),
        ({"content": "Finish[yes]", "thoughts": ["Ea", "sy."]}, "Finish[yes]", "Easy."),
        ({"content": "Finish[yes]", "thought_signature": "q83n", "reasoning_effort": "low"}, "Finish[yes]", ""),
        ({"content": [{"type": "reasoning_text", "text": "Easy."}, {"text": "Finish[yes]"}]}, "Finish[yes]", "Easy."),
        ({"content": [{"type": "reasoning.text", "text": "Easy."}, {"text": "Finish[yes]"}]}, "Finish[yes]", "Easy."),
        ({"content": [{"text": "Easy.", "thought": True}, {"text": "Finish[yes]"}]}, "Finish[yes]", "Easy."),
        ({"content": "Finish[yes]", "refusal": " "}, "Finish[yes]", ""),
        ({"content": "Finish[yes]", "refusal": "None"}, "Finish[yes]", ""),
        ({"content": "Finish[yes]", "error": None}, "Finish[yes]", ""),
        ({"content": "Finish[yes]", "error": {"code": 0, "message": "success"}}, "Finish[yes]", ""),
        ({"content": "Finish[yes]", "error": "none"}, "Finish[yes]", ""),
        ({"content": "Finish[None]"}, "Finish[None]", ""),
    ],
)
def test_messages_and_what_becomes_of_them(message, text, reasoning):
    assert read(answer(message), PROMPT.stop) == Reply(text, 0, 0, reasoning)


def test_the_cut_is_at_the_first_stop_text_whichever_it_is():
    assert read(b'{"choices": [{"text": "a b c"}]}', ("c", "b")).text == "a "


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (None, (0, 0)),
        ({}, (0, 0)),
        ([], (0, 0)),
        ("a lot", (0, 0)),
        ({"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}, (5, 3)),
        ({"prompt_tokens": None, "completion_tokens": 3}, (0, 3)),
        ({"prompt_tokens": 10.0, "completion_tokens": "12"}, (10, 12)),
        ({"prompt_tokens": -1, "completion_tokens": "many"}, (0, 0)),
        ({"prompt_tokens": float("nan"), "completion_tokens": float("inf")}, (0, 0)),
        ({"prompt_tokens": True, "completion_tokens": [3]}, (0, 0)),
        ({"prompt_tokens": 10**400, "completion_tokens": {"text": 3}}, (0, 0)),
        ({"input_tokens": 5, "output_tokens": 3}, (5, 3)),
        ({"prompt_tokens": 5, "completion_tokens": 63}, (5, 63)),
        ({"prompt_tokens": 5, "completion_tokens": 3, "cost": "free", "completion_tokens_details": None}, (5, 3)),
    ],
)
def test_usage_never_costs_a_reply(usage, tokens):
    reply = read(answer({"content": "x"}, usage=usage))
    assert (reply.text, reply.prompt_tokens, reply.completion_tokens) == ("x", *tokens)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b'{"choices": [', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"data: {}", "not JSON"),
        (b"[]", "the answer is"),
        (b"{}", "without a choice"),
        (b'{"choices": []}', "without a choice"),
        (b'{"choices": null, "usage": {"prompt_tokens": 3}}', "without a choice"),
        (b'{"choices": "x"}', "choices is 'x'"),
        (b'{"choices": [3]}', "the choice is 3"),
        (b'{"choices": [{"index": 0}]}', "the text is None"),
        (b'{"choices": [{"message": "x"}]}', "the message is 'x'"),
        (answer({"content": 42}), "the content is 42"),
        (answer({"content": ["x"]}), "a part is 'x'"),
        ({"error": {"message": "model is loading", "code": 503}}, "503: model is loading"),
        ({"error": "Model is loading"}, "an error in place of a reply: Model is loading"),
        ({"choices": None, "error": {"message": "Overloaded", "code": 529}}, "529: Overloaded"),
        ({"choices": [], "error": {"message": "Overloaded", "type": "overloaded_error"}}, "429: Overloaded"),
        ({"choices": [], "base_resp": {"status_msg": "unknown error"}}, "unknown error"),
        ({"detail": "Not yet."}, "an error in place of a reply: Not yet."),
        (answer({"content": ""}, {"error": {"code": 502, "message": "gone"}, "finish_reason": "error"}), "502: gone"),
        (answer({"content": "Finish[y"}, {"finish_reason": "error"}), "finish_reason 'error'"),
        (answer({"content": "Finish[y"}, {"finish_reason": "network_error"}), "finish_reason 'network_error'"),
        (answer({"content": "Finish[y"}, {"finish_reason": "abort"}), "finish_reason 'abort'"),
        (answer({"content": "Finish[yes]"}, error={"code": "502", "message": "gone"}), "502: gone"),
        (answer({"content": "Finish[y]", "error": {"code": 502, "message": "gone"}}), "502: gone"),
        (answer({"content": "", "error": {"code": 502, "message": "gone"}}), "502: gone"),
        (answer({"content": "Finish[y]"}, {"native_finish_reason": "error"}), "native_finish_reason 'error'"),
        (answer({"content": "Finish[y]"}, {"finish_reason": "stop", "stop_reason": "error"}), "stop_reason 'error'"),
        (answer({"content": "Finish[y]", "finishReason": "ENGINE_ERROR"}), "finishReason 'ENGINE_ERROR'"),
        ([{"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}], "503: The model"),
        *(
            (answer({"content": "Finish[y]"}, {"finish_reason": why}), f"finish_reason '{why}'")
            for why in (
                "engine_overloaded",
                "exception",
                "interrupted",
                "preempted",
                "timed_out",
                "time_out",
                "time_limit",
                "timeout",
                "upstreamDisconnect",
                "request_cancelled",
                "rate_limit",
            )
        ),
    ],
)
def test_what_is_no_reply_says_why_and_may_pass(body, said):
    failure = read(body)
    assert isinstance(failure, Failure)
    assert said in failure.said
    assert failure.final is None


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        ({"error": {"message": "no such key", "code": 401}}, ActorError, "KEY"),
        ({"choices": None, "error": {"message": "nothing left", "code": 402}}, ActorError, "no quota or credit"),
        ({"error": {"message": "nothing left", "type": "insufficient_quota"}}, ActorError, "no quota or credit"),
        ({"error": "Insufficient Balance"}, ActorError, "no quota or credit"),
        ({"error": {"message": "odd", "type": "invalid_request_error"}}, ActorError, "refuses the request (400: odd)"),
        ({"error": {"message": "no such model", "code": "model_not_found"}}, ActorError, "serves 'gpt'"),
        (answer({"content": ""}, {"error": {"code": 403, "message": "flagged"}}), ActorError, "flagged"),
        ({"error": "n_keep: 5000 >= n_ctx: 4096"}, PromptTooLongError, "n_ctx"),
        ({"choices": [], "base_resp": {"status_msg": "context window exceeds limit"}}, PromptTooLongError, "window"),
        (answer({"content": None, "refusal": "I will not."}), ActorError, "I will not."),
        (answer({"content": "", "refusal": "I will not."}), ActorError, "I will not."),
        (answer({"content": "I", "refusal": "I will not."}), ActorError, "I will not."),
        (answer({"refusal": 42}), ActorError, "42"),
        (answer({"content": [{"type": "refusal", "refusal": "I will not."}]}), ActorError, "I will not."),
        (answer({"content": ""}, {"finish_reason": "content_filter"}), ActorError, "content_filter"),
        (answer({"content": "Finish[yes]"}, {"finish_reason": "content-filter"}), ActorError, "content_filter"),
        (answer({"content": ""}, {"finish_reason": "SAFETY"}), ActorError, "safety"),
        (answer({"content": ""}, {"finish_reason": "FinishReason.RECITATION"}), ActorError, "recitation"),
        (answer({"content": ""}, {"finish_reason": "sensitive"}), ActorError, "sensitive"),
        (answer({"content": "", "tool_calls": [{"id": "1"}]}), ActorError, "tool call"),
        (answer({"content": None}, {"finish_reason": "tool_calls"}), ActorError, "tool call"),
        (answer({"content": "Thought: I look.", "tool_calls": [{"id": "1"}]}), ActorError, "tool call"),
        (answer({"content": None, "function_call": {"name": "f"}}), ActorError, "tool call"),
        (answer({"content": None, "reasoning": "Hm"}, {"finish_reason": "length"}), CutReplyError, "max_tokens=64"),
        (answer({"content": ""}, {"finish_reason": "length"}), CutReplyError, "max_tokens=64"),
        (answer({"content": "<think>Hm"}, {"finish_reason": "length"}), CutReplyError, "reasoning ends 'Hm'"),
        (answer({"content": "Thought 1: I"}, {"finish_reason": "MAX_TOKENS"}), CutReplyError, "'Thought 1: I'"),
        (answer({"content": "Action 1: Fin"}, {"finish_reason": "max_tokens"}), CutReplyError, "Action 1: Fin"),
        (answer({"content": "go"}, {"native_finish_reason": "MAX_TOKENS"}), CutReplyError, "before its action"),
        (answer({"content": "go"}, {"finish_reason": "model_length"}), CutReplyError, "before its action"),
        (answer({"content": "go"}, {"stop_type": "limit"}), CutReplyError, "before its action"),
        (answer({"content": "go"}, stopped_limit=True), CutReplyError, "before its action"),
        (answer({"content": "go"}, done_reason="length"), CutReplyError, "before its action"),
        (answer({"content": ""}, {"finish_reason": "model_context_window_exceeded"}), PromptTooLongError, "room"),
        (b'{"choices": [{"text": "Action 1: Fin", "finish_reason": "length"}]}', CutReplyError, "Action 1: Fin"),
        *((answer({"content": "Action 1: Say[bl"}, choice), CutReplyError, "Say[bl") for choice in CUT),
        (answer({"content": "Say[bl"}, details={"finish_reason": "length"}), CutReplyError, "Say[bl"),
        (answer({"content": "Say[bl"}, incomplete_details={"reason": "max_output_tokens"}), CutReplyError, "Say[bl"),
        (answer({"content": "Say[bl"}, status="incomplete"), CutReplyError, "Say[bl"),
        (answer({"content": "Say[bl"}, truncated=True), CutReplyError, "Say[bl"),
        (answer({"content": "Say[bl"}, {"finish_reason": "stop"}, usage=FULL), CutReplyError, "Say[bl"),
        (answer({"content": "Thought: I"}, {"finish_reason": None}, usage=FULL), CutReplyError, "Thought: I"),
        (choices({"finish_reason": "content_filter"}), ActorError, "content_filter"),
        (choices({"message": None, "finish_reason": "SAFETY"}), ActorError, "safety"),
        (choices({"message": None, "finish_reason": "length"}), CutReplyError, "max_tokens=64"),
        (choices({"text": None, "finish_reason": "length"}), CutReplyError, "max_tokens=64"),
        ({"choices": [], "promptFeedback": {"blockReason": "SAFETY"}}, ActorError, "refused to answer"),
        (answer({"content": "I will look it up.", "tool_calls": [{"id": "1"}]}), ActorError, "tool call"),
        (answer({"content": "I look."}, {"finish_reason": "MALFORMED_FUNCTION_CALL"}), ActorError, "tool call"),
    ],
)
def test_what_is_final_is_so_at_once(body, kind, said):
    failure = read(body, PROMPT.stop)
    assert isinstance(failure, Failure)
    assert type(failure.final) is kind
    assert said in str(failure.final)
    assert failure.final_after == 1


@pytest.mark.parametrize(
    "text",
    [
        "Action 1: Finish[yes]",
        "Action 1: go to desk 1\nand",
        "Finish[yes]",
        "Thought: x\n**Action:**\n`Finish[yes]`\nI",
    ],
)
def test_a_cut_reply_is_used_when_its_action_is_whole(text):
    reply = read(answer({"content": text}, {"finish_reason": "length"}, usage={"completion_tokens": 64}))
    assert (reply.text, reply.cut, reply.completion_tokens) == (text, True, 64)


def test_a_reply_that_ran_on_behind_a_stop_text_is_whole():
    ran_on = {"choices": [{"text": "Action 1: go\nObservation 1: It", "finish_reason": "length"}]}
    assert read(ran_on, PROMPT.stop) == Reply("Action 1: go")


NO_TEXT: list[object] = [
    "",
    None,
    " \n",
    [],
    "\u200b",
    "\ufeff\n",
    "\x00",
    "null",
    "None",
    "```\n```",
    "**",
    "\nObservation 1: x",
]


@pytest.mark.parametrize("message", [*({"content": content} for content in NO_TEXT), {}])
@pytest.mark.parametrize("reasoning", ["", "Hm."])
def test_a_reply_without_a_text_is_final_after_a_few(message, reasoning):
    failure = read(answer({**message, "reasoning": reasoning}, {"finish_reason": "stop"}), PROMPT.stop)
    assert failure.final_after == 3
    assert ("no text beside 3 characters" if reasoning else "no text (") in str(failure.final)
    assert failure.silenced


def test_a_stop_text_ends_thoughts_that_no_tag_opens():
    stopped = answer({"content": "Okay. The earlier"}, {"finish_reason": "stop", "stop_reason": "\nObservation"})
    failure = read(stopped, PROMPT.stop)
    assert failure.silenced
    assert "send_stop=False" in str(failure.final)
    assert read_reply(stopped, request(send_stop=False), PROMPT.stop) == Reply("Okay. The earlier")
    whole = answer({"content": "Action 1: go"}, {"finish_reason": "stop", "stop_reason": "\nObservation"})
    assert read(whole, PROMPT.stop) == Reply("Action 1: go")


@pytest.mark.parametrize("text", ["Action 1: go to desk 1", "Finish[yes]", "Thought 1: x\nAction 1: Finish[yes]"])
def test_a_reply_that_fills_its_limit_is_used_when_its_action_is_whole(text):
    assert read(answer({"content": text}, {"finish_reason": "stop"}, usage=FULL)) == Reply(text, 0, 64)


@pytest.mark.parametrize("digits", [5_000, 100])
def test_a_number_of_any_length_costs_no_reply(digits):
    number = "9" * digits
    body = b'{"created": %s, "choices": [{"text": "x"}], "usage": {"prompt_tokens": %s}}'
    assert read(body.replace(b"%s", number.encode())) == Reply("x")


@given(ANYTHING, ANYTHING)
def test_no_answer_breaks_anything(anything, other):
    bodies = (
        anything,
        {"choices": [{"message": anything}]},
        {"choices": [{"message": {"content": anything, "refusal": other}, "finish_reason": anything}]},
        {"choices": anything, "error": other},
        {"choices": [{"text": "x", "error": anything}]},
    )
    for body in bodies:
        assert isinstance(read(body), Reply | Failure)
    assert isinstance(read({"choices": [{"text": "x"}], "usage": anything}), Reply)
    for error in (anything, {"error": anything}, {"error": {"message": anything, "code": other, "param": other}}):
        assert isinstance(failed_status(400, {}, json.dumps(error).encode(), REQUEST, "KEY"), Failure)
