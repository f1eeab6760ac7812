# SPDX-License-Identifier: Apache-2.0
"""
The form that a person fills in: its fields out of what the agent says of the answer it wants, and back.

An agent may say in its interrupt's value which answer it takes, as a JSON schema. The schema is the agent's, so
that only what a form needs of it is taken over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_agentruns.models import Interrupt

#: The field that carries the interrupt's id, so that an answer to another form is told from one to this.
ID_FIELD = "interrupt_id"

#: The property of an answer that the chosen option becomes.
DECISION = "decision"

#: The fields in which a person rates an artifact; they are not for the agent.
RATING = "rating"
RATING_COMMENT = "rating_comment"

#: The one field of the form where the agent wants something else than an object.
ANSWER = "answer"

#: Where an interrupt's value may carry the JSON schema of its answer.
SCHEMA_KEYS = ("input_schema", "response_schema", "schema")

_KEYWORDS = frozenset(
    {"type", "enum", "const", "title", "format", "pattern", "items", "examples"}
    | {"minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    | {"minItems", "maxItems", "uniqueItems"}
)
_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})


def answer_schema(interrupt: Interrupt) -> dict[str, Any] | None:
    """Return the JSON schema that the interrupt's value carries for its answer, or None."""
    if not isinstance(interrupt.value, dict):
        return None
    candidates = (interrupt.value.get(key) for key in SCHEMA_KEYS)
    return next((schema for schema in candidates if isinstance(schema, dict) and schema), None)


def form_fields(schema: dict[str, Any] | None, options: Sequence[str]) -> dict[str, dict[str, Any]]:
    """
    Return the fields of the form that a schema asks for.

    :param options: What a person chooses from. A property ``decision`` that says the same is no field.
    :return: Field name to the arguments of Airflow's ``Param``.
    """
    if schema is None:
        return {}
    if not _is_object(schema):
        return {} if _says_all(schema, options) else {ANSWER: _field(schema, required=True)}
    wanted = schema.get("required")
    required = set(map(str, wanted)) if isinstance(wanted, list) else set()
    return {
        name: _field(part, required=name in required)
        for name, part in _properties(schema).items()
        if name != ID_FIELD and not name.startswith("_") and not (name == DECISION and _is_chosen(part, options))
    }


def words_for(schema: dict[str, Any] | None, chosen: Sequence[str]) -> list[str]:
    """
    Return the chosen options in the agent's words: those of its schema where it has any, else in lower case.

    :param chosen: The options as a person chose them, such as ``Approve``.
    """
    part = (schema or {}) if schema is None or not _is_object(schema) else _properties(schema).get(DECISION, {})
    words = _words(part)
    return [words.get(option.casefold(), option.lower()) for option in chosen]


def answer_by_schema(
    schema: dict[str, Any], decision: str | list[str], fields: Mapping[str, Any], who: Mapping[str, Any]
) -> Any:
    """
    Return an answer of the shape that a schema describes.

    :param decision: The decision in the agent's words.
    :param fields: What a person filled in.
    :param who: Who answered and when; left out where the schema allows nothing that it does not name.
    """
    if not _is_object(schema):
        return fields.get(ANSWER, decision)
    properties = _properties(schema)
    open_ended = schema.get("additionalProperties") is not False
    given = {name: value for name, value in fields.items() if value is not None}
    answer = {DECISION: decision} if open_ended or DECISION in properties else {}
    return {**answer, **(who if open_ended else {}), **given}


def rated_artifact(interrupt: Interrupt) -> dict[str, Any] | None:
    """Return the first of the proposed artifacts that has an id, by which it can be rated."""
    value = interrupt.value if isinstance(interrupt.value, dict) else {}
    proposals = value.get("proposals")
    for part in [value, *(proposals if isinstance(proposals, list) else ())]:
        artifacts = part.get("artifacts") if isinstance(part, dict) else None
        for artifact in artifacts if isinstance(artifacts, list) else ():
            if isinstance(artifact, dict) and isinstance(artifact.get("id"), str):
                return artifact
    return None


def _is_object(schema: dict[str, Any]) -> bool:
    return isinstance(schema.get("properties"), dict) or schema.get("type") == "object"


def _properties(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    properties = schema.get("properties")
    found = properties.items() if isinstance(properties, dict) else ()
    return {str(name): part for name, part in found if isinstance(part, dict)}


def _words(part: dict[str, Any]) -> dict[str, str]:
    words = part.get("enum")
    return {word.casefold(): word for word in words if isinstance(word, str)} if isinstance(words, list) else {}


def _says_all(part: dict[str, Any], options: Sequence[str]) -> bool:
    """Whether each option stands for one of the words that the agent takes."""
    words = _words(part)
    return bool(words) and all(option.casefold() in words for option in options)


def _is_chosen(part: dict[str, Any], options: Sequence[str]) -> bool:
    """Whether the options fill a property ``decision``: the agent takes these words, or any text."""
    return _says_all(part, options) or ("enum" not in part and part.get("type", "string") == "string")


def _field(part: dict[str, Any], *, required: bool) -> dict[str, Any]:
    field = {keyword: value for keyword, value in part.items() if keyword in _KEYWORDS}
    kinds = part.get("type", "string" if "enum" not in part else None)
    kinds = [kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind in _TYPES]
    if not required and kinds and "null" not in kinds:
        kinds.append("null")
        if isinstance(field.get("enum"), list):
            field["enum"] = [*field["enum"], None]
    if kinds:
        field["type"] = kinds[0] if len(kinds) == 1 else kinds
    else:
        field.pop("type", None)
    if isinstance(part.get("description"), str):
        field["description"] = part["description"]
    return {"default": part.get("default"), **field}
