"""What `luthier review` works on, and where its decisions go."""

import json
import os
import signal
import subprocess
import sys

import httpx
import pytest

from fakes_review import NUM_FLAGGED, curated
from luthier.errors import ConfigError
from luthier.recipes import review
from luthier.recipes.review import main, places_of


def run_folder(tmp_path, **curate):
    run = tmp_path / "run"
    (run / "curate").mkdir(parents=True)
    (run / "curate" / "flagged.jsonl").write_text("")
    (run / "config.json").write_text(json.dumps({"curate": curate}))
    return run


def test_a_curated_folder_keeps_its_decisions_itself(tmp_path):
    assert places_of(tmp_path, None)[:2] == (tmp_path, tmp_path / "review.jsonl")
    assert places_of(tmp_path, tmp_path / "mine.jsonl").decisions == tmp_path / "mine.jsonl"


def test_decisions_on_a_stage_of_a_run_lie_outside_the_folder_that_the_stage_clears(tmp_path):
    run = run_folder(tmp_path)
    for place in (run, run / "curate"):
        assert places_of(place, None)[:2] == (run / "curate", run / "review.jsonl")
    assert 'decisions = "' in places_of(run, None).replay


def test_the_file_that_the_recipe_names_is_taken(tmp_path):
    named = tmp_path / "named.jsonl"
    run = run_folder(tmp_path, decisions=str(named))
    assert places_of(run, None).decisions == named
    recipe = tmp_path / "recipe.toml"
    text = f'[model]\nbase = "base"\n[data]\nfiles = ["rows.jsonl"]\n[run]\ndir = "{run}"\n'
    recipe.write_text(text)
    assert places_of(recipe, None)[:2] == (run / "curate", run / "review.jsonl")
    assert places_of(recipe, None).replay.endswith(f"luthier curate {recipe} curate.decisions={run / 'review.jsonl'}")
    recipe.write_text(text + f'[curate]\ndecisions = "{named}"\n')
    assert places_of(recipe, None).decisions == named
    assert places_of(recipe, None).replay.endswith(f"luthier curate {recipe}")


def test_what_is_no_folder_is_refused_with_the_command_that_makes_one(tmp_path):
    with pytest.raises(ConfigError, match="luthier curate"):
        places_of(tmp_path / "nowhere", None)


def test_a_folder_without_flags_is_told_and_nothing_is_served(tmp_path):
    said = []
    (tmp_path / "flagged.jsonl").write_text("")
    main(tmp_path, decisions=None, host="127.0.0.1", port=0, opens_browser=False, say=said.append)
    assert said == [f"review | nothing is flagged in {tmp_path}"]


def test_a_disk_without_locks_is_told(tmp_path, monkeypatch):
    said = []
    (tmp_path / "flagged.jsonl").write_text("")
    monkeypatch.setattr(review, "has_locks", lambda path: False)
    main(tmp_path, decisions=None, host="127.0.0.1", port=0, opens_browser=False, say=said.append)
    assert "has no locks" in said[0] and str(tmp_path / "review.jsonl") in said[0]


def test_the_browser_is_led_to_the_link_by_a_file_of_its_owner_and_never_told_the_token(tmp_path, monkeypatch):
    folder = curated(tmp_path).paths["flagged"].parent
    opened, said = [], []

    def browser(url):
        (page,) = folder.glob(".review-*.html")
        opened.append((url, page, page.stat().st_mode & 0o777, page.read_text()))
        raise KeyboardInterrupt

    monkeypatch.setattr(review, "_has_desktop", lambda: True)
    monkeypatch.setattr(review.webbrowser, "open", browser)
    with pytest.raises(KeyboardInterrupt):
        main(folder, decisions=None, host="127.0.0.1", port=0, opens_browser=True, say=said.append)
    ((url, page, mode, text),) = opened
    (link,) = [line.split(" | ")[1] for line in said if "opens once" in line]
    assert url == page.as_uri() and mode == 0o600 and f"url={link}" in text
    assert link.partition("token=")[2] not in url and not page.exists()


def test_the_command_serves_until_it_is_told_to_stop_and_says_how_far_one_came(tmp_path):
    folder = curated(tmp_path).paths["flagged"].parent
    command = [sys.executable, "-c", "from luthier.cli import main; main()", "review", str(folder), "--no-browser"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    said = []
    for line in child.stdout:
        said.append(line)
        if "opens once" in line:
            break
    link = said[-1].split(" | ")[1]
    with httpx.Client(timeout=60) as client:
        client.get(link)
        url = link.partition("/?")[0]
        row = client.get(f"{url}/api/row", params={"number": 0}).json()
        one = {"id": row["id"], "decision": "drop", "seen": None}
        done = client.post(f"{url}/api/decide", json={"decisions": [one], "version": row["version"]})
        assert done.json()["decided"] == 1
    os.kill(child.pid, signal.SIGINT)
    rest, _ = child.communicate(timeout=120)
    assert child.returncode == 0
    assert f"1 of {NUM_FLAGGED} rows decided: drop 1" in rest and str(folder / "review.jsonl") in rest
