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
RECORD_NAMES = ("targets", "choices", "grading", "cluster", "template", "links", "licence", "generator")
"""Fields of our own Example that no other shape has; one of them makes a row of messages ours."""

LABEL_NAMES = ("label", "kto_tag")
"""Under which a row says whether its answer is a good one."""
TOOL_NAMES = ("tools", "functions")
"""Under which a row offers tools."""
INSTANCE_NAMES = ("instances", "Instances")
"""Under which a task keeps its inputs and outputs."""
DEFINITION_NAMES = ("definition", "Definition")
ROW_LIST_NAMES = (*INSTANCE_NAMES, "examples", "data", "rows")
"""Under which a JSON file that is one object keeps its rows."""
NESTED_NAMES = frozenset(
    (*CONVERSATION_NAMES, *PREFERENCE_NAMES, *TOOL_NAMES, "targets", "choices", "links", "grading", "instances",
     "instruction_id_list", "kwargs")
)  # fmt: skip
"""Columns in which a cell of text may hold a list or an object as JSON."""

ROLE_NAMES: Mapping[str, Role] = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant", "model": "assistant",
    "ai": "assistant",
}  # fmt: skip
CALL_ROLES = frozenset({"function_call", "function-call", "tool_call", "tool-call"})
"""Turns in which the assistant calls a tool; the call stands where others have their text."""
RESULT_ROLES = frozenset({
    "tool", "function", "observation", "tool_response", "function_response", "tool-response", "function-response",
    "ipython",
})  # fmt: skip
"""Turns in which a tool answers."""
NO_INPUT = frozenset({"", "<noinput>", "<no input>", "noinput", "no input", "n/a", "none"})
"""Inputs that say that there is no input, in lower case."""
NO_OUTPUT = frozenset({"<nooutput>", "<no output>"})
LONGEST_PLACEHOLDER = max(map(len, NO_INPUT | NO_OUTPUT))
