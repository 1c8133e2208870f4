import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from luthier.reports import Interval, Line, Page, Sample, bar_plot, histogram, interval_plot, line_plot

NASTY = '</style></title><script>alert(1)</script><img src=x onerror=alert(2)>" onfocus="alert(3)" \' & \x00 \ud800 end'


class Tags(HTMLParser):
    """Every tag with its attributes, and all text between tags."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said += data


def parsed(page: Page) -> Tags:
    tags = Tags()
    tags.feed(page.html())
    return tags


def page_full_of(text: str) -> Page:
    page = Page(text, text)
    page.heading(text)
    page.text(f"{text}\n\n{text}")
    page.verdict(text, text, "good")
    page.facts({text: text})
    page.table([text, "n"], [[text, 1]], caption=text)
    page.samples([Sample(text, ((text, text),), text)], caption=text)
    page.figure(line_plot([Line(text, [1, 2], [1, 2])], x_label=text, y_label=text, title=text), text)
    page.figure(line_plot([Line(text, [1], [1])] * 9, x_label=text, y_label=text))
    page.figure(interval_plot([Interval(text, 1, 0, 2)], x_label=text, reference=0.0), text)
    page.figure(bar_plot([text], [1.0], x_label=text))
    page.figure(histogram([1.0, 2.0], bins=2, x_label=text))
    return page


def test_a_script_tag_in_any_text_stays_text() -> None:
    tags = parsed(page_full_of(NASTY))
    names = {tag for tag, _ in tags.tags}
    assert not names & {"script", "img"}
    assert not any(key.startswith("on") for _, attributes in tags.tags for key in attributes)
    assert tags.said.count("<script>alert(1)</script>") >= 15


def test_the_same_tags_come_out_whatever_the_text_is() -> None:
    nasty, plain = (parsed(page_full_of(text)) for text in (NASTY, "x" * len(NASTY)))
    assert [tag for tag, _ in nasty.tags] == [tag for tag, _ in plain.tags]


def test_a_page_refers_to_nothing_outside_itself() -> None:
    page = page_full_of("plain text")
    assert "://" not in page.html() and "url(" not in page.html() and "@import" not in page.html()
    assert not any({"src", "href", "action"} & set(attributes) for _, attributes in parsed(page).tags)
    policy = next(a["content"] for tag, a in parsed(page).tags if tag == "meta" and "http-equiv" in a)
    assert policy is not None and policy.startswith("default-src 'none'")


def test_a_link_in_a_sample_stays_text() -> None:
    page = Page("t")
    page.samples([Sample("s", (("said", "see https://example.org/x"),))])
    assert "https://example.org/x" in parsed(page).said
    assert not any("href" in attributes for _, attributes in parsed(page).tags)


def test_write_puts_the_whole_page_on_disk_even_with_lone_surrogates(tmp_path: Path) -> None:
    page = page_full_of(NASTY)
    page.write(tmp_path / "deep" / "report.html")
    assert (tmp_path / "deep" / "report.html").read_text(encoding="utf-8") == page.html()
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["report.html"]
    assert "\x00" not in page.html() and "\ufffd" in page.html()


def test_numbers_are_written_as_people_read_them() -> None:
    page = Page("t")
    page.table(["name", "value"], [["a", 12410], ["b", 0.123456], ["c", None], ["d", float("nan")], ["e", 1234567.0]])
    said = parsed(page).said
    for text in ("12,410", "0.1235", "\u2013", "1,234,567"):
        assert text in said
    assert "nan" not in said.lower() and "None" not in said


def test_only_columns_of_numbers_are_aligned_to_the_right() -> None:
    page = Page("t")
    page.table(["name", "value", "flag"], [["a", 1, True], ["b", None, False]])
    cells = [a.get("class") for tag, a in parsed(page).tags if tag == "td"]
    assert cells == [None, "number", None] * 2
    assert "yes" in parsed(page).said


def test_a_caption_stands_outside_the_box_that_moves_sideways_and_names_it() -> None:
    page = Page("t")
    page.table(["a"], [["b"]], "What this is")
    page.table(["a"], [["c"]], "What that is")
    html = page.html()
    captions = re.findall(r'<p class="caption" id="([^"]+)">(What [^<]+)</p><div class="scroll"([^>]*)><table([^>]*)>', html)
    assert [said for _, said, _, _ in captions] == ["What this is", "What that is"]
    assert len({own for own, *_ in captions}) == 2 and "<caption" not in html
    assert all(f'aria-labelledby="{own}"' in box and own in table for own, _, box, table in captions)


def test_a_table_without_rows_says_so() -> None:
    page = Page("t")
    page.table(["a", "b"], [])
    page.samples([])
    assert parsed(page).said.count("nothing to show") == 2


def test_an_empty_line_begins_a_new_paragraph() -> None:
    page = Page("t")
    page.text("one\n\ntwo")
    assert [tag for tag, _ in parsed(page).tags].count("p") == 2


def test_a_figure_that_is_not_a_plot_is_refused() -> None:
    with pytest.raises(AssertionError):
        Page("t").figure("<b>not a plot</b>")


@pytest.mark.parametrize("tone", ["good", "bad", "unsure"])
def test_a_verdict_states_its_word_and_carries_its_tone(tone) -> None:
    page = Page("t")
    page.verdict("Ship", "because", tone)
    assert any(a.get("class") == f"verdict {tone}" for _, a in parsed(page).tags)
    assert "Ship" in parsed(page).said and "because" in parsed(page).said
