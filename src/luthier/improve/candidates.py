"""What feedback teaches: demonstrations, preferences and items to evaluate on, with an account of every trace.

    edit             the text is a demonstration, and preferred to the answer
    thumb up         the answer is a demonstration
    thumb down       the trace needs an answer that a person writes (an edit is one)
    comparison       the winner is preferred to the loser
    score, comment   teach nothing by themselves

On the holdout's side an edit or a thumb up gives an item to evaluate on instead, and a comparison nothing.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from luthier.improve.holdout import Holdout, NearSearch, Side, conversation_root
from luthier.records import Example, Feedback, Message, Preference, content_id
from luthier.traces import Trace

USED = "used"
HOLDOUT = "holdout"
NEITHER = "near to both training and holdout"
NO_CONSENT = "no consent"
NO_PROMPT = "does not end with a user turn"
NO_FEEDBACK = "no feedback"
SUPERSEDED = "superseded"
CONFLICT = "raters disagree"
NEEDS_ANSWER = "needs an answer"
CUT_OFF = "liked, but the answer is not complete"
UNCHANGED = "edit changes nothing"
NOT_COMPARABLE = "comparison of different prompts or of an unknown trace"
TEACHES_NOTHING = "teaches nothing by itself"
OVER_LIMIT = "over the limit of one rater"
UNKNOWN_TRACE = "on an unknown trace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What a store teaches, and what became of every trace and of every feedback event."""

    candidates: tuple[Example, ...]
    """Demonstrations; only the last turn has a loss weight, since nobody vouched for the ones before."""
    preferences: tuple[Preference, ...]
    holdout_items: tuple[Example, ...]
    """Prompts of the holdout with their accepted answers. `task` tells edited from liked ones: a liked answer is the
    words of the model that gave it, so as a target it favours that model."""
    traces: Mapping[str, str]
    """Trace id -> what became of it."""
    feedback: Mapping[str, str]
    """Feedback id -> what became of it."""
    num_conversations: int
    num_repeating: int
    """Conversations on the side of earlier ones that begin nearly the same, or on none because those are on both."""

    @property
    def skipped(self) -> Counter[str]:
        """Traces that teach nothing, by reason."""
        return Counter(reason for reason in self.traces.values() if reason != USED)

    def ledger(self) -> dict[str, dict[str, int]]:
        """Counts of traces and of feedback events by what became of them, which sum to `read`; and of what was made."""
        return {
            "traces": {"read": len(self.traces), **_counted(self.traces.values())},
            "feedback": {"read": len(self.feedback), **_counted(self.feedback.values())},
            "made": {
                "candidates": len(self.candidates),
                "preferences": len(self.preferences),
                "holdout_items": len(self.holdout_items),
            },
            "conversations": {"read": self.num_conversations, "nearly the same as an earlier one": self.num_repeating},
        }


@dataclass(slots=True)
class _Lesson:
    """What one trace teaches, and what became of its feedback."""

    reason: str
    answers: list[str] = dataclasses.field(default_factory=list)
    kind: str = ""
    """The task of a holdout item: "edited answer" or "liked answer"."""
    preferences: list[Preference] = dataclasses.field(default_factory=list)
    events: dict[str, str] = dataclasses.field(default_factory=dict)
    also_used: list[str] = dataclasses.field(default_factory=list)
    """Other traces that a comparison drew on."""


