"""The page in a real browser, without a window: what it shows, what its keys do, and that no text runs."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager

import pytest

from retro_gym.records import load_run
from retro_gym_agents.view import load_panels, write_page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium")


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def show(browser, tmp_path):
    """Opens the page of some panels; at the end there must have been no error, and no address but the file's."""

    @contextmanager
    def shown(panels, **options):
        path = write_page(panels, tmp_path / "page.html")
        context = browser.new_context(viewport={"width": 1300, "height": 800}, **options)
        page = context.new_page()
        said, asked = [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]")
        yield page
        assert said == []
        assert {url.partition("#")[0] for url in asked} == {path.as_uri()}
        context.close()

    return shown


@pytest.fixture(scope="module")
def panels(files):
    return load_panels([files / "one.json", files / "two.json", files / "two.jsonl"])


def tasks(page):
    return [each.inner_text() for each in page.locator(".row b").all()]


def count(page):
    return int(page.inner_text(".count").split()[0].replace(",", ""))


def pair(page, one, other):
    page.select_option("#policy-a", label=one)
    page.select_option("#policy-b", label=other)


def test_won_and_lost_tasks_stand_first(show, panels, files):
    rows = json.loads((files / "one.json").read_text())["rows"]
    ended = {(row["policy"], row["task_id"]): row["success"] for row in rows if row["trial"] == 2}
    names = sorted({task for _, task in ended})
    won = [task for task in names if ended["noisy", task] and not ended["none", task]]
    lost = [task for task in names if ended["none", task] and not ended["noisy", task]]
    assert won
    with show(panels) as page:
        pair(page, "noisy", "none")
        assert tasks(page)[: len(won + lost)] == won + lost
        assert count(page) == len(names)
        for result, expected in (("won", won), ("lost", lost), ("differ", won + lost)):
            page.select_option("#filter-result", result)
            assert tasks(page) == expected
        page.get_by_role("button", name="Reset").click()
        assert count(page) == len(names)


def test_filters_and_search(show, panels, files):
    rows = json.loads((files / "one.json").read_text())["rows"]
    groups = {row["task_id"]: row["group"] for row in rows}
    kind = sorted(groups.values())[0]
    with show(panels) as page:
        page.select_option("#filter-kind", label=kind)
        assert count(page) == sum(group == kind for group in groups.values())
        page.get_by_role("button", name="Reset").click()
        page.keyboard.press("/")
        page.keyboard.type(f'"{rows[0]["task_id"]}"')
        assert tasks(page) == [rows[0]["task_id"]]
        page.keyboard.press("Escape")
        page.keyboard.press("Enter")
        assert page.inner_text(".detail-head h2") == rows[0]["task_id"]
        page.get_by_role("button", name="Reset").click()
        reflection = next(row for row in rows if row["policy"] == "noisy" and row["reflection"])
        page.fill("#search", f'"{reflection["reflection"].lower()}"')
        assert reflection["task_id"] in tasks(page)
        page.fill("#search", "nothing that anyone has said")
        assert count(page) == 0
        page.fill("#search", "")
        pair(page, "noisy", "none")
        page.locator("details.more summary").click()
        page.select_option("#filter-named", "1")
        named = {row["task_id"] for row in rows if row["policy"] == "noisy" and row["names_cause"]}
        assert set(tasks(page)) == named


def test_policies_stand_side_by_side_on_one_failure(show, panels):
    with show(panels) as page:
        pair(page, "oracle", "noisy")
        page.locator("details.also summary").click()
        page.get_by_role("checkbox", name="vague").check()
        page.select_option("#filter-result", "won")
        page.locator(".row").first.click()
        assert page.inner_text(".verdict").startswith("won by trial 2")
        cards = page.locator(".round").first.locator(".card")
        assert cards.count() == 3
        assert [card.locator("b").first.inner_text() for card in cards.all()] == ["oracle", "noisy", "vague"]
        assert page.locator(".failed .turn").count() > 0
        assert cards.first.locator("ins").count() > 0  # words that the reflection beside it does not have
        button = cards.first.locator("button.name").first
        name = button.inner_text().partition(" · ")[0].lower()
        button.click()
        assert name in {mark.inner_text().lower() for mark in page.locator(".failed mark.flash").all()}
        page.keyboard.press("x")
        assert page.inner_text(".verdict").startswith("lost by trial 2")


def test_the_actors_prompt_is_that_of_the_trial(show, panels, files):
    run = load_run(files / "two.jsonl")
    trial = next(each for each in run.trials.values() if each.reflections and len(each.turns) > 1)
    with show(panels) as page:
        pair(page, "vague", "none")
        page.fill("#search", f'"{trial.task_id}"')
        page.locator(".row").first.click()
        after = page.locator(".round").nth(trial.trial - 1).locator(".card.is-a .attempt")
        for details in after.locator("details.before:not([open]) > summary").all():
            details.click()
        after.locator("button.prompt-button").nth(1).click()
        assert after.locator(".prompt pre").text_content() == run.prompt(trial, 1).text


