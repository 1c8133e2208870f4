"""Flagged rows decided with the keyboard in a real browser, and done again by the next curation."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fakes_review import ATTACK, NUM_FLAGGED, Reviewing, curated, reviewing
from fakes_serve import chromium_path
from luthier.curate.review.decisions import read_decisions
from luthier.curate.review.desk import Desk
from luthier.recipes import review as recipe
from luthier.records import Example, read_records

playwright = pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Browser, Page, expect  # noqa: E402

pytestmark = pytest.mark.browser
WAIT_MS = 60_000  # a busy machine is slow, not wrong


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium_path()
    expect.set_options(timeout=WAIT_MS)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@dataclass
class Site:
    """A browser in front of a page; what it complains of is kept."""

    page: Page
    review: Reviewing
    decisions: Path
    faults: list[str] = field(default_factory=list)

    def shows(self, number: int, of: int = NUM_FLAGGED) -> None:
        """Wait until this row is shown and can be decided: keys before that are passed over."""
        expect(self.page.locator("#row-title")).to_have_text(f"Row {number} of {of}")
        expect(self.page.locator("body[aria-busy]")).to_have_count(0)

    def press(self, key: str, then: int) -> None:
        self.page.keyboard.press(key)
        self.shows(then)

    def kinds(self) -> list[str]:
        return [decision.kind for decision in read_decisions(self.decisions).values()]


def opened(browser: Browser, link: str, faults: list[str], **options: object) -> Page:
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(WAIT_MS)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if line.type in ("error", "warning") else None)
    page.on(
        "request",
        lambda request: (
            faults.append(request.url)
            if "127.0.0.1" not in request.url and not request.url.startswith("data:")
            else None
        ),
    )
    page.goto(link)
    return page


def cut_off(page: Page, path: str) -> None:
    """Let no request for this path arrive any more. The browser does so a moment after it was told: wait for that."""
    page.route(re.compile(path), lambda route: route.abort())
    page.evaluate("async (path) => { for (;;) try { await fetch(path); } catch { return; } }", path)


@pytest.fixture
def site(browser: Browser, tmp_path: Path) -> Iterator[Site]:
    folder = curated(tmp_path).paths["flagged"].parent
    faults: list[str] = []
    with reviewing(folder, tmp_path / "review.jsonl") as review:
        page = opened(browser, review.link, faults)
        site = Site(page, review, tmp_path / "review.jsonl", faults)
        site.shows(1)
        yield site
        page.context.close()
    assert faults == [], "the browser complained, or asked elsewhere"


def test_ten_rows_are_decided_by_keyboard_and_the_next_curation_does_what_was_decided(
    site: Site, tmp_path: Path
) -> None:
    page = site.page
    assert "token" not in page.url
    site.press("2", then=3)  # of the museum's two answers only the second
    site.press("a", then=5)  # both rivers
    page.keyboard.press("n")
    page.keyboard.type("a real person")
    page.keyboard.press("Enter")
    site.press("d", then=6)
    page.keyboard.press("m")
    expect(page.locator(".editor textarea").last).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type("Ask the clerk at desk 6.")
    expect(page.locator(".verdict")).to_have_text("This can be used.")
    site.press("Control+Enter", then=7)
    site.press("k", then=8)
    site.press("d", then=9)
    site.press("k", then=10)
    site.press("u", then=9)
    site.press("d", then=10)
    page.keyboard.press("d")
    expect(page.locator("#row-title")).to_have_text("All 10 rows are decided")
    expect(page.locator("#progress-text")).to_have_text("10 of 10 decided")
    page.screenshot(path=str(tmp_path / "done.png"))

    assert sorted(site.kinds()) == ["drop"] * 5 + ["keep"] * 4 + ["mend"]
    again = curated(tmp_path, decisions=site.decisions, name="again")
    assert again.ledger["dropped"] == {"review": 5}
    assert again.ledger["review"] == {"drop": 5, "keep": 4, "mend": 1, "without a row": 0}
    kept = {example.prompt[-1].content: example.target for example in read_records(again.paths["examples"], Example)}
    assert kept["When does the museum open on Sundays?"] == "The museum opens at ten."
    assert kept["Whom do I ask about parcel 666?"] == "Ask the clerk at desk 6."
    assert "Whom do I ask about parcel 555?" not in kept and "Whom do I ask about parcel 777?" in kept
    flagged = {json.loads(line)["id"] for line in again.paths["flagged"].read_text().splitlines()}
    assert flagged.isdisjoint(read_decisions(site.decisions)), "what was kept is settled"


def test_text_of_rows_stays_text(site: Site) -> None:
    site.press("ArrowDown", then=2)
    for number in (3, 4, 5):
        site.press("ArrowDown", then=number)
    expect(site.page.locator(".part").last).to_contain_text(ATTACK)
    expect(site.page.locator("mark.flagged")).to_have_text("clerk5@example.org")
    site.page.keyboard.press("m")
    expect(site.page.locator(".editor textarea").last).to_have_value(f"Write to clerk5@example.org {ATTACK}.")
    assert site.page.locator("#row script, #row img").count() == 0
    expect(site.page).to_have_title("Luthier review")


def test_what_cannot_be_used_is_told_while_one_writes_and_is_not_saved(site: Site) -> None:
    page = site.page
    page.keyboard.press("m")
    area = page.locator(".editor textarea").last
    expect(area).to_be_focused()
    area.fill("")
    expect(page.locator(".verdict")).to_have_text(
        "messages[1].content: found '', expected the text of the answer. Write the answer, or delete the row."
    )
    expect(area).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    page.get_by_role("button", name="Edit as JSON").click()
    area = page.get_by_label("The row as JSON")
    area.fill('{"messages": [')
    expect(page.locator(".verdict")).to_contain_text("expected one JSON object")
    area.press("Escape")
    site.shows(1)
    assert not site.decisions.exists()


def test_one_goes_on_where_one_left_and_filters_by_reason_and_words(site: Site) -> None:
    page = site.page
    site.press("k", then=2)
    page.reload()
    site.shows(1, of=NUM_FLAGGED - 1)
    expect(page.locator("#progress-text")).to_have_text("1 of 10 decided")
    page.keyboard.press("u")
    site.shows(1)  # an undo holds over a reload, and the row is back among those to decide
    page.get_by_label("personal data").check()
    site.shows(1, of=6)
    page.keyboard.press("/")
    page.keyboard.type("parcel 888")
    site.shows(1, of=1)
    expect(page.locator(".part").first).to_contain_text("parcel 888")
    expect(page.get_by_label("Search")).to_be_focused()
    page.get_by_label("Search").fill("not there at all")
    expect(page.locator("#row-title")).to_have_text("No row fits")


def test_all_that_a_filter_shows_is_decided_and_undone_at_once(site: Site) -> None:
    page = site.page
    page.get_by_label("personal data").check()
    site.shows(1, of=6)
    page.get_by_role("button", name="Decide all").click()
    expect(page.get_by_role("dialog")).to_contain_text("6 rows to decide, flagged with")
    page.get_by_label("Drop them all").check()
    page.get_by_role("button", name="Decide", exact=True).click()
    expect(page.locator("#progress-text")).to_have_text("6 of 10 decided")
    assert site.kinds() == ["drop"] * 6
    expect(page.locator("body[aria-busy]")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#progress-text")).to_have_text("0 of 10 decided")
    assert site.kinds() == []


def test_a_search_that_is_changed_while_the_list_loads_is_the_one_that_is_listed_and_decided(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, view = site.page, Desk.view
    is_asked, may_answer = threading.Event(), threading.Event()

    def slow(desk: Desk, chosen: Mapping[str, str]) -> dict[str, object]:
        if chosen["words"] == "parcel 888":
            is_asked.set()
            assert may_answer.wait(60)
        return view(desk, chosen)

    monkeypatch.setattr(Desk, "view", slow)
    search = page.get_by_label("Search")
    search.fill("parcel 888")
    assert is_asked.wait(60)
    search.fill("parcel")
    page.get_by_role("button", name="Decide all").click()
    expect(page.get_by_role("alert")).to_contain_text("being loaded")
    may_answer.set()
    site.shows(4, of=6)  # the row that was found first is still shown
    expect(page.locator("#list-count")).to_have_text("6 rows, 6 to decide")
    page.get_by_role("button", name="Decide all").click()
    expect(page.get_by_role("dialog")).to_contain_text("6 rows to decide, with the words \u201cparcel\u201d")
    page.get_by_label("Drop them all").check()
    page.get_by_role("button", name="Decide", exact=True).click()
    expect(page.locator("#progress-text")).to_have_text("6 of 10 decided")


def test_rows_that_were_decided_or_came_after_the_list_are_not_decided_with_all(site: Site) -> None:
    page, desk = site.page, site.review.desk
    site.press("k", then=2)
    page.get_by_role("button", name="Decide all").click()
    desk.decide([{"id": desk.row(7)["id"], "decision": "keep", "seen": None}], version="")
    page.get_by_label("Drop them all").check()
    page.get_by_role("button", name="Decide", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("nothing was decided")
    expect(page.locator("#progress-text")).to_have_text("2 of 10 decided")
    assert site.kinds() == ["keep", "keep"]
    expect(page.locator("body[aria-busy]")).to_have_count(0)
    page.get_by_role("button", name="Decide all").click()
    expect(page.get_by_role("dialog")).to_contain_text("8 rows to decide")
    flagged = desk.folder / "flagged.jsonl"
    row = {"where": "new:1", "id": "00000000000000bb", "step": "personal", "reason": "personal data", "detail": "1"}
    flagged.write_text(flagged.read_text() + json.dumps(row) + "\n")
    page.get_by_role("button", name="Decide", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("nothing was decided")
    site.shows(1, of=9)
    assert site.kinds() == ["keep", "keep"]
    site.faults.clear()  # the browser tells of refusals


def test_a_decision_that_was_taken_back_elsewhere_is_told_in_words(site: Site) -> None:
    page, desk = site.page, site.review.desk
    site.press("k", then=2)
    site.press("ArrowUp", then=1)
    row = desk.row(0)
    desk.decide([{"id": row["id"], "decision": "drop", "seen": row["decision"]["stamp"]}], version="")
    page.get_by_role("button", name="Take back").click()
    expect(page.get_by_role("alert")).to_contain_text("in another window meanwhile; nothing was taken back")
    expect(page.locator(".decided")).to_contain_text("Dropped")
    assert site.kinds() == ["drop"]
    site.faults.clear()


def test_a_text_that_is_being_mended_is_never_lost_unasked(site: Site) -> None:
    page, desk = site.page, site.review.desk
    text = "what took me ten minutes"
    page.keyboard.press("m")
    area = page.locator(".editor textarea").last
    expect(area).to_be_focused()
    area.fill(text)
    expect(page.locator(".verdict")).to_have_text("This can be used.")
    page.get_by_label("personal data").check()  # another list is asked for
    expect(page.get_by_role("alert")).to_contain_text("leave it with Escape")
    expect(area).to_have_value(text)
    flagged = desk.folder / "flagged.jsonl"
    os.utime(flagged)  # curated again
    with page.expect_response(re.compile("/api/changes")):
        page.evaluate("window.dispatchEvent(new Event('focus'))")
    expect(area).to_have_value(text)
    row = desk.row(0)
    desk.decide([{"id": row["id"], "decision": "keep", "reason": "theirs", "seen": None}], version="")
    area.press("Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("what you wrote is still here")
    expect(page.locator(".decided")).to_contain_text("theirs")
    expect(area).to_have_value(text)
    expect(page.locator("body[aria-busy]")).to_have_count(0)
    assert site.kinds() == ["keep"]
    area.press("Control+Enter")  # seen, and saved all the same
    site.shows(1, of=6)  # the list that was asked for
    assert site.kinds() == ["mend"] and desk.row(0)["decision"]["parts"][1]["text"] == text
    page.keyboard.press("m")
    expect(area).to_be_focused()
    area.fill(text)
    page.get_by_label("All reasons").check()
    expect(page.get_by_role("alert")).to_be_visible()
    area.press("Escape")
    site.shows(4, of=9)  # left: the list follows, and the row is shown as it is
    expect(page.locator(".part").last).to_contain_text("clerk5@example.org")
    site.faults.clear()


def test_what_was_written_into_the_fields_stands_in_the_json(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    page, text = site.page, Desk.text
    is_asked, may_answer = threading.Event(), threading.Event()

    def slow(desk: Desk, identity: str, mend: Mapping[str, object]) -> dict[str, object]:
        is_asked.set()
        assert may_answer.wait(60)
        return text(desk, identity, mend)

    monkeypatch.setattr(Desk, "text", slow)
    page.keyboard.press("m")
    area = page.locator(".editor textarea").last
    expect(area).to_be_focused()
    area.fill("What I wrote")
    page.get_by_role("button", name="Edit as JSON").click()
    assert is_asked.wait(60)
    area.fill("What I wrote, and then some")  # while the answer is under way
    may_answer.set()
    area = page.get_by_label("The row as JSON")
    expect(area).to_have_value(re.compile('"What I wrote, and then some"'))
    expect(page.locator(".verdict")).to_have_text("This can be used.")
    page.get_by_label("personal data").check()  # another list is asked for: what was written still counts as a change
    expect(page.get_by_role("alert")).to_contain_text("leave it with Escape")
    area.press("Control+Enter")
    site.shows(1, of=6)
    assert site.kinds() == ["mend"]
    assert site.review.desk.row(0)["decision"]["parts"][1]["text"] == "What I wrote, and then some"


def test_fields_stay_when_the_json_cannot_be_had(site: Site) -> None:
    page = site.page
    page.keyboard.press("m")
    area = page.locator(".editor textarea").last
    area.fill("What I wrote")
    cut_off(page, "/api/text")
    page.get_by_role("button", name="Edit as JSON").click()
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    expect(area).to_have_value("What I wrote")
    expect(page.locator(".verdict")).to_have_text("This can be used.")
    page.unroute(re.compile("/api/text"))
    page.get_by_role("button", name="Edit as JSON").click()
    expect(page.get_by_label("The row as JSON")).to_have_value(re.compile('"What I wrote"'))
    site.faults.clear()  # the browser tells of the request that was cut off


def test_undo_takes_back_the_decision_on_the_row_where_nothing_was_done_in_this_window(site: Site) -> None:
    page, desk = site.page, site.review.desk
    desk.decide([{"id": desk.row(0)["id"], "decision": "keep", "seen": None}], version="")
    page.reload()
    site.shows(1, of=NUM_FLAGGED - 1)
    page.get_by_label("Which rows").select_option("all")
    site.shows(2)  # the row that was shown stays
    site.press("ArrowUp", then=1)
    page.keyboard.press("u")
    expect(page.locator("#progress-text")).to_have_text("0 of 10 decided")
    assert site.kinds() == []


def test_marks_are_heard_and_are_told_by_more_than_colour(site: Site) -> None:
    page = site.page
    assert "[differs: nine end of differs]" in page.locator("article").aria_snapshot()
    assert page.locator("mark.differs").first.text_content() == "nine", "what is copied holds no such words"
    for kind, number in (("differs", 1), ("flagged", 5)):
        while number > 1 and page.locator("#row-title").text_content() != f"Row {number} of {NUM_FLAGGED}":
            at = int((page.locator("#row-title").text_content() or "").split()[1])
            site.press("ArrowDown", then=at + 1)
        line = page.locator(f"mark.{kind}").first.evaluate("node => getComputedStyle(node).textDecorationLine")
        assert "underline" in line
    assert "[flagged: clerk5@example.org end of flagged]" in page.locator("article").aria_snapshot()


def test_the_file_that_leads_to_the_link_lets_the_browser_in(browser: Browser, tmp_path: Path) -> None:
    folder = curated(tmp_path).paths["flagged"].parent
    faults: list[str] = []
    with reviewing(folder, tmp_path / "review.jsonl") as review, pytest.MonkeyPatch.context() as patch:
        urls: list[str] = []
        patch.setattr(recipe.webbrowser, "open", urls.append)
        with recipe.opened_by_file(review.link, tmp_path):
            page = opened(browser, urls[0], faults)
            for _ in range(2):
                expect(page.locator("#row-title")).to_have_text(f"Row 1 of {NUM_FLAGGED}")
                page.reload()
        page.context.close()
    assert [fault for fault in faults if not fault.startswith("file:")] == []


def test_two_windows_lose_nothing_and_override_nothing_unseen(site: Site) -> None:
    first = site.page
    second = first.context.new_page()
    second.goto(site.review.url)
    expect(second.locator("#row-title")).to_have_text("Row 1 of 10")
    expect(second.locator("body[aria-busy]")).to_have_count(0)
    site.press("k", then=2)
    second.keyboard.press("d")
    expect(second.get_by_role("alert")).to_contain_text("another window")
    expect(second.locator(".decided")).to_contain_text("Kept")
    assert site.kinds() == ["keep"]
    second.keyboard.press("d")
    expect(second.locator("#row-title")).to_have_text("Row 2 of 10")
    assert site.kinds() == ["drop"]
    second.close()


def test_a_server_that_is_gone_is_told_and_the_row_stays(site: Site) -> None:
    cut_off(site.page, "/api/decide")
    site.page.keyboard.press("k")
    expect(site.page.get_by_role("alert")).to_contain_text("does not answer")
    site.shows(1)
    assert not site.decisions.exists()
    site.page.unroute(re.compile("/api/decide"))
    site.press("k", then=2)
    site.faults.clear()  # the browser tells of the request that was cut off


def test_on_a_phone_nothing_is_cut_off_and_every_button_can_be_touched(browser: Browser, site: Site) -> None:
    site.page.set_viewport_size({"width": 390, "height": 844})
    for scheme in ("light", "dark"):
        site.page.emulate_media(color_scheme=scheme)
        assert site.page.evaluate("document.documentElement.scrollWidth") == 390
        for name in ("Keep", "Drop", "Mend"):
            box = site.page.get_by_role("button", name=name, exact=True).bounding_box()
            assert box is not None and box["height"] >= 40 and box["x"] + box["width"] <= 390
    site.page.get_by_role("button", name="Rows").click()
    expect(site.page.locator("#list li").first).to_be_visible()
    site.page.locator("#list li button").nth(2).click()
    site.shows(3)
