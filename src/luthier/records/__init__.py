"""The nouns that flow through Luthier: what we ask, what a model said, what we think of it.

`Example` -> `Completion` -> `Grade`; `Preference` is two completions of one prompt and which is better; `Feedback`
is what a person said of a served answer. All are frozen, validated where they enter, and one JSON object a line.
"""

from luthier.records.functions import AnswerScore, Generate, Grader, Sampling, Score, load_callable
from luthier.records.jsonl import read_records, write_records
from luthier.records.nouns import (
    ROLES,
    Completion,
    Example,
    Feedback,
    Grade,
    Message,
    Preference,
    content_id,
    conversation_text,
)

__all__ = [
    "ROLES",
    "AnswerScore",
    "Completion",
    "Example",
    "Feedback",
    "Generate",
    "Grade",
    "Grader",
    "Message",
    "Preference",
    "Sampling",
    "Score",
    "content_id",
    "conversation_text",
    "load_callable",
    "read_records",
    "write_records",
]
