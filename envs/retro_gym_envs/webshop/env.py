"""WebShop-v0: buying the product that an instruction describes, by search and click."""

from __future__ import annotations

from typing import Any

from retro_gym.actors import Actor
from retro_gym.checks import check_whole
from retro_gym.errors import ConfigError
from retro_gym.task_env import checked_task_id
from retro_gym.teacher import Teacher
from retro_gym_envs.actions import bracketed
from retro_gym_envs.game_env import GameEnv
from retro_gym_envs.webshop.catalog import Catalog, Goal
from retro_gym_envs.webshop.files import ShopPaths, load_shop
from retro_gym_envs.webshop.pages import BUY, NEXT, PREVIOUS, SUB_PAGES, TO_SEARCH, plain
from retro_gym_envs.webshop.prompt import WEBSHOP_PROMPT
from retro_gym_envs.webshop.server import RemoteTasks
from retro_gym_envs.webshop.tasks import ShopTasks
from retro_gym_envs.webshop.world import BuiltinShops

__all__ = ["WebShopEnv"]

_ACTIONS = ("search", "click", "think")
_INVALID = "Invalid action!"
_MAX_QUERY = 500  # characters of a search query that are used
_SERVER_GOALS = 12_087  # number of human-written goals in WebShop's full data


class WebShopEnv(GameEnv[Goal]):
    """A web shop with search, product pages and options.

    ## Description
    An instruction asks for a product with certain attributes and options below a price; the actor must find and buy it
    (WebShop, Yao et al. 2022). This is a reimplementation without Flask, Java and spaCy: it has the pages of WebShop's
    simple text mode, its action grammar and its reward. The built-in shops are generated; alternatively, WebShop's own
    files are read, or a running WebShop server is used over HTTP. Differences from the original: BM25 comes from bm25s
    instead of Lucene (same texts, other tie-breaks and stemming, so result pages differ); nouns of titles are found by
    word form instead of by spaCy (see ``reward.nouns``); price limits and ranged prices are drawn from fixed seeds.
    In the built-in shops a search returns only the hits that share the most words with it, so that pages are short.

    ## Built-in shops
    Every task has a shop of its own with three to seven products. An instruction asks for a thing with an attribute,
    two options and a maximum price, all in ordinary words; the task's group is the category of the thing. The shop
    calls one or two of these by coined names, which is the cause of failure (``teacher.failure_cause``). It is drawn by
    the task's seed, so instructions that read alike have different causes:

    | cause | share | what has a coined name | what a trial shows |
    |---|---|---|---|
    | word | 16 % | the thing itself | a search for the thing finds two other products |
    | maker | 16 % | five products, by their makers | titles that do not tell the attribute |
    | item | 16 % | five products of one maker, by their ids only | equal titles |
    | first option, second option | 16 % each | five values of an option | values that the instruction does not name |
    | two of maker or item, first option, second option | 20 % | two of these at once | both |

    What a name stands for is told only by customers' reviews, five for each sort of names in random order:
    ``"Verdict" 4 really teal ostrin``. Half of them also deny what another name stands for (``teal ostrin, not navy``).
    Names are drawn anew for each task, so no instruction and no other task helps; nor do the reviews without the
    instruction, as nothing in them sets the wanted name apart.

    The scripted actor uses the words of the instruction as well as it can. Where no page says them, it opens the
    reviews, which it does not understand, and takes one of the five by luck. It follows a reflection that speaks for
    one of the names, however that is said, and takes either of two. If a reflection speaks for more than two names of
    one decision, or for and against more than three, it is confused: it leaves an option unchosen, and a product or
    word to luck. A name that a reflection speaks against is less likely to be taken. Words of the instruction, places
    on a page, descriptions, and sentences about a name as a word have no effect on it.

    Success at trial 1 in % (200 test tasks, two seeds, scripted actor at temperature 1; solved at trial 0 counts), and
    the share of the reflections that contain the answer, as ``benchmarks/attacks.py`` measures them. A candidate is
    one of the five names that reviews tell of; one is advised for each choice:

    | policy | success | leak |
    |---|---|---|
    | ``none`` (a plain retry); ``vague``; ``outcome`` | 33.0 each | 0 |
    | ``oracle``; ``rule``; ``told`` (the answer) | 100 each | 0; 0; 100 |
    | ``noisy`` | 37.2 | 0 |
    | ``task_only``; the task's text | 33.0 each | 0 |
    | ``copy``; the observation's first 300; 600; 1,000 characters | 33.0 each | 80; 0; 33; 87 |
    | its last 300; 600; 1,000 characters | 33.0 each | 0; 69; 87 |
    | ``actions``; the same as a mere list | 19.0; 33.0 | 0 |
    | ``shotgun``; every name of the trial | 21.0; 21.5 | 87 each |
    | one; two; three names of the trial at random | 29.8; 26.8; 25.8 | 0 |
    | the last name; the most frequent name | 26.2; 30.2 | 0 |
    | the first; second; third; last candidate | 35.2; 31.5; 34.0; 36.5 | 0 |
    | a candidate at random; two; one that was not tried | 32.0; 32.5; 36.0 | 0 |
    | a candidate at random, with what the trial says of it | 30.8 | 0 |
    | all candidates; each by itself; each "if it is right" | 26.2 each | 0 |
    | "do not" with what was tried; with the oracle's advice | 34.8; 24.2 | 0 |
    | ``lookup``; the same by the failures; ``shuffled`` | 32.0; 32.8; 32.8 | 0 |
    | the task's words as an order | 33.0 | 0 |
    | the first; the last; the cheapest product | 29.0; 28.2; 30.2 | 0 |

    Solved at trial 0, in %: 19.0; by cause: first option 16.7, item 25.0, maker 14.5, second option 21.6, two 4.7, word
    33.9. The observation of a failure has 1,845 characters on average, at most 2,209.

    Splits share no coined name, id, title, thing to search for, instruction, and no wording of instructions: train has
    six wordings, validation two, test three. Attributes and values of options are ordinary words that all splits use.

    ## Observation
    ``UnicodeText(12000)``: the texts of a page, joined by ``" [SEP] "``.

    - First page: ``WebShop``, ``Instruction:``, the instruction, ``Search``. Later pages do not repeat the instruction,
      as in Reflexion's and Retroformer's runs.
    - Results: ``Back to Search``, ``Page 1 (Total results: 50)``, ``< Prev`` and ``Next >`` if there are such pages,
      then id, title and price of ten products.
    - A product: ``Back to Search``, ``< Prev``, each option's name and values, title, price, rating, ``Description``,
      ``Features``, ``Reviews``, ``Buy Now``. A click on a value is answered by ``You have clicked VALUE.``
    - ``Reviews``: title, stars and text of each review: ``"Fine" 5.0 It pours.``
    - ``Buy Now``: a thank-you message and the score. The goal is not revealed.
    - ``Invalid action!`` for anything that the page does not offer.

    ## Action
    ``UnicodeText(1000)``: ``search[words]`` on the first page; ``click[…]`` with a button, a product's id or an
    option's value; case and spacing are ignored. A value that two options share selects the later option, as in
    WebShop. ``think[…]`` is answered by ``OK.`` The case of action names, a full stop at the end, and white space,
    quotes or a ``>`` around the action are ignored. Every action costs a turn. (WebShop's own text environment accepts
    a search on any page; its site and the published runs do not.)

    ## Rewards
    At the purchase r_type · (attributes + options + price) / (their number), see ``reward.score``; 0 before. It lies
    between 0 and 1, except for public products with several options that match one wanted value: there it can exceed 1,
    as in WebShop. Success is a reward of exactly 1.0: ``info["success"]``.

    ## Starting state
    The task ``options["task_id"]``, or one drawn from split train with ``np_random``.

    ``info`` always holds ``task_id``, ``group`` (built-in shops: the category), ``success``,
    ``score`` (the reward; 0 before the purchase), ``clickables`` and ``has_search_bar``, as WebShop lists them.

    ## Episode end
    Terminated by ``Buy Now``, truncated after ``max_turns`` turns.

    ## Arguments
    - ``tasks``: WebShop's files, as a folder or a mapping, see ``load_shop``; the built-in shops by default. Goals are
      in WebShop's own order (shuffled with seed 233). With more than 1,500 goals, test has the first 500, validation
      the next 1,000, train the others; with fewer **every split has all of them**.
    - ``server``: URL of a running WebShop server, used over HTTP instead of files. Tasks are its sessions ``fixed_0``
      and so on, split in the same way. If it cannot be reached, ``TaskEnvError`` is raised: never a reward of 0.
    - ``num_goals``: number of goals of the server; 12,087 by default.
    - ``world_seed``: the seed of the built-in shops.
    - ``max_turns``: maximum turns of a trial; 15 by default. (The published runs count the first page as one, so 14.)

    ## Version history
    * v0: first release. Before it, the built-in shops had 2,000 products each and called all things by the words of
      the instruction; now what a reflection needs to say is seen only in the failed trial.
    """

    prompt = WEBSHOP_PROMPT
    max_turns = 15
    max_observation = 12_000  # characters; a page of ten public products has about 2,500
    any_thread = True
    data = "built in; tasks=FOLDER: WebShop's files; server=URL: a running WebShop"
    _tasks: ShopTasks

    def __init__(
        self,
        *,
        tasks: ShopPaths | None = None,
        server: str | None = None,
        num_goals: int | None = None,
        world_seed: int = 0,
        max_turns: int | None = None,
    ) -> None:
        super().__init__(max_turns)
        if num_goals is not None:
            check_whole(1, num_goals=num_goals)
        if tasks is not None and server is not None:
            raise ConfigError("tasks and server are both given; a server has its own products. Leave one of them out.")
        if num_goals is not None and server is None:
            raise ConfigError("num_goals is the number of a server's goals; without server=… leave it out.")
        self.blocking = server is not None
        if server is not None:
            self._tasks = RemoteTasks(server, num_goals or _SERVER_GOALS)
        else:
            self._tasks = BuiltinShops(world_seed) if tasks is None else load_shop(tasks)
        self._task_id: str | None = None

    def _begin(self, task_id: str) -> str:
        self._running = False  # stays False if the server fails here
        self._shop = self._tasks.shop(task_id)
        self._task_id, self._group = task_id, self._tasks.group(task_id)
        self._page = self._shop.start()
        self._keywords, self._number, self._asin = "", 1, ""
        self._options: dict[str, str] = {}
        return self._page.text

    def _play(self, action: str) -> tuple[str, float, bool]:
        observation = self._answer(action)
        return observation, self._page.reward or 0.0, self._page.kind == "done"

    def _answer(self, action: str) -> str:
        match bracketed(action, _ACTIONS):
            case "think", _:
                return "OK."
            case "search", words if self._page.kind == "search" and words.strip():
                self._keywords = " ".join(words[:_MAX_QUERY].lower().split())
                self._to_results(1)
            case "click", text if plain(text) in self._page.clickables:
                return self._click(plain(text))
            case _:
                return _INVALID
        return self._page.text

    def _click(self, text: str) -> str:
        """Executes a click; a button takes precedence over an option with the same text."""
        page = self._page
        button = next((name for name in page.buttons if plain(name) == text), None)
        link = next((asin for asin in page.links if plain(asin) == text), None)
        if button is None and link is None:
            name, value = page.choices[text]
            self._options[name] = value
            return f"You have clicked {value}."
        if link is not None:
            self._asin = link
            self._to_item()
        elif button == TO_SEARCH:
            self._options = {}
            self._page = self._shop.start()
        elif button == BUY:
            self._page = self._shop.buy(self._asin, self._options)
        elif button in SUB_PAGES:
            self._page = self._shop.sub(button, self._asin, self._keywords, self._number, self._options)
        elif button == NEXT:
            self._to_results(self._number + 1)
        elif button == PREVIOUS and page.kind == "sub":
            self._to_item()
        else:
            self._to_results(self._number - (page.kind == "results"))
        return self._page.text

    def _to_results(self, number: int) -> None:
        self._options = {}  # opening a product resets its options
        self._number = number
        self._page = self._shop.results(self._keywords, number)

    def _to_item(self) -> None:
        self._page = self._shop.item(self._asin, self._keywords, self._number, self._options)

    def _info(self) -> dict[str, Any]:
        return {
            "task_id": self._task_id,
            "group": self._group,
            "success": self._page.reward == 1.0,
            "score": self._page.reward or 0.0,
            "clickables": list(self._page.clickables),
            "has_search_bar": self._page.kind == "search",
        }

    # -- goals, catalogues, actor and teacher ----------------------------------------------------------------------

    def goal(self, task_id: str) -> Goal:
        """Returns the goal of a task.

        Raises:
            UnknownTaskError: no such task.
            ConfigError: the goals are a server's, which does not reveal them.
        """
        return self.task(task_id)

    def catalog(self, task_id: str) -> Catalog:
        """Returns the catalogue of a task's shop.

        Raises:
            UnknownTaskError: no such task.
            ConfigError: the products are a server's, which does not reveal them.
        """
        return self._tasks.catalog(checked_task_id(task_id))

    def scripted_actor(self, *, temperature: float = 1.0, thoughts: bool = False) -> Actor:
        """Returns an actor that reads only the prompt, and follows reflections that name what the pages show.

        Args:
            temperature: scale of the noise in its choices; 0 for none.
            thoughts: whether it says what it chooses by chance.
        """
        from retro_gym_envs.webshop.actor import ScriptedShopActor

        return ScriptedShopActor(temperature, thoughts=thoughts)

    @property
    def teacher(self) -> Teacher:
        """A teacher that knows the goals, and what the names of the built-in shops stand for."""
        from retro_gym_envs.webshop.teacher import ShopTeacher

        return ShopTeacher(self._tasks)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_shop"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._task_id is not None:
            self._shop = self._tasks.shop(self._task_id)
