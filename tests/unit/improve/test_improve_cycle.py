import json
from pathlib import Path

import pytest

from luthier.errors import DataError, LuthierError
from luthier.improve.config import ImproveConfig
from luthier.improve.cycle import Decision, Steps, Trained, improve
from luthier.improve.holdout import is_holdout
from luthier.records import Example, Feedback, Message, Preference, read_records, write_records
from luthier.traces import Store, Trace
from luthier.versions import Register

QUESTIONS = [f"question {chr(97 + k % 26)}{chr(97 + k // 26)}" for k in range(120)]


class Project:
    """A store, a register with one current version, and steps that record how they were called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "improve"
        self.config = ImproveConfig(store=f"sqlite:///{folder / 'traces.sqlite'}")
        self.register = Register(folder / "versions")
        self.register.promote(self.register.add(model="base", digest="base").name)
        self.ship = True
        self.digest: str | None = None
        self.fails_at = ""
        self.extra: list[Example] = []
        self.calls: list[tuple] = []
        self.said: list[str] = []
        with Store.open(self.config.store):
            pass

    def give(self, start: int, stop: int, kind: str = "edit") -> None:
        with Store.open(self.config.store) as store:
            for k in range(start, stop):
                store.add_trace(
                    Trace(
                        id=f"t{k}", created_at=f"2026-08-20T10:00:00.{k:03d}+00:00", model_id="base", model_name="m",
                        messages=(Message(role="user", content=QUESTIONS[k]),), answer="at nine", prompt_tokens=1,
                        completion_tokens=1, latency_ms=1.0, finish_reason="stop", consent=True,
                    )
                )  # fmt: skip
                store.add_feedback(Feedback(id=f"f{k}", trace_id=f"t{k}", kind=kind, text=f"edit {k}", value=1.0))

    def curate(self, collected, folder: Path) -> Path:
        self.calls.append(("curate", len(collected.candidates)))
        write_records(folder / "train.jsonl", [*collected.candidates, *self.extra])
        write_records(folder / "preferences.jsonl", collected.preferences)
        return folder

    def train(self, curated: Path, current, folder: Path) -> Trained:
        self.calls.append(("train", current.name))
        if self.fails_at == "train":
            raise RuntimeError("out of memory")
        rows = len(list(read_records(curated / "train.jsonl", Example)))
        return Trained(folder, self.digest or f"digest{rows}")

    def evaluate(self, model: Path, items, folder: Path) -> Path:
        self.calls.append(("evaluate", str(model.name), len(items)))
        if self.fails_at == "evaluate":
            raise RuntimeError("disk full")
        return folder

    def gate(self, before: Path, after: Path, alpha: float) -> Decision:
        self.calls.append(("gate", before.name, after.name, alpha))
        return Decision(self.ship, "ship" if self.ship else "hold", {"difference": 0.1})

    def turn(self, **changes):
        self.calls.clear()
        steps = Steps(curate=self.curate, train=self.train, evaluate=self.evaluate, gate=self.gate)
        config = self.config.model_copy(update=changes)
        return improve(config, steps, register=self.register, folder=self.folder, say=self.said.append)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_turn_goes_from_feedback_to_a_promoted_version(project) -> None:
    project.give(0, 40)
    result = project.turn()
    current = project.register.current()
    assert (result.outcome, result.version) == ("promoted", "v2") and current is not None and current.name == "v2"
    assert current.parents == ("v1",) and current.gate == {"difference": 0.1, "word": "ship", "alpha": 0.025}
    held = sum(is_holdout([Message(role="user", content=q)], 0.2, "luthier") for q in QUESTIONS[:40])
    assert project.calls == [
        ("curate", 40 - held),
        ("train", "v1"),
        ("evaluate", "base", held),
        ("evaluate", "model", held),
        ("gate", "evaluation-current", "evaluation-candidate", 0.025),
    ]
    assert result.lines == tuple(project.said) and "v2 promoted" in result.lines[-1]


def test_a_held_version_is_registered_with_its_numbers_and_not_served(project) -> None:
    project.give(0, 40)
    project.ship = False
    result = project.turn()
    assert (result.outcome, result.version) == ("held", "v2")
    assert {v.name: v.status for v in project.register.list()} == {"v1": "current", "v2": "held"}
    assert project.register.list()[1].gate["difference"] == 0.1


def test_without_feedback_nothing_is_changed(project) -> None:
    before = files(project.register.folder)
    result = project.turn()
    assert result.outcome == "nothing new" and "no new feedback" in result.lines[-1]
    assert project.calls == [] and files(project.register.folder) == before and not project.folder.exists()


@pytest.mark.parametrize("ship", [True, False])
def test_without_new_feedback_a_second_turn_changes_nothing(project, ship) -> None:
    project.give(0, 40)
    project.ship = ship
    project.turn()
    before = files(project.folder) | files(project.register.folder)
    result = project.turn()
    assert result.outcome == "nothing new" and project.calls == []
    assert files(project.folder) | files(project.register.folder) == before


def test_new_feedback_starts_from_the_current_version_and_spends_less_alpha(project) -> None:
    project.give(0, 40)
    project.turn()
    project.give(40, 60)
    result = project.turn()
    assert result.version == "v3" and result.gate["alpha"] == pytest.approx(0.05 / 6)
    assert ("train", "v2") in project.calls and result.folder == project.folder / "turn-002"


def test_new_comments_teach_nothing_and_start_no_turn(project) -> None:
    project.give(0, 40)
    project.turn()
    project.give(40, 60, kind="comment")
    assert project.turn().outcome == "nothing new"


def test_too_little_new_feedback_waits(project) -> None:
    project.give(0, 5)
    assert project.turn(min_new=1000).outcome == "nothing new"
    assert project.turn(min_new=2).outcome == "promoted"


def test_what_the_store_taught_is_on_disk_and_its_books_balance(project) -> None:
    project.give(0, 40)
    folder = project.turn().folder
    assert folder is not None
    ledger = json.loads((folder / "ledger.json").read_text())
    for part in ("traces", "feedback"):
        assert ledger[part].pop("read") == 40 == sum(ledger[part].values())
    candidates = list(read_records(folder / "candidates.jsonl", Example))
    items = list(read_records(folder / "holdout.jsonl", Example))
    assert len(candidates) == ledger["made"]["candidates"] and len(candidates) + len(items) == 40
    assert len(list(read_records(folder / "preferences.jsonl", Preference))) == len(candidates)
    assert set(json.loads((folder / "traces.json").read_text())) == {f"t{k}" for k in range(40)}


def test_curated_rows_of_the_holdout_stop_the_turn_before_training(project) -> None:
    project.give(0, 40)
    held = next(q for q in QUESTIONS[:40] if is_holdout([Message(role="user", content=q)], 0.2, "luthier"))
    project.extra = [
        Example.of([Message(role="user", content=held.upper() + "!"), Message(role="assistant", content="a")])
    ]
    with pytest.raises(DataError, match=r"train\.jsonl:\d+: found a conversation of the permanent holdout"):
        project.turn()
    assert [call[0] for call in project.calls] == ["curate"] and len(project.register.list()) == 1


def test_a_turn_that_failed_is_taken_again_and_its_gate_is_paid_once(project) -> None:
    project.give(0, 40)
    project.fails_at = "evaluate"
    with pytest.raises(RuntimeError):
        project.turn()
    assert len(project.register.list()) == 1
    project.fails_at = ""
    result = project.turn()
    assert (result.outcome, result.folder) == ("promoted", project.folder / "turn-001")
    assert result.gate["alpha"] == 0.025
    assert len(json.loads((project.folder / "holdout.json").read_text())["gates"]) == 1


def test_training_that_changes_no_weight_registers_nothing_and_spends_nothing(project) -> None:
    project.give(0, 40)
    project.digest = "base"
    result = project.turn()
    assert (result.outcome, result.version) == ("unchanged", None) and len(project.register.list()) == 1
    assert not (project.folder / "holdout.json").exists()
    assert project.turn().outcome == "nothing new"


def test_the_version_names_the_files_that_it_learned_from(project) -> None:
    project.give(0, 40)
    project.turn()
    current = project.register.current()
    assert current is not None and len(current.data) == 2 and all(len(digest) == 64 for digest in current.data)
    assert current.note == "turn-001"


def test_without_a_current_version_there_is_nothing_to_improve(project, tmp_path) -> None:
    project.register = Register(tmp_path / "empty")
    with pytest.raises(LuthierError, match="no current version"):
        project.turn()


def test_without_a_store_the_address_is_named(project, tmp_path) -> None:
    with pytest.raises(DataError, match=r"elsewhere\.sqlite"):
        project.turn(store=f"sqlite:///{tmp_path / 'elsewhere.sqlite'}")
    assert not (tmp_path / "elsewhere.sqlite").exists()


def test_the_limit_of_one_rater_is_applied(project) -> None:
    with Store.open(project.config.store) as store:
        for k in range(30):
            store.add_trace(
                Trace(
                    id=f"t{k}", created_at=f"2026-08-20T10:00:00.{k:03d}+00:00", model_id="base", model_name="m",
                    messages=(Message(role="user", content=QUESTIONS[k]),), answer="at nine", prompt_tokens=1,
                    completion_tokens=1, latency_ms=1.0, finish_reason="stop", consent=True,
                )
            )  # fmt: skip
            store.add_feedback(Feedback(id=f"f{k}", trace_id=f"t{k}", kind="edit", text="x", rater="loud"))
    folder = project.turn(max_per_rater=10).folder
    assert folder is not None
    assert json.loads((folder / "ledger.json").read_text())["feedback"]["over the limit of one rater"] == 20


def test_the_share_and_the_salt_decide_the_holdout(project) -> None:
    project.give(0, 40)
    items = {}
    for name, changes in {"few": {}, "many": {"holdout_share": 0.6}, "others": {"holdout_salt": "b"}}.items():
        project.folder = project.folder.parent / name
        project.digest = name
        folder = project.turn(**changes).folder
        assert folder is not None
        items[name] = {i.id for i in read_records(folder / "holdout.jsonl", Example)}
    assert items["few"] < items["many"] and items["others"] != items["few"]


def test_the_first_gate_spends_half_of_the_budget_in_the_recipe(project) -> None:
    project.give(0, 40)
    assert project.turn(alpha=0.1).gate["alpha"] == pytest.approx(0.05)
