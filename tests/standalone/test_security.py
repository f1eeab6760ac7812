# SPDX-License-Identifier: Apache-2.0
"""
An Airflow in which every visitor is an admin can be reached from this machine only.

That neither the token nor the webhook secret is in anything that Airflow writes is checked at the end of the session;
see the fixture ``airflow``.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from ipaddress import ip_address
from pathlib import Path

import psutil
import pytest

from tests.support.standalone import READY_WITHIN, Standalone, listening


def test_airflow_listens_on_loopback_only(airflow: Standalone) -> None:
    addresses = [address for process in airflow.processes() for address in listening(process)]
    assert ("127.0.0.1", airflow.port) in addresses
    assert all(ip_address(ip).is_loopback for ip, _ in addresses), addresses


@pytest.mark.xdist_group("demo")
def test_the_demo_listens_on_loopback_only(tmp_path: Path) -> None:
    with (tmp_path / "demo.txt").open("w+") as output:
        demo = subprocess.Popen(
            [sys.executable, "-u", "-m", "tests.demo", "--keep"],
            cwd=Path(__file__).parents[2],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            addresses: set[tuple[str, int]] = set()
            end = time.monotonic() + READY_WITHIN
            text = ""
            while "stays open" not in text:
                assert demo.poll() is None, text
                assert time.monotonic() < end, text
                for process in [psutil.Process(demo.pid), *psutil.Process(demo.pid).children(recursive=True)]:
                    addresses.update(listening(process))
                time.sleep(0.5)
                text = (tmp_path / "demo.txt").read_text()
            assert {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", text)} <= {port for _, port in addresses}
            assert all(ip_address(ip).is_loopback for ip, _ in addresses), addresses
        finally:
            demo.terminate()
            code = demo.wait(240)
    assert code == 0, text
