# SPDX-License-Identifier: Apache-2.0
"""A task as Airflow runs it: try after try, with stored state, and workers that die."""

from __future__ import annotations

from typing import Any

import pendulum

from airflow_provider_agentruns.client.transport import Transport
from airflow_provider_agentruns.idempotency.create_run import Started, start_once
from airflow_provider_agentruns.idempotency.listing_search import Start
from airflow_provider_agentruns.idempotency.resume_run import answer_once
from airflow_provider_agentruns.idempotency.state import Attempt
from airflow_provider_agentruns.models import AgentRun
from tests.idempotency.service import Clock
from tests.support.state_store import StateStore

START = Start("instant", business_id="b-1")


class Killed(BaseException):
    """The worker died. Nothing catches this."""


class Task:
    """
    One task instance.

    :param has_store: Whether a state store exists, as in Airflow 3.3 and later.
    """

    def __init__(self, transport: Transport, clock: Clock, *, has_store: bool = True) -> None:
        self.store = StateStore() if has_store else None
        self.number = 0
        self.series = 1
        self._transport = transport
        self._clock = clock
        self._first_possible = clock.moment
        self._restarted_at: pendulum.DateTime | None = None
        self._dies = ""

    @property
    def stored(self) -> dict[str, Any]:
        return self.store.values if self.store else {}

    def start(self, start: Start = START, *, dies: str = "") -> Started:
        """
        Make another try of the task that starts a run.

        :param dies: ``"before POST"`` or ``"after POST"``, where the worker dies in this try.
        """
        self.number += 1
        self._dies = dies
        return start_once(
            start,
            send=self.send,
            store=self.store,
            attempt=Attempt(
                self.number,
                self.series,
                self._first_possible,
                was_cleared=self.series > 1,
                restarted_at=self._restarted_at,
            ),
            sleep=self._clock.sleep,
        )

    def answer(self, answer: Any = "yes", *, interrupt_id: str = "i-1", dies: str = "") -> AgentRun:
        """Make another try of the task that answers an interrupt of the run ``r-1``."""
        self.number += 1
        self._dies = dies
        return answer_once(
            "r-1",
            interrupt_id,
            answer,
            send=self.send,
            store=self.store,
            is_retry=self.number > 1,
            sleep=self._clock.sleep,
        ).run

    def clear(self, *, keeps_state: bool = True) -> None:
        """Clear the task, as a person does. Airflow may discard what is stored."""
        self.series += 1
        self._restarted_at = self._clock.moment
        if not keeps_state:
            self.store = StateStore()

    def send(self, build: Any, *args: Any, **kwargs: Any) -> Any:
        request = build(*args, **kwargs)
        if request.method == "POST" and self._dies == "before POST":
            raise Killed
        try:
            return self._transport.send(request)
        finally:
            if request.method == "POST" and self._dies == "after POST":
                raise Killed
