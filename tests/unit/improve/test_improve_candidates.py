from pathlib import Path

import numpy as np
import pytest

from luthier.improve import candidates as reasons
from luthier.improve.candidates import collect
from luthier.improve.holdout import Holdout, is_holdout
from luthier.records import Feedback, Message
from luthier.similarity.near_index import NearIndex
from luthier.traces import Trace


def user(text: str) -> Message:
    return Message(role="user", content=text)


QUESTIONS = [f"question {chr(97 + k % 26)}{chr(97 + k // 26)}" for k in range(300)]
TRAIN = [q for q in QUESTIONS if not is_holdout([user(q)], 0.2, "s")]
HELD = [q for q in QUESTIONS if is_holdout([user(q)], 0.2, "s")]


def trace(id: str, prompt: str | None = None, *, answer: str = "at nine", **rest) -> Trace:
    values = {
        "created_at": f"2026-08-20T10:00:00.{len(id):03d}+00:00", "model_id": "aa", "model_name": "support",
        "messages": (user(prompt or TRAIN[0]),), "prompt_tokens": 5, "completion_tokens": 3, "latency_ms": 100.0,
        "finish_reason": "stop", "consent": True,
    }  # fmt: skip
    return Trace(id=id, answer=answer, **{**values, **rest})


def thumb(id: str, trace_id: str, value: float | None, **rest) -> Feedback:
    return Feedback(id=id, trace_id=trace_id, kind="thumb", value=value, **rest)


def edit(id: str, trace_id: str, text: str, **rest) -> Feedback:
    return Feedback(id=id, trace_id=trace_id, kind="edit", text=text, **rest)


def compare(id: str, trace_id: str, other: str, value: float = 1.0, **rest) -> Feedback:
    return Feedback(id=id, trace_id=trace_id, kind="comparison", value=value, other_trace_id=other, **rest)


@pytest.fixture
def gather(tmp_path: Path):
    holdout = Holdout.open(tmp_path / "holdout.json", share=0.2, salt="s", alpha=0.05)

    def run(traces, feedback, **rest):
        return collect(traces, feedback, holdout=holdout, **rest)

    return run


def test_an_edit_is_a_demonstration_and_preferred_to_the_answer(gather) -> None:
    found = gather([trace("t")], [edit("f", "t", "At ten. ")])
    (candidate,), (preference,) = found.candidates, found.preferences
    assert candidate.target == "At ten." and candidate.source == "trace:t" and candidate.prompt == (user(TRAIN[0]),)
    assert (preference.chosen, preference.rejected, preference.origin) == ("At ten.", "at nine", "edit")
    assert preference.source == "trace:t" and preference.prompt == candidate.prompt
    assert found.traces == {"t": reasons.USED} and found.feedback == {"f": reasons.USED}


def test_a_thumb_up_makes_the_answer_a_demonstration(gather) -> None:
    found = gather([trace("t")], [thumb("f", "t", 1.0)])
    assert [c.target for c in found.candidates] == ["at nine"] and found.preferences == ()


def test_a_thumb_down_without_an_edit_needs_an_answer(gather) -> None:
    found = gather([trace("t")], [thumb("f", "t", 0.0)])
    assert found.candidates == () and found.preferences == ()
    assert found.skipped == {"needs an answer": 1}


def test_a_thumb_down_with_an_edit_teaches_the_edit(gather) -> None:
    found = gather([trace("t")], [thumb("f", "t", 0.0), edit("g", "t", "At ten.")])
    assert [c.target for c in found.candidates] == ["At ten."]
    assert found.feedback == {"f": reasons.USED, "g": reasons.USED}


def test_an_edit_says_more_than_a_thumb_up(gather) -> None:
    found = gather([trace("t")], [thumb("f", "t", 1.0), edit("g", "t", "At ten.")])
    assert [c.target for c in found.candidates] == ["At ten."]


def test_raters_who_disagree_teach_nothing(gather) -> None:
    found = gather(
        [trace("t")], [thumb("f", "t", 1.0, rater="a"), thumb("g", "t", 0.0, rater="b"), edit("h", "t", "x")]
    )
    assert found.candidates == () and found.preferences == ()
    assert found.skipped == {"raters disagree": 1} and set(found.feedback.values()) == {reasons.CONFLICT}


def test_superseded_feedback_is_ignored(gather) -> None:
    found = gather([trace("t")], [thumb("f", "t", 0.0), thumb("g", "t", 1.0, supersedes="f")])
    assert len(found.candidates) == 1 and found.feedback == {"f": reasons.SUPERSEDED, "g": reasons.USED}
    chain = [edit("f", "t", "one"), edit("g", "t", "two", supersedes="f"), edit("h", "t", "three", supersedes="g")]
    assert [c.target for c in gather([trace("t")], chain).candidates] == ["three"]


