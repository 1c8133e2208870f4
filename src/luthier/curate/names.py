"""The names under which files in the wild keep the same things."""

from __future__ import annotations

from collections.abc import Mapping

from luthier.records.nouns import Role

PROMPT_NAMES = ("instruction", "prompt", "question", "query", "request", "definition")
"""What is asked."""
INPUT_NAMES = ("input", "context")
"""What the request is about; the request itself where nothing else is."""
ANSWER_NAMES = ("output", "response", "completion", "answer", "targets", "target", "reply")
"""What is wanted back."""
CONVERSATION_NAMES = ("messages", "conversations", "conversation")
PREFERENCE_NAMES = ("chosen", "rejected", "chosen_messages", "rejected_messages")
RECORD_NAMES = ("targets", "choices", "grading", "cluster", "template", "links", "licence")
"""Fields of our own Example that no other shape has; one of them makes a row of messages ours."""

KNOWN_NAMES = frozenset((*PROMPT_NAMES, *INPUT_NAMES, *ANSWER_NAMES, *CONVERSATION_NAMES, *PREFERENCE_NAMES))
"""The header of a table holds at least one of these."""
NESTED_NAMES = frozenset((*CONVERSATION_NAMES, *PREFERENCE_NAMES, "targets", "choices", "links", "grading"))
"""Columns in which a cell of text may hold a list or an object as JSON."""

ROLE_NAMES: Mapping[str, Role] = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant", "model": "assistant",
    "ai": "assistant",
}  # fmt: skip
TOOL_ROLES = frozenset({
    "tool", "function", "function_call", "tool_call", "tool_response", "function_response", "observation", "ipython",
})  # fmt: skip
NO_INPUT = frozenset({"", "<noinput>", "<no input>", "noinput", "no input", "n/a", "none"})
"""Inputs that say that there is no input, in lower case."""
NO_OUTPUT = frozenset({"<nooutput>", "<no output>"})
