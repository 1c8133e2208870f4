"""Decisions are added by many at once and killed at any byte; none that was answered is lost, none counts twice."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.curate.review import decision_log
from luthier.curate.review.decision_log import DecisionLog, Wanted, has_locks
from luthier.curate.review.decisions import read_decisions
from luthier.errors import ConfigError, DataError

RECORD = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "better \u2028 line"}]}


def kinds(path):
    """What counts for each row, as curation reads the file."""
    return {identity: decision.kind for identity, decision in read_decisions(path).items()}


def test_what_was_added_is_what_curation_reads(tmp_path):
    path = tmp_path / "review.jsonl"
    log = DecisionLog.open(path)
    assert not path.exists(), "to look is not to write"
    log.add([Wanted("a", "keep"), Wanted("b", "drop", "wrong")])
    log.add([Wanted("c", "mend", record=RECORD)])
    found = read_decisions(path)
    assert kinds(path) == {"a": "keep", "b": "drop", "c": "mend"}
    assert found["b"].reason == "wrong" and found["c"].record.target == "better \u2028 line"
    again = DecisionLog.open(path)
    assert again.decided() == log.decided() and again.current("c").record == RECORD


def test_an_undo_takes_back_all_that_one_action_decided_and_what_stood_before_counts_again(tmp_path):
    path = tmp_path / "review.jsonl"
    log = DecisionLog.open(path)
    first = log.add([Wanted("a", "keep")])
    both = log.add([Wanted("a", "drop", seen=first.stamp), Wanted("b", "drop")])
    assert sorted(log.undo(both.stamp).ids) == ["a", "b"]
    assert kinds(path) == {"a": "keep"} and log.current("a").stamp == first.stamp
    assert log.undo(both.stamp).ids == (), "an action is undone once"
    assert log.undo(first.stamp).ids == ("a",)
    assert kinds(path) == {} and log.decided() == {}
    assert DecisionLog.open(path).decided() == {}


def test_nobody_overrides_a_decision_that_he_has_not_seen(tmp_path):
    path = tmp_path / "review.jsonl"
    one, two = DecisionLog.open(path), DecisionLog.open(path)
    first = one.add([Wanted("a", "keep")])
    assert two.add([Wanted("a", "drop"), Wanted("b", "drop")]).refused == ("a",)
    assert kinds(path) == {"a": "keep"}, "all or none"
    assert two.add([Wanted("a", "drop", seen=first.stamp)]).ids == ("a",)
    one.refresh()
    assert one.current("a").kind == "drop"
    assert one.take_back("a", seen=first.stamp).refused == ("a",)


def test_the_same_decision_again_adds_nothing(tmp_path):
    path = tmp_path / "review.jsonl"
    log = DecisionLog.open(path)
    log.add([Wanted("a", "keep", "fine")])
    before = path.read_bytes()
    assert log.add([Wanted("a", "keep", "fine")]) == ("", (), ())
    assert path.read_bytes() == before


@pytest.mark.parametrize("others", ["threads", "logs"])
def test_many_who_add_at_once_lose_nothing(tmp_path, others):
    path = tmp_path / "review.jsonl"
    shared = DecisionLog.open(path)
    faults = []

    def work(number):
        log = shared if others == "threads" else DecisionLog.open(path)
        for k in range(20):
            if not log.add([Wanted(f"{number}-{k}", "keep"), Wanted(f"{number}-{k}-b", "drop")]).ids:
                faults.append((number, k))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == [] and len(kinds(path)) == 4 * 20 * 2
    stamps = [json.loads(line)["action"] for line in path.read_text().splitlines()]
    assert stamps[::2] == stamps[1::2], "lines of one action stand together"


@settings(max_examples=60, deadline=None)
@given(
    actions=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["keep", "drop", "mend", "undo"])), max_size=8),
    data=st.data(),
)
def test_a_file_cut_at_any_byte_keeps_every_whole_line_and_goes_on(tmp_path_factory, actions, data):
    path = tmp_path_factory.mktemp("log") / "review.jsonl"
    log = DecisionLog.open(path)
    after = {0: {}}
    for identity, kind in actions:
        current = log.current(identity)
        if kind == "undo":
            if current:
                log.take_back(identity, seen=current.stamp)
        else:
            record = RECORD if kind == "mend" else None
            log.add([Wanted(identity, kind, record=record, seen=current.stamp if current else None)])
        after[path.stat().st_size if path.exists() else 0] = {k: v.kind for k, v in log.decided().items()}
    whole = path.read_bytes() if path.exists() else b""
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    survived = DecisionLog.open(path)
    # A line that lacks only its end says all it has to say; any shorter one was never answered.
    ends = [end for end in after if end <= cut or end == cut + 1]
    assert {k: v.kind for k, v in survived.decided().items()} == after[max(ends)]
    assert whole[:cut].startswith(path.read_bytes()[:cut])
    current = survived.current("a")
    survived.add([Wanted("a", "drop", "last", seen=current.stamp if current else None)])
    assert kinds(path) == {**after[max(ends)], "a": "drop"}


KILLED = """
import sys
from luthier.curate.review.decision_log import DecisionLog, Wanted
log = DecisionLog.open(__import__("pathlib").Path(sys.argv[1]))
for k in range(1_000_000):
    log.add([Wanted(f"{k}-{part}", "keep", "x" * 3000) for part in range(4)])
    print(k, flush=True)