def test_a_thumb_that_is_taken_back_teaches_nothing(gather) -> None:
    found = gather([trace("t")], [thumb("f", "t", 1.0), thumb("g", "t", None, supersedes="f")])
    assert found.candidates == () and found.feedback == {"f": reasons.SUPERSEDED, "g": reasons.TEACHES_NOTHING}


def test_feedback_cannot_supersede_feedback_on_another_trace(gather) -> None:
    found = gather([trace("t"), trace("u", TRAIN[1])], [thumb("f", "t", 1.0), thumb("g", "u", 1.0, supersedes="f")])
    assert len(found.candidates) == 2


def test_a_trace_without_consent_is_never_used(gather) -> None:
    found = gather(
        [trace("t", consent=False), trace("u", answer="later")],
        [edit("f", "t", "x"), compare("g", "u", "t"), thumb("h", "t", 1.0)],
    )
    assert found.candidates == () and found.preferences == () and found.holdout_items == ()
    assert found.traces["t"] == "no consent" and found.feedback["g"] == reasons.NOT_COMPARABLE


def test_a_conversation_in_the_holdout_is_never_a_candidate(gather) -> None:
    traces = [trace(f"t{k}", q) for k, q in enumerate(QUESTIONS)]
    feedback = [edit(f"f{k}", f"t{k}", f"edit {k}") for k in range(len(traces))]
    found = gather(traces, feedback)
    assert len(found.candidates) == len(found.preferences) == len(TRAIN) and len(found.holdout_items) == len(HELD)
    assert not any(is_holdout(c.messages, 0.2, "s") for c in found.candidates)
    assert not any(is_holdout(p.prompt, 0.2, "s") for p in found.preferences)
    assert all(is_holdout(i.messages, 0.2, "s") for i in found.holdout_items)
    assert found.skipped == {"holdout": len(HELD)}


def test_a_later_turn_of_a_holdout_conversation_is_no_candidate_either(gather) -> None:
    turns = (user(HELD[0]), Message(role="assistant", content="a"), user(TRAIN[0]))
    found = gather([trace("t", messages=turns)], [edit("f", "t", "x")])
    assert found.candidates == () and len(found.holdout_items) == 1


def test_holdout_items_accept_every_edit_and_tell_edited_from_liked_answers(gather) -> None:
    traces = [trace("t", HELD[0]), trace("u", HELD[1]), trace("v", HELD[2])]
    found = gather(traces, [edit("f", "t", "x"), edit("g", "t", "y"), thumb("h", "u", 1.0), thumb("i", "v", 0.0)])
    assert [(i.targets, i.task) for i in found.holdout_items] == [
        (("x", "y"), "edited answer"),
        (("at nine",), "liked answer"),
    ]
    assert found.holdout_items[0].prompt == (user(HELD[0]),)
    assert found.feedback == {"f": "holdout", "g": "holdout", "h": "holdout", "i": reasons.NEEDS_ANSWER}


def test_a_comparison_gives_a_preference_and_uses_both_traces(gather) -> None:
    traces = [trace("t", answer="good"), trace("u", answer="bad")]
    for event in (compare("f", "t", "u", 1.0), compare("f", "u", "t", 0.0)):
        found = gather(traces, [event])
        assert [(p.chosen, p.rejected, p.origin) for p in found.preferences] == [("good", "bad", "comparison")]
        assert found.candidates == () and found.traces == {"t": reasons.USED, "u": reasons.USED}


def test_a_tie_a_contradiction_and_different_prompts_give_no_preference(gather) -> None:
    traces = [
        trace("t", answer="good"),
        trace("u", answer="bad"),
        trace("v", TRAIN[1], answer="other"),
        trace("w", answer=" good "),
    ]
    assert gather(traces, [compare("f", "t", "u", 0.5)]).feedback["f"] == reasons.TEACHES_NOTHING
    assert gather(traces, [compare("f", "t", "v")]).feedback["f"] == reasons.NOT_COMPARABLE
    assert gather(traces, [compare("f", "t", "gone")]).feedback["f"] == reasons.NOT_COMPARABLE
    assert gather(traces, [compare("f", "t", "w")]).feedback["f"] == reasons.NOT_COMPARABLE
    both = gather(traces, [compare("f", "t", "u"), compare("g", "u", "t")])
    assert both.preferences == () and set(both.feedback.values()) == {reasons.CONFLICT}


def test_two_raters_of_one_mind_give_one_preference(gather) -> None:
    traces = [trace("t", answer="good"), trace("u", answer="bad")]
    found = gather(traces, [compare("f", "t", "u", rater="a"), compare("g", "u", "t", 0.0, rater="b")])
    assert len(found.preferences) == 1 and set(found.feedback.values()) == {reasons.USED}


