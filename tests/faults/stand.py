# SPDX-License-Identifier: Apache-2.0
"""An offline service and a connection for each component."""

from __future__ import annotations

import json
import os
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_agentruns.emulator.faults import Rule
from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.script_steps import Ask, Case, ScriptBody
from airflow_provider_agentruns.emulator.server import Emulator
from tests.faults.outcomes import Outcome
from tests.support import BUSINESS

#: The beginning of all tokens. URLs and base64 write it differently.
TOKEN_PREFIX = "mk_test_0pen/Sesame+please"

_RUN_PATH = re.compile("/v1/runs/([^/]+)")
_REPORT = {"title": "Report", "type": "report", "confidence": "high", "summary": "All is well", "sources": []}


def patient(case: Case) -> ScriptBody:
    """Asks a question that the service answers itself."""
    yield Ask([{"agent": case.agent, "label": "Continue?"}])
    return [_REPORT]


def curious(case: Case) -> ScriptBody:
    """Asks a question for the component that is tested."""
    yield Ask([{"agent": case.agent, "label": "Is this right?"}])
    return [_REPORT]


@dataclass(frozen=True, slots=True)
class Placement:
    """A rule for the offline service, and ``also`` another one without which this one would not show."""

    fault: str
    method: str | None = None
    path: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    also: Placement | None = None


@dataclass(slots=True)
class Seen:
    """The requests, runs, and answers of a service while a fault was active."""

    rule: Rule
    requests: int = 0
    runs: list[Run] = field(default_factory=list)
    answers: int = 0

    @property
    def met(self) -> bool:
        """Whether the fault applied to a request. A service that refuses connections counts none."""
        return self.rule.fault.refuses or self.rule.met > 0

    def outcome(self, error: str = "", *, does: str = "read", **fields: Any) -> Outcome:
        """Return the outcome of a component that reads, starts, or answers."""
        counts = {"runs": len(self.runs)} if does == "start" else {"answers": self.answers} if does == "answer" else {}
        return Outcome(error, requests=self.requests, met=self.met, **counts, **fields)


class Stand:
    def __init__(self, name: str) -> None:
        self.conn_id = f"faults_{name}"
        self.variable = f"AIRFLOW_CONN_{self.conn_id.upper()}"
        self._reads: Counter[str] = Counter()
        self.emulator = Emulator(
            token=f"{TOKEN_PREFIX}/{name}",
            agents={"patient": patient, "curious": curious},
            middleware=[Middleware(BaseHTTPMiddleware, dispatch=self._answer_patient_runs)],
        )
        self.service = self.emulator.service

    def connect(self, timeout: float = 20.0) -> None:
        """Point Airflow's connection to the service, with the valid token."""
        extra = {
            "rate_limit": 1000,
            "max_retries": 1,
            "timeout": timeout,
            "run_url": "https://runs.example.com/{run_id}",
        }
        os.environ[self.variable] = json.dumps(
            {"conn_type": "agentruns", "host": self.emulator.url, "password": self.emulator.token, "extra": extra}
        )

    def run(self, agent: str) -> Run:
        return self.service.create_run(agent, business_id=BUSINESS)

    @contextmanager
    def suffering(self, placement: Placement, *, returns: bool = False) -> Iterator[Seen]:
        """Activate a fault for a block. If the service ``returns``, it refuses connections for a while only."""
        requests, runs, answers = len(self.emulator.requests), len(self.service.runs), len(self.service.answers)
        placements = [it for it in (placement, placement.also) if it]
        rules = [self.emulator.faults.add(it.fault, it.method, it.path, **it.fields) for it in placements]
        timer = threading.Timer(0.5, self.emulator.faults.clear)
        if returns and placement.fault == "refused":
            timer.start()
        seen = Seen(rules[0])
        try:
            yield seen
        finally:
            timer.cancel()
            if timer.ident:
                timer.join()
            self.emulator.faults.clear()
            seen.requests = len(self.emulator.requests) - requests
            seen.runs = list(self.service.runs.values())[runs:]
            seen.answers = len(self.service.answers) - answers

    async def _answer_patient_runs(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Answer the question of a ``patient`` run when it is read for the second time, and no fault applies."""
        single = _RUN_PATH.fullmatch(request.url.path)
        listed = list(self.service.runs) if request.url.path == "/v1/runs" else []
        for run_id in [single[1]] if single else listed:
            run = self.service.runs.get(run_id)
            if request.method == "GET" and run and run.agent == "patient" and run.interrupts:
                self._reads[run_id] += 1
                if self._reads[run_id] == 2:
                    self.service.answer(run_id, run.interrupts[0]["id"], "continue")
        return await call_next(request)
