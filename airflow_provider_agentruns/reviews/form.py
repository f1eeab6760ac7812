# SPDX-License-Identifier: Apache-2.0
"""
The form that a person fills in: its fields out of what the agent says of the answer it wants, and back.

An agent may say in its interrupt's value which answer it takes, as a JSON schema. Of that is taken over what a form
needs: nothing that Airflow cannot keep, show or check, that hides a field, or that decides in a person's place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_agentruns.reviews.schema import flat
from airflow_provider_agentruns.reviews.text import plain

if TYPE_CHECKING:
    from airflow_provider_agentruns.models import Interrupt

#: The field that carries the interrupt's id, so that an answer to another form is told from one to this.
ID_FIELD = "interrupt_id"

#: The field that carries the digest of what is asked, where the task has no memory: an agent may use an id again.
QUESTION_FIELD = "_question"

#: The property of an answer that the chosen option becomes.
DECISION = "decision"

#: The fields in which a person rates an artifact; they are not for the agent. The second tells them from the agent's.
RATING = "_rating"
RATING_COMMENT = "_rating_comment"

#: The one field of the form where the agent wants something else than an object.
ANSWER = "answer"

#: Where an interrupt's value may carry the JSON schema of its answer.
SCHEMA_KEYS = ("input_schema", "response_schema", "schema")

#: How many fields an agent gets, and how many values to choose from in each.
MOST_FIELDS = 50
MOST_CHOICES = 200

#: Longest name (as JSON) or title, choice, description and default (as JSON) of a field, in characters.
NAME_LENGTH = 200
CHOICE_LENGTH = 300
DESCRIPTION_LENGTH = 1_000
DEFAULT_LENGTH = 20_000

# Airflow's page would take a field "chosen_options" for the choice itself, wherever that is a list.
_RESERVED = (ID_FIELD, "chosen_options")
_KINDS = {str: "string", float: "number", int: "integer", bool: "boolean", type(None): "null"}
_TYPES = (*_KINDS.values(), "array", "object")
_FORMATS = ("date", "date-time", "time", "duration", "multiline", "email", "uri", "uuid")  # No "password": it hides.
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems")


def answer_schema(interrupt: Interrupt) -> dict[str, Any] | None:
    """Return the JSON schema that the interrupt's value carries for its answer, or None."""
    found = map(interrupt.value.get, SCHEMA_KEYS) if isinstance(interrupt.value, dict) else ()
    return next((schema for schema in found if isinstance(schema, dict) and schema), None)


def form_fields(schema: dict[str, Any] | None, options: Sequence[str]) -> dict[str, dict[str, Any]]:
    """
    Return the fields of the form that a schema asks for.

    Of more than anybody would fill in, those stay that the agent requires; the last field says how many are left out.

    :param options: What a person chooses from. A property ``decision`` that says the same is no field.
    :return: Field name to the arguments of Airflow's ``Param``.
    """
    if schema is None:
        return {}
    if not _is_object(schema):
        return {} if _says_all(schema, options) else {ANSWER: _field(ANSWER, schema, decides=True)}
    wanted = schema.get("required")
    required = {name for name in wanted if isinstance(name, str)} if isinstance(wanted, list) else set()
    asked = {
        name: part
        for name, part in _properties(schema).items()
        if name not in _RESERVED and not name.startswith("_") and not (name == DECISION and _is_chosen(part, options))
    }
    can_be = (name for name in asked if _can_be_kept(name, NAME_LENGTH))
    first = sorted(can_be, key=lambda name: name not in required)[:MOST_FIELDS]
    kept = {name: part for name, part in asked.items() if name in first}
    fields = {name: _field(name, kept[name], required=name in required, decides=name == DECISION) for name in kept}
    if fields and (left_out := len(asked) - len(fields)):
        last = list(fields.values())[-1]
        last["description"] = f"{last.get('description', '')} Not shown: {left_out:,} more fields.".strip()
    return fields


def option_values(schema: dict[str, Any] | None, chosen: Sequence[str]) -> list[str]:
    """
    Return the chosen options in the agent's words: those of its schema where it has any, else in lower case.

    :param chosen: The options as a person chose them, such as ``Approve``.
    """
    part = (schema or {}) if schema is None or not _is_object(schema) else _properties(schema).get(DECISION, {})
    return [_words(part).get(option.casefold(), option.lower()) for option in chosen]


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
        return decision if fields.get(ANSWER) is None else fields[ANSWER]
    open_ended = schema.get("additionalProperties") is not False
    given = {name: value for name, value in fields.items() if value is not None}
    answer = {DECISION: decision} if open_ended or DECISION in _properties(schema) else {}
    return {**answer, **(who if open_ended else {}), **given}


def rated_artifact(interrupt: Interrupt) -> dict[str, Any] | None:
    """Return the first of the proposed artifacts that has an id, by which it can be rated."""
    value = interrupt.value
    proposals = value.get("proposals") if isinstance(value, dict) else None
    for part in [value, *(proposals if isinstance(proposals, list) else ())]:
        artifacts = part.get("artifacts") if isinstance(part, dict) else None
        for artifact in artifacts if isinstance(artifacts, list) else ():
            known = artifact.get("id") if isinstance(artifact, dict) else None
            if isinstance(known, str) and known.strip() and _can_be_kept(known, NAME_LENGTH):
                return cast("dict[str, Any]", artifact)
    return None