def test_a_comparison_in_the_holdout_gives_nothing(gather) -> None:
    traces = [trace("t", HELD[0], answer="good"), trace("u", HELD[0], answer="bad")]
    found = gather(traces, [compare("f", "t", "u")])
    assert found.preferences == () and found.holdout_items == ()
    assert found.traces == {"t": "holdout", "u": "holdout"} and found.feedback == {"f": "holdout"}


def test_a_liked_answer_that_was_cut_off_is_no_demonstration(gather) -> None:
    for reason in ("length", "cancelled"):
        found = gather([trace("t", finish_reason=reason)], [thumb("f", "t", 1.0)])
        assert found.candidates == () and found.skipped == {reasons.CUT_OFF: 1}
    assert gather([trace("t", answer=" ")], [thumb("f", "t", 1.0)]).candidates == ()
    assert len(gather([trace("t", finish_reason="length")], [edit("f", "t", "x")]).candidates) == 1


def test_an_edit_that_changes_nothing_or_is_empty_teaches_nothing(gather) -> None:
    for text in ("at nine", " at nine\n", "", "  "):
        found = gather([trace("t")], [edit("f", "t", text)])
        assert found.candidates == () and found.preferences == () and found.skipped == {reasons.UNCHANGED: 1}


def test_two_edits_are_two_demonstrations_and_the_same_edit_twice_is_one(gather) -> None:
    found = gather([trace("t")], [edit("f", "t", "x"), edit("g", "t", "y"), edit("h", "t", "x ")])
    assert [c.target for c in found.candidates] == ["x", "y"] and len(found.preferences) == 2


def test_only_the_last_turn_of_a_demonstration_has_a_weight(gather) -> None:
    turns = (user(TRAIN[0]), Message(role="assistant", content="wrong"), user("no?"))
    (candidate,) = gather([trace("t", messages=turns)], [edit("f", "t", "right")]).candidates
    assert [m.loss_weight for m in candidate.messages] == [0.0, 0.0, 0.0, 1.0]


def test_demonstrations_are_linked_to_their_conversation_and_person_without_naming_the_person(gather) -> None:
    turns = (user(TRAIN[0]), Message(role="assistant", content="a"), user("more"))
    traces = [trace("t", user="ada@example.org"), trace("u", messages=turns, user="bob")]
    a, b = gather(traces, [thumb("f", "t", 1.0), thumb("g", "u", 1.0)]).candidates
    assert a.links[0] == b.links[0] and a.links[1] != b.links[1] and "ada" not in str(a.links)


def test_one_rater_cannot_teach_more_than_the_limit(gather) -> None:
    traces = [trace(f"t{k}", TRAIN[k]) for k in range(6)]
    feedback = [thumb(f"f{k}", f"t{k}", 1.0, rater="a", created_at=f"2026-08-20T10:0{k}") for k in range(5)]
    found = gather(traces, [*reversed(feedback), thumb("g", "t5", 1.0, rater="b")], max_per_rater=3)
    assert {c.source for c in found.candidates} == {"trace:t0", "trace:t1", "trace:t2", "trace:t5"}
    assert [found.feedback[f"f{k}"] for k in (3, 4)] == [reasons.OVER_LIMIT] * 2


LONG = "Our office moves to the third floor in spring. Who will carry the plants, and who takes care of {}?"
LONG_WORDS = [f"{chr(97 + k % 26)}{chr(97 + k // 26)}" for k in range(300)]
LONG_TRAIN = [t for w in LONG_WORDS if not is_holdout([user(t := LONG.format(w))], 0.2, "s")]
LONG_HELD = [t for w in LONG_WORDS if is_holdout([user(t := LONG.format(w))], 0.2, "s")]


def near_search(roots):
    index = NearIndex(roots)
    return lambda root: [found.text for found in index.near_to(root)]


def test_near_duplicates_of_holdout_items_are_not_learned_from_and_are_counted(gather) -> None:
    prompts = [LONG_HELD[0], *LONG_TRAIN[:3], *TRAIN[:2]]
    traces = [trace(f"t{k}", prompt, created_at=str(k)) for k, prompt in enumerate(prompts)]
    feedback = [edit(f"f{k}", f"t{k}", "Yes.") for k in range(len(prompts))]
    found = gather(traces[::-1], feedback, near=near_search)
    assert {c.source for c in found.candidates} == {p.source for p in found.preferences} == {"trace:t4", "trace:t5"}
    assert [found.traces[f"t{k}"] for k in range(6)] == [reasons.HOLDOUT] * 4 + [reasons.USED] * 2
    ledger = found.ledger()
    assert ledger["conversations"] == {"read": 6, "nearly the same as an earlier one": 3}
    assert ledger["traces"] == {"read": 6, "holdout": 4, "used": 2}
    without = gather(traces, feedback)
    assert len(without.candidates) == 5 and without.ledger()["conversations"]["nearly the same as an earlier one"] == 0


