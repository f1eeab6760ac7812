# SPDX-License-Identifier: Apache-2.0
"""
Translates between the JSON schema of the answer that an agent wants, and a form that a person fills in.

An agent can describe the answer in its interrupt's value. The form takes over what it needs, and nothing that Airflow
cannot store, show, or check, that hides a field, or that decides in a person's place. Everything is bounded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_agentruns.reviews.schema import BOUNDS, COUNTS, simplify
from airflow_provider_agentruns.reviews.text import plain

if TYPE_CHECKING:
    from airflow_provider_agentruns.models import Interrupt

#: The field with the interrupt's ID. It shows whether an answer belongs to this form.
ID_FIELD = "interrupt_id"

#: The field with the digest of the question, if the task has no state store: an agent can reuse an ID.
QUESTION_FIELD = "_question"

#: The property of an answer that holds the chosen option.
DECISION = "decision"

#: The fields in which a person rates an artifact. They are not part of the answer.
RATING = "_rating"
RATING_COMMENT = "_rating_comment"

#: The fields that are not for the agent.
OWN_FIELDS = (ID_FIELD, QUESTION_FIELD, RATING, RATING_COMMENT)

#: The only field of the form if the agent wants an answer that is not an object.
ANSWER = "answer"

#: Where an interrupt's value can carry the JSON schema of its answer.
SCHEMA_KEYS = ("input_schema", "response_schema", "schema")

#: The maximum number of an agent's fields, and of choices in each.
MAX_FIELDS = 50
MAX_CHOICES = 300

#: The maximum length of a name or title, a choice, a description, and a default as JSON, in characters.
NAME_LENGTH = 200
CHOICE_LENGTH = 200
DESCRIPTION_LENGTH = 1_000
DEFAULT_LENGTH = 5_000

# Airflow's page takes a field "chosen_options" for the choice itself if it is a list.
_RESERVED = (ID_FIELD, "chosen_options")
_KINDS = {str: "string", float: "number", int: "integer", bool: "boolean", type(None): "null"}
_TYPES = (*_KINDS.values(), "array", "object")
# "password" is missing because it hides what is sent.
_FORMATS = ("date", "date-time", "time", "duration", "multiline", "email", "uri", "uuid")


def answer_schema(interrupt: Interrupt) -> dict[str, Any] | None:
    """Return the JSON schema that the interrupt's value carries for its answer, or None."""
    found = map(interrupt.value.get, SCHEMA_KEYS) if isinstance(interrupt.value, dict) else ()
    return next((schema for schema in found if isinstance(schema, dict) and schema), None)


def form_fields(schema: dict[str, Any] | None, options: Sequence[str]) -> dict[str, dict[str, Any]]:
    """
    Return the fields of the form that a schema describes.

    If there are too many, the required ones come first, and the last field says how many are missing.

    :param schema: The schema of the answer, if the agent sent one.
    :param options: What a person chooses from. A property ``decision`` that holds the same choice becomes no field.
    :return: For each field's name, the arguments of Airflow's ``Param``.
    """
    if schema is None:
        return {}
    if not _is_object(schema):
        part = simplify(schema, schema)
        return {} if _covers(part, options) else {ANSWER: _field(ANSWER, part, decides=True)}
    wanted = schema.get("required")
    required = {name for name in wanted if isinstance(name, str)} if isinstance(wanted, list) else set()
    properties = _properties(schema)
    names = [name for name in properties if name not in _RESERVED and not name.startswith("_")]
    if DECISION in names and _is_choice(_property(schema, DECISION), options):
        names.remove(DECISION)
    # Selected before anything is resolved, so that the work depends on what is shown.
    first = sorted(names, key=lambda name: name not in required)
    selected = set(islice((name for name in first if _can_be_stored(name, NAME_LENGTH)), MAX_FIELDS))
    fields = {
        name: _field(name, simplify(properties[name], schema), required=name in required, decides=name == DECISION)
        for name in names
        if name in selected
    }
    if fields and (missing := len(names) - len(fields)):
        last = list(fields.values())[-1]
        last["description"] = f"{last.get('description', '')} Fields that are not shown: {missing:,}.".strip()
    return fields


def option_values(schema: dict[str, Any] | None, chosen: Sequence[str]) -> list[str]:
    """
    Return the chosen options in the agent's words: the values in its schema if they match, else in lower case.

    :param schema: The schema of the answer, if the agent sent one.
    :param chosen: The options as a person chose them, such as ``Approve``.
    """
    schema = schema or {}
    values = _values(_property(schema, DECISION) if _is_object(schema) else simplify(schema, schema))
    return [values.get(option.casefold(), option.lower()) for option in chosen]


def answer_by_schema(
    schema: dict[str, Any], decision: str | list[str], fields: Mapping[str, Any], who: Mapping[str, Any]
) -> Any:
    """
    Return an answer of the shape that a schema describes.

    :param schema: The schema of the answer.
    :param decision: The decision in the agent's words.
    :param fields: What a person entered.
    :param who: Who answered and when. Omitted if the schema allows only the properties that it names.
    """
    if not _is_object(schema):
        return decision if fields.get(ANSWER) is None else fields[ANSWER]
    is_open = schema.get("additionalProperties") is not False
    answer = {DECISION: decision} if is_open or DECISION in _properties(schema) else {}
    entered = {name: value for name, value in fields.items() if value is not None}
    return {**answer, **(who if is_open else {}), **entered}


