"""One OpenAI-compatible endpoint: its URL, its HTTP client and its load."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from retro_gym.actors.secrets import is_secret

if TYPE_CHECKING:
    import ssl

    import httpx2
    from openai import AsyncOpenAI

__all__ = ["Endpoint", "is_url", "shown_url"]

_NO_KEY = "none"  # sent to local servers that need no key, since the client requires one


class Endpoint:
    """One base URL and its HTTP client.

    Args:
        url: the base URL; None is the OpenAI API.
        path: path of the requests, relative to the base URL.
        key: sent as bearer token; None where none is needed.
        trusted: the SSL context with the trusted certificates.
        max_in_flight: maximum number of connections.
    """

    def __init__(
        self, url: str | None, path: str, key: str | None, trusted: ssl.SSLContext, max_in_flight: int
    ) -> None:
        import httpx2
        from openai import AsyncOpenAI, DefaultAioHttpClient, Timeout

        self.shown = shown_url(url)
        self.in_flight = self.served = 0
        """Calls in flight, and calls so far."""
        self.down_until = 0.0
        """0 while it is up; else the event loop's time until which it is not used."""
        self.takes_stop = True
        """Whether to send stop texts; False once they have ended the model's reasoning."""
        parameters = [value for _, value in parse_qsl(urlsplit(url or "").query)]
        url, login_header, login = _without_login(url)
        self.secrets = [*(value for value in (key, *parameters) if value and is_secret(value)), *filter(None, login)]
        """Texts that no message may show."""
        # The caller limits the time of a whole attempt: the client's own timeout would restart with each chunk.
        timeout, limits = Timeout(None, connect=10.0), httpx2.Limits(max_connections=max_in_flight)
        self._http = DefaultAioHttpClient(verify=trusted, timeout=timeout, limits=limits)
        self._client: AsyncOpenAI = AsyncOpenAI(
            base_url=url,
            api_key=key or _NO_KEY,
            default_headers={"Authorization": f"Bearer {key or _NO_KEY}", **login_header},
            http_client=self._http,
        )
        given = self._client.default_headers.items()
        self._headers = httpx2.Headers({name: value for name, value in given if isinstance(value, str)})
        base = self._client.base_url
        self._url = base.copy_with(path=base.path.rstrip("/") + path)
        self._extensions = {"timeout": timeout.as_dict()}

    async def post(self, body: Mapping[str, Any]) -> httpx2.Response:
        """Sends one request.

        The client's own ``post`` takes three times the CPU time, which limits the number of concurrent calls; its
        retries and response types are not needed here.
        """
        import httpx2

        content = json.dumps(body).encode()
        request = httpx2.Request("POST", self._url, headers=self._headers, content=content, extensions=self._extensions)
        return await self._http.send(request)

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()


def is_url(text: str) -> bool:
    """Whether a text is a server's URL: http or https, a host, and a numeric port if any.

    >>> [is_url(text) for text in ("HTTP://[::1]:8000/v1", "http://host:abc/v1", "host/v1", "http://a..b/v1")]
    [True, False, False, False]
    """
    try:
        parts = urlsplit(text)
        named = bool(parts.hostname and parts.hostname.encode("idna")) and parts.port != 0
    except ValueError:  # also raised for invalid encodings and ports
        return False
    return named and parts.scheme in ("http", "https") and text.isprintable() and " " not in text


def shown_url(url: str | None) -> str:
    """Returns an endpoint's URL for messages: without login and query parameters, which may be secret.

    >>> shown_url("https://me:secret@host:8000/v1?token=x")
    'https://host:8000/v1'
    """
    if url is None:
        return "the OpenAI API"
    try:
        parts = urlsplit(url)
    except ValueError:  # not a URL
        return url.partition("?")[0].rpartition("@")[2]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _without_login(url: str | None) -> tuple[str | None, dict[str, str], tuple[str, ...]]:
    """Returns the URL without its login (which would be logged), the equivalent header, and the secret texts."""
    parts = urlsplit(url or "")
    login, _, host = parts.netloc.rpartition("@")
    if not login:
        return url, {}, ()
    plain = unquote(login)
    token = base64.b64encode(plain.encode()).decode()
    secrets = (token, login, plain, plain.partition(":")[2])
    return urlunsplit(parts._replace(netloc=host)), {"Authorization": f"Basic {token}"}, secrets
