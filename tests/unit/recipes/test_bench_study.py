"""The text of the study on real tasks is written whole, and other text is another file."""

from bench.study import written


def test_the_text_is_keyed_by_its_content_and_a_torn_one_is_never_taken(tmp_path):
    first = written(["one", "two"], tmp_path)
    assert first.read_text() == '{"text": "one"}\n{"text": "two"}\n'
    assert written(["one", "two"], tmp_path) == first and written(["one"], tmp_path) != first
    first.rename(first.with_name(first.name + ".partial"))  # as if the writing had ended here
    assert written(["one", "two"], tmp_path) == first and len(list(tmp_path.iterdir())) == 2
