import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from luthier.errors import DataError, LuthierError
from luthier.versions import Register


@pytest.fixture
def register(tmp_path: Path) -> Register:
    return Register(tmp_path / "versions")


def add(register: Register, digest: str, **rest) -> str:
    return register.add(model=f"runs/{digest}/model", digest=digest, **rest).name


def statuses(register: Register) -> dict[str, str]:
    return {version.name: version.status for version in register.list()}


def test_a_new_register_is_empty_and_has_no_current_version(register) -> None:
    assert register.list() == () and register.current() is None and register.history() == ()
    assert not register.folder.exists(), "reading creates nothing"


def test_versions_are_named_in_order_and_keep_what_they_were_given(register) -> None:
    add(register, "aa")
    version = register.add(model=Path("m"), digest="bb", parents=["v1"], data=["h1", "h2"], note="second")
    assert (version.name, version.status, version.parents, version.data) == ("v2", "candidate", ("v1",), ("h1", "h2"))
    assert register.list()[1] == version


def test_the_same_weights_are_the_same_version(register) -> None:
    assert add(register, "aa") == add(register, "aa") == "v1"
    assert len(register.list()) == 1 and len(register.history()) == 1


def test_promoting_makes_current_and_retires_the_one_before(register) -> None:
    for digest in ("aa", "bb"):
        register.promote(add(register, digest), {"difference": 0.1})
    assert statuses(register) == {"v1": "retired", "v2": "current"}
    current = register.current()
    assert current is not None and current.name == "v2" and current.gate == {"difference": 0.1}


def test_promoting_the_current_version_changes_nothing(register) -> None:
    register.promote(add(register, "aa"))
    before = (register.list(), register.history())
    register.promote("v1")
    assert (register.list(), register.history()) == before


def test_roll_back_restores_the_version_before(register) -> None:
    for digest in ("aa", "bb"):
        register.promote(add(register, digest))
    assert register.rollback().name == "v1"
    current = register.current()
    assert current is not None and current.name == "v1"
    assert statuses(register) == {"v1": "current", "v2": "retired"}


def test_roll_back_goes_back_through_the_order_in_which_versions_were_current(register) -> None:
    for digest in ("aa", "bb"):
        register.promote(add(register, digest))
    add(register, "cc")
    register.hold("v3", {"difference": -0.2})
    register.promote("v1")  # an older one, promoted again: before it came v2
    assert [register.rollback().name, register.rollback().name] == ["v2", "v1"]
    assert statuses(register) == {"v1": "current", "v2": "retired", "v3": "held"}


def test_roll_back_without_an_earlier_version_is_refused_and_changes_nothing(register) -> None:
    with pytest.raises(LuthierError, match="no version was ever current"):
        register.rollback()
    register.promote(add(register, "aa"))
    add(register, "bb")
    before = (register.folder / "versions.json").read_bytes()
    with pytest.raises(LuthierError, match="only v1 was ever current") as caught:
        register.rollback()
    assert "v1, v2" in caught.value.text()
    assert (register.folder / "versions.json").read_bytes() == before


def test_promoting_an_unknown_version_lists_the_known_ones(register) -> None:
    add(register, "aa")
    add(register, "bb")
    with pytest.raises(LuthierError, match=r"found 'v9', expected one of v1, v2"):
        register.promote("v9")
    with pytest.raises(LuthierError, match="unknown version"):
        register.hold("v9", {})
    with pytest.raises(LuthierError, match="unknown version"):
        register.add(model="m", digest="cc", parents=["v9"])


def test_a_held_version_keeps_the_numbers_of_its_gate_and_is_not_served(register) -> None:
    register.promote(add(register, "aa"))
    add(register, "bb")
    held = register.hold("v2", {"difference": -0.03, "p": 0.4})
    assert held.status == "held" and held.gate == {"difference": -0.03, "p": 0.4}
    assert statuses(register) == {"v1": "current", "v2": "held"}


def test_a_person_may_promote_what_the_gate_held(register) -> None:
    add(register, "aa")
    register.hold("v1", {"difference": -0.03})
    assert register.promote("v1").gate == {"difference": -0.03}


def test_the_current_version_cannot_be_held(register) -> None:
    register.promote(add(register, "aa"))
    with pytest.raises(LuthierError, match="rollback"):
        register.hold("v1", {})


def test_every_transition_is_in_the_history_and_the_history_gives_the_present(register) -> None:
    register.promote(add(register, "aa"))
    register.promote(add(register, "bb"), {"difference": 0.2})
    add(register, "cc")
    register.hold("v3", {"difference": -0.1})
    register.rollback()
    events = register.history()
    assert [(e["act"], e["version"], e["before"], e["after"]) for e in events] == [
        ("add", "v1", None, "candidate"),
        ("promote", "v1", "candidate", "current"),
        ("add", "v2", None, "candidate"),
        ("promote", "v2", "candidate", "current"),
        ("promote", "v1", "current", "retired"),
        ("add", "v3", None, "candidate"),
        ("hold", "v3", "candidate", "held"),
        ("rollback", "v2", "current", "retired"),
        ("rollback", "v1", "retired", "current"),
    ]
    assert {e["version"]: e["after"] for e in events} == statuses(register)
    assert events[3]["gate"] == {"difference": 0.2}


def test_versions_survive_a_new_process(register) -> None:
    register.promote(add(register, "aa", data=["h"], note="first"))
    assert Register(register.folder).list() == register.list()


def test_versions_added_at_the_same_time_have_names_of_their_own(register) -> None:
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda k: add(register, f"digest{k}"), range(24)))
    assert sorted(names) == sorted(f"v{k + 1}" for k in range(24))
    assert len(register.list()) == 24


@pytest.mark.parametrize(
    "content", ["not json", "{}", '{"versions": [{"name": "v1"}], "line": []}', '{"versions": [], "line": ["v1"]}']
)
def test_a_damaged_register_is_named_and_left_as_it_is(register, content) -> None:
    register.folder.mkdir(parents=True)
    (register.folder / "versions.json").write_text(content)
    with pytest.raises(DataError, match=r"versions\.json"):
        add(register, "aa")
    assert (register.folder / "versions.json").read_text() == content


def test_versions_json_is_plain_json_without_leftovers(register) -> None:
    register.promote(add(register, "aa"))
    assert json.loads((register.folder / "versions.json").read_text())["line"] == ["v1"]
    assert sorted(p.name for p in register.folder.iterdir()) == ["history.jsonl", "versions.json", "versions.lock"]
