"""Tools and their calls as they are found, to OpenAI's form; BadRow names the field that is wrong.

    a tool   {"type": "function", "function": {"name": ..., "description": ..., "parameters": {...}}}
    a call   {"id": ..., "type": "function", "function": {"name": ..., "arguments": "a JSON text"}}

Older forms leave the wrapping out, keep lists as JSON text, or write a call as a turn of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from luthier.curate.faults import BadRow, shown
from luthier.curate.names import TOOL_NAMES

ToolCall = Mapping[str, Any]
CALL_EXAMPLE = '{"name": "...", "arguments": {...}}'
TOOL_EXAMPLE = '[{"type": "function", "function": {"name": "...", "parameters": {...}}}]'


def tools_of(row: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The tools that a row offers to the model; nothing where it offers none."""
    for name in TOOL_NAMES:
        value = row.get(name)
        if isinstance(value, str) and value.strip():
            value = _parsed(value, name, "broken tools", TOOL_EXAMPLE)
        if not value or (isinstance(value, str) and not value.strip()):
            continue
        if isinstance(value, Mapping):
            value = [value]
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise _bad_tools(name, value)
        return tuple(_tool(tool, f"{name}[{index}]") for index, tool in enumerate(value))
    return ()


def calls_of(value: Any, field: str) -> tuple[ToolCall, ...]:
    """The calls in a field: one or a list of them, as objects or as JSON text; nothing where it is empty."""
    if isinstance(value, str) and value.strip():
        value = _parsed(value, field, "broken tool call", CALL_EXAMPLE)
    if not value or (isinstance(value, str) and not value.strip()):
        return ()
    if isinstance(value, Mapping):
        return (_call(value, field),)
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise _bad_call(field, value)
    return tuple(_call(call, f"{field}[{index}]") for index, call in enumerate(value))


def result_text(value: Any) -> str:
    """What a tool answered, as text; a tool may answer nothing, and data becomes JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _tool(tool: Any, field: str) -> Mapping[str, Any]:
    if isinstance(tool, str):
        tool = _parsed(tool, field, "broken tools", TOOL_EXAMPLE)
    if not isinstance(tool, Mapping):
        raise _bad_tools(field, tool)
    function = tool.get("function", tool)
    if not isinstance(function, Mapping) or not _is_name(function.get("name")):
        raise _bad_tools(field, tool)
    if function is tool:
        return {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}
    return {"type": "function", **tool}


def _call(call: Any, field: str) -> ToolCall:
    if isinstance(call, str):
        call = _parsed(call, field, "broken tool call", CALL_EXAMPLE)
    if not isinstance(call, Mapping):
        raise _bad_call(field, call)
    function = call.get("function") or call
    if not isinstance(function, Mapping) or not _is_name(function.get("name")):
        raise _bad_call(field, call)
    arguments = function.get("arguments", function.get("parameters"))
    if isinstance(arguments, str) and arguments.strip():
        _parsed(arguments, f"{field}.arguments", "broken tool call", "arguments as JSON")
    elif isinstance(arguments, Mapping | list):
        arguments = json.dumps(arguments, ensure_ascii=False, default=str)
    elif not arguments:
        arguments = "{}"
    else:
        raise BadRow("broken tool call", field=f"{field}.arguments", found=shown(arguments),
                     expected="an object, or its JSON text", fix="write the arguments as an object")  # fmt: skip
    made = {"type": "function", "function": {"name": function["name"], "arguments": arguments}}
    identity = call.get("id")
    return {"id": str(identity), **made} if identity not in (None, "") else made


def _parsed(text: str, field: str, reason: str, expected: str) -> Any:
    try:
        value = json.loads(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # no half of a surrogate pair may come in this way
        return value
    except (ValueError, RecursionError):
        raise BadRow(reason, field=field, found=shown(text), expected=f"JSON: {expected}",
                     fix="repair the JSON text, or delete the row") from None  # fmt: skip


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _bad_tools(field: str, value: Any) -> BadRow:
    return BadRow("broken tools", field=field, found=shown(value), expected=TOOL_EXAMPLE,
                  fix="give each tool a name, or leave the field out")  # fmt: skip


def _bad_call(field: str, value: Any) -> BadRow:
    return BadRow("broken tool call", field=field, found=shown(value), expected=CALL_EXAMPLE,
                  fix="write the call with the tool's name, or delete the row")  # fmt: skip
