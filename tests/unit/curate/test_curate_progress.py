"""Progress is told every few seconds: rows, rows a second, what is reused, and the time that is left."""

from luthier.curate.progress import Progress


def told(additions, file_bytes):
    said, now = [], [100.0]
    progress = Progress(said.append, file_bytes, clock=lambda: now[0])
    for seconds, file, end, rows, is_reused in additions:
        now[0] += seconds
        progress.add(file, end, rows, is_reused=is_reused)
    return said


def test_it_is_told_every_five_seconds_however_many_pieces_are_done():
    additions = [(1.0, 0, 100 * (k + 1), 10, False) for k in range(14)]
    assert told(additions, [2000, 2000]) == [
        "curate | 50 rows so far | 10 rows/s | 12% | left 0:00:35",
        "curate | 100 rows so far | 10 rows/s | 25% | left 0:00:30",
    ]


def test_files_before_the_current_one_are_done_and_what_is_reused_is_no_speed():
    said = told([(0.0, 0, 500, 40, True), (10.0, 1, 500, 60, False)], [1000, 1000])
    assert said == ["curate | 100 rows so far | 6 rows/s | 40 from a run that was cut off | 75% | left 0:00:03"]


def test_where_no_bytes_are_known_no_time_is_guessed():
    assert told([(6.0, 0, 0, 30, False)], [1000]) == ["curate | 30 rows so far | 5 rows/s"]


def test_nothing_is_told_when_all_is_done():
    assert told([(6.0, 0, 1000, 30, False)], [1000]) == []