def rated_artifact(interrupt: Interrupt) -> dict[str, Any] | None:
    """Return the first proposed artifact with an ID, by which a person can rate it."""
    value = interrupt.value
    proposals = value.get("proposals") if isinstance(value, dict) else None
    for part in [value, *(proposals if isinstance(proposals, list) else ())]:
        artifacts = part.get("artifacts") if isinstance(part, dict) else None
        for artifact in artifacts if isinstance(artifacts, list) else ():
            known = artifact.get("id") if isinstance(artifact, dict) else None
            if isinstance(known, str) and known.strip() and _can_be_stored(known, NAME_LENGTH):
                return cast("dict[str, Any]", artifact)
    return None


def _is_object(schema: dict[str, Any]) -> bool:
    return isinstance(schema.get("properties"), dict) or schema.get("type") == "object"


def _properties(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    properties = schema.get("properties")
    found = properties.items() if isinstance(properties, dict) else ()
    # True allows anything, like the empty schema.
    parts = ((str(name), {} if part is True else part) for name, part in found)
    return {name: part for name, part in parts if isinstance(part, dict)}


def _property(schema: dict[str, Any], name: str) -> dict[str, Any]:
    return simplify(_properties(schema).get(name, {}), schema)


def _values(part: dict[str, Any]) -> dict[str, str]:
    choices = _choices(part)
    found = choices if isinstance(choices, list) else ()
    return {value.casefold(): value for value in found if isinstance(value, str)}


def _covers(part: dict[str, Any], options: Sequence[str]) -> bool:
    """Return whether each option stands for a value that the agent accepts."""
    values = _values(part)
    return bool(values) and all(option.casefold() in values for option in options)


def _is_choice(part: dict[str, Any], options: Sequence[str]) -> bool:
    """Return whether the chosen option fills a property: the agent accepts these values, or any text."""
    return _covers(part, options) or ("enum" not in part and part.get("type", "string") == "string")


def _field(name: str, part: dict[str, Any], *, required: bool = True, decides: bool = False) -> dict[str, Any]:
    """
    Return the arguments of ``Param`` for a property.

    :param decides: Whether the field holds the decision. It then has no default, or the button "Reject" could send
        an agent's "approved".
    """
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
        # Airflow lets people choose the examples only.
        field.pop("examples", None)
        if isinstance(items := part.get("items"), dict):
            field["items"] = _limits(items) | _typed(_kinds(items))
    if (title := _plain(part.get("title"), NAME_LENGTH) or plain(name, NAME_LENGTH) or "(no name)") != name:
        field["title"] = title
    # A pattern can take forever to check. People read it, and the agent checks it.
    described, pattern = _plain(part.get("description"), DESCRIPTION_LENGTH), _plain(part.get("pattern"), NAME_LENGTH)
    if description := f"{described} Pattern: {pattern}".strip() if pattern else described:
        field["description"] = description
    default = None if decides else part.get("default", part.get("const") if required else None)
    fits = Draft202012Validator(field, format_checker=FormatChecker()).is_valid
    return {"default": default if _can_be_stored(default, DEFAULT_LENGTH) and fits(default) else None, **field}


def _limits(part: dict[str, Any]) -> dict[str, Any]:
    """Return the valid limits that a schema sets for a value besides its type."""
    return {
        **{key: part[key] for key in BOUNDS if _is_number(part.get(key))},
        **{key: part[key] for key in COUNTS if _is_number(part.get(key)) and part[key] >= 0 and part[key] % 1 == 0},
        **{key: part[key] for key in ("format",) if part.get(key) in _FORMATS},
        **{key: part[key] for key in ("examples",) if _can_be_shown(part.get(key), str)},
    }


def _kinds(part: dict[str, Any]) -> list[str]:
    """Return the types that a schema names, or those of the values that it lists."""
    if "type" not in part and _can_be_shown(choices := _choices(part)):
        return list(dict.fromkeys(_KINDS[type(choice)] for choice in choices))
    kinds = part.get("type")
    return list(dict.fromkeys(kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind in _TYPES))


def _typed(kinds: list[str]) -> dict[str, Any]:
    return {"type": kinds[0] if len(kinds) == 1 else kinds} if kinds else {}


def _choices(part: dict[str, Any]) -> Any:
    return part["enum"] if "enum" in part else [part["const"]] if "const" in part else None


def _can_be_shown(choices: Any, kinds: Any = str | int | float | None) -> bool:
    """Return whether people can tell choices apart. Airflow's page shows each as text."""
    few = isinstance(choices, list) and 0 < len(choices) <= MAX_CHOICES
    if not (few and all(isinstance(one, kinds) and _can_be_stored(one, 2 * CHOICE_LENGTH) for one in choices)):
        return False
    texts = [one if isinstance(one, str) else json.dumps(one) for one in choices]
    return len(set(texts)) == len(texts) and all(text == plain(text, CHOICE_LENGTH) for text in texts)


def _can_be_stored(value: Any, length: int) -> bool:
    """Return whether Airflow's database and a browser keep a value unchanged."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        if len(text) > length:
            return False
        text.encode()
        json.loads(text, parse_int=_integer)
    except (ValueError, RecursionError):
        return False
    return True


def _integer(digits: str) -> int:
    if abs(number := int(digits)) > 2**53:
        raise ValueError("a browser rounds it")
    return number


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and _can_be_stored(value, DEFAULT_LENGTH)


def _plain(value: Any, limit: int) -> str:
    return plain(value, limit) if isinstance(value, str) else ""
