"""A local server that answers whatever it is told to, and the odd answers of real ones."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class OddServer(ThreadingHTTPServer):
    """Answers in a thread; notes the requests.

    Args:
        answer: from the number of requests so far and a request's JSON to a status and a body: JSON, text or bytes.
    """

    daemon_threads = True

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.requests = []
        self.lock = threading.Lock()
        self.base_url = f"http://127.0.0.1:{self.server_port}/v1"
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet, or each answer would wait for the acknowledgement of the first

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            number = len(self.server.requests)
            self.server.requests.append(request)
        status, body = self.server.answer(number, request)
        content = (
            body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        )
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def chat(content, finish="stop", *, choice=None, message=None, **more):
    """A chat completion."""
    said = {"role": "assistant", "content": content, **(message or {})}
    return 200, {"choices": [{"index": 0, "message": said, "finish_reason": finish, **(choice or {})}], **more}


GOLD = "Action 1: Say[blue]"  # what would solve the task, were it played

# By name: the answer, what it comes to, and what the error says.
ODD = {
    "reasoning cut by length": (chat(None, "length", message={"reasoning": GOLD}), "CutReplyError", "max_tokens=64"),
    "empty text cut by length": (chat("", "length"), "CutReplyError", "max_tokens=64"),
    "unclosed think tag, cut": (chat(f"<think>{GOLD}\n", "length"), "CutReplyError", "max_tokens=64"),
    "unclosed THINK tag, cut": (chat(f"[THINK]{GOLD}\n", "length"), "CutReplyError", "max_tokens=64"),
    "text cut before its action": (chat("Say[blue] it is, I th", "length"), "CutReplyError", "before its action"),
    "action cut in its bracket": (chat("Action 1: Say[bl", "length"), "CutReplyError", "before its action"),
    "cut, in Gemini's words": (chat("Thought: Say", "MAX_TOKENS"), "CutReplyError", "before its action"),
    "cut, in Anthropic's words": (chat("Thought: Say", "max_tokens"), "CutReplyError", "before its action"),
    "cut, in llama.cpp's words": (chat("Say[blue", None, stopped_limit=True), "CutReplyError", "before its action"),
    "cut, in Ollama's words": (chat("Say[blue", None, done_reason="length"), "CutReplyError", "before its action"),
    "content filter, empty": (chat("", "content_filter"), "ActorError", "content_filter"),
    "content filter, with a text": (chat(GOLD, "content_filter"), "ActorError", "content_filter"),
    "safety": (chat("", "SAFETY"), "ActorError", "safety"),
    "recitation": (chat(None, "RECITATION"), "ActorError", "recitation"),
    "refusal": (chat(None, message={"refusal": "I will not say blue."}), "ActorError", "I will not say blue."),
    "refusal as a part": (chat([{"type": "refusal", "refusal": "Never."}]), "ActorError", "Never."),
    "Azure's filter": (
        (400, {"error": {"code": "content_filter", "message": "The response was filtered"}}), "ActorError", "filtered"
    ),
    "empty": (chat(""), "ActorError", "no text"),
    "null": (chat(None), "ActorError", "no text"),
    "blank": (chat(" \n\n"), "ActorError", "no text"),
    "no content at all": ((200, {"choices": [{"message": {}, "finish_reason": "stop"}]}), "ActorError", "no text"),
    "all of it reasoning": (chat("", message={"reasoning_content": GOLD}), "ActorError", "reasoning"),
    "a tool call": (
        chat(None, "tool_calls", message={"tool_calls": [{"function": {"name": "Say", "arguments": "blue"}}]}),
        "ActorError", "the reply is a tool call",
    ),
    "an error in the choice": (
        chat("", "error", choice={"error": {"code": 502, "message": "Provider down"}}), "ActorError", "Provider down"
    ),
    "an error behind half a text": (
        chat(GOLD, "error", choice={"error": {"code": 502, "message": "Provider down"}}), "ActorError", "Provider down"
    ),
    "finish_reason error alone": (chat(GOLD, "error"), "ActorError", "finish_reason 'error'"),
    "the engine aborted": (chat("Say[blue]", "abort"), "ActorError", "finish_reason 'abort'"),
    "choices null beside an error": (
        (200, {"choices": None, "error": {"message": "upstream is away", "code": 503}}),
        "ActorError", "upstream is away",
    ),
    "no choices beside an error": (
        (200, {"choices": [], "error": {"message": "upstream is away"}}), "ActorError", "upstream is away"
    ),
    "an error beside a reply": ((200, {**chat(GOLD)[1], "error": "half of it is lost"}), "ActorError", "half of it"),
    "an error as a text": ((200, {"error": "model is loading"}), "ActorError", "model is loading"),
    "a wrong key, with status 200": (
        (200, {"error": {"code": 401, "message": "bad key"}}), "ActorError", "valid key into the environment variable"
    ),
    "no credit": ((402, {"error": {"message": "Insufficient credits"}}), "ActorError", "no quota or credit"),
    "no credit, with status 200": (
        (200, {"error": {"code": 402, "message": "Insufficient credits"}}), "ActorError", "no quota or credit"
    ),
    "a page": ((200, "<html>Say[blue]</html>"), "ActorError", "not JSON"),
    "nothing": ((200, ""), "ActorError", "not JSON"),
    "a stream": ((200, 'data: {"choices": []}\n\ndata: [DONE]\n'), "ActorError", "not JSON"),
    "a list": ((200, [GOLD]), "ActorError", "wrong types"),
    "half a document": ((200, '{"choices": [{"message": {"content": "Say[blue]"'), "ActorError", "not JSON"),
    "a number for a text": (chat(42), "ActorError", "wrong types"),
    "an envelope without a reply": ((200, {"id": "1", "choices": []}), "ActorError", "without a choice"),
    "a busy gateway": ((529, {"type": "error", "error": {"type": "overloaded_error"}}), "ActorError", "529"),
    "a gateway that gave up": ((504, {"error": {"message": "context deadline exceeded"}}), "ActorError", "deadline"),
    "too large a max_tokens": (
        (400, {"error": {"message": "max_tokens is too large: 64. This model supports at most 32 completion tokens"}}),
        "ActorError", "a smaller max_tokens",
    ),
    "Ollama's context": (
        (400, {"error": {"message": "the input length exceeds the context length"}}), "PromptTooLongError", "max_tokens"
    ),
    "LM Studio's context, with status 200": (
        (200, {"error": "The number of tokens to keep is greater than the context length (n_keep: 9, n_ctx: 8)"}),
        "PromptTooLongError", "n_ctx",
    ),
    "LM Studio's context": (
        (400, {"error": "the model is loaded with context length of only 4096 tokens, which is not enough"}),
        "PromptTooLongError", "only 4096",
    ),
    "a context behind a gateway": (
        chat("", "error", choice={"error": {"code": 400, "message": "Prompt exceeds the maximum context length"}}),
        "PromptTooLongError", "maximum context length",
    ),
    "an error in the message": (
        chat(GOLD, message={"error": {"code": 502, "message": "upstream died"}}), "ActorError", "upstream died"
    ),
    "an engine that was interrupted": (chat(GOLD, "interrupted"), "ActorError", "finish_reason"),
    "an error in another field": (chat(GOLD, choice={"native_finish_reason": "error"}), "ActorError", "native_finish"),
    "cut, in SGLang's words": (chat("Action 1: Say[bl", {"type": "length"}), "CutReplyError", "before its action"),
    "cut, though it says stop": (
        chat("Action 1: Say[bl", usage={"completion_tokens": 64}), "CutReplyError", "before its action"
    ),
    "blocked without a message": (
        (200, {"choices": [{"index": 0, "finish_reason": "content_filter"}]}), "ActorError", "content_filter"
    ),
    "a prompt that is blocked": (
        (200, {"choices": [], "promptFeedback": {"blockReason": "SAFETY"}}), "ActorError", "refused to answer"
    ),
    "invisible": (chat("\u200b"), "ActorError", "no text"),
    "null as a text": (chat("null"), "ActorError", "no text"),
    "a tool call beside prose": (
        chat("I say blue.", message={"tool_calls": [{"id": "1"}]}), "ActorError", "the reply is a tool call"
    ),
    "a body that is too large": ((413, "<h1>413 Request Entity Too Large</h1>"), "PromptTooLongError", "413"),
}  # fmt: skip
