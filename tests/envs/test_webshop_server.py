"""Playing a running WebShop: a small server with its addresses and its markup, over the built-in test shop."""

import ast
import copy
import dataclasses
import html
import pickle
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env

import retro_gym  # noqa: F401 - registers the environments
from retro_gym import RetroEnv
from retro_gym.errors import ConfigError, EpisodeError, TaskEnvError, UnknownTaskError
from retro_gym_envs.webshop import WebShopEnv, server
from retro_gym_envs.webshop.html_pages import read_page
from retro_gym_envs.webshop.pages import LocalShop
from retro_gym_envs.webshop.world import BuiltinShops

SHOPS = BuiltinShops(0)
TASKS = [f"test-{i:04d}" for i in range(40)]  # session fixed_i is the i-th of them


def button(name):
    return f'<form method="post" action="#"><button type="submit" class="btn">{html.escape(name)}</button></form>'


def markup(page, instruction):
    """A page of ours in the markup of WebShop's templates, unclosed and wrongly closed tags included."""
    told = f'<div id="instruction-text" class="text-center"><h4>Instruction:<br>{html.escape(instruction)}</h4></div>'
    if page.kind == "search":
        body = f'<h2>WebShop</h2>{told}<input id="search_input" type="text" placeholder="Search..." required/>'
        body += '<button type="submit" class="btn"><i class="glyphicon"></i>Search</button>'
    elif page.kind == "done":
        body = "<h1>Thank you for shopping with us!</h1><pre>None</pre>"
        body += f'<h3 id="reward">Your score (min 0.0, max 1.0)<pre>{page.reward}</pre></h3>'
    else:
        body = told
        group = ""
        for node in page.nodes:
            if node in page.buttons:
                body += button(node)
            elif node in page.links:
                body += f'<h4 class="product-asin"><a class="product-link" href="#">{node}</a></h5>'
            elif (group, node) in page.options:
                body += f'<input type="radio" id="r" name="{group}" value="{html.escape(node)}" data-url="#">'
                body += f'<label for="r">{html.escape(node)}</label>\n   '
            else:
                group = node
                body += f"<h4>{html.escape(node)}</h4>\n"
    return (
        "<!DOCTYPE html><html><head><title>T</title><style>a {}</style></head><body>\n"
        f"<!-- a note --><script>let x = 1;</script>{body}</body></html>"
    )


class Site(BaseHTTPRequestHandler):
    """WebShop's addresses."""

    failures: list[int] = []  # states to answer with, before all is well
    seen: list[str] = []

    def do_GET(self):
        self.seen.append(self.path)
        state = self.failures.pop(0) if self.failures else 200
        text = self.answer() if state == 200 else "out of order"
        self.send_response(state)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(text.encode())

    def answer(self):
        parts = [urllib.parse.unquote(part) for part in self.path.split("/")[1:]]
        if parts[0].startswith("fixed_"):
            parts.insert(0, "index")
        goal = SHOPS.get(TASKS[int(parts[1].partition("_")[2])])
        shop = LocalShop(SHOPS.catalog(goal.task_id), goal)
        match parts:
            case ["index", _]:
                page = shop.start()
            case ["search_results", _, keywords, number]:
                page = shop.results(keywords, int(number))
            case ["item_page", _, asin, keywords, number, options]:
                page = shop.item(asin, keywords, int(number), ast.literal_eval(options))
            case ["item_sub_page", _, asin, keywords, number, name, options]:
                page = shop.sub(name, asin, keywords, int(number), ast.literal_eval(options))
            case ["done", _, asin, options]:
                page = shop.buy(asin, ast.literal_eval(options))
        return markup(page, goal.instruction)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def url():
    site = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=site.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{site.server_address[1]}"
    site.shutdown()
    site.server_close()
    thread.join()


@pytest.fixture
def env(url):
    Site.seen.clear()
    return WebShopEnv(server=f"{url}/", num_goals=len(TASKS))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(server, "_FIRST_WAIT", 0.001)


