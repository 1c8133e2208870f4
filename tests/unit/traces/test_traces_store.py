"""The store keeps what was served and said, in order, for other processes too, and never changes it."""

from __future__ import annotations

import dataclasses
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from luthier.errors import DataError
from luthier.records import Feedback, Message
from luthier.traces import Store, Trace, new_id, now

READER = """
import sys
from luthier.traces import Store
with Store.open_existing(sys.argv[1]) as store:
    print("ready", flush=True)
    counts = []
    while not counts or counts[-1] < int(sys.argv[2]):
        ids = [trace.id for trace in store.traces()]
        assert ids == [f"t{i:04d}" for i in range(len(ids))], "a reader saw a hole"
        counts.append(len(ids))
        print(len(ids), flush=True)
"""


def a_trace(id: str = "t1", **changes: object) -> Trace:
    trace = Trace(
        id=id,
        created_at="2026-08-20T10:00:00.000+00:00",
        model_id="abc123",
        model_name="tuned",
        messages=(Message(role="system", content="Be brief."), Message(role="user", content="Hello \u2028 \U0001f3bb")),
        answer="Good day.",
        sampling={"temperature": 0.7, "seed": 3, "stop": ["\n"]},
        prompt_tokens=7,
        completion_tokens=4,
        latency_ms=31.5,
        first_token_ms=9.25,
        finish_reason="stop",
        logprob_mean=-0.41,
        consent=True,
        user="u-7",
        metadata={"page": "help"},
    )
    return dataclasses.replace(trace, **changes)


def a_thumb(trace_id: str = "t1", **changes: object) -> Feedback:
    event = Feedback(id=new_id(), trace_id=trace_id, kind="thumb", value=1.0, source="chat", created_at=now())
    return dataclasses.replace(event, **changes)


def url(folder: Path) -> str:
    return f"sqlite:///{folder}/traces.sqlite"


def test_a_trace_comes_back_as_it_was_after_reopening(tmp_path: Path) -> None:
    with Store.open(url(tmp_path)) as store:
        store.add_trace(a_trace())
    with Store.open(url(tmp_path)) as store:
        assert store.trace("t1") == a_trace()
        assert store.traces() == [a_trace()]
        assert store.trace("t2") is None


def test_without_consent_counts_and_timings_are_kept_and_nothing_that_was_said(tmp_path: Path) -> None:
    with Store.open(url(tmp_path)) as store:
        store.add_trace(a_trace(consent=False))
        kept = store.trace("t1")
    assert kept == a_trace(consent=False, messages=(), answer="", user=None, metadata={})
    raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"Good day" not in raw and b"Be brief" not in raw and b"u-7" not in raw and b"help" not in raw


def test_traces_are_listed_oldest_first_and_a_limit_keeps_the_newest(tmp_path: Path) -> None:
    with Store.open(url(tmp_path)) as store:
        for day in (22, 20, 21, 20):
            store.add_trace(a_trace(f"t{day}-{len(store.traces())}", created_at=f"2026-08-{day}T00:00:00.000+00:00"))
        assert [t.id for t in store.traces()] == ["t20-1", "t20-3", "t21-2", "t22-0"]
        assert [t.id for t in store.traces(since="2026-08-21")] == ["t21-2", "t22-0"]
        assert [t.id for t in store.traces(limit=2)] == ["t21-2", "t22-0"]
        assert [t.id for t in store.traces(since="2026-08-20", limit=1)] == ["t22-0"]


def test_feedback_comes_back_in_order_for_one_trace_and_for_all(tmp_path: Path) -> None:
    with Store.open(url(tmp_path)) as store:
        store.add_trace(a_trace("t1"))
        store.add_trace(a_trace("t2"))
        first = store.add_feedback(a_thumb("t1"))
        edit = store.add_feedback(a_thumb("t2", kind="edit", value=None, text="Better."))
        newer = store.add_feedback(a_thumb("t1", value=0.0, supersedes=first.id))
        assert store.feedback() == [first, edit, newer]
        assert store.feedback("t1") == [first, newer]


def test_the_same_idempotency_key_is_the_same_event(tmp_path: Path) -> None:
    with Store.open(url(tmp_path)) as store:
        store.add_trace(a_trace())
        first = store.add_feedback(a_thumb(idempotency_key="k1"))
        again = store.add_feedback(a_thumb(idempotency_key="k1"))
        other = store.add_feedback(a_thumb(idempotency_key="k2"))
        assert again == first and other != first
        assert store.feedback() == [first, other]


