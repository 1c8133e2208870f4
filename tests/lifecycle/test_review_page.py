"""Flagged rows decided with the keyboard in a real browser, and done again by the next curation."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fakes_review import ATTACK, NUM_FLAGGED, Reviewing, curated, reviewing
from fakes_serve import chromium_path
from luthier.curate.decisions import read_decisions
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
    expect(page.locator(".verdict")).to_contain_text("messages[1].content: found ''")
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
    site.page.route(re.compile("/api/decide"), lambda route: route.abort())
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
