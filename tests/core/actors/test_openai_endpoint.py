"""What an endpoint asks, and how it says who it is: nothing is sent."""

from __future__ import annotations

import base64

import pytest

httpx2 = pytest.importorskip("httpx2")
pytest.importorskip("aiohttp")

from retro_gym.actors.openai.endpoint import Endpoint, shown_url  # noqa: E402 - needs the extra

TRUSTED = httpx2.create_ssl_context()


def endpoint(url, key=None):
    return Endpoint(url, "/chat/completions", key, TRUSTED, 2)


@pytest.mark.parametrize(
    ("base", "asked"),
    [
        (None, "https://api.openai.com/v1/chat/completions"),
        ("http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1/chat/completions"),
        ("http://127.0.0.1:1/v1/", "http://127.0.0.1:1/v1/chat/completions"),
        ("http://host/a/b?api-version=3", "http://host/a/b/chat/completions?api-version=3"),
        ("http://me:secret@host/v1", "http://host/v1/chat/completions"),
        ("HTTP://Host/v1", "http://host/v1/chat/completions"),
        ("http://[::1]:1/v1", "http://[::1]:1/v1/chat/completions"),
    ],
)
def test_the_url_that_is_asked(base, asked):
    assert str(endpoint(base)._url) == asked


def test_the_key_or_the_login_goes_into_one_header():
    login = base64.b64encode(b"me:a secret").decode()
    assert endpoint("http://host/v1", "sk-1")._headers["Authorization"] == "Bearer sk-1"
    assert endpoint("http://host/v1")._headers["Authorization"] == "Bearer none"
    with_login = endpoint("http://me:a%20secret@host/v1")
    assert with_login._headers["Authorization"] == f"Basic {login}"
    assert {"a secret", login} <= set(with_login.secrets)
    assert with_login.shown == shown_url("http://host/v1")
