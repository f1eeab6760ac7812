# SPDX-License-Identifier: Apache-2.0
"""Agents whose runs change by what is asked of the service, and not by time, so that requests can be counted."""

from __future__ import annotations

import re
from collections import Counter

from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_agentruns.emulator.scripts import Ask, Case, ScriptBody, Work
from airflow_provider_agentruns.emulator.service import Service

_RUN = re.compile("/v1/runs/([^/]+)")
_REPORT = {"title": "Report", "type": "report", "confidence": "high", "summary": "All is well", "sources": []}


def patient(case: Case) -> ScriptBody:
    """Asks what the attendant answers."""
    yield Ask([{"agent": case.agent, "label": "Go on?"}])
    return [_REPORT]


def curious(case: Case) -> ScriptBody:
    """Asks what nobody answers but who is tested."""
    yield Ask([{"agent": case.agent, "label": "Is this right?"}])
    return [_REPORT]


def brief(case: Case) -> ScriptBody:
    """Works for a moment: long enough for a stream to be opened meanwhile."""
    yield Work(0.5, "work", "Works")
    return [_REPORT]


class Attendant:
    """
    Middleware that answers a ``patient`` run's question when the run is looked at for the second time.

    It sits behind the faults, so that a request that one of them kept away is no look.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service
        self._looks: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, where it is time, before the run is shown."""
        if scope["type"] == "http" and scope["method"] == "GET":
            self._look(scope["path"])
        await self._app(scope, receive, send)

    def _look(self, path: str) -> None:
        single = _RUN.fullmatch(path)
        if not single and path != "/v1/runs":
            return
        seen = [single[1]] if single else list(self._service.runs)
        for run_id in seen:
            run = self._service.runs.get(run_id)
            if run and run.agent == "patient" and run.interrupts:
                self._looks[run_id] += 1
                if self._looks[run_id] == 2:
                    self._service.answer(run_id, run.interrupts[0]["id"], "go on")
