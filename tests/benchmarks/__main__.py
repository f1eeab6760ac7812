# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.benchmarks``: measures what waiting costs, and writes a report."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks import report
from tests.benchmarks.certificate import make_certificate
from tests.benchmarks.rows import GROUPS, LONGEST, PATIENCE, Figures, Row
from tests.support.airflow_home import airflow_environment

REPORT = Path(__file__).parent / "results" / "waiting.md"

#: Seconds that starting, warming up, and a blocked loop may add to a row.
_GRACE = 180.0

_COMMAND = [sys.executable, "-m"]


def measure(row: Row, home: Path) -> Figures:
    """
    Measure a row.

    :param home: An empty folder.
    """
    certificate, key = make_certificate(home)
    # All libraries trust this one certificate.
    environment = {**os.environ, **airflow_environment(home), "SSL_CERT_FILE": str(certificate)}
    with _service(row, certificate, key) as port:
        done = subprocess.run(
            [*_COMMAND, "tests.benchmarks.waits", row.name, port],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST + PATIENCE + _GRACE,
        )
    if done.returncode:
        raise RuntimeError(f"{row.name} failed:\n{done.stderr[-4000:]}")
    return Figures(**json.loads(done.stdout.splitlines()[-1]))


@contextmanager
def _service(row: Row, certificate: Path, key: Path) -> Iterator[str]:
    """Start the services, and yield their port. They end with this process, which holds their standard input."""
    command = [*_COMMAND, "tests.benchmarks.server", row.name, str(certificate), str(key)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def main() -> None:
    words = _parser().parse_args().rows or ["short"]
    rows = list(dict.fromkeys(row for word in words for row in GROUPS[word]))
    # Some peers hold a connection for each wait. The processes of the benchmark inherit this limit.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if os.getloadavg()[0] > (os.cpu_count() or 1):
        print("This machine is busy: the figures will be noisy.", flush=True)
    results = {}
    for number, row in enumerate(rows, 1):
        with tempfile.TemporaryDirectory(prefix="agentruns-bench-") as home:
            results[row] = measure(row, Path(home))
        print(f"{number}/{len(rows)}  {report.one_line(row, results[row])}", flush=True)
    print(report.tables(results))
    if set(words) <= {"short", "full"}:
        REPORT.write_text(report.report(results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Measures what waiting costs: AgentRunTrigger beside the deferrable triggers of other providers.",
        epilog="A row takes half a minute to two and a half minutes. Nothing else should run on the machine meanwhile.",
    )
    parser.add_argument(
        "rows",
        nargs="*",
        choices=GROUPS,
        metavar="ROW",
        help="'short' (the default; about ten minutes), 'full' (about half an hour; also peers with 5,000 waits), or "
        "single rows, for which no report is written: %(choices)s",
    )
    return parser


if __name__ == "__main__":
    main()
