"""Files that are there whole or not at all."""

import pytest

from luthier.records.whole_files import write_text_whole, write_whole


def test_what_stood_there_stays_until_all_of_the_new_file_is_written(tmp_path):
    path = tmp_path / "a" / "file.txt"
    write_text_whole(path, "old\r\n\u00e9")
    assert path.read_bytes() == b"old\r\n\xc3\xa9"

    def torn():
        yield b"new"
        assert path.read_bytes() == b"old\r\n\xc3\xa9"
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        write_whole(path, torn())
    assert path.read_bytes() == b"old\r\n\xc3\xa9"
    write_whole(path, [b"n", b"ew"])
    assert path.read_bytes() == b"new" and [entry.name for entry in path.parent.iterdir()] == ["file.txt"]