# -- the same game ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 3, 10])
def test_it_is_the_same_game_as_our_own(env, number):
    local, goal = WebShopEnv(), SHOPS.get(TASKS[number])
    assert env.reset(options={"task_id": f"fixed_{number}"})[0] == local.reset(options={"task_id": TASKS[number]})[0]
    way = ["search[made / 100%?]", "click[Next >]", "click[< Prev]", "search[x]", "click[Back to Search]"]
    way += [f"search[{goal.name}]", f"click[{goal.asin}]"]
    way += ["click[Features]", "click[< Prev]", "click[Reviews]", "click[Buy Now]", "click[< Prev]"]
    way += [f"click[{value}]" for value in goal.options] + ["click[Buy Now]"]
    for action in way:
        theirs, ours = env.step(action), local.step(action.replace(" / ", "  "))
        assert theirs[:4] == ours[:4], action
        for key in ("clickables", "has_search_bar", "success", "score"):
            assert theirs[4][key] == ours[4][key]
    assert theirs[1] == 1.0


def test_the_scripted_actor_plays_it(env):
    retro = RetroEnv(env, split="test")
    for number in range(len(TASKS)):
        observation, info = retro.reset(seed=0, options={"task_id": f"fixed_{number}"})
        if not info["success"] and SHOPS.get(TASKS[number]).cause == "first option":
            break
    assert "[SEP] Buy Now" in observation
    right = WebShopEnv().teacher.oracle_reflection(TASKS[number])
    assert retro.branch([right])[0].success
    assert not env.teacher.leaks(right, f"fixed_{number}")
    check = env.teacher.check_reflection(
        env.teacher.noisy_reflection(retro.trajectory, retro.np_random), retro.trajectory
    )
    assert check.grounded


def test_check_env_and_copies(env):
    check_env(gym.make("WebShop-v0", server=env._tasks.url, num_goals=3).unwrapped)
    env.reset(options={"task_id": "fixed_1"})
    env.step("search[kettle]")
    for twin in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        assert twin.step("click[Next >]") == copy.deepcopy(env).step("click[Next >]")


def test_sessions_are_split_as_the_goals_are(url):
    env = WebShopEnv(server=url)
    assert [len(env.task_ids(split)) for split in ("test", "validation", "train")] == [500, 1_000, 10_587]
    assert env.task_ids("train")[0] == "fixed_1500"
    assert env.teacher.task_group("fixed_0") == env.teacher.failure_cause("fixed_0") == ""


@pytest.mark.parametrize("task_id", ["fixed_40", "fixed_-1", "fixed_01", "fixed_", "test-0000", "fixed_²", 3])
def test_other_sessions_are_refused(env, task_id):
    with pytest.raises(UnknownTaskError):
        env.reset(options={"task_id": task_id})


def test_what_only_the_server_knows_is_refused(env):
    for ask in (env.goal, env.catalog, env.teacher.oracle_reflection):
        with pytest.raises(ConfigError, match="tasks="):
            ask("fixed_0")


@pytest.mark.parametrize(
    "query", ["<r>", "['a', 'b']", "[[", "a/b", "..", "%2e", "é 反省", "\ud800", "x" * 5_000, "?#&=", "<"]
)
def test_odd_searches_reach_the_server_as_words(env, query):
    env.reset(options={"task_id": "fixed_0"})
    assert env.step(f"search[{query}]")[0].startswith("Back to Search [SEP] Page 1 (Total results: ")
    assert Site.seen[-1].startswith("/search_results/fixed_0/")
    assert not urllib.parse.unquote(Site.seen[-1]).startswith(
        ("/search_results/fixed_0/[", "/search_results/fixed_0/<")
    )


# -- a server that fails ---------------------------------------------------------------------------------------------


def test_a_passing_fault_is_tried_again(env):
    Site.failures[:] = [503, 500, 502]
    assert env.reset(options={"task_id": "fixed_0"})[0].startswith("WebShop [SEP] Instruction:")
    assert len(Site.seen) == 4