"""


def test_a_process_killed_while_it_writes_has_kept_all_that_it_answered(tmp_path):
    path = tmp_path / "review.jsonl"
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
    answered = -1
    for line in child.stdout:
        answered = int(line)
        if answered >= 5:
            os.kill(child.pid, signal.SIGKILL)
            break
    rest, _ = child.communicate()
    answered = max([answered, *(int(line) for line in rest.split())])
    log = DecisionLog.open(path)
    found = set(log.decided())
    assert {f"{k}-{part}" for k in range(answered + 1) for part in range(4)} <= found
    assert log.add([Wanted("next", "drop")]).ids == ("next",)
    assert set(kinds(path)) == found | {"next"}


def test_a_disk_that_is_full_leaves_no_half_line(tmp_path, monkeypatch):
    path = tmp_path / "review.jsonl"
    log = DecisionLog.open(path)
    log.add([Wanted("a", "keep")])
    before = path.read_bytes()
    write = os.write

    def full(number, data):
        if len(data) > 20:
            return write(number, bytes(data[:20]))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        log.add([Wanted("b", "drop")])
    monkeypatch.undo()
    assert path.read_bytes() == before and log.current("b") is None
    log.add([Wanted("b", "drop")])
    assert kinds(path) == {"a": "keep", "b": "drop"}


def test_a_file_that_an_editor_replaced_is_read_anew(tmp_path):
    path = tmp_path / "review.jsonl"
    log = DecisionLog.open(path)
    log.add([Wanted("a", "keep"), Wanted("b", "keep")])
    version = log.version()
    other = tmp_path / "new"
    other.write_text('{"id": "a", "decision": "drop"}')
    other.replace(path)
    log.refresh()
    assert log.changed_since(version) is None
    log.add([Wanted("c", "keep")])
    assert kinds(path) == {"a": "drop", "c": "keep"}
    assert log.current("a").stamp == "line 1"


def test_a_file_that_was_edited_in_place_is_read_anew(tmp_path):
    path = tmp_path / "review.jsonl"
    log = DecisionLog.open(path)
    log.add([Wanted("a", "keep"), Wanted("b", "keep")])
    for old in (None, 1_000_000_000):  # changed within one tick of the clock, and long after
        version = log.version()
        before = path.read_bytes()
        if old:
            os.utime(path, (old, old))
            log.refresh()
            assert log.changed_since(version) == set(), "another time alone changes nothing"
        other = before.replace(b'"keep"', b'"drop"', 1) if old is None else b'{"id":"c","decision":"keep"}\n' + before
        with path.open("r+b") as file:
            file.write(other)
        log.refresh()
        assert log.changed_since(version) is None
        assert {identity: entry.kind for identity, entry in log.decided().items()} == kinds(path)
    log.add([Wanted("d", "keep")])
    assert kinds(path) == {"c": "keep", "a": "drop", "b": "keep", "d": "keep"}


def test_a_file_that_is_settled_is_not_read_again(tmp_path, monkeypatch):
    path = tmp_path / "review.jsonl"
    log = DecisionLog.open(path)
    log.add([Wanted("a", "keep")])
    os.utime(path, (1_000_000_000, 1_000_000_000))
    log.refresh()
    monkeypatch.setattr(os, "pread", None)
    log.refresh()
    assert log.current("a").kind == "keep"


def test_a_bad_line_is_told_until_it_is_mended_and_what_was_read_before_stays(tmp_path):
    path = tmp_path / "review.jsonl"
    log = DecisionLog.open(path)
    log.add([Wanted("a", "keep")])
    good = path.read_bytes()
    path.write_bytes(good + b'nonsense\n{"id":"b","decision":"drop"}\n')
    for work in (log.refresh, log.refresh, lambda: log.add([Wanted("c", "keep")])):
        with pytest.raises(DataError, match=r"review\.jsonl:2"):
            work()
        assert set(log.decided()) == {"a"}
    path.write_bytes(good + b'{"id":"b","decision":"drop"}\n')
    log.refresh()
    assert set(log.decided()) == {"a", "b"} and log.add([Wanted("c", "keep")]).ids == ("c",)


def test_a_file_that_is_gone_decides_nothing_any_more(tmp_path):
    path = tmp_path / "review.jsonl"
    log = DecisionLog.open(path)
    log.add([Wanted("a", "keep")])
    version = log.version()
    path.unlink()
    log.refresh()
    assert log.decided() == {} and log.changed_since(version) is None
    log.add([Wanted("b", "keep")])
    assert kinds(path) == {"b": "keep"} and set(log.decided()) == {"b"}


def test_a_disk_without_locks_is_known(tmp_path, monkeypatch):
    path = tmp_path / "review.jsonl"
    assert has_locks(path) and not path.exists(), "to look is not to write"
    log = DecisionLog.open(path)
    log.add([Wanted("a", "keep")])
    with path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert has_locks(path), "a lock that another holds is one"

    def flock(file, how):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(decision_log.fcntl, "flock", flock)
    assert not has_locks(path) and not has_locks(tmp_path / "new.jsonl")
    assert log.add([Wanted("b", "keep")]).ids == ("b",)


def test_a_line_that_is_no_decision_is_named(tmp_path):
    path = tmp_path / "review.jsonl"
    path.write_text('{"id": "a", "decision": "keep"}\n{"id": "a", "decision": "maybe"}\nnonsense\n')
    with pytest.raises(DataError, match=r"(?s)review\.jsonl:2: decision.*review\.jsonl:3"):
        DecisionLog.open(path)
    with pytest.raises(ConfigError, match=r"ends in \.jsonl"):
        DecisionLog.open(tmp_path / "review.csv")
