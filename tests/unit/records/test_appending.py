"""What was added to a file is on the disk whole, or it is not there at all."""

import fcntl
import os
import threading

import pytest

from luthier.records.appending import AppendedFile


def is_digit(line):
    return line.isdigit()


def test_what_was_added_stands_there_in_order(tmp_path):
    path = tmp_path / "lines"
    for data in (b"1\n", b"2\n3\n", b""):
        with AppendedFile.alone(path) as file:
            file.append(data)
    with AppendedFile.to_read(path) as file:
        assert file.read(0, 100) == b"1\n2\n3\n" and file.read(2, 4) == b"2\n"
    with pytest.raises(FileNotFoundError), AppendedFile.to_read(tmp_path / "nothing"):
        raise AssertionError("there is no such file")


@pytest.mark.parametrize("at", ["write", "fsync"])
def test_of_what_could_not_be_added_nothing_stays(tmp_path, monkeypatch, at):
    path, write = tmp_path / "lines", os.write
    path.write_bytes(b"1\n")

    def full(number, data=b""):
        if at == "write" and len(data) > 2:
            return write(number, bytes(data[:2]))
        raise OSError(28, "No space left on device")

    with AppendedFile.alone(path) as file:
        monkeypatch.setattr(os, at, full)
        with pytest.raises(OSError, match="No space"):
            file.append(b"2345\n")
        monkeypatch.undo()
        assert path.read_bytes() == b"1\n"
        file.append(b"6\n")
    assert path.read_bytes() == b"1\n6\n"


@pytest.mark.parametrize(("before", "after", "cut"), [
    (b"", b"", b""), (b"1\n", b"1\n", b""), (b"1\n2", b"1\n2\n", b""), (b"1\n2\nx", b"1\n2\n", b"x"),
    (b"1\nx\n2", b"1\nx\n2\n", b""), (b"x", b"", b"x"),
])  # fmt: skip
def test_a_last_line_without_an_end_gets_it_or_goes(tmp_path, before, after, cut):
    path = tmp_path / "lines"
    path.write_bytes(before)
    with AppendedFile.alone(path) as file:
        assert file.end_last_line(0, is_whole=is_digit) == cut
        assert path.read_bytes() == after
        assert file.end_last_line(len(after), is_whole=is_digit) == b""


def test_who_holds_the_file_is_alone_and_one_that_was_replaced_meanwhile_is_not_added_to(tmp_path, monkeypatch):
    path, lock = tmp_path / "lines", fcntl.flock
    asks, locked = threading.Event(), []

    def locking(number, kind):
        if threading.current_thread() is not threading.main_thread():
            asks.set()  # the file is open, and its lock is still held by the other thread
            lock(number, kind)
            locked.append(os.fstat(number).st_ino)
        else:
            lock(number, kind)

    def add():
        with AppendedFile.alone(path) as file:
            file.append(b"2\n")

    monkeypatch.setattr(fcntl, "flock", locking)
    thread = threading.Thread(target=add)
    with AppendedFile.alone(path) as file, AppendedFile.to_read(path) as old:
        thread.start()
        assert asks.wait(60)
        assert not locked
        file.append(b"1\n")
        other = tmp_path / "other"
        other.write_bytes(b"new\n")
        other.replace(path)
        inodes = [old.stat().st_ino, path.stat().st_ino]
        kept = os.dup(old.number)
    thread.join(60)
    assert not thread.is_alive() and locked == inodes, "the lock of the old file came first, then that of the new one"
    assert path.read_bytes() == b"new\n2\n"
    assert os.pread(kept, 100, 0) == b"1\n"
    os.close(kept)
