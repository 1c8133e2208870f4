"""The chat page in a real browser: what a person does there turns up in the store, and text stays text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fakes_serve import ScriptedEngine, chromium_path, running
from luthier.records import Sampling
from luthier.traces import Store

playwright = pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Browser, Page, expect  # noqa: E402

pytestmark = pytest.mark.browser
KEYS = "LUTHIER_TEST_PAGE_KEYS"
WAIT_S = 30


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium_path()
    expect.set_options(timeout=WAIT_S * 1000)  # a busy machine is slow, not wrong
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@dataclass
class Site:
    """A server with a store, and a page that looks at it."""

    page: Page
    store: Store
    scripted: ScriptedEngine
    url: str
    faults: list[str] = field(default_factory=list)

    def ask(self, text: str) -> None:
        self.page.get_by_label("Your message").fill(text)
        self.page.keyboard.press("Enter")

    def answered(self, num_answers: int = 1) -> None:
        expect(self.page.get_by_role("button", name="Good answer")).to_have_count(num_answers)


def a_page(browser: Browser, url: str, faults: list[str], **options: object) -> Page:
    page = browser.new_context(**options).new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if line.type in ("error", "warning") else None)
    page.on("dialog", lambda dialog: (faults.append("a dialog"), dialog.dismiss()))
    page.goto(url)
    return page


@pytest.fixture
def site(browser: Browser, tmp_path: Path) -> Iterator[Site]:
    scripted = ScriptedEngine(max_length=10_000)
    faults: list[str] = []
    with (
        Store.open(f"sqlite:///{tmp_path}/t.sqlite") as store,
        running(scripted, store=store, operations=lambda: "<!doctype html><h1>All is well</h1>") as server,
    ):
        page = a_page(browser, server.url, faults)
        expect(page.locator("#model option")).to_have_count(1)
        yield Site(page, store, scripted, server.url)
        page.context.close()
    assert faults == [], "the browser complained"


def test_a_question_is_answered_and_the_conversation_goes_on(site: Site) -> None:
    expect(site.page.locator("#empty")).to_be_visible()
    site.ask("When do you open?")
    site.answered(1)
    expect(site.page.locator("#empty")).to_be_hidden()
    site.ask("And on Saturdays?")
    site.answered(2)
    expect(site.page.get_by_label("Your message")).to_have_value("")
    turns = [(m.role, m.content) for m in site.store.traces()[1].messages]
    assert turns == [
        ("user", "When do you open?"),
        ("assistant", "It is open at nine."),
        ("user", "And on Saturdays?"),
    ]


def test_a_script_tag_stays_text_in_question_answer_and_edit(site: Site) -> None:
    attack = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title='owned'\"> ${alert(1)}"
    site.scripted.answer = attack
    site.ask(attack)
    site.answered()
    expect(site.page.locator(".user .text")).to_have_text(attack)
    expect(site.page.locator(".assistant .text")).to_have_text(attack)
    site.page.get_by_role("button", name="Edit").click()
    site.page.get_by_label("The answer as it should be").fill(attack + " edited")
    site.page.get_by_role("button", name="Save edit").click()
    expect(site.page.locator(".assistant .text")).to_have_text(attack + " edited")
    assert site.page.locator("#log script, #log img").count() == 0
    expect(site.page).to_have_title("Luthier chat")
    assert site.store.traces()[0].messages[0].content == attack


def test_a_thumb_is_kept_and_a_second_one_supersedes_it(site: Site) -> None:
    site.ask("When do you open?")
    site.answered()
    up = site.page.get_by_role("button", name="Good answer")
    down = site.page.get_by_role("button", name="Bad answer")
    up.click()
    expect(up).to_have_attribute("aria-pressed", "true")
    down.click()
    expect(down).to_have_attribute("aria-pressed", "true")
    expect(up).to_have_attribute("aria-pressed", "false")
    (trace,) = site.store.traces()
    first, second = site.store.feedback(trace.id)
    assert [(f.kind, f.value, f.source) for f in (first, second)] == [("thumb", 1.0, "chat"), ("thumb", 0.0, "chat")]
    assert second.supersedes == first.id


def test_an_edit_is_kept_and_the_conversation_goes_on_with_it(site: Site) -> None:
    site.ask("When do you open?")
    site.answered()
    site.page.get_by_role("button", name="Edit").click()
    area = site.page.get_by_label("The answer as it should be")
    expect(area).to_have_value("It is open at nine.")
    area.fill("We open at nine.\nOn Saturdays at ten.")
    site.page.get_by_role("button", name="Save edit").click()
    expect(site.page.locator(".facts")).to_contain_text("edited")
    (trace,) = site.store.traces()
    (event,) = site.store.feedback(trace.id)
    assert (event.kind, event.text, event.value) == ("edit", "We open at nine.\nOn Saturdays at ten.", None)
    assert trace.answer == "It is open at nine."
    site.ask("Thank you")
    site.answered(2)
    assert site.store.traces()[1].messages[1].content == "We open at nine.\nOn Saturdays at ten."


def test_an_edit_can_be_left_with_escape_and_is_then_not_kept(site: Site) -> None:
    site.ask("When do you open?")
    site.answered()
    site.page.get_by_role("button", name="Edit").click()
    site.page.get_by_label("The answer as it should be").fill("Never.")
    site.page.keyboard.press("Escape")
    expect(site.page.locator(".assistant .text")).to_have_text("It is open at nine.")
    assert site.store.feedback() == []


def test_an_answer_can_be_asked_for_again(site: Site) -> None:
    site.ask("When do you open?")
    site.answered()
    site.scripted.answer = "At nine."
    site.page.get_by_role("button", name="Again").click()
    expect(site.page.locator(".assistant .text")).to_have_text("At nine.")
    site.answered()
    first, second = site.store.traces()
    assert first.messages == second.messages and first.sampling["seed"] != second.sampling["seed"]


@pytest.mark.parametrize("how", ["Escape", "Stop"])
def test_an_answer_streams_and_can_be_stopped(site: Site, how: str) -> None:
    site.scripted.waits_to_be_cancelled_at = 2
    site.ask("When do you open?")
    expect(site.page.locator(".assistant.busy .text")).to_have_text("It is")
    if how == "Escape":
        site.page.keyboard.press("Escape")
    else:
        site.page.get_by_role("button", name="Stop").click()
    expect(site.page.locator(".facts")).to_contain_text("stopped")
    assert site.scripted.ended.wait(WAIT_S)
    site.page.get_by_role("button", name="Bad answer").click()
    expect(site.page.get_by_role("button", name="Bad answer")).to_have_attribute("aria-pressed", "true")
    (trace,) = site.store.traces()
    assert trace.finish_reason == "cancelled"
    assert [f.trace_id for f in site.store.feedback()] == [trace.id]


def test_enter_sends_and_shift_enter_starts_a_line(site: Site) -> None:
    site.page.get_by_label("Your message").focus()
    site.page.keyboard.type("One")
    site.page.keyboard.press("Shift+Enter")
    site.page.keyboard.type("Two")
    expect(site.page.locator(".user")).to_have_count(0)
    site.page.keyboard.press("Enter")
    site.answered()
    assert site.store.traces()[0].messages[0].content == "One\nTwo"


def test_two_samples_can_be_compared_and_the_conversation_goes_on_with_the_better(site: Site) -> None:
    def answer(question: str, sampling: Sampling) -> str:
        return f"Answer {sampling.seed}"

    site.scripted.answer = answer
    site.page.locator("#compare-label").click()
    site.ask("When do you open?")
    site.page.get_by_role("button", name="B is better").click()
    site.answered()
    picked = site.page.locator(".assistant .text").inner_text()
    (event,) = site.store.feedback()
    assert (event.kind, event.value) == ("comparison", 0.0)
    other = site.store.trace(event.other_trace_id or "")
    loser = site.store.trace(event.trace_id)
    assert other is not None and loser is not None
    assert other.answer == picked != loser.answer and other.messages == loser.messages
    site.page.locator("#compare-label").click()
    site.ask("Thank you")
    site.answered(2)
    assert site.store.traces()[-1].messages[1].content == picked


@pytest.mark.parametrize(("button", "value"), [("A is better", 1.0), ("Tie", 0.5), ("B is better", 0.0)])
def test_two_models_are_compared_without_their_names(
    browser: Browser, tmp_path: Path, button: str, value: float
) -> None:
    engines = [ScriptedEngine(name=name, digest=name * 8, answer=f"I am {name}") for name in ("old", "new")]
    faults: list[str] = []
    with (
        Store.open(f"sqlite:///{tmp_path}/t.sqlite") as store,
        running({e.name: e.engine() for e in engines}, store=store) as server,
    ):
        page = a_page(browser, server.url, faults)
        expect(page.locator("#model option")).to_have_count(2)
        page.locator("#compare-label").click()
        page.get_by_label("Your message").fill("Who are you?")
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Tie")).to_be_visible()
        assert page.locator(".facts").count() == 0
        page.get_by_role("button", name=button).click()
        expect(page.locator(".facts")).to_have_count(1)
        (event,) = store.feedback()
        pair = {store.trace(id).model_name for id in (event.trace_id, event.other_trace_id)}
        shown = page.locator(".assistant .text").inner_text()
        kept = store.trace(event.other_trace_id if value == 0 else event.trace_id)
        page.context.close()
    assert event.value == value and pair == {"old", "new"} and kept.answer == shown
    assert faults == []


def test_a_comparison_can_be_skipped_and_a_new_chat_begins_afresh(site: Site) -> None:
    site.page.locator("#compare-label").click()
    site.ask("When do you open?")
    site.page.get_by_role("button", name="Skip").click()
    site.answered()
    site.ask("And now?")
    expect(site.page.get_by_role("button", name="Tie")).to_be_visible()
    site.page.get_by_role("button", name="New chat").click()
    expect(site.page.locator("article")).to_have_count(0)
    site.page.locator("#compare-label").click()
    site.ask("Hello")
    site.answered()
    assert site.store.feedback() == []
    assert [m.content for m in site.store.traces()[-1].messages] == ["Hello"]


def test_settings_are_honoured(site: Site) -> None:
    site.page.get_by_role("button", name="Settings").click()
    site.page.get_by_label("System prompt").fill("Be brief.")
    site.page.get_by_label("Temperature").fill("0")
    site.page.get_by_label("Longest answer").fill("2")
    site.ask("When do you open?")
    site.answered()
    expect(site.page.locator(".assistant .text")).to_have_text("It is")
    (trace,) = site.store.traces()
    assert (trace.messages[0].role, trace.messages[0].content) == ("system", "Be brief.")
    assert (trace.sampling["temperature"], trace.sampling["max_new_tokens"]) == (0.0, 2)


def test_without_consent_no_text_is_kept_and_none_is_asked_for(site: Site) -> None:
    expect(site.page.get_by_role("switch", name="Keep text")).to_be_checked()
    site.page.locator("#consent-label").click()
    site.ask("My secret")
    site.answered()
    expect(site.page.get_by_role("button", name="Edit")).to_have_count(0)
    expect(site.page.locator(".facts")).to_contain_text("text not kept")
    site.page.get_by_role("button", name="Good answer").click()
    expect(site.page.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "true")
    (trace,) = site.store.traces()
    assert (trace.consent, trace.messages, trace.answer) == (False, (), "")
    assert [f.value for f in site.store.feedback()] == [1.0]


def test_the_operations_page_is_one_click_away(site: Site) -> None:
    with site.page.context.expect_page() as opened:
        site.page.get_by_role("link", name="Operations").click()
    expect(opened.value.get_by_role("heading", name="All is well")).to_be_visible()


def test_a_refusal_is_shown_and_can_be_tried_again(browser: Browser) -> None:
    scripted = ScriptedEngine(max_length=20)
    faults: list[str] = []
    with running(scripted) as server:
        page = a_page(browser, server.url, faults)
        expect(page.locator("#model option")).to_have_count(1)
        expect(page.locator("#consent-label")).to_be_hidden()  # there is no store
        page.get_by_label("Your message").fill("word " * 30)
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("context length is 20 tokens")
        page.get_by_label("Your message").fill("Short")
        page.keyboard.press("Enter")
        expect(page.locator(".facts")).to_have_count(1)
        expect(page.get_by_role("button", name="Good answer")).to_have_count(0)
        expect(page.get_by_role("button", name="Again")).to_be_visible()
        page.context.close()
    assert [m.content for m in scripted.prompts[-1]] == ["Short"]
    assert all("400" in fault for fault in faults)  # the browser logs the status of the refusal itself


def test_the_page_asks_for_a_key_where_one_is_set(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEYS, "right-key")
    with running(ScriptedEngine(), keys_env=KEYS) as server:
        page = a_page(browser, server.url, [])
        expect(page.get_by_role("dialog")).to_be_visible()
        page.get_by_label("API key").fill("wrong-key")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_text("does not accept this key")).to_be_visible()
        page.get_by_label("API key").fill("right-key")
        page.keyboard.press("Enter")
        expect(page.locator("#model option")).to_have_count(1)
        page.get_by_label("Your message").fill("When do you open?")
        page.keyboard.press("Enter")
        expect(page.locator(".facts")).to_have_count(1)
        page.reload()
        expect(page.locator("#model option")).to_have_count(1)
        expect(page.get_by_role("dialog")).to_be_hidden()
        assert page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]
        page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_the_page_fits_its_window_and_can_be_read(browser: Browser, site: Site, width: int, scheme: str) -> None:
    page = a_page(browser, site.url, [], viewport={"width": width, "height": 844}, color_scheme=scheme)
    expect(page.locator("#model option")).to_have_count(1)
    site.scripted.answer = "An-answer-with-a-very-long-word-" * 20 + " and others"
    page.get_by_role("button", name="Settings").click()
    page.locator("#compare-label").click()
    page.get_by_label("Your message").fill("Supercalifragilistic" * 20)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Tie")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.querySelector('main').scrollWidth") <= width
    for target in ("#send", "#input", "#compare-label", "#consent-label", "#new-chat", "#open-settings"):
        box = page.locator(target).bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= width
        assert box["y"] >= 0 and box["y"] + box["height"] <= 844
    for target in ("body", ".user .text", ".pair .text", "#consent-label", "#new-chat"):
        assert page.evaluate(CONTRAST, target) >= 4.5, target
    page.context.close()


CONTRAST = """(selector) => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const node = document.querySelector(selector);
  let ground = node;
  while (ground && (numbers(getComputedStyle(ground).backgroundColor)[3] ?? 1) === 0) ground = ground.parentElement;
  const light = (colour) => {
    const [r, g, b] = numbers(colour).map((v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [a, b] = [light(getComputedStyle(node).color), light(getComputedStyle(ground ?? document.body).backgroundColor)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""
"""The contrast ratio of WCAG 2 between an element's text and what is behind it."""


def test_everything_that_can_be_used_has_a_name(site: Site) -> None:
    site.ask("When do you open?")
    site.answered()
    site.page.get_by_role("button", name="Settings").click()
    nameless = site.page.evaluate(
        """() => [...document.querySelectorAll("button, input, textarea, select, a")].filter((n) => n.checkVisibility())
           .filter((n) => !(n.getAttribute("aria-label") || n.labels?.length || n.innerText.trim()))
           .map((n) => n.outerHTML)"""
    )
    assert nameless == []
