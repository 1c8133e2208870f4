"""The review page's server, asked by a real client: who comes in, what is refused, what is answered."""

import concurrent.futures
import http.client
import json
import re

import httpx
import pytest

from fakes_review import NUM_FLAGGED, curated, reviewing
from luthier.curate.review.decisions import read_decisions


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return curated(tmp_path_factory.mktemp("review")).paths["flagged"].parent


@pytest.fixture
def site(folder, tmp_path):
    with reviewing(folder, tmp_path / "review.jsonl") as running:
        yield running


@pytest.fixture
def client(site):
    with httpx.Client(base_url=site.url, timeout=60) as client:
        assert client.get(site.link).status_code == 200
        yield client


def imported(client, name):
    """What a script imports of ours."""
    return re.findall(r'from "/static/(\w+\.js)"', client.get(f"/static/{name}").text)


def decide(client, number, kind, **more):
    row = client.get("/api/row", params={"number": number}).json()
    one = {"id": row["id"], "decision": kind, "seen": row["decision"] and row["decision"]["stamp"], **more}
    return client.post("/api/decide", json={"decisions": [one], "version": row["version"]})


def test_a_link_lets_one_browser_in_once_and_the_terminal_gives_another(site):
    with httpx.Client(timeout=60) as first, httpx.Client(timeout=60) as second:
        assert second.get(f"{site.url}/api/start").status_code == 401
        page = first.get(site.link)
        cookie = page.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and page.text.startswith("<!doctype html>")
        assert first.get(f"{site.url}/api/start").json()["total"] == NUM_FLAGGED
        refused = second.get(site.link)
        assert refused.status_code == 401 and "luthier review" in refused.text and "set-cookie" not in refused.headers
        (line,) = site.said
        link = line.rpartition(" ")[2]
        assert second.get(site.url).status_code == 401 and len(site.said) == 1, "one new link waits, not two"
        assert second.get(link).status_code == 200
        assert second.get(f"{site.url}/api/start").status_code == 200
        assert first.get(site.url).status_code == 200, "a reload comes in by its cookie"


def test_a_link_that_is_only_looked_at_is_not_used_up(site):
    with httpx.Client(timeout=60) as client:
        assert client.head(site.link).status_code == 401
        assert client.get(site.link).status_code == 200 and site.said == []


@pytest.mark.parametrize("other", ["a=1", 'prefs={"a":1}', "x=a b", 'name="q', "\u00fc=1", "novalue", "=;;"])
def test_cookies_of_other_programs_lock_nobody_out(client, other):
    ours = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    url = f"{client.base_url}/api/start"
    for line in (f"{other}; {ours}", f"{ours}; {other}", f"{ours};{other};"):
        assert httpx.get(url, headers={"Cookie": line.encode("latin-1")}).status_code == 200
    assert httpx.get(url, headers={"Cookie": other.encode("latin-1")}).status_code == 401


