# SPDX-License-Identifier: Apache-2.0
"""All faults: each is described, each has a test, and each carries a request out or not, as it says."""

from __future__ import annotations

import importlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

import airflow_provider_agentruns.emulator
from airflow_provider_agentruns.emulator.faults import FAULTS, Fault
from airflow_provider_agentruns.emulator.faults.base import RULE_WORDS, parameters_of
from airflow_provider_agentruns.emulator.faults.describing import describe, parameters, what_happens
from airflow_provider_agentruns.emulator.faults.plan import rule_of
from airflow_provider_agentruns.emulator.server import Emulator
from tests.emulator.contract import BUSINESS_ID

_T = TypeVar("_T", bound=Callable[..., object])

#: What makes a run.
RUN = {"type": "instant", "business_id": BUSINESS_ID}


def proves(*names: str) -> Callable[[_T], _T]:
    """Say of a test which faults it shows to do on the wire what their docstrings say."""

    def mark(test: _T) -> _T:
        vars(test)["proves"] = names
        return test

    return mark


def talk(
    emulator: Emulator, method: str, path: str, body: Any = None, *, seconds: float = 5.0, most: int = 1 << 20
) -> tuple[bytes, str]:
    """
    Send a request over a new connection, and read what comes.

    :param seconds: How long to wait for the next bytes.
    :return: The bytes, and how it ended: ``closed``, ``reset``, ``silent`` or ``endless``.
    """
    return read(connect(emulator, method, path, body), seconds, most)


def connect(emulator: Emulator, method: str, path: str, body: Any = None) -> socket.socket:
    """Send a request over a new connection."""
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {emulator.token}\r\nConnection: close\r\n"
    connection = socket.create_connection((emulator.host, emulator.port))
    with suppress(ConnectionError, BrokenPipeError):
        connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
    return connection


def read(connection: socket.socket, seconds: float = 5.0, most: int = 1 << 30) -> tuple[bytes, str]:
    """Read what comes over a connection, and say how it ended; see ``talk``."""
    received = b""
    connection.settimeout(seconds)
    with connection:
        while len(received) < most:
            try:
                piece = connection.recv(65536)
            except TimeoutError:
                return received, "silent"
            except ConnectionResetError:
                return received, "reset"
            if not piece:
                return received, "closed"
            received += piece
    return received, "endless"


def split(answer: bytes) -> tuple[bytes, bytes]:
    """Split an answer into head and body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


def eventually(condition: Callable[[], bool]) -> None:
    """Fail unless something comes true within a few seconds."""
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_has_a_test(name: str) -> None:
    modules = [path.stem for path in Path(__file__).parent.glob("test_faults_*.py")]
    tests = [test for module in modules for test in vars(importlib.import_module(f"tests.emulator.{module}")).values()]
    proved = [test for test in tests if callable(test) and name in getattr(test, "proves", ())]
    assert proved, f"no test says @proves({name!r})"


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_described(name: str) -> None:
    fault = FAULTS[name]
    says = what_happens(fault)
    takes = [parameter.name for parameter in parameters_of(fault)]
    assert says.endswith(".")
    assert list(parameters(fault).keys() ^ takes) == []
    assert not set(takes) & set(RULE_WORDS)
    assert f"  {name}\n      {says[:40]}" in describe()
    assert f"``{name}``" in (airflow_provider_agentruns.emulator.__doc__ or "").replace("\n", " ")
    if "taken" in takes:
        assert "Not carried out, unless told to be." in says
    elif fault().taken:
        assert " carried out" not in says.replace("Not carried out", " carried out")
        assert "Carried out" in says
    else:
        assert "Not carried out." in says or "Nothing is carried out." in says


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


_SILENT = ("hanging", "slow answer")


def _variants() -> Iterator[Fault]:
    for fault in FAULTS.values():
        yield fault() if fault.name != "outage" else rule_of("outage seconds=0").fault
        if "taken" in {parameter.name for parameter in parameters_of(fault)}:
            yield rule_of({"fault": fault.name, "taken": True}).fault


@pytest.mark.parametrize("fault", list(_variants()), ids=lambda fault: f"{fault.name}-{fault.taken}")
def test_a_request_is_carried_out_or_not_as_the_fault_says(emulator: Emulator, fault: Fault) -> None:
    before = len(emulator.service.runs)
    recorded = len(emulator.requests)
    with emulator.faults.of(fault) as rule, suppress(*[ConnectionRefusedError] * (fault.meets == "service")):
        talk(emulator, "POST", "/v1/runs", RUN, seconds=0.5 if fault.name in _SILENT else 10, most=1)
    is_met = fault.meets != "service" and rule.met == 1
    # What is for reads alone meets no POST: then it is carried out.
    is_for_reads = "stream" in fault.name or fault.name in ("404 at first", "listing lags")
    assert is_met is not (is_for_reads or fault.meets == "service")
    assert len(emulator.service.runs) - before == (fault.taken or is_for_reads)
    came = list(emulator.requests)[recorded:]
    assert [request.fault for request in came] == [
        None if is_for_reads else fault.name for _ in range(fault.meets == "request")
    ]
    # It is up again, also after an outage.
    eventually(lambda: _is_up(emulator))


def _is_up(emulator: Emulator) -> bool:
    with suppress(ConnectionRefusedError):
        return talk(emulator, "GET", "/v1/agents")[0].startswith(b"HTTP/1.1 200")
    return False
