# SPDX-License-Identifier: Apache-2.0
"""The trigger that looks up what a person has answered to a task's form, which a worker cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_agentruns.airflow_adapter.required_action import read_form

_PAUSE = 5.0


class FormAnswerTrigger(BaseTrigger):
    """
    Looks once, and fires: what was answered to the form of a task instance, or that nothing was.

    A retry of a review asks with it before it shows the form again, since showing it again would take away an
    answer that the worker before it died with.

    The event is ``{"answered": False, "form"}``, which says whether there is a form at all, or
    ``{"answered": True}`` with ``chosen_options``, ``params_input``, ``responded_at`` and ``responded_by_user`` as
    Airflow resumes a task with.

    :param ti_id: The task instance's id.
    """

    def __init__(self, ti_id: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ti_id = ti_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what makes this trigger again in another process."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {"ti_id": self.ti_id}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look, and fire."""
        # Airflow fails a task that wakes before the scheduler has processed the end of the worker that deferred it.
        await asyncio.sleep(_PAUSE)
        form = await read_form(UUID(self.ti_id))
        if form is None or not form.response_received or not form.chosen_options:
            yield TriggerEvent({"answered": False, "form": form is not None})  # type: ignore[no-untyped-call]
            return
        user = form.responded_by_user
        yield TriggerEvent(  # type: ignore[no-untyped-call]
            {
                "answered": True,
                "chosen_options": list(form.chosen_options),
                "params_input": form.params_input or {},
                "responded_at": form.responded_at.isoformat() if form.responded_at else "",
                "responded_by_user": {"id": user.id, "name": user.name} if user else None,
                "timedout": user is None,
            }
        )