@pytest.mark.parametrize(("headers", "status"), [
    ({"Host": "evil.example"}, 403), ({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403), ({"Sec-Fetch-Site": "same-site"}, 403), ({"Host": "localhost"}, 200),
])  # fmt: skip
def test_only_this_page_on_this_host_is_answered(client, headers, status):
    assert client.get("/api/start", headers=headers).status_code == status
    assert client.post("/api/undo", json={"stamp": "x", "version": ""}, headers=headers).status_code == status


def test_bodies_must_be_small_and_say_their_length(client):
    def pieces():
        yield b"{}"

    assert client.post("/api/undo", content=pieces()).status_code == 411
    connection = http.client.HTTPConnection("127.0.0.1", client.base_url.port, timeout=60)
    connection.putrequest("POST", "/api/undo")
    for name, value in (
        ("Content-Length", str(1 << 40)),
        ("Cookie", "; ".join(f"{k}={v}" for k, v in client.cookies.items())),
    ):
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_everything_the_page_needs_comes_from_here_under_a_strict_policy(client):
    page = client.get("/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store" and page.headers["referrer-policy"] == "no-referrer"
    named = set(re.findall(r"/static/(\w+\.\w+)", page.text))
    assert named == {"review.css", "review.js"}
    while missing := {name for text in named for name in imported(client, text)} - named:
        named |= missing
    assert len(named) > 4, "the program has parts"
    for file in [page, *(client.get(f"/static/{name}") for name in named)]:
        assert file.status_code == 200 and "http://" not in file.text and "https://" not in file.text
        assert "innerHTML" not in file.text and "insertAdjacentHTML" not in file.text


@pytest.mark.parametrize("name", ["nothing.js", "review.html", "review", ".js", "%2e%2e/review.py", "..%2freview.py", ""])
def test_only_scripts_and_styles_of_the_package_are_served(client, name):
    assert client.get(f"/static/{name}").status_code == 404


def test_rows_are_fetched_page_by_page_and_decided(client, tmp_path):
    view = client.get("/api/view", params={"state": "open"}).json()
    assert len(view["numbers"]) == NUM_FLAGGED and set(view["states"]) == {0}
    lines = client.get("/api/rows", params=[("number", 0), ("number", 4), ("number", 999)]).json()["rows"]
    assert [line["number"] for line in lines] == [0, 4]
    done = decide(client, 0, "keep", reason="both are right")
    assert done.status_code == 200 and done.json()["changed"] == [[0, 1]]
    (kept,) = read_decisions(tmp_path / "review.jsonl").values()
    assert (kept.kind, kept.reason) == ("keep", "both are right")
    undone = client.post("/api/undo", json={"stamp": done.json()["stamp"], "version": done.json()["version"]})
    assert undone.json()["decided"] == 0 and read_decisions(tmp_path / "review.jsonl") == {}


def test_a_second_window_is_told_that_the_row_was_decided_meanwhile(client):
    row = client.get("/api/row", params={"number": 0}).json()
    one = {"id": row["id"], "decision": "drop", "seen": None}
    assert decide(client, 0, "keep").status_code == 200
    late = client.post("/api/decide", json={"decisions": [one], "version": row["version"]})
    assert late.status_code == 409 and late.json()["changed"] == [[0, 1]] and late.json()["refused"] == [row["id"]]
    again = client.post("/api/decide", json={"decisions": [{**one, "decision": "keep"}], "version": row["version"]})
    assert again.status_code == 200 and again.json()["num_added"] == 0, "the same decision again is no second one"


def test_windows_that_decide_at_once_lose_nothing(client, tmp_path):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: decide(client, number, "keep"), range(NUM_FLAGGED)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(read_decisions(tmp_path / "review.jsonl")) == NUM_FLAGGED


def test_what_cannot_be_done_is_refused_in_words(client):
    assert client.get("/api/row", params={"number": 999}).status_code == 400
    bad = decide(client, 0, "maybe")
    assert bad.status_code == 400 and bad.json()["error"]["problems"][0]["expected"] == "one of keep, drop, mend"
    wrong = decide(client, 4, "mend", texts={"messages[1].content": ""})
    assert wrong.json()["error"]["problems"][0]["where"].endswith("messages[1].content")
    extra = client.post("/api/undo", json={"stamp": "x", "version": "", "more": 1})
    assert extra.status_code == 400 and extra.json()["error"]["param"] == "more"
    assert client.post("/api/undo", content=b"{", headers={"Content-Type": "application/json"}).status_code == 400


def test_half_a_character_in_a_note_is_refused_in_words(client, site, tmp_path):
    def posted(path, body):  # as a browser writes it: escaped
        return client.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})

    row = client.get("/api/row", params={"number": 4}).json()
    one = {"id": row["id"], "decision": "keep", "reason": "so \ud83d"}
    bad = posted("/api/decide", {"decisions": [one], "version": ""})
    assert bad.status_code == 400 and "half of a character" in bad.json()["error"]["message"]
    assert bad.json()["error"]["param"] == "decisions[0].reason"
    body = {"numbers": [0], "decision": "drop", "reason": "\ud83d", "version": ""}
    assert posted("/api/decide-all", body).status_code == 400
    mended = posted("/api/check", {"id": row["id"], "texts": {row["answer_path"]: "\ud83d"}})
    assert mended.json()["problems"][0]["field"] == row["answer_path"], "the check names the field"
    text = posted("/api/text", {"id": row["id"], "texts": {row["answer_path"]: "so \ud83d"}})
    assert text.status_code == 200 and '"so \\ud83d"' in text.json()["text"], "as JSON it can be written"
    assert not site.said and not (tmp_path / "review.jsonl").exists()


def test_what_is_decided_all_at_once_is_what_was_listed(client, site):
    view = client.get("/api/view", params={"state": "open", "step": "personal"}).json()
    body = {"numbers": view["numbers"], "decision": "drop", "reason": "", "version": view["version"]}
    old = client.post("/api/decide-all", json={**body, "version": "0" + view["version"]})
    assert old.status_code == 409 and old.json()["is_stale"] and old.json()["decided"] == 0
    done = client.post("/api/decide-all", json=body)
    assert done.status_code == 200 and done.json()["num_added"] == 6
    assert client.post("/api/decide-all", json={**body, "decision": "keep"}).status_code == 409


def test_a_disk_that_is_full_is_told_and_nothing_is_decided(client, site, monkeypatch):
    def full(wanted):
        raise OSError(28, "No space left on device", "review.jsonl")

    monkeypatch.setattr(type(site.desk.log), "add", lambda self, wanted: full(wanted))
    answer = decide(client, 0, "keep")
    assert answer.status_code == 507 and "No space left" in answer.json()["error"]["message"]


def test_text_of_rows_is_data_and_never_markup(client):
    found = client.get("/api/row", params={"number": 4})
    assert found.headers["content-type"] == "application/json"
    assert found.headers["x-content-type-options"] == "nosniff"
    assert "<script>" in json.dumps(found.json()["parts"])