def test_the_keyboard_alone_is_enough(show, panels):
    with show(panels) as page:
        names = tasks(page)
        chosen = page.locator(".row[aria-selected=true] b")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("j")
        assert chosen.inner_text() == names[2]
        page.keyboard.press("k")
        page.keyboard.press("Enter")
        heading = page.locator(".detail-head h2")
        heading.wait_for()
        assert heading.inner_text() == names[1]
        page.keyboard.press("j")
        page.wait_for_function("name => document.querySelector('.detail-head h2').textContent === name", arg=names[2])
        page.keyboard.press("Escape")
        assert page.inner_text("#detail h2") == "Overview"
        page.keyboard.press("End")
        assert chosen.inner_text() == names[-1]
        page.keyboard.press("?")
        assert page.locator("dialog[open]").count() == 1
        page.keyboard.press("Escape")
        assert page.locator("dialog[open]").count() == 0
        assert page.evaluate("document.activeElement.id") == "rows"


def test_an_address_opens_the_same_task(show, panels):
    with show(panels) as page:
        pair(page, "noisy", "oracle")
        page.locator(".row").nth(3).click()
        page.wait_for_selector(".detail-head h2")
        title = page.inner_text(".detail-head h2")
        page.reload()
        page.wait_for_selector(".detail-head h2")
        assert page.inner_text(".detail-head h2") == title
        assert page.input_value("#policy-a") == "1"


def test_both_colour_schemes_and_the_switch(show, panels):
    ground = "getComputedStyle(document.body).backgroundColor"
    for scheme, colour in (("dark", "rgb(20, 23, 28)"), ("light", "rgb(255, 255, 255)")):
        with show(panels, color_scheme=scheme) as page:
            assert page.evaluate(ground) == colour
            page.keyboard.press("t")
            assert page.evaluate(ground) == "rgb(20, 23, 28)"
            page.keyboard.press("t")
            assert page.evaluate(ground) == "rgb(255, 255, 255)"


def test_a_hostile_text_is_shown_and_runs_nothing(show, hostile):
    with show([hostile]) as page:
        page.locator("details.also summary, .settings summary").last.click()
        page.locator(".row").first.click()
        page.wait_for_selector(".detail-head")
        page.evaluate("document.querySelectorAll('#detail details').forEach((each) => { each.open = true; })")
        page.wait_for_timeout(100)  # what they hold is drawn when they open
        assert page.locator("#detail .turn").count() == 4
        page.evaluate("document.querySelectorAll('#detail button:not([title])').forEach((each) => each.click())")
        assert page.locator("#detail .prompt").count() == 4
        text = page.inner_text("body")
        assert "</script><script>window.hacked=1</script><img src=x onerror='window.hacked=1'>" in text
        assert "⟨U+2028⟩⟨U+2029⟩⟨U+202E⟩⟨U+0000⟩" in text
        page.wait_for_timeout(100)
        assert page.evaluate("window.hacked") is None
        assert page.locator("img").count() == 0
        assert page.locator("script:not([type])").count() == 8


def test_a_runs_reflections_over_its_updates_beside_its_curve(show, run_folder):
    with show(load_panels([run_folder])) as page:
        assert page.locator("#detail .curve svg").count() == 1
        page.locator(".row").first.click()
        page.wait_for_selector(".updates")
        assert [each.inner_text() for each in page.locator(".updates tbody th").all()] == ["1", "2", "3"]
        assert page.locator(".updates ins").all_inner_texts() == ["1", "2"]
        assert page.locator(".updates .tick").count() == 3
        assert page.locator(".controls").count() == 6
        assert page.locator(".controls").first.locator("tbody tr").count() == 2
        assert page.locator("#filter-result option").all_inner_texts()[1:3] == ["solved", "solved by some reflections"]


def test_updates_of_a_run_stand_side_by_side_on_one_failure(show, validated_folder):
    with show(load_panels([validated_folder])) as page:
        assert [page.locator(f"#policy-{letter} option:checked").inner_text() for letter in "ab"] == [
            "update 3",
            "update 0",
        ]
        assert page.locator(".row").first.inner_text().startswith("won")
        page.locator(".row").first.click()
        page.wait_for_selector(".updates")
        assert page.locator(".updates tbody tr").count() == 2
        assert page.locator(".round .reflection").all_inner_texts() == ["Say blue.", "Nothing."]


def test_panels_are_chosen_from(show, files):
    with show(load_panels([files / "one.json", files / "other.json"])) as page:
        assert "seed" not in page.locator(".row").first.inner_text()
        page.select_option("#panel", "1")
        assert count(page) == 24
        assert "seed 7" in " ".join(page.locator(".row").all_inner_texts())
        assert "the evaluation seed is 7 in place of 0" in page.inner_text("#detail")


def test_only_the_rows_in_sight_are_drawn(show, panels):
    (panel, *_) = panels
    first = next(iter(panel.failures.values()))
    many = {(f"copy-{number:05}", 0): first for number in range(10_000)}
    for key in many:
        many[key] = type(first)(*key, trials=first.trials[:1], players=first.players)
    large = type(panel)(panel.key, panel.kind, panel.files, panel.policies, many, rounds=panel.rounds)
    with show([large]) as page:
        assert count(page) == 10_000
        assert page.locator(".row").count() < 40
        page.keyboard.press("End")
        assert tasks(page)[-1] == "copy-09999"
        assert page.locator(".row").count() < 40
        page.fill("#search", "copy-04321")
        assert tasks(page) == ["copy-04321"]
