# SPDX-License-Identifier: Apache-2.0
"""
Creates and reads the form (Required Action) of a task instance through Airflow's supervisor.

``HITLOperator`` does not return the form, which can be an older one. No public function reads an answer.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from airflow.sdk.exceptions import AirflowRuntimeError


def create_form(ti_id: UUID, **form: Any) -> dict[str, Any]:
    """
    Create the form of a task instance, and return the form that Airflow holds, as JSON.

    A task instance keeps its first form. Airflow ignores a second one, and deletes an existing answer.
    """
    from airflow.sdk.execution_time.comms import CreateHITLDetailPayload
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    held: Any = SUPERVISOR_COMMS.send(CreateHITLDetailPayload(ti_id=ti_id, **form))
    as_json: dict[str, Any] = held.model_dump(mode="json", include=set(form))
    return as_json


async def read_form(ti_id: UUID) -> Any:
    """Return the form of a task instance with its answer, or None if it has no form. For the triggerer only."""
    from airflow.sdk.execution_time.hitl import get_hitl_detail_content_detail
    from asgiref.sync import sync_to_async

    try:
        # The call blocks on the triggerer's supervisor, so it needs a thread, as in Airflow's HITLTrigger.
        return await sync_to_async(get_hitl_detail_content_detail)(ti_id=ti_id)
    except AirflowRuntimeError as e:
        if (e.error.detail or {}).get("status_code") != 404:
            raise
        return None
