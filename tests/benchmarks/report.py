# SPDX-License-Identifier: Apache-2.0
"""The figures as tables in Markdown. Ratios are to our trigger under the same conditions."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version

from tests.benchmarks.rows import LIMIT, LONGEST, PATIENCE, SHORTEST, TITLES, Figures, Row

COLUMNS = (
    "waiting through",
    "waits",
    "requests",
    "CPU s",
    "KiB per wait",
    "latency s",
    "fails",
    "429s",
    "busiest second",
    "longest tick s",
)

_INTRO = f"""\
# What waiting costs

Made by `make bench`. Many remote runs begin at once and take {SHORTEST:g} to {LONGEST:g} s each. As many triggers wait
for them in one event loop, as Airflow's triggerer runs them, and poll every 5 s unless the row says otherwise. The
services are one process on the same machine, over TLS. In brackets: how many times what `AgentRunTrigger` needs under
the same conditions. CPU time and latency depend on the machine; compare ratios.

- *CPU s*: of the process that waits, until the last event. Imports, and what Airflow adds to any wait, are left out.
- *KiB per wait*: by how much that process grew, divided by the waits: while all wait / at the worst moment.
- *latency s*: from a run's end to the trigger's event, median / 95th percentile.
- *fails*: waits that ended in an error, although every run succeeded. A wait that has not ended {PATIENCE:g} s after
  the last run counts as never ended.
- *busiest second*: the most requests within one second, including those that were answered 429.
- *longest tick s*: the longest that the event loop took for 0.1 s. Airflow warns above 0.2 s.

An event loop that is busy all the time, as the peers' are at 5,000 waits, polls less often: its events come late, and
it sends fewer requests and holds fewer connections than it otherwise would.
"""

Results = Mapping[Row, Figures]


def tables(results: Results) -> str:
    found: dict[str, list[list[str]]] = {}
    for row in sorted(results, key=lambda row: row.waits):
        title = f"The service allows {LIMIT} requests a second" if row.limited else "No limit"
        if row.particulars:
            title = "AgentRunTrigger under other conditions"
        found.setdefault(title, []).append(_line(row, results))
    parts = []
    for title, lines in found.items():
        parts += [f"## {title}", "", f"| {' | '.join(COLUMNS)} |", "|---" + "|--:" * (len(COLUMNS) - 1) + "|"]
        parts += [f"| {' | '.join(line)} |" for line in lines]
        parts.append("")
    return "\n".join(parts)


def report(results: Results) -> str:
    packages = ["apache-airflow", "apache-airflow-providers-dbt-cloud", "apache-airflow-providers-databricks"]
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    measured = f"Measured with Python {platform.python_version()}, {os.cpu_count()} cores, {versions}.\n"
    return "\n".join([_INTRO, tables(results), measured])


def one_line(row: Row, figures: Figures) -> str:
    """Return a row and its figures for the progress on the terminal."""
    return (
        f"{row.name}: {figures.requests:,} requests, {figures.cpu:.2f} CPU s, latency {_latency(figures)} s, "
        f"fails {_fails(figures)} {figures.failure or ''}"
    )


def _line(row: Row, results: Results) -> list[str]:
    figures = results[row]
    limit = f"{LIMIT} requests/s" if row.limited else "no limit"
    name = f"{TITLES[row.subject]}, {row.particulars}, {limit}" if row.particulars else TITLES[row.subject]
    ours = results.get(replace(row, subject="ours")) if row.subject != "ours" else None

    def compared(value: float, reference: float | None) -> str:
        if reference is None:
            return ""
        ratio = value / reference
        return f" ({ratio:,.0f}x)" if ratio >= 10 else f" ({ratio:.1f}x)"

    return [
        name,
        f"{row.waits:,}",
        f"{figures.requests:,}" + compared(figures.requests, ours and ours.requests),
        f"{figures.cpu:.2f}" + compared(figures.cpu, ours and ours.cpu),
        f"{figures.memory:.1f} / {figures.most_memory:.1f}",
        _latency(figures),
        _fails(figures),
        f"{figures.refused:,}",
        f"{figures.busiest_second:,}",
        f"{figures.longest_tick:.2f}",
    ]


def _latency(figures: Figures) -> str:
    return " / ".join(f"{seconds:.1f}" if seconds >= 1 else f"{seconds:.2f}" for seconds in figures.latencies or ())


def _fails(figures: Figures) -> str:
    return f"{figures.fails:,}" + (f", {figures.unended:,} never ended" if figures.unended else "")
