# SPDX-License-Identifier: Apache-2.0
"""
The models keep everything that the contract allows.

Only the spelling of an instant may change. It stays the same instant, to the microsecond.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from pydantic import BaseModel

from airflow_provider_agentruns import models
from airflow_provider_agentruns.models import AgentRun
from tests.conformance import strategies
from tests.conformance.effort import tries

KINDS: dict[str, type[BaseModel]] = {
    "Run": AgentRun,
    "RunList": models.RunPage,
    "Requester": models.Requester,
    "Output": models.Output,
    "Artifact": models.Artifact,
    "Source": models.Source,
    "Interrupt": models.Interrupt,
    "Step": models.Step,
    "Feedback": models.Feedback,
    "Thread": models.Thread,
    "Agent": models.Agent,
}

INSTANTS = {"created_at", "updated_at", "started_at", "ended_at", "completed_at"}


def canonical(value: Any) -> str:
    """Return a JSON value in a form in which equal values are equal texts. 1 is neither 1.0 nor true."""
    return json.dumps(_with_instants(value), sort_keys=True)


def without_empty(dumped: Any, sent: Any) -> Any:
    """Remove fields that were not sent and that the model adds with empty values."""
    if isinstance(dumped, list) and isinstance(sent, list) and len(dumped) == len(sent):
        return [without_empty(one, other) for one, other in zip(dumped, sent, strict=True)]
    if not (isinstance(dumped, dict) and isinstance(sent, dict)):
        return dumped
    return {
        key: without_empty(value, sent.get(key))
        for key, value in dumped.items()
        if key in sent or not (value is None or value == [] or value is False)
    }


def _with_instants(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_instants(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: strategies.instant(each).isoformat() if key in INSTANTS and isinstance(each, str) else _with_instants(each)
        for key, each in value.items()
    }


@pytest.mark.parametrize("name", KINDS)
def test_a_model_keeps_every_field_and_value(name: str) -> None:
    kind = KINDS[name]

    @tries(20, 2000)
    @given(strategies.of(name))
    def each(document: Any) -> None:
        read = kind.model_validate(document)
        assert canonical(read.model_dump(mode="json", exclude_unset=True)) == canonical(document)
        assert canonical(json.loads(read.model_dump_json(exclude_unset=True))) == canonical(document)
        whole = read.model_dump(mode="json")
        assert canonical(without_empty(whole, document)) == canonical(document)
        assert canonical(kind.model_validate(whole).model_dump(mode="json")) == canonical(whole)

    each()
