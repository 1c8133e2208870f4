"""What else tuning promises: a new task learned from few examples, and the intent behind a request heard."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from luthier.graders import auto, grade_all
from luthier.graders.choice import normal_option
from luthier.recipes.studying.config import StudyEvaluateConfig, StudyRecipe
from luthier.recipes.studying.plan import Arm
from luthier.records import Completion, Example, Message, Sampling
from luthier.train.config import TrainConfig

if TYPE_CHECKING:
    from luthier.models.load import Model
    from luthier.models.protocols import Protocol

WARMUP_SHARE = 10
"""One step in this many of a transfer warms up."""


def transfer_config(recipe: StudyRecipe, arm: Arm) -> TrainConfig:
    """How a transfer is trained: as the recipe says, but for what `study.transfer` decides.

    The number of steps follows from that of the examples and is the same from either start. With "lora" nothing is
    frozen by name, since an adapter freezes the base in any case.
    """
    transfer, train = recipe.study.transfer, recipe.train
    assert arm.examples is not None
    steps = math.ceil(arm.examples * transfer.epochs / transfer.batch_rows)
    is_lora = arm.method == "lora"
    optim = train.optim.model_copy(update={"lr": transfer.lora_lr if is_lora else transfer.lr,
                                           "warmup_steps": steps // WARMUP_SHARE})  # fmt: skip
    changes = {
        "adapter": "lora" if is_lora else "none", "freeze": () if is_lora else train.freeze, "optim": optim,
        "max_steps": steps, "batch_rows": transfer.batch_rows, "batch_tokens": None,
        "save_every": steps, "processes": 1, "seed": arm.seed,
    }  # fmt: skip
    return TrainConfig(**{**dict(train), **changes})


def intents(
    model: Model, config: StudyEvaluateConfig, *, seed: int, protocol: Protocol | None = None
) -> dict[str, list[dict[str, Any]]]:
    """The practice world's sets of the same topic with different intents, and of the same intent in other words.

    A contrast group is right if every answer is, and none would be right for another member. A paraphrase set is
    consistent if all answers are one, and right if all are right.
    """
    from luthier.demo.contrast import contrast_sets
    from luthier.models.generate import generator

    sets = contrast_sets(seed)
    members = [[_item(member.prompt, member.answers, member.grading) for member in one.members] for one in sets]
    asked = list({item.id: item for group in members for item in group}.values())
    generate = generator(model, protocol=protocol, batch_rows=config.batch_rows)
    said = {c.example_id: c for c in generate(asked, Sampling(max_new_tokens=config.max_new_tokens))}
    found: dict[str, list[dict[str, Any]]] = {"contrast": [], "paraphrase": []}
    for one, group in zip(sets, members, strict=True):
        answers = [said[item.id] for item in group]
        right = [_is_right(item, answer) for item, answer in zip(group, answers, strict=True)]
        row: dict[str, Any] = {"set": one.name, "topic": one.topic}
        if one.kind == "contrast":
            mixed = any(_is_right(item, answer) for item in group for answer in answers if answer.example_id != item.id)
            row |= {"members_right": right, "group_right": all(right) and not mixed}
        else:
            texts = [answer.text for answer in answers]
            row |= {"answers": texts, "is_consistent": len({normal_option(text) for text in texts}) == 1,
                    "is_right": all(right)}  # fmt: skip
        found[one.kind].append(row)
    return found


def _item(prompt: str, answers: Sequence[str], grading: Any) -> Example:
    return Example.of([Message(role="user", content=prompt)], targets=answers, grading=grading)


def _is_right(item: Example, answer: Completion) -> bool:
    """Whether the answer, be it to this item or to another, is right for this one."""
    own = Completion.of(example_id=item.id, model_id=answer.model_id, text=answer.text)
    return grade_all(auto, [item], [own])[0].value == 1.0