def test_the_same_idempotency_key_from_many_threads_at_once_is_one_event(tmp_path: Path) -> None:
    with Store.open(url(tmp_path)) as store:
        store.add_trace(a_trace())
        kept: list[Feedback] = []
        threads = [
            threading.Thread(target=lambda: kept.append(store.add_feedback(a_thumb(idempotency_key="k"))))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(kept) == 8 and len({event.id for event in kept}) == 1
        assert len(store.feedback()) == 1


def test_feedback_for_an_unknown_trace_is_refused(tmp_path: Path) -> None:
    with Store.open(url(tmp_path)) as store:
        store.add_trace(a_trace())
        with pytest.raises(DataError, match="'nowhere'"):
            store.add_feedback(a_thumb("nowhere"))
        with pytest.raises(DataError, match="'elsewhere'"):
            store.add_feedback(a_thumb(kind="comparison", other_trace_id="elsewhere"))
        assert store.feedback() == []


@pytest.mark.parametrize("table", ["traces", "feedback"])
def test_raw_events_never_change_not_even_by_hand(tmp_path: Path, table: str) -> None:
    with Store.open(url(tmp_path)) as store:
        store.add_trace(a_trace())
        store.add_feedback(a_thumb())
    connection = sqlite3.connect(tmp_path / "traces.sqlite")
    with pytest.raises(sqlite3.IntegrityError, match="raw events never change"):
        connection.execute(f"UPDATE {table} SET id = 'other'")
    connection.close()


def test_a_row_that_cannot_be_written_is_told_of_and_does_not_take_others_along(tmp_path: Path) -> None:
    said: list[str] = []
    with Store.open(url(tmp_path), say=said.append) as store:
        store.add_trace(a_trace("t1"))
        store.flush()
        blocker = sqlite3.connect(tmp_path / "traces.sqlite", isolation_level=None, check_same_thread=False)
        blocker.execute("BEGIN IMMEDIATE")  # so that the next three wait, and are one batch
        for trace in (a_trace("t2"), a_trace("t1"), a_trace("t3", answer="\ud800"), a_trace("t4")):
            store.add_trace(trace)
        blocker.execute("COMMIT")
        blocker.close()
        with pytest.raises(DataError, match="2 traces"):
            store.flush()
        store.flush()  # told once
        assert [t.id for t in store.traces()] == ["t1", "t2", "t4"]
    assert [line.split()[3] for line in said] == ["t1", "t3"]


def test_another_process_reads_while_this_one_writes_and_sees_no_holes(tmp_path: Path) -> None:
    num_traces = 400
    with Store.open(url(tmp_path)) as store:
        reader = subprocess.Popen(
            [sys.executable, "-c", READER, url(tmp_path), str(num_traces)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert reader.stdout is not None and reader.stderr is not None
        assert reader.stdout.readline() == "ready\n", reader.stderr.read()
        for index in range(num_traces // 2):
            store.add_trace(a_trace(f"t{index:04d}"))
        store.flush()
        while int(reader.stdout.readline()) < num_traces // 2:  # it read while nobody had closed the store
            pass
        for index in range(num_traces // 2, num_traces):
            store.add_trace(a_trace(f"t{index:04d}"))
        store.flush()
        _, errors = reader.communicate(timeout=60)
    assert reader.returncode == 0, errors


def test_somebody_who_reads_for_long_holds_up_no_writer_and_sees_one_moment(tmp_path: Path) -> None:
    with Store.open(url(tmp_path)) as store:
        store.add_trace(a_trace("t1"))
        store.flush()
        reader = sqlite3.connect(tmp_path / "traces.sqlite", isolation_level=None)
        count = "SELECT count(*) FROM traces"
        reader.execute("BEGIN")
        assert reader.execute(count).fetchone() == (1,)
        store.add_trace(a_trace("t2"))
        store.flush()
        assert reader.execute(count).fetchone() == (1,)
        reader.execute("COMMIT")
        assert reader.execute(count).fetchone() == (2,)
        reader.close()


def test_two_processes_may_write_at_once(tmp_path: Path) -> None:
    program = (
        "import sys; from luthier.traces import Store; from dataclasses import replace\n"
        "with Store.open(sys.argv[1]) as store:\n"
        "    first = store.trace('t')\n"
        "    for i in range(100): store.add_trace(replace(first, id=f'other{i}'))\n"
        "    store.flush()\n"
    )
    with Store.open(url(tmp_path)) as store:
        store.add_trace(a_trace("t"))
        store.flush()
        other = subprocess.Popen([sys.executable, "-c", program, url(tmp_path)], stderr=subprocess.PIPE, text=True)
        for index in range(100):
            store.add_trace(a_trace(f"ours{index}"))
            store.flush()
        _, errors = other.communicate(timeout=60)
        assert other.returncode == 0, errors
        assert len(store.traces()) == 201


def test_closing_writes_what_is_queued_and_may_be_repeated(tmp_path: Path) -> None:
    store = Store.open(url(tmp_path))
    for index in range(1200):  # more than one batch
        store.add_trace(a_trace(f"t{index}"))
    store.close()
    store.close()
    with Store.open_existing(url(tmp_path)) as reopened:
        assert len(reopened.traces()) == 1200


@pytest.mark.parametrize("address", ["traces.sqlite", "postgresql://localhost/x", "sqlite://", "sqlite:///:memory:"])
def test_an_address_that_is_no_sqlite_file_is_refused_with_an_example(address: str) -> None:
    with pytest.raises(DataError, match=r"sqlite:///FILE") as caught:
        Store.open(address)
    assert repr(address) in str(caught.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "traces.sqlite").write_text("this is a diary, not a database\n" * 50)
    with pytest.raises(DataError, match="not a database"):
        Store.open(url(tmp_path))


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be used"):
        Store.open(f"sqlite:///{tmp_path}")


def test_the_folder_of_a_new_store_is_made(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/a/b/traces.sqlite") as store:
        store.add_trace(a_trace())
    assert (tmp_path / "a" / "b" / "traces.sqlite").is_file()


def test_a_reader_of_a_store_that_is_not_there_is_told_so_and_makes_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="luthier serve"):
        Store.open_existing(url(tmp_path))
    assert list(tmp_path.iterdir()) == []
