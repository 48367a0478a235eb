"""Uses a running WebShop server over HTTP: pages of its text-mode web server instead of a local catalogue.

The server stores only the goal of a session; the URL contains the customer's position on the site and the chosen
options. So many trials can use one session at the same time.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping

from retro_gym.errors import ConfigError, TaskEnvError, UnknownTaskError, one_line
from retro_gym_envs.task_sources import ListedTasks
from retro_gym_envs.webshop.catalog import Catalog, Goal
from retro_gym_envs.webshop.files import split_ids
from retro_gym_envs.webshop.html_pages import read_page
from retro_gym_envs.webshop.pages import Page, PageKind
from retro_gym_envs.webshop.tasks import ShopTasks

__all__ = ["RemoteShop", "RemoteTasks"]

_TIMEOUT = 30.0  # seconds for one page
_TRIES = 4
_FIRST_WAIT = 0.25  # seconds before the first retry; doubled for each further one
_MAX_PAGE = 8_000_000  # bytes
_PASSING = frozenset({408, 429, 500, 502, 503, 504})  # transient status codes, which are retried


class RemoteTasks(ListedTasks[Goal], ShopTasks):
    """The goals of a server, identified by session names.

    Args:
        url: such as ``http://localhost:3000``.
        count: number of goals of the server.

    Raises:
        ConfigError: not a URL.
    """

    def __init__(self, url: str, count: int) -> None:
        parts = urllib.parse.urlsplit(url) if isinstance(url, str) else None
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"server is {one_line(url)}; give the URL of a WebShop, such as 'http://localhost:3000'.")
        self.url = url.rstrip("/")
        self.count = count
        self._ids = split_ids(count)

    def get(self, task_id: str) -> Goal:
        """Raises an error: a server does not reveal its goals.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"the goal of {one_line(task_id)} is known to {self.url} only. Give the files: tasks=….")

    def catalog(self, task_id: str) -> Catalog:
        """Raises an error: a server does not reveal its products.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"the products are known to {self.url} only. Give the files: tasks=….")

    def shop(self, task_id: str) -> RemoteShop:
        """Returns the pages of a session."""
        prefix, _, number = task_id.partition("_")
        if prefix != "fixed" or not (number.isascii() and number.isdecimal()) or str(int(number[:9])) != number:
            raise UnknownTaskError(f"task {one_line(task_id)} does not have the form 'fixed_N' of a server's session.")
        if int(number) >= self.count:
            raise UnknownTaskError(
                f"task {task_id!r} is beyond the server's {self.count:,} goals. Give num_goals if it has more."
            )
        return RemoteShop(self.url, task_id)

    def group(self, task_id: str) -> str:
        """Returns an empty string: a server does not reveal groups."""
        return ""

    def cause(self, task_id: str) -> str:
        """Returns an empty string: a server does not reveal causes."""
        return ""


class RemoteShop:
    """The pages of one session.

    Args:
        url: the server's URL.
        session: the session's name on the server.
    """

    def __init__(self, url: str, session: str) -> None:
        self._url = url
        self._session = session

    def start(self) -> Page:
        """Returns the page with the instruction and the search bar."""
        return self._page("search", self._session)

    def results(self, keywords: str, number: int) -> Page:
        """Returns a page of results, counted from 1."""
        return self._page("results", "search_results", self._session, _keywords(keywords), number)

    def item(self, asin: str, keywords: str, number: int, options: Mapping[str, str]) -> Page:
        """Returns a product's own page."""
        return self._page("item", "item_page", self._session, asin, _keywords(keywords), number, dict(options))

    def sub(self, name: str, asin: str, keywords: str, number: int, options: Mapping[str, str]) -> Page:
        """Returns a product's description, features or reviews."""
        words = _keywords(keywords)
        return self._page("sub", "item_sub_page", self._session, asin, words, number, name, dict(options))

    def buy(self, asin: str, options: Mapping[str, str]) -> Page:
        """Buys the product and returns the last page, with the reward."""
        return self._page("done", "done", self._session, asin, dict(options))

    def _page(self, kind: PageKind, *parts: object) -> Page:
        url = "/".join([self._url, *(urllib.parse.quote(_plain(part), safe="") for part in parts)])
        page = read_page(kind, _get(url))
        if page is None:
            raise TaskEnvError(f"{url} is not a {kind} page of WebShop. Check what runs at {self._url}.")
        return page


def _plain(part: object) -> str:
    """Cleans a part of a URL: replaces lone surrogates and slashes, which a URL part cannot contain."""
    return str(part).encode("utf-8", "replace").decode().replace("/", " ")


def _keywords(keywords: str) -> str:
    """Makes keywords safe: WebShop evaluates a leading ``[`` as a list and shows a random page for ``<r>``."""
    return keywords.lstrip("[< ") or "product"  # without words the URL would be invalid


def _get(url: str) -> str:
    """Fetches the text of a page, with retries and exponential back-off.

    Raises:
        TaskEnvError: all attempts failed.
    """
    problem = ""
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_FIRST_WAIT * 2 ** (attempt - 1))
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:
                body: bytes = answer.read(_MAX_PAGE + 1)
            if len(body) > _MAX_PAGE:
                raise TaskEnvError(
                    f"{one_line(url, 200)} answers with more than {_MAX_PAGE:,} bytes; no page has that."
                )
            return body.decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            problem = f"status {error.code}"
            error.close()
            if error.code not in _PASSING:
                break
        except (OSError, http.client.HTTPException) as error:
            problem = str(getattr(error, "reason", None) or error or type(error).__name__)
    raise TaskEnvError(f"WebShop's page {one_line(url, 200)} could not be fetched: {problem}. Is the server running?")
