"""The answer is JSON that the item's `grading.schema` allows, in the draft that its `$schema` names, else 2020-12.

The JSON is the whole answer, or what stands in its one fenced block, with or without words around the block. Numbers
that JSON does not know (NaN, Infinity) make it wrong. `format` is not checked, as the standard has it, and nothing is
fetched: a schema that refers to another address is an error.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from luthier.graders.fences import fenced_blocks
from luthier.records import Completion, Example, Grade

SHOWN_CHARACTERS = 200


def json_schema(example: Example, completion: Completion) -> Grade:
    """1 when the answer is JSON and valid, else 0; None when the item has no schema. ValueError for a bad schema."""
    value, reason = None, "the item has no schema"
    if "schema" in example.grading:
        fault = _fault(completion.text, example.grading["schema"])
        value, reason = float(not fault), fault[:SHOWN_CHARACTERS]
    return Grade(
        completion_id=completion.id, example_id=example.id, grader="json_schema", value=value, reason=reason
    )  # fmt: skip


def _fault(text: str, schema: Any) -> str:
    """What is wrong with the answer, or nothing."""
    from jsonschema.exceptions import SchemaError, best_match
    from jsonschema.validators import Draft202012Validator, validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    if not isinstance(schema, dict | bool):
        raise ValueError(f"grading.schema: found {type(schema).__name__}, expected an object")
    # With a registry of its own nothing is fetched from addresses that a schema of the data names.
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"grading.schema: {error.json_path}: {error.message}") from None
    try:
        found = json.loads(_json_of(text), parse_constant=_refuse)
    except RecursionError:
        return "nested too deep"
    except ValueError as error:
        return f"not JSON: {error}"
    try:
        fault = best_match(kind(schema, registry=Registry()).iter_errors(found))
    except Unresolvable as missing:
        raise ValueError(f"grading.schema: {missing.ref!r} is not in the schema, and nothing is fetched") from None
    return f"{fault.json_path}: {fault.message}" if fault is not None else ""


def _json_of(text: str) -> str:
    blocks = fenced_blocks(text)
    return blocks[0].text if len(blocks) == 1 else text


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")
