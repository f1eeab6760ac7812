# SPDX-License-Identifier: Apache-2.0
"""Translates the JSON schema of an answer into a form that Airflow can show and check, and the input into an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

from airflow_provider_agentruns.reviews.text import plain

if TYPE_CHECKING:
    from airflow_provider_agentruns.models import Interrupt

#: Constant fields that show to which question an answer belongs. The ID is not enough, because an agent can reuse it.
ID_FIELD = "interrupt_id"
QUESTION_FIELD = "_question"
#: The property of an answer that holds the chosen option, and the field for an answer that is not an object.
DECISION, ANSWER = "decision", "answer"
#: The fields in which a person rates an artifact.
RATING, RATING_COMMENT = "_rating", "_rating_comment"
#: All fields that are not for the agent.
OWN_FIELDS = (ID_FIELD, QUESTION_FIELD, RATING, RATING_COMMENT)

#: Where an interrupt's value can carry the JSON schema of its answer.
SCHEMA = "input_schema"
#: The maximum number of an agent's fields, and of choices in each.
MAX_FIELDS, MAX_CHOICES = 50, 300
#: The maximum length of a name, title, or choice, of a description, and of a default as JSON, in characters.
NAME_LENGTH, DESCRIPTION_LENGTH, DEFAULT_LENGTH = 200, 1_000, 5_000
# A browser rounds larger integers.
_MAX_INTEGER = 2**53 - 1

# Airflow's page mistakes a list in a field "chosen_options" for the chosen options.
_RESERVED = (ID_FIELD, "chosen_options")
_KINDS = {str: "string", float: "number", int: "integer", bool: "boolean", type(None): "null"}
_TYPES = (*_KINDS.values(), "array", "object")
# Without "password", which hides what is sent.
_FORMATS = ("date", "date-time", "time", "duration", "multiline", "email", "uri", "uuid")
_LIMITS = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    *("minLength", "maxLength", "minItems", "maxItems"),
)
_KEYWORDS = ("type", "enum", "const", "title", "description", "default", "format", "items", *_LIMITS)


class AnswerSchema:
    """The JSON schema that an interrupt's value can carry for its answer. False if there is none."""

    def __init__(self, interrupt: Interrupt) -> None:
        schema = interrupt.value.get(SCHEMA) if isinstance(interrupt.value, dict) else None
        self._schema: dict[str, Any] = schema if isinstance(schema, dict) else {}
        properties = self._schema.get("properties")
        self._is_object = isinstance(properties, dict) or self._schema.get("type") == "object"
        found = properties if isinstance(properties, dict) else {}
        self._properties = {name: part for name, part in found.items() if isinstance(part, dict)}
        decision = self._properties.get(DECISION, {}) if self._is_object else self._schema
        self._decision = _simplified(decision, self._schema)
        choices = self._decision.get("enum")
        texts = [choice for choice in choices if isinstance(choice, str)] if isinstance(choices, list) else []
        self._decision_values = {text.casefold(): text for text in texts}

    def __bool__(self) -> bool:
        return bool(self._schema)

    def fields(self, options: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the arguments of Airflow's ``Param`` for each field. The options replace a field ``decision``."""
        if not self:
            return {}
        if not self._is_object:
            is_covered = self._is_covered(options)
            return {} if is_covered else {ANSWER: _field(ANSWER, self._decision, required=True, decides=True)}
        required = self._schema.get("required")
        # References are resolved only for the selected fields, because a schema can be large.
        return {
            name: _field(
                name,
                _simplified(self._properties[name], self._schema),
                required=isinstance(required, list) and name in required,
                decides=name == DECISION,
            )
            for name in self._names(options)[:MAX_FIELDS]
        }

    def missing_fields(self, options: Sequence[str]) -> int:
        return max(0, len(self._names(options)) - MAX_FIELDS)

    def option_values(self, chosen: Sequence[str]) -> str | list[str]:
        """Return the chosen options as the schema spells them, or in lower case."""
        words = [self._decision_values.get(option.casefold(), option.lower()) for option in chosen]
        return words[0] if len(words) == 1 else words

    def default_answer(self, material: Mapping[str, Any]) -> Any:
        """Return the answer that the schema describes, from the result of ``reviews.decision.answer_material``."""
        decision, fields = material["decision"], material["fields"]
        who = {name: material[name] for name in ("responded_by", "responded_at")}
        if not self:
            return {DECISION: decision, "fields": fields, **who}
        if not self._is_object:
            return decision if fields.get(ANSWER) is None else fields[ANSWER]
        # A schema that allows only the properties that it names gets no person and no time.
        is_open = self._schema.get("additionalProperties") is not False
        answer = {DECISION: decision} if is_open or DECISION in self._properties else {}
        entered = {name: value for name, value in fields.items() if value is not None}
        return {**answer, **(who if is_open else {}), **entered}

    def _names(self, options: Sequence[str]) -> list[str]:
        # The chosen option also fills a decision that can be any text.
        decision = self._decision
        is_text = not (decision["nullable"] or "enum" in decision) and decision.get("type", "string") == "string"
        excluded = (*_RESERVED, DECISION) if is_text or self._is_covered(options) else _RESERVED
        return [
            name
            for name in self._properties
            if name not in excluded and not name.startswith("_") and _can_be_stored(name, NAME_LENGTH)
        ]

    def _is_covered(self, options: Sequence[str]) -> bool:
        values = self._decision_values
        # A field for a single value would force a person who rejects to enter the agent's "approved".
        return len(values) == 1 or (bool(values) and all(option.casefold() in values for option in options))


def rated_artifact(interrupt: Interrupt) -> dict[str, Any] | None:
    """Return the first proposed artifact with an ID, by which a person can rate it."""
    value = interrupt.value
    proposals = value.get("proposals") if isinstance(value, dict) else None
    for part in [value, *(proposals if isinstance(proposals, list) else ())]:
        artifacts = part.get("artifacts") if isinstance(part, dict) else None
        for artifact in artifacts if isinstance(artifacts, list) else ():
            known = artifact.get("id") if isinstance(artifact, dict) else None
            if isinstance(known, str) and known.strip() and _can_be_stored(known, NAME_LENGTH):
                return dict(artifact)
    return None


def _field(name: str, part: dict[str, Any], *, required: bool, decides: bool) -> dict[str, Any]:
    from jsonschema import Draft202012Validator, FormatChecker

    kinds = _kinds(part) or ["string"]
    if decides:
        kinds = [kind for kind in kinds if kind != "null"] or ["string"]
    elif (part["nullable"] or not required) and "null" not in kinds:
        kinds.append("null")
    field = _limited(part, kinds)
    if _can_be_shown(choices := part.get("enum")) and not {"array", "object"} & set(kinds):
        field["enum"] = [*choices, None] if "null" in kinds and None not in choices else choices
    if "array" in kinds and isinstance(items := part.get("items"), dict):
        field["items"] = _limited(items, _kinds(items))
    if (title := plain(part.get("title"), NAME_LENGTH) or plain(name, NAME_LENGTH) or "(no name)") != name:
        field["title"] = title
    if description := plain(part.get("description"), DESCRIPTION_LENGTH):
        field["description"] = description
    # With a default for the decision, the button "Reject" could send an agent's "approved".
    default = None if decides else part.get("default")
    fits = Draft202012Validator(field, format_checker=FormatChecker()).is_valid
    return {"default": default if _can_be_stored(default) and fits(default) else None, **field}


def _limited(part: dict[str, Any], kinds: list[str]) -> dict[str, Any]:
    from jsonschema import Draft202012Validator

    limits = {key: part[key] for key in _LIMITS if isinstance(part.get(key), int | float) and _can_be_stored(part[key])}
    if part.get("format") in _FORMATS:
        limits["format"] = part["format"]
    is_schema = Draft202012Validator(Draft202012Validator.META_SCHEMA).is_valid
    typed = {"type": kinds[0] if len(kinds) == 1 else kinds} if kinds else {}
    return typed | (limits if is_schema(limits) else {})


def _kinds(part: dict[str, Any]) -> list[str]:
    if "type" not in part and _can_be_shown(choices := part.get("enum")):
        return list(dict.fromkeys(_KINDS[type(choice)] for choice in choices))
    kinds = part.get("type")
    return list(dict.fromkeys(kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind in _TYPES))


def _can_be_shown(choices: Any) -> TypeGuard[list[Any]]:
    """Return whether people can distinguish the choices. Airflow's page shows each as text."""
    few = isinstance(choices, list) and 0 < len(choices) <= MAX_CHOICES
    if not (few and all(type(one) in _KINDS and _can_be_stored(one, 2 * NAME_LENGTH) for one in choices)):
        return False
    texts = [one if isinstance(one, str) else json.dumps(one) for one in choices]
    return len(set(texts)) == len(texts) and all(text == plain(text, NAME_LENGTH) for text in texts)


def _can_be_stored(value: Any, length: int = DEFAULT_LENGTH) -> bool:
    """Return whether a value is short enough, and unchanged by Airflow's database and page."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text[: length + 1].encode()
        return len(text) <= length and json.loads(text, parse_int=_browser_integer) == value
    except (ValueError, RecursionError):
        return False


def _browser_integer(digits: str) -> int:
    if abs(number := int(digits)) > _MAX_INTEGER:
        raise ValueError
    return number


def _simplified(part: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """Return the known keywords of a schema, with local references and a choice between one type and null resolved."""
    found: dict[str, Any] = {}
    nullable = False
    # Bounded, because a schema can refer to itself. Pydantic writes references, and such a choice for optional values.
    for _ in range(10):
        found = {keyword: part[keyword] for keyword in _KEYWORDS if keyword in part} | found
        target = _target(part.get("$ref"), root)
        for keyword in ("anyOf", "oneOf", "allOf"):
            if target is None and isinstance(choices := part.get(keyword), list):
                real = [choice for choice in choices if choice != {"type": "null"}]
                target = real[0] if len(real) == 1 else None
                nullable = nullable or (target is not None and len(choices) > 1)
        if not isinstance(target, dict):
            break
        part = target
    if "const" in found:
        # Airflow's page hides a field with "const", and shows one with a single choice.
        found["enum"] = [found.pop("const")]
    return {**found, "nullable": nullable and ("type" in found or "enum" in found)}


def _target(reference: Any, root: dict[str, Any]) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    found: Any = root
    for key in reference[2:].split("/"):
        found = found.get(key.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found
