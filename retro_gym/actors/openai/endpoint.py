"""One OpenAI-compatible server: where it is, how it is asked, and how busy it is."""

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

_NO_KEY = "none"  # what local servers, which ask for no key, are sent: the client insists on one


class Endpoint:
    """One base URL, and the client whose connections lead there.

    Args:
        url: the base URL; None is OpenAI's own.
        path: what is asked, relative to it.
        key: sent as bearer token; None where none is needed.
        trusted: certificates.
        max_in_flight: connections at once.
    """

    def __init__(
        self, url: str | None, path: str, key: str | None, trusted: ssl.SSLContext, max_in_flight: int
    ) -> None:
        import httpx2
        from openai import AsyncOpenAI, DefaultAioHttpClient, Timeout

        self.shown = shown_url(url)
        self.in_flight = self.served = 0
        """Calls under way, and calls so far."""
        self.down_until = 0.0
        """0 while it is up; else the time of the loop until which it is left alone."""
        self.takes_stop = True
        """Whether stop texts are of use to it: not where they end the model's reasoning."""
        parameters = [value for _, value in parse_qsl(urlsplit(url or "").query)]
        url, login_header, login = _without_login(url)
        self.secrets = [*(value for value in (key, *parameters) if value and is_secret(value)), *filter(None, login)]
        """What no message may show."""
        # Attempts are timed as a whole by the caller: the client's own limit would start anew with each chunk.
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

        The client's own ``post`` takes three times the processor time, and with many calls in flight that limits how
        many there can be; its retries and types are not wanted here.
        """
        import httpx2

        content = json.dumps(body).encode()
        request = httpx2.Request("POST", self._url, headers=self._headers, content=content, extensions=self._extensions)
        return await self._http.send(request)

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()


def is_url(text: str) -> bool:
    """Whether a text is the URL of a server: http or https, a host, and a port that is a number if there is one.

    >>> [is_url(text) for text in ("HTTP://[::1]:8000/v1", "http://host:abc/v1", "host/v1", "http://a..b/v1")]
    [True, False, False, False]
    """
    try:
        parts = urlsplit(text)
        named = bool(parts.hostname and parts.hostname.encode("idna")) and parts.port != 0
    except ValueError:  # of encodings and ports too
        return False
    return named and parts.scheme in ("http", "https") and text.isprintable() and " " not in text


def shown_url(url: str | None) -> str:
    """An endpoint's URL as messages show it: without a login and without parameters, which may be secret.

    >>> shown_url("https://me:secret@host:8000/v1?token=x")
    'https://host:8000/v1'
    """
    if url is None:
        return "the OpenAI API"
    try:
        parts = urlsplit(url)
    except ValueError:  # it is none
        return url.partition("?")[0].rpartition("@")[2]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _without_login(url: str | None) -> tuple[str | None, dict[str, str], tuple[str, ...]]:
    """The URL without a login, which would be logged with every request; the header in its place; what is secret."""
    parts = urlsplit(url or "")
    login, _, host = parts.netloc.rpartition("@")
    if not login:
        return url, {}, ()
    plain = unquote(login)
    token = base64.b64encode(plain.encode()).decode()
    secrets = (token, login, plain, plain.partition(":")[2])
    return urlunsplit(parts._replace(netloc=host)), {"Authorization": f"Basic {token}"}, secrets
