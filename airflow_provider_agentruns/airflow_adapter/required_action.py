# SPDX-License-Identifier: Apache-2.0
"""Creates and reads the form (Required Action) of a task instance through Airflow's supervisor."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from airflow.sdk.exceptions import AirflowRuntimeError


def create_form(ti_id: UUID, *, subject: str, body: str, params: dict[str, Any], **form: Any) -> bool:
    """
    Create the form of a task instance, and return whether Airflow holds it.

    A task instance keeps its first form permanently. Only the response shows whether Airflow took this one. Subject,
    body, and the fields with a constant value identify a form.

    :param form: The other fields of Airflow's ``CreateHITLDetailPayload``.
    """
    from airflow.sdk.execution_time.comms import CreateHITLDetailPayload
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    payload = CreateHITLDetailPayload(ti_id=ti_id, subject=subject, body=body, params=params, **form)
    held: Any = SUPERVISOR_COMMS.send(payload)
    return (held.subject, held.body, _constants(held.params)) == (subject, body, _constants(params))


def _constants(params: dict[str, Any] | None) -> dict[str, Any]:
    fields = {name: field for name, field in (params or {}).items() if isinstance(field, dict)}
    return {name: field.get("value") for name, field in fields.items() if "const" in field.get("schema", {})}


async def read_form(ti_id: UUID) -> Any:
    """Return the form of a task instance with its answer, or None if there is no form. Works in the triggerer only."""
    from airflow.sdk.execution_time.hitl import get_hitl_detail_content_detail
    from asgiref.sync import sync_to_async

    try:
        # Like Airflow's HITLTrigger: the call blocks on the triggerer's supervisor, so it needs a thread.
        return await sync_to_async(get_hitl_detail_content_detail)(ti_id=ti_id)
    except AirflowRuntimeError as e:
        if (e.error.detail or {}).get("status_code") != 404:
            raise
        return None
