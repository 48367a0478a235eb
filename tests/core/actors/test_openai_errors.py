"""What servers say of errors, and what becomes of it; no server is needed."""

import json
import time
from email.utils import formatdate

import pytest

from retro_gym.actors.openai.errors import failed_status, retry_after
from retro_gym.actors.openai.replies import read_reply
from retro_gym.actors.openai.wire import Request
from retro_gym.errors import ActorError, PromptTooLongError

REQUEST = Request("gpt", "chat", 0.0, 64, "max_tokens", True, True, {})
ROOMY = Request("gpt", "chat", 0.0, 4096, "max_tokens", True, True, {})


def read(body):
    return read_reply(json.dumps(body).encode(), REQUEST)


CONTEXT_ERRORS = [
    (400, {"error": {"message": "Too long.", "code": "context_length_exceeded"}}),
    (400, {"error": {"message": "This model's maximum context length is 4096 tokens. However, you requested 5000"}}),
    (400, {"object": "error", "message": "This model's maximum context length is 4096 tokens.", "code": 400}),
    (400, {"message": "The input (61709 tokens) is longer than the model's context length (40960 tokens)."}),
    (400, {"message": "The decoder prompt (length 10127) is longer than the maximum model length of 8192."}),
    (400, {"error": {"message": "the request exceeds it", "type": "exceed_context_size_error"}}),
    (500, {"error": {"message": "Context size has been exceeded.", "type": "server_error"}}),
    (422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 9000"}),
    (422, {"error": "Input validation error: `inputs` must have less than 4095 tokens. Given: 9000"}),
]
CONTEXT_WORDS = [
    "the input length exceeds the context length",
    "prompt too long; exceeded max context length by 904 tokens",
    "Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with "
    "context length of "
    "only 4096 tokens, which is not enough.",
    "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: "
    "5000>= n_ctx: 4096)",
    "Reached context length of 4096 tokens with this model",
    "the request exceeds the available context size, try increasing it",
    "Requested tokens (5000) exceed context window of 4096",
    "Requested token count exceeds the model's maximum context length of 4096 tokens. You requested a "
    "total of 9000 tokens: "
    "4900 tokens from the input messages and 4100 tokens for the completion.",
    "You passed 5000 input tokens and requested 64 output tokens. However, the model's context length is "
    "only 4096 tokens",
    "'max_tokens' or 'max_completion_tokens' is too large: 64. This model's maximum context length is "
    "4096 tokens and your "
    "request has 4090 input tokens (64 > 4096 - 4090).",
    "max_tokens must be at least 1, got -37.",
    "Prompt length 5000 is greater than max_seq_len 4096",
    "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
    "prompt is too long: 202095 tokens > 200000 maximum",
    "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length "
    "or `max_tokens`",
    "Input is too long for requested model.",
    "Too many input tokens. Max input tokens: 8192, request input token count: 9279",
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
    "Please reduce the length of the messages or completion.",
    "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 295000 tokens.",
    "Your input exceeds the context window of this model.",
    "Input length 265330 exceeds the maximum allowed input length of 262144 tokens.",
    "prompt token count of 145000 exceeds the limit of 128000",
    "Invalid request: Your request exceeded model token limit: 262144 (requested: 300000)",
    "Range of input length should be [1, 129024]",
    "invalid params, context window exceeds limit (2013)",
    "Prompt has 300,000 tokens, but the configured context size is 131,072 tokens",
    "too many tokens: size limit exceeded by 11326 tokens",
    "litellm.ContextWindowExceededError: the model said so",
    "Invalid 'messages[1].content': string too long. Expected a string with maximum length 1048576",
    "Prompt exceeds max length",
    "Prompt 超长",
    "输入长度超过限制",
    "Default max_tokens (-200) should be greater than 0, max_seq_len (4096) - prompt_len (4296)",
    "Default max_tokens (-200) should be greater than 0",
    "the input prompt token len 5000 is too long > 4096",
    "Input is longer than the maximum (4096)",
    "failed to decode, n_past 4096 > n_ctx",
    "Total tokens of image and text exceed max message tokens.",
    "expected maxLength: 50000, actual: 52611, please reformat your input and try again.",
]
OTHER_LIMITS = [
    (429, "Rate limit reached: Input tokens exceed the limit of 30000 per minute. The context length is fine."),
    (
        413,
        "Request too large for model on tokens per minute (TPM): Limit 6000, Requested 10000, reduce your message size",
    ),
    (400, "Too many tokens, please wait before trying again."),
    (
        400,
        "max_tokens is too large: 32000. This model supports at most 16384 completion tokens, whereas you gave 32000.",
    ),
    (400, "max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens for this model"),
    (400, "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]"),
    (400, "max_tokens=8192 cannot be greater than max_model_len=4096"),
    (400, "max_tokens (8192) exceeds the model's maximum context length of 4096"),
    (500, "upstream request exceeded time: context deadline exceeded"),
    (500, "context canceled"),
    (504, "The request took too long."),
    (401, "Invalid key. The maximum context length does not matter."),
    (400, "Unknown field in message"),
]


@pytest.mark.parametrize(("status", "body"), CONTEXT_ERRORS)
def test_context_errors_of_several_servers(status, body):
    failure = failed_status(status, {}, json.dumps(body).encode(), REQUEST, "KEY")
    assert type(failure.final) is PromptTooLongError
    assert "'gpt'" in str(failure.final)
    assert "max_tokens=64" in str(failure.final)


@pytest.mark.parametrize("words", CONTEXT_WORDS)
def test_context_errors_in_many_words(words):
    for status in (400, 413, 417, 422, 500):
        for body in ({"error": {"message": words}}, {"detail": words}, words):
            encoded = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            assert type(failed_status(status, {}, encoded, REQUEST, "KEY").final) is PromptTooLongError
    raw = {"message": "Provider returned error", "code": 400, "metadata": {"raw": json.dumps({"error": words})}}
    for body in ({"error": words}, {"error": {"message": words, "code": 400}}, {"choices": [], "error": raw}):
        assert type(read(body).final) is PromptTooLongError
    assert (
        type(read({"choices": [{"message": {"content": ""}, "error": {"message": words, "code": 400}}]}).final)
        is PromptTooLongError
    )


@pytest.mark.parametrize(("status", "words"), OTHER_LIMITS)
def test_other_limits_are_no_context_errors(status, words):
    failure = failed_status(status, {}, json.dumps({"error": {"message": words}}).encode(), REQUEST, "KEY")
    assert not isinstance(failure.final, PromptTooLongError)
    if "max_tokens" in words:
        assert "a smaller max_tokens; max_tokens=64 was sent" in str(failure.final)


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 4133 tokens (37 in the "
        "messages, 4096 in "
        "the completion).",
        "'max_tokens' or 'max_completion_tokens' is too large: 4096. This model's maximum context length is "
        "4096 tokens and "
        "your request has 37 input tokens (4096 > 4096 - 37).",
        "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 37 `inputs` tokens and 4096 `max_new_tokens`",
        "Requested token count exceeds the model's maximum context length of 4096 tokens. You requested a "
        "total of 4133 "
        "tokens: 37 tokens from the input messages and 4096 tokens for the completion.",
    ],
)
def test_a_limit_that_leaves_no_room_for_any_prompt_is_not_the_prompts_fault(words):
    body = json.dumps({"error": {"message": words}}).encode()
    failure = failed_status(400, {}, body, ROOMY, "KEY")
    assert type(failure.final) is ActorError
    assert "a smaller max_tokens" in str(failure.final)
    assert type(failed_status(400, {}, body, REQUEST, "KEY").final) is PromptTooLongError


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
        (400, {"message": "no", "code": "content_filter"}, "check the task"),
        (
            400,
            {"message": "The response was filtered due to the prompt triggering Azure's content management policy"},
            "check the task",
        ),
        (403, {"message": "Your input was flagged", "code": 403}, "check the task"),
        (400, {"message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT"}, "MY_KEY"),
        (400, {"message": "Incorrect API key provided"}, "environment variable MY_KEY"),
        (403, {"message": "Your team has used all available credits"}, "no quota or credit"),
        (403, {"message": "Key limit exceeded (total limit)"}, "no quota or credit"),
        (429, {"message": "Credit limit exceeded", "type": "credit_limit"}, "no quota or credit"),
        (429, {"message": "no", "code": "insufficient_quota"}, "quota"),
        (402, {"message": "Insufficient credits."}, "no quota or credit"),
        (400, {"message": "Your credit balance is too low to access the API."}, "no quota or credit"),
        (403, {"message": "no", "code": "insufficient_balance"}, "no quota or credit"),
    ],
)
def test_what_does_not_pass_names_the_remedy(status, error, remedy):
    for body in ({"error": error}, [{"error": error}]):
        failure = failed_status(status, {}, json.dumps(body).encode(), REQUEST, "MY_KEY")
        assert type(failure.final) is ActorError
        assert remedy in str(failure.final)


def test_secrets_are_taken_out_after_the_meaning_was_read_and_before_the_message_is_cut():
    body = {"error": {"message": "x" * 290 + " sk-0123456789: maximum context length"}}

    def clean(said):
        return said.replace("sk-0123456789", "[key]").replace("context", "[key]")

    failure = failed_status(400, {}, json.dumps(body).encode(), REQUEST, "KEY", clean)
    assert isinstance(failure.final, PromptTooLongError)
    assert "sk-" not in failure.said


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