def test_a_lasting_fault_is_an_error_and_never_a_reward(env):
    env.reset(options={"task_id": "fixed_0"})
    Site.failures[:] = [500] * 4
    with pytest.raises(TaskEnvError, match="status 500"):
        env.step("search[kettle]")
    with pytest.raises(EpisodeError):
        env.step("search[kettle]")
    Site.failures[:] = [404]
    with pytest.raises(TaskEnvError, match="status 404"):
        env.reset(options={"task_id": "fixed_0"})
    assert Site.failures == []
    with pytest.raises(EpisodeError):
        env.step("search[kettle]")
    assert env.reset(options={"task_id": "fixed_0"})[1]["score"] == 0.0


def test_a_dead_server_is_one_clear_error():
    env = WebShopEnv(server="http://127.0.0.1:9")  # the discard port, where nothing listens
    with pytest.raises(TaskEnvError, match=r"127\.0\.0\.1:9/fixed_0' could not be fetched: .*Is the server running"):
        env.reset(options={"task_id": "fixed_0"})


def test_a_server_that_dies_amid_an_episode_pays_nothing(env):
    retro = RetroEnv(env, split="test")
    retro.reset(seed=0)
    Site.failures[:] = [500] * 4
    _, reward, terminated, truncated, info = retro.step("Choose the color teal.")
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert "could not be fetched" in info["actor_error"]


def test_a_value_of_two_options_is_chosen_for_the_later_one(env, monkeypatch):
    asked = SHOPS.catalog(TASKS[0]).search("made")[0]
    options = (("waist", ("30", "32")), ("length", ("32", "28  regular", "30")), ("fit", ("description", "32 ")))
    jeans = dataclasses.replace(asked, options=options)
    monkeypatch.setattr(LocalShop, "_product", lambda self, asin: jeans)
    env.reset(options={"task_id": "fixed_0"})
    for action in ("search[made]", f"click[{asked.asin}]", "click[30]", "click[28 Regular]", "click[32]"):
        assert env.step(action)[0] != "Invalid action!"
    assert env._options == {"length": "28  regular", "fit": "32 "}  # as the server has them
    described = env.step("click[description]")[0]
    assert described.startswith(f"Back to Search [SEP] < Prev [SEP] {jeans.description or 'No Description'}")
    assert env.step("click[< prev]")[4]["clickables"][6:] == ["30", "32", "28 regular"]
    assert env.step("click[30]")[0] == "You have clicked 30."
    env.step("click[buy now]")
    assert ast.literal_eval(urllib.parse.unquote(Site.seen[-1].rpartition("/")[2])) == {"length": "30", "fit": "32 "}


@pytest.mark.parametrize("kind", ["search", "results", "item", "sub", "done"])
@pytest.mark.parametrize(
    "text", ["", "It works!", "<html><body><h1>Not found</h1>", "<" * 50, "</div></p><button>Back", "\0"]
)
def test_what_is_no_page_of_webshop_is_told(kind, text):
    assert read_page(kind, text) is None


def test_a_score_that_is_no_number_is_told():
    assert read_page("done", "<h3>Your score (min 0.0, max 1.0)<pre>high</pre></h3>") is None
    assert read_page("done", "<h3>Your score (min 0.0, max 1.0)</h3>") is None
    assert read_page("done", "<h3>Your score (min 0.0, max 1.0)<pre>0.75</pre></h3>").reward == 0.75


def test_older_servers_have_longer_names_for_a_button():
    page = markup(
        LocalShop(SHOPS.catalog(TASKS[0]), SHOPS.get(TASKS[0])).item(SHOPS.get(TASKS[0]).asin, "x", 1, {}), "i"
    )
    older = page.replace("&lt; Prev", "&lt; Back to Results")
    assert older != page
    assert read_page("item", older) == read_page("item", page)


def test_the_page_of_another_kind_is_refused(env, monkeypatch):
    env.reset(options={"task_id": "fixed_0"})
    monkeypatch.setattr(Site, "answer", lambda self: "<html><body>Welcome to nginx!</body></html>")
    with pytest.raises(TaskEnvError, match="is not a results page of WebShop"):
        env.step("search[kettle]")
