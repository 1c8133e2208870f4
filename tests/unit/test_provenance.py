"""What makes a result stale: the bytes of what it read, and the source that it was made by."""

from __future__ import annotations

import pytest

from luthier import provenance
from luthier.errors import DataError
from luthier.provenance import sha256, source_digest


def test_sha256_of_a_folder_covers_names_and_bytes(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / "in").mkdir(parents=True)
        (tmp_path / name / "in" / "x").write_text("1")
    assert sha256(tmp_path / "a") == sha256(tmp_path / "b")
    (tmp_path / "b" / "in" / "x").rename(tmp_path / "b" / "in" / "y")
    assert sha256(tmp_path / "a") != sha256(tmp_path / "b")
    with pytest.raises(DataError, match="no such file"):
        sha256(tmp_path / "c")


def test_source_digest_covers_what_a_module_imports_within_luthier(tmp_path, monkeypatch):
    """A change two imports away counts; one in a module that is not imported does not."""
    root = tmp_path / "luthier"
    (root / "part").mkdir(parents=True)
    for name, text in {"__init__.py": "", "a.py": "from luthier.part.b import x\nimport os", "part/__init__.py": '"""P."""',
                       "part/b.py": "def f():\n    from luthier import c", "c.py": "c = 1", "d.py": "d = 1"}.items():  # fmt: skip
        (root / name).write_text(text)
    monkeypatch.setattr(provenance, "SOURCE", root)

    def digest(module):
        source_digest.cache_clear()
        return source_digest(module)

    first = digest("luthier.a")
    (root / "d.py").write_text("d = 2")
    assert digest("luthier.a") == first
    for name in ("c.py", "part/__init__.py", "a.py"):
        (root / name).write_text((root / name).read_text() + "\n# changed")
        assert digest("luthier.a") != first
        first = digest("luthier.a")
    source_digest.cache_clear()
