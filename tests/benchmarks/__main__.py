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

from rich.console import Console

from tests.benchmarks import plot, report
from tests.benchmarks.certificate import make_certificate
from tests.benchmarks.processes import Child
from tests.benchmarks.rows import LONGEST, PATIENCE, ROWS, Figures, Row, choose
from tests.support.airflow_home import airflow_environment

RESULTS = Path(__file__).parent / "results"

#: Seconds that starting, warming up, and a blocked loop may add to a row.
_GRACE = 180.0

#: The tables are wide.
console = Console(highlight=False, width=max(Console().width, 150))


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


def measure_all(rows: Sequence[Row]) -> dict[Row, Figures]:
    """Measure rows, and print a line for each."""
    results = {}
    for number, row in enumerate(rows, 1):
        with tempfile.TemporaryDirectory(prefix="agentruns-bench-") as home:
            results[row] = measure(row, Path(home))
        console.print(f"{number}/{len(rows)}  {report.one_line(row, results[row])}", soft_wrap=True)
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the rows in the arguments."""
    options = _parser().parse_args(arguments)
    if options.list:
        for row in ROWS:
            console.print(f"{row.name:<45} {'short' if row.short else ''}")
        return 0
    try:
        rows = choose(options.rows)
    except ValueError as e:
        sys.stderr.write(f"{e}\n")
        return 2
    if os.getloadavg()[0] > (os.cpu_count() or 1):
        console.print("This machine is busy: the figures will be noisy.", style="bold red")
    results = measure_all(rows)
    tables = report.tables(results)
    for title, lines in tables.items():
        console.print(report.as_table(title, lines))
    if options.results or set(options.rows) <= {"short", "full"}:
        folder: Path = options.results or RESULTS
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "waiting.md").write_text(report.markdown(results, tables))
        plot.draw(results, folder / "waiting.svg")
        console.print("Written: waiting.md, waiting.svg")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Measures what waiting costs: AgentRunTrigger beside the deferrable triggers of other providers.",
        epilog="A row takes about half a minute, because the remote runs take up to 25 s; up to two and a half minutes "
        "if many waits exceed the limit. Nothing else should run on the machine meanwhile.",
    )
    parser.add_argument(
        "rows",
        nargs="*",
        default=["short"],
        metavar="ROW",
        help="'short' (the default; about ten minutes): ours with 100, 1,000, and 5,000 waits, the peers with 100 and "
        "1,000, the references, and ours in harder cases. 'full' (about half an hour): all rows, including the peers "
        "with 5,000 waits. Or names of rows, or the beginnings of names: these print the table and write no report",
    )
    parser.add_argument("--list", action="store_true", help="print the names of all rows")
    parser.add_argument("--results", type=Path, help="where to write waiting.md and waiting.svg")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
