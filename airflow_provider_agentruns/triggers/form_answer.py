# SPDX-License-Identifier: Apache-2.0
"""The trigger that reads the answer to a task's form, which a worker cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_agentruns.airflow_adapter.required_action import read_form
from airflow_provider_agentruns.arguments import log_unknown

_PAUSE = 5.0


class FormAnswerTrigger(BaseTrigger):
    """
    Reads the form of a task instance once, and fires.

    The event is Airflow's own event for an answer, or ``{"form": <whether a form exists>}``.

    :param ti_id: The ID of the task instance.
    """

    def __init__(self, ti_id: str, **unknown: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        log_unknown(unknown)
        self.ti_id = ti_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {"ti_id": self.ti_id}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Read the form, and fire."""
        # Airflow fails a task that resumes before the scheduler has processed the end of the worker that deferred it.
        await asyncio.sleep(_PAUSE)
        form = await read_form(UUID(self.ti_id))
        event: dict[str, Any] = {"form": form is not None}
        if form is not None and form.response_received and form.chosen_options:
            user = form.responded_by_user
            event = {
                "chosen_options": list(form.chosen_options),
                "params_input": form.params_input or {},
                "responded_at": form.responded_at.isoformat() if form.responded_at else "",
                "responded_by_user": {"id": user.id, "name": user.name} if user else None,
                "timedout": user is None,
            }
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]