def test_what_is_near_to_both_sides_teaches_nothing_and_is_no_item(gather) -> None:
    traces = [
        trace("t", HELD[0], created_at="1"),
        trace("u", TRAIN[0], created_at="2"),
        trace("v", TRAIN[1], created_at="3"),
    ]

    def near(texts):
        return lambda text: [t for t in texts if (text == texts[2]) != (t == texts[2])]

    found = gather(traces, [edit("f", "v", "x"), compare("g", "v", "v")], near=near)
    assert found.candidates == () and found.holdout_items == () and found.traces["v"] == reasons.NEITHER
    assert found.feedback == {"f": reasons.NEITHER, "g": reasons.NEITHER}


def test_what_was_trained_on_is_no_holdout_item(gather) -> None:
    found = gather([trace("t", HELD[0])], [edit("f", "t", "x")], trained_on=[[user(HELD[0].upper() + "?")]])
    assert len(found.candidates) == 1 and found.holdout_items == ()


def test_a_conversation_that_does_not_end_with_a_user_turn_is_left_out(gather) -> None:
    found = gather(
        [trace("t", messages=(user("a"), Message(role="assistant", content="b"))), trace("u", messages=())],
        [thumb("f", "t", 1.0), thumb("g", "u", 1.0)],
    )
    assert found.candidates == () and found.skipped == {reasons.NO_PROMPT: 2}


def steps_away(step: int):
    """A search by which each text is near to those so many places before and behind it."""

    def near(texts):
        places = {text: k for k, text in enumerate(texts)}
        return lambda text: [t for t in texts if text in places and abs(places[t] - places[text]) == step]

    return near


def random_store(seed: int) -> tuple[list[Trace], list[Feedback]]:
    rng = np.random.default_rng(seed)
    traces = [
        trace(
            f"t{k}", QUESTIONS[rng.integers(25)], answer=str(rng.choice(["a", "b", "c", ""])), consent=bool(rng.random() < 0.8),
            finish_reason=str(rng.choice(["stop", "length", "error"], p=[0.8, 0.1, 0.1])), created_at=f"{k:04d}",
        )
        for k in range(80)
    ]  # fmt: skip
    feedback = [
        Feedback(
            id=f"f{k}", trace_id=f"t{rng.integers(84)}", kind=str(rng.choice(["thumb", "edit", "comparison", "score", "comment"])),
            value=[None, 0.0, 0.5, 1.0][rng.integers(4)], text=[None, "", "a", "better"][rng.integers(4)],
            other_trace_id=f"t{rng.integers(84)}", rater=[None, "r", "s"][rng.integers(3)],
            supersedes=f"f{rng.integers(120)}" if rng.random() < 0.3 else None, created_at=f"{k:04d}",
        )
        for k in range(120)
    ]  # fmt: skip
    return traces, feedback


@pytest.mark.parametrize("seed", range(25))
def test_every_trace_and_every_feedback_event_is_accounted_for_once(gather, seed) -> None:
    traces, feedback = random_store(seed)
    found = gather(traces, feedback, max_per_rater=30, near=steps_away(3))
    assert set(found.traces) == {t.id for t in traces} and set(found.feedback) == {f.id for f in feedback}
    for part, count in (("traces", len(traces)), ("feedback", len(feedback))):
        ledger = found.ledger()[part]
        assert ledger.pop("read") == count == sum(ledger.values())
    used = {
        source
        for record in (*found.candidates, *found.preferences)
        for source in [record.source.removeprefix("trace:")]
    }
    assert used <= {trace_id for trace_id, reason in found.traces.items() if reason == reasons.USED}
    assert not used & {i.source.removeprefix("trace:") for i in found.holdout_items}


@pytest.mark.parametrize("seed", range(25))
def test_no_later_cycle_trains_on_what_an_earlier_one_could_evaluate_on(gather, seed) -> None:
    traces, feedback = random_store(seed)

    evaluated: set[str] = set()
    trained: set[str] = set()
    for share in (0.3, 0.6, 1.0):
        part = traces[: int(len(traces) * share)]
        found = gather(part, feedback[: int(len(feedback) * share)], near=steps_away(5))
        evaluated |= {i.messages[0].content for i in found.holdout_items}
        trained |= {c.messages[0].content for c in found.candidates} | {p.prompt[0].content for p in found.preferences}
    assert trained and not trained & evaluated


def test_the_order_of_traces_and_feedback_does_not_matter(gather) -> None:
    traces, feedback = random_store(3)
    a, b = gather(traces, feedback), gather(traces[::-1], feedback[::-1])
    assert a.ledger() == b.ledger() and {c.id for c in a.candidates} == {c.id for c in b.candidates}
