# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.benchmarks``: measures what waiting costs, and writes a report."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks import plot, report
from tests.benchmarks.certificate import make_certificate
from tests.benchmarks.processes import Child
from tests.benchmarks.rows import LONGEST, PATIENCE, ROWS, Figures, Row, choose
from tests.support.airflow_home import airflow_environment

RESULTS = Path(__file__).parent / "results"

#: Seconds that starting, warming up, and a blocked loop may add to a row.
_GRACE = 180.0


def measure(row: Row, home: Path) -> Figures:
    """
    Measure a row.

    :param home: An empty folder.
    """
    certificate, key = make_certificate(home)
    # All libraries trust this one certificate.
    environment = {**airflow_environment(home), "SSL_CERT_FILE": str(certificate)}
    with Child("server", row.to_json(), str(certificate), str(key), log=home / "server.log") as server:
        if not (port := server.line()):
            raise RuntimeError(f"The service did not start:\n{server.errors()}")
        with Child("waits", row.to_json(), port, log=home / "waits.log", environment=environment) as waits:
            line = waits.last_line(within=LONGEST + PATIENCE + _GRACE)
            if not line.startswith("{"):
                raise RuntimeError(f"{row.name} failed, or took too long:\n{waits.errors()}")
    return Figures(**json.loads(line))


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.list:
        for row in ROWS:
            _print(f"{row.name:<45} {'short' if row.short else ''}")
        return 0
    try:
        rows = choose(options.rows)
    except ValueError as e:
        sys.stderr.write(f"{e}\n")
        return 2
    if os.getloadavg()[0] > (os.cpu_count() or 1):
        _print("This machine is busy: the figures will be noisy.")
    results = {}
    for number, row in enumerate(rows, 1):
        with tempfile.TemporaryDirectory(prefix="agentruns-bench-") as home:
            results[row] = measure(row, Path(home))
        _print(f"{number}/{len(rows)}  {report.one_line(row, results[row])}")
    _print(report.tables(results))
    if options.results or set(options.rows) <= {"short", "full"}:
        folder: Path = options.results or RESULTS
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "waiting.md").write_text(report.report(results))
        plot.draw(results, folder / "waiting.svg")
    return 0


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Measures what waiting costs: AgentRunTrigger beside the deferrable triggers of other providers.",
        epilog="A row takes half a minute to two and a half minutes. Nothing else should run on the machine meanwhile.",
    )
    parser.add_argument(
        "rows",
        nargs="*",
        default=["short"],
        metavar="ROW",
        help="'short' (the default; about ten minutes), 'full' (about half an hour; also peers with 5,000 waits), or "
        "names of rows or their beginnings: these print the table and write no report",
    )
    parser.add_argument("--list", action="store_true", help="print the names of all rows")
    parser.add_argument("--results", type=Path, help="where to write waiting.md and waiting.svg")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