def _is_object(schema: dict[str, Any]) -> bool:
    return isinstance(schema.get("properties"), dict) or schema.get("type") == "object"


def _properties(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    properties = schema.get("properties")
    found = properties.items() if isinstance(properties, dict) else ()
    # True allows anything, as the empty schema does.
    parts = ((str(name), {} if part is True else part) for name, part in found)
    return {name: flat(part, schema) for name, part in parts if isinstance(part, dict)}


def _words(part: dict[str, Any]) -> dict[str, str]:
    words = _choices(part)
    return {word.casefold(): word for word in words if isinstance(word, str)} if isinstance(words, list) else {}


def _says_all(part: dict[str, Any], options: Sequence[str]) -> bool:
    """Whether each option stands for one of the words that the agent takes."""
    words = _words(part)
    return bool(words) and all(option.casefold() in words for option in options)


def _is_chosen(part: dict[str, Any], options: Sequence[str]) -> bool:
    """Whether the options fill a property ``decision``: the agent takes these words, or any text."""
    return _says_all(part, options) or ("enum" not in part and part.get("type", "string") == "string")


def _field(name: str, part: dict[str, Any], *, required: bool = True, decides: bool = False) -> dict[str, Any]:
    """Return the arguments of ``Param``. What decides a person fills in, or "Reject" would send a preset "approved"."""
    from jsonschema import Draft202012Validator, FormatChecker

    field, kinds = _limits(part), _kinds(part) or ["string"]
    # Airflow's page hides a field with "const", and shows one with a single choice.
    if _can_be_shown(choices := _choices(part)) and not {"array", "object"} & set(kinds):
        field["enum"] = list(choices)
    if decides:
        kinds = [kind for kind in kinds if kind != "null"] or ["string"]
    elif not required and "null" not in kinds:
        kinds.append("null")
    if "null" in kinds and None not in field.get("enum", [None]):
        field["enum"].append(None)
    field |= _typed(kinds)
    if "array" in kinds:
        # Airflow would let nobody choose anything else than the examples.
        field.pop("examples", None)
        if isinstance(items := part.get("items"), dict):
            field["items"] = _limits(items) | _typed(_kinds(items))
    if (title := _plain(part.get("title"), NAME_LENGTH) or plain(name, NAME_LENGTH) or "(no name)") != name:
        field["title"] = title
    # A pattern may take for ever to check: the agent does that, and a person reads it.
    said, pattern = _plain(part.get("description"), DESCRIPTION_LENGTH), _plain(part.get("pattern"), NAME_LENGTH)
    if description := f"{said} Pattern: {pattern}".strip() if pattern else said:
        field["description"] = description
    default = None if decides else part.get("default", part.get("const") if required else None)
    fits = Draft202012Validator(field, format_checker=FormatChecker()).is_valid
    return {"default": default if _can_be_kept(default, DEFAULT_LENGTH) and fits(default) else None, **field}


def _limits(part: dict[str, Any]) -> dict[str, Any]:
    """Return what a schema says of a value besides its type, as far as it makes sense."""
    return {
        **{key: part[key] for key in _BOUNDS if _is_number(part.get(key))},
        **{key: part[key] for key in _COUNTS if _is_number(part.get(key)) and part[key] >= 0 and part[key] % 1 == 0},
        **{key: part[key] for key in ("format",) if part.get(key) in _FORMATS},
        **{key: part[key] for key in ("examples",) if _can_be_shown(part.get(key), str)},
    }


def _kinds(part: dict[str, Any]) -> list[str]:
    """Return the types that a schema names, or those of the values it lists."""
    if "type" not in part and _can_be_shown(choices := _choices(part)):
        return list(dict.fromkeys(_KINDS[type(choice)] for choice in choices))
    kinds = part.get("type")
    return list(dict.fromkeys(kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind in _TYPES))


def _typed(kinds: list[str]) -> dict[str, Any]:
    return {"type": kinds[0] if len(kinds) == 1 else kinds} if kinds else {}


def _choices(part: dict[str, Any]) -> Any:
    return part["enum"] if "enum" in part else [part["const"]] if "const" in part else None


def _can_be_shown(choices: Any, kinds: Any = str | int | float | None) -> bool:
    """Whether a person can tell the values of a list apart: in Airflow's list to choose from, they are text."""
    few = isinstance(choices, list) and 0 < len(choices) <= MOST_CHOICES
    if not (few and all(isinstance(one, kinds) and _can_be_kept(one, 2 * CHOICE_LENGTH) for one in choices)):
        return False
    texts = [one if isinstance(one, str) else json.dumps(one) for one in choices]
    return len(set(texts)) == len(texts) and all(text == plain(text, CHOICE_LENGTH) for text in texts)


def _can_be_kept(value: Any, length: int) -> bool:
    """Whether Airflow's database keeps a value, and a browser gives it back, as it is."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
        json.loads(text, parse_int=_integer)
    except (ValueError, RecursionError):
        return False
    return len(text) <= length


def _integer(digits: str) -> int:
    if abs(number := int(digits)) > 2**53:
        raise ValueError("a browser would round it")
    return number


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and _can_be_kept(value, DEFAULT_LENGTH)


def _plain(value: Any, limit: int) -> str:
    return plain(value, limit) if isinstance(value, str) else ""
