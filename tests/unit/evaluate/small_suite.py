"""A small suite, and evaluations of it by models that are right as often as asked."""

import random

from fakes import ScriptedGenerate, ScriptedScore
from luthier.evaluate.evaluation import Subject, evaluate
from luthier.evaluate.suite import Suite
from luthier.graders import named_graders
from luthier.records import Example, Message, Sampling


def make_suite(num_tasks=6, items_per_task=10, name="held_out"):
    return Suite.of(
        name,
        [
            Example.of(
                [Message(role="user", content=f"task {t}, item {k}?")],
                targets=["yes" if (t + k) % 3 else "no"],
                choices=["yes", "no"],
                task=f"task{t}",
                cluster=f"cluster{t % 2}",
                source=f"items.jsonl:{t * items_per_task + k + 1}",
            )
            for t in range(num_tasks)
            for k in range(items_per_task)
        ],
    )


def right_at(rate, *, seed=0):
    """A model that is right on this share of the items, the same ones whatever their order."""

    def answer(example):
        is_right = random.Random(f"{seed} {example.id}").random() < rate
        return example.targets[0] if is_right else {"yes": "no", "no": "yes"}.get(example.targets[0], "")

    return answer


def run(out, answer, *, suite=None, graders=("auto",), sampling=None, say=lambda line: None, score=None, **subject):
    model_id = subject.pop("model_id", "model")
    generate = subject.pop("generate", None) or ScriptedGenerate(answer, model_id=model_id)
    score = ScriptedScore(score) if score is not None else None
    about = Subject(
        model_id=model_id, model_name=subject.pop("model_name", "tuned"), generate=generate, score=score, **subject
    )
    chosen = graders if isinstance(graders, dict) else named_graders(graders, where="evaluate.graders")
    return evaluate(
        suite or make_suite(), about, graders=chosen, sampling=sampling or Sampling(max_new_tokens=8), out=out, say=say
    )