def collect(
    traces: Iterable[Trace],
    feedback: Iterable[Feedback],
    *,
    holdout: Holdout,
    trained_on: Sequence[Sequence[Message]] = (),
    near: NearSearch | None = None,
    max_per_rater: int | None = None,
) -> Collected:
    """What these traces and this feedback teach.

    `trained_on`: conversations that earlier models learned from; none of them becomes a holdout item. `near`: finds
    near-duplicates, which stand on one side.
    """
    kept = sorted(traces, key=lambda trace: trace.created_at)
    by_id = {trace.id: trace for trace in kept}
    events, by_trace = _sorted_out(feedback, by_id, max_per_rater)
    roots = {trace.id: conversation_root(trace.messages) for trace in kept if trace.consent}
    sides = holdout.sides(
        [root for root in roots.values() if root],
        trained_on=[root for root in map(conversation_root, trained_on) if root],
        near=near,
    )
    wins = {_pair(event) for found in by_trace.values() for event in found if event.kind == "comparison"}
    candidates, preferences, items = [], [], []
    accounts: dict[str, str] = {}
    drawn_on: list[str] = []
    for trace in kept:
        side = sides.by_root.get(roots.get(trace.id, ""))
        lesson = _lesson(trace, by_trace.get(trace.id, []), side, by_id, wins)
        accounts[trace.id] = lesson.reason
        events.update(lesson.events)
        drawn_on += lesson.also_used
        preferences += lesson.preferences
        if lesson.reason == USED:
            candidates += [_demonstration(trace, answer) for answer in lesson.answers]
        elif lesson.answers:
            items.append(_item(trace, lesson))
    accounts.update(dict.fromkeys(drawn_on, USED))
    return Collected(
        candidates=tuple(candidates),
        preferences=tuple({(found.id, found.source): found for found in preferences}.values()),
        holdout_items=tuple({item.id: item for item in items}.values()),
        traces=accounts,
        feedback=events,
        num_conversations=len({root for root in roots.values() if root}),
        num_repeating=len(sides.repeating),
    )


def _sorted_out(
    feedback: Iterable[Feedback], traces: Mapping[str, Trace], max_per_rater: int | None
) -> tuple[dict[str, str], dict[str, list[Feedback]]]:
    """The account of the events that nothing is made of, and the others by trace, oldest first."""
    kept = sorted(feedback, key=lambda event: event.created_at)
    gone = {(event.trace_id, event.supersedes) for event in kept if event.supersedes != event.id}
    accounts: dict[str, str] = {}
    by_trace: dict[str, list[Feedback]] = {}
    per_rater: Counter[str] = Counter()
    for event in kept:
        if event.trace_id not in traces:
            accounts[event.id] = UNKNOWN_TRACE
        elif (event.trace_id, event.id) in gone:
            accounts[event.id] = SUPERSEDED
        elif event.kind in ("score", "comment") or (event.kind != "edit" and event.value is None):
            accounts[event.id] = TEACHES_NOTHING
        elif max_per_rater is not None and event.rater is not None and per_rater[event.rater] >= max_per_rater:
            accounts[event.id] = OVER_LIMIT
        else:
            by_trace.setdefault(event.trace_id, []).append(event)
            if event.rater is not None:
                per_rater[event.rater] += 1
    return accounts, by_trace


def _lesson(
    trace: Trace,
    events: Sequence[Feedback],
    side: Side | None,
    traces: Mapping[str, Trace],
    wins: set[tuple[str, str]],
) -> _Lesson:
    reason = _unusable(trace, side, events)
    if reason is not None:
        return _Lesson(reason, events={event.id: reason for event in events})
    thumbs = {event.value >= 0.5 for event in events if event.kind == "thumb" and event.value is not None}
    if len(thumbs) == 2:
        return _Lesson(CONFLICT, events={event.id: CONFLICT for event in events})
    lesson = _Lesson(NO_FEEDBACK)
    _learn_from_edits(lesson, trace, [event for event in events if event.kind == "edit"])
    _learn_from_thumbs(lesson, trace, [event for event in events if event.kind == "thumb"])
    for event in events:
        if event.kind == "comparison":
            _learn_from_comparison(lesson, event, traces, wins)
    is_used = bool(lesson.answers or lesson.preferences)
    lesson.reason = USED if is_used else next(iter(lesson.events.values()), NO_FEEDBACK)
    if side == "holdout":
        # Its feedback is no lesson: an answer becomes an item, and a preference nothing at all.
        lesson.reason, lesson.preferences, lesson.also_used = HOLDOUT, [], []
        lesson.events = {key: HOLDOUT if was == USED else was for key, was in lesson.events.items()}
    return lesson


def _unusable(trace: Trace, side: Side | None, events: Sequence[Feedback]) -> str | None:
    """Why nothing can be learned from this trace whatever was said of it, or None."""
    if not trace.consent:
        return NO_CONSENT
    if not trace.messages or trace.messages[-1].role != "user" or side is None:
        return NO_PROMPT
    if side == "neither":
        return NEITHER
    if not events:
        return HOLDOUT if side == "holdout" else NO_FEEDBACK
    return None


