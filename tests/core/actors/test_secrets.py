"""Keys stay out of messages and tapes; letters stay in."""

import pytest

from retro_gym.actors.secrets import hidden, is_secret, mask, secrets_of

KEY = "sk-planted-0123456789"


@pytest.mark.parametrize(
    "key", ["x", "none", "EMPTY", "token", "sk-no-key-required", "not-needed", "ollama", "lm-studio"]
)
def test_what_stands_in_for_a_key_is_no_secret(key, monkeypatch):
    assert not is_secret(key)
    monkeypatch.setenv("SOME_API_KEY", key)
    assert key not in secrets_of()


@pytest.mark.parametrize("key", [KEY, "token-abc123", "hunter22", "0" * 32, "correct horse battery staple"])
def test_a_key_is_one(key, monkeypatch):
    assert is_secret(key)
    monkeypatch.setenv("SOME_API_KEY", key)
    assert key in secrets_of()


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"wrong key {KEY}.", "wrong key [key]."),
        (f"Bearer{KEY}x", "Bearer[key]x"),
        (f'{{"said":"\\n{KEY}"}}', '{"said":"\\n[key]"}'),
        (f"wrong key {KEY[:14]}...", "wrong key [key]..."),
        (f"it ends in {KEY[8:]}", "it ends in [key]"),
        (f"{KEY}, {KEY[:12]} and {KEY}", "[key], [key] and [key]"),
        ("sk-pl***789", "sk-pl***789"),  # the server's own mask
        ("the maximum context length", "the maximum context length"),
    ],
)
def test_a_key_is_hidden_wherever_it_stands_and_in_pieces(said, shown):
    assert hidden(said, [KEY]) == shown


def test_what_may_be_a_word_is_hidden_where_it_stands_alone():
    said = "the search for research: hush, hushed; x is the maximum context"
    assert (
        hidden(said, ["search", "hush", "x"]) == "the [key] for research: [key], hushed; [key] is the maximum context"
    )
    assert mask([said, 3], ["search"]) == ["the [masked] for research: hush, hushed; x is the maximum context", 3]
    assert mask("port 1234567", ["123456"]) == "port 1234567"
