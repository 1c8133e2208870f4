from planted_suite import make_items, slice_of

from luthier.evaluate.errors.slices import KINDS, Traits, inverted_templates, slices_of
from luthier.records import Example, Message


def item(text, target="x", **rest):
    return Example.of([Message(role="user", content=text)], targets=[target], **rest)


def test_every_kind_is_read_from_the_item():
    messages = [Message(role="user", content="One?"), Message(role="assistant", content="1"),
                Message(role="user", content="How many words are in this short list of names?")]  # fmt: skip
    found = Example.of(messages, targets=["a b c d e"], task="t", cluster="c", template="t/3", source="f.jsonl:7",
                       grading={"grader": "constraints", "upper": True})  # fmt: skip
    traits = Traits([found])
    assert {kind: traits.of(found, kind) for kind in KINDS} == {
        "task": ("t",), "cluster": ("c",), "template": ("t/3",), "language": ("en",), "answer language": (),
        "inverted template": (), "answer words": ("5-8",), "request words": ("9-16",), "user turns": ("2",),
        "constraint": ("upper",), "options": ("none",), "grader": ("constraints",),
        "request form": ("ends with a question mark",), "source": ("f.jsonl",),
    }  # fmt: skip


def test_short_answers_of_a_task_have_the_language_of_all_of_them_together():
    words = ("el perro", "la casa", "los gatos", "una mesa", "el coche", "las flores", "muy bien", "hasta luego")
    items = [item(f"say {k}", word, task="to_spanish") for k, word in enumerate(words)]
    assert Traits(items).of(items[0], "answer language") == ("es",)


def test_templates_that_turn_each_other_round_are_told_by_their_rows():
    rows = [("double", 4, 8), ("double", 5, 10), ("double", 6, 12)]
    examples = []
    for task, a, b in rows:
        link = (f"row:{a}",)
        for template in (0, 1):
            examples.append(item(f"What is twice {a}, in way {template}?", str(b), task=task, links=link,
                                 template=f"double/{template}"))  # fmt: skip
        examples.append(item(f"Twice what is {b}?", str(a), task=task, template="double/2", links=link))
    assert inverted_templates(examples) == {"double/2"}
    assert inverted_templates([e for e in examples if e.template != "double/2"]) == frozenset()


def test_slices_of_the_same_items_have_one_name_and_the_most_telling():
    items = [item(f"q {k}", task="t" if k < 5 else "u", cluster="c" if k < 5 else "d", source=f"{k // 5}.jsonl:{k}")
             for k in range(10)]  # fmt: skip
    found = slices_of(items, Traits(items), min_items=2)
    assert slice_of(task="t") in found.members and slice_of(cluster="c") not in found.members
    assert slice_of(cluster="c") in found.aliases[slice_of(task="t")]
    assert slice_of(source="0.jsonl") in found.aliases[slice_of(task="t")]


def test_slices_hold_the_items_that_share_their_parts_and_are_never_all_items():
    items = make_items(3, tasks=3, items_per_task=20)
    traits = Traits(items)
    found = slices_of(items, traits, min_items=4)
    assert any(len(part.parts) == 2 for part in found.members)
    for part, places in found.members.items():
        assert [k for k, e in enumerate(items) if traits.is_in(e, part)] == list(places)
        assert 4 <= len(places) < len(items)