def _learn_from_edits(lesson: _Lesson, trace: Trace, edits: Sequence[Feedback]) -> None:
    for event in edits:
        text = (event.text or "").strip()
        if not text or text == trace.answer.strip():
            lesson.events[event.id] = UNCHANGED
            continue
        lesson.events[event.id] = USED
        lesson.kind = "edited answer"
        if text in lesson.answers:
            continue
        lesson.answers.append(text)
        if trace.answer.strip():
            lesson.preferences.append(_preference(trace, chosen=text, rejected=trace.answer, origin="edit"))


def _learn_from_thumbs(lesson: _Lesson, trace: Trace, thumbs: Sequence[Feedback]) -> None:
    """All thumbs point the same way here. An edit says more than a thumb, which then only agrees with it."""
    is_edited = bool(lesson.answers)
    is_complete = trace.finish_reason == "stop" and bool(trace.answer.strip())
    for event in thumbs:
        is_up = event.value is not None and event.value >= 0.5
        if is_edited:
            lesson.events[event.id] = USED
        elif not is_up:
            lesson.events[event.id] = NEEDS_ANSWER
        elif not is_complete:
            lesson.events[event.id] = CUT_OFF
        else:
            lesson.events[event.id] = USED
            lesson.answers, lesson.kind = [trace.answer], "liked answer"


def _learn_from_comparison(
    lesson: _Lesson, event: Feedback, traces: Mapping[str, Trace], wins: set[tuple[str, str]]
) -> None:
    winner, loser = (traces.get(trace_id) for trace_id in _pair(event))
    is_comparable = (
        winner is not None and loser is not None and winner.consent and loser.consent
        and winner.messages == loser.messages and winner.answer.strip() != loser.answer.strip()
    )  # fmt: skip
    if event.value == 0.5:
        lesson.events[event.id] = TEACHES_NOTHING
    elif not is_comparable:
        lesson.events[event.id] = NOT_COMPARABLE
    elif _pair(event)[::-1] in wins:
        lesson.events[event.id] = CONFLICT
    else:
        assert winner is not None and loser is not None
        lesson.events[event.id] = USED
        found = _preference(winner, chosen=winner.answer, rejected=loser.answer, origin="comparison")
        if found not in lesson.preferences:
            lesson.preferences.append(found)
        lesson.also_used += [winner.id, loser.id]


def _pair(event: Feedback) -> tuple[str, str]:
    """(winner, loser) of a comparison; the same trace twice for a tie, which nothing can contradict."""
    this, other = event.trace_id, event.other_trace_id or ""
    if event.value is None or event.value == 0.5:
        return this, this
    return (this, other) if event.value > 0.5 else (other, this)


def _demonstration(trace: Trace, answer: str) -> Example:
    turns = [*_unweighted(trace.messages), Message(role="assistant", content=answer)]
    return Example.of(turns, source=f"trace:{trace.id}", links=_links(trace))


def _item(trace: Trace, lesson: _Lesson) -> Example:
    turns = _unweighted(trace.messages)
    return Example.of(turns, targets=lesson.answers, task=lesson.kind, source=f"trace:{trace.id}", links=_links(trace))


def _preference(trace: Trace, *, chosen: str, rejected: str, origin: str) -> Preference:
    return Preference.of(
        _unweighted(trace.messages), chosen=chosen, rejected=rejected, origin=origin,
        source=f"trace:{trace.id}", links=_links(trace),
    )  # fmt: skip


def _unweighted(messages: Sequence[Message]) -> tuple[Message, ...]:
    return tuple(dataclasses.replace(m, weight=0.0) if m.role == "assistant" else m for m in messages)


def _links(trace: Trace) -> tuple[str, ...]:
    """What a split must keep together: the conversation, and the person, named by a hash."""
    links = [f"conversation:{content_id(conversation_root(trace.messages))}"]
    return (*links, f"user:{content_id(trace.user)}") if trace.user else tuple(links)


def _counted(reasons: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(reasons).items()))
