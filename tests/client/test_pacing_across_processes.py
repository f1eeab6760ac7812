# SPDX-License-Identifier: Apache-2.0
"""All processes of a machine share the schedule of an account, whatever becomes of them or of its file."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import airflow_provider_agentruns
from airflow_provider_agentruns.client import pacing
from airflow_provider_agentruns.client.machine import SharedFile
from airflow_provider_agentruns.client.pacing import Pacer, pacer_for
from airflow_provider_agentruns.client.schedule import SIZE

ROOT = Path(airflow_provider_agentruns.__path__[0]).parent

#: What each process begins with. `moment()` reserves one and returns it by the clock that all have in common.
BEGIN = """
import json, os, signal, sys, threading, time
from types import SimpleNamespace
from airflow_provider_agentruns.client import machine, pacing

# A computer that has too much to do is no reason to do without the file, in a test.
machine._PATIENCE = 30.0
pread, pwrite, said = os.pread, os.pwrite, []
pacing.time = SimpleNamespace(monotonic=lambda: said.append(time.monotonic()) or said[-1])
pacer = pacing.pacer_for("account", RATE)

def moment(**kind):
    wait = pacer.reserve(**kind)
    return said[-1] + wait

def tell(*values):
    os.write(1, (json.dumps(values) + chr(10)).encode())
"""

Start = Callable[[str, float], "subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def own_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have a directory of temporary files where nobody else is."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(pacing, "_pacers", {})


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return what starts a process that shares the schedule; those left over are killed, and what they forked."""
    processes: list[subprocess.Popen[str]] = []

    def start(code: str, rate: float) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", BEGIN.replace("RATE", str(rate)) + code],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)


def told(process: subprocess.Popen[str]) -> list[float]:
    """Return all that a process and those that it forked have told, in order of time."""
    out, _ = process.communicate("go\n", timeout=60)
    assert process.returncode == 0
    return sorted(itertools.chain.from_iterable(json.loads(line) for line in out.splitlines()))


def gaps(moments: list[float]) -> list[float]:
    """Return the times in between."""
    return [later - earlier for earlier, later in itertools.pairwise(sorted(moments))]


def stranger(rate: float) -> Pacer:
    """Return the pacer that another process of this machine would have."""
    return Pacer(rate, SharedFile("account", SIZE))


def together(start: Start, code: str, rate: float) -> list[float]:
    """Run the same in six processes at the same time, and return what they have told."""
    processes = [start(f"tell(0)\nsys.stdin.readline()\n{code}", rate) for _ in range(6)]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "[0]\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    return sorted(itertools.chain.from_iterable(told(process) for process in processes))


def test_processes_together_keep_to_the_rate_and_are_not_slower_than_need_be(start: Start) -> None:
    moments = together(start, "tell(*[moment() for _ in range(20)])", 50)
    assert len(moments) == 120
    assert min(gaps(moments)) >= 1 / 50
    assert moments[-1] - moments[0] < 119 * 1.05 / 50 + 1.0


def test_processes_together_are_urgent_no_more_often_than_the_rate(start: Start) -> None:
    moments = together(start, "tell(*[moment(urgent=True) for _ in range(20)])", 50)
    assert min(last - first for first, last in zip(moments, moments[50:], strict=False)) > 1
    assert sum(gap < 1 / 50 for gap in gaps(moments)) > 20


def test_a_hold_in_one_process_keeps_back_another(start: Start) -> None:
    pacer = pacer_for("account", 10)
    assert pacer.reserve() == 0.0
    told(start("pacer.hold(60)", 10))
    assert pacer.reserve() > 30
    assert pacer.reserve(urgent=True) > 30


def test_each_process_spaces_what_it_reserves_by_its_own_rate() -> None:
    slow, fast = pacer_for("account", 0.01), stranger(0.1)
    waits = [slow.reserve(), fast.reserve(), slow.reserve()]
    assert gaps(waits) == [pytest.approx(105, abs=4), pytest.approx(10.5, abs=4)]


@pytest.mark.parametrize("before", ["", "moment()"])
def test_a_forked_process_and_its_parent_keep_apart(start: Start, before: str) -> None:
    # Whoever has the file, has it for long enough that the other one comes.
    moments = told(
        start(
            f"""
{before}
os.pread = lambda *which: (pread(*which), time.sleep(0.002))[0]
child = os.fork()
tell(*[moment() for _ in range(20)])
if child:
    os.waitpid(child, 0)
""",
            50,
        )
    )
    assert len(moments) == 40
    assert min(gaps(moments)) >= 1 / 50


def test_a_process_may_be_forked_while_a_thread_reserves(start: Start) -> None:
    moments = told(
        start(
            """
reading = threading.Event()

def read(*which):
    os.pread = pread
    content = pread(*which)
    reading.set()
    time.sleep(0.3)
    return content

moment()
os.pread = read
thread = threading.Thread(target=lambda: tell(moment()))
thread.start()
reading.wait()
child = os.fork()
if child:
    thread.join()
    os.waitpid(child, 0)
tell(moment())
os._exit(0)
""",
            1,
        )
    )
    assert len(moments) == 3
    assert min(gaps(moments)) >= 1


@pytest.mark.parametrize("then", [signal.SIGKILL, signal.SIGCONT])
def test_a_process_that_is_stopped_with_the_file_in_hand_does_not_stop_others(
    start: Start, then: signal.Signals
) -> None:
    process = start(
        "os.pwrite = lambda *what: (os.kill(os.getpid(), signal.SIGSTOP), pwrite(*what))[1]\nmoment()", 0.01
    )
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    pacer = pacer_for("account", 0.01)
    begin = time.monotonic()
    moments = [time.monotonic() + pacer.reserve() for _ in range(10)]
    assert time.monotonic() - begin < 5
    process.send_signal(then)
    process.wait(30)
    # It has written what was true before, or nothing. What was reserved in the meantime still counts, for all.
    moments += [time.monotonic() + pacer.reserve(), time.monotonic() + stranger(0.01).reserve()]
    assert min(gaps(moments)) >= 100


def test_a_process_that_is_killed_with_the_file_in_hand_gives_it_back(start: Start) -> None:
    process = start("os.pwrite = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\nmoment()", 0.01)
    assert process.wait(30) == -signal.SIGKILL
    pacer_for("account", 0.01).reserve()
    assert stranger(0.01).reserve() > 100
