# SPDX-License-Identifier: Apache-2.0
"""An offline service and a connection of its own for each component, so that each one's requests can be told."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from starlette.middleware import Middleware

from airflow_provider_agentruns.emulator.agents import BUILTIN
from airflow_provider_agentruns.emulator.recording import RecordedRequest
from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.emulator.service import Service
from tests.faults.agents import Attendant, brief, curious, patient
from tests.faults.placing import ROTATED, USUAL_TIMEOUT, Rule

BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"

#: In all tokens of the table. It holds what URLs and base64 would write differently.
SESAME = "mk_test_0pen/Sesame+please"

#: How long a service that is taken off the network stays away from who waits for it, in seconds.
_AWAY = 0.5


@dataclass(slots=True)
class Seen:
    """
    What a service has seen while a fault was in force.

    :param met: Whether the fault has met anything.
    """

    requests: list[RecordedRequest]
    runs: list[Run]
    answers: int
    met: bool = False


class Stand:
    """
    One component's service.

    :param name: The component's name.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.conn_id = f"faults_{name}"
        self.tokens: list[str] = []
        self.service = Service(agents={**BUILTIN, "patient": patient, "curious": curious, "brief": brief})
        self.emulator = Emulator(
            token=self._next_token(), service=self.service, middleware=[Middleware(Attendant, service=self.service)]
        )

    def connect(self, timeout: float = USUAL_TIMEOUT, **extra: Any) -> None:
        """Have Airflow's connection lead here, with the token that is good."""
        fields = {"rate_limit": 1000, "max_retries": 1, "timeout": timeout, **extra}
        fields["run_url"] = "https://runs.example.com/{run_id}"
        os.environ[f"AIRFLOW_CONN_{self.conn_id.upper()}"] = json.dumps(
            {"conn_type": "agentruns", "host": self.emulator.url, "password": self.tokens[-1], "extra": fields}
        )

    def rotate(self) -> None:
        """Make the token worthless, and give the connection the new one."""
        self.emulator.rotate_token(self._next_token())
        self.connect()

    @contextmanager
    def suffering(self, rule: Rule, *, returns: bool = False) -> Iterator[Seen]:
        """
        Put a fault in force for a block, and tell what the service saw meanwhile.

        :param returns: Whether a service that is off the network comes back after a while.
        """
        requests, runs, answers = len(self.emulator.requests), len(self.service.runs), len(self.service.answers)
        in_force = self.emulator.faults.add(rule.fault, rule.method, rule.path, **rule.fields)
        if rule.also:
            self.emulator.faults.add(rule.also.fault, rule.also.method, rule.also.path, **rule.also.fields)
        timer = threading.Timer(_AWAY, self.emulator.faults.clear)
        if returns and rule.fault == "refused":
            timer.start()
        seen = Seen([], [], 0)
        try:
            yield seen
        finally:
            timer.cancel()
            self.emulator.faults.clear()
            seen.requests = list(self.emulator.requests[requests:])
            seen.runs = list(self.service.runs.values())[runs:]
            # What takes the whole service off the network counts nothing, and a token that was rotated is refused by
            # the service itself.
            refused = rule.fault == ROTATED and any(request.status == 401 for request in seen.requests)
            seen.met = in_force.met > 0 or refused or rule.fault == "refused"
            seen.answers = len(self.service.answers) - answers

    def run(self, agent: str) -> Run:
        """Start a run of an agent, as somebody else would."""
        return self.service.create_run(agent, business_id=BUSINESS)

    def _next_token(self) -> str:
        self.tokens.append(f"{SESAME}/{self.name}/{len(self.tokens)}")
        return self.tokens[-1]


class Bench:
    """
    All stands, each up as long as the ``with`` block lasts.

    :param names: The components' names.
    """

    def __init__(self, names: list[str]) -> None:
        self.stands = {name: Stand(name) for name in names}

    def __getitem__(self, name: str) -> Stand:
        return self.stands[name]

    @property
    def tokens(self) -> list[str]:
        """All tokens that were ever good."""
        return [token for stand in self.stands.values() for token in stand.tokens]

    def __enter__(self) -> Self:
        for stand in self.stands.values():
            stand.emulator.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stand in self.stands.values():
            stand.emulator.stop()
            os.environ.pop(f"AIRFLOW_CONN_{stand.conn_id.upper()}", None)
