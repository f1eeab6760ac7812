# SPDX-License-Identifier: Apache-2.0
"""The figures as tables, for a terminal and as Markdown. Ratios are to our trigger in the same place."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from rich.table import Table

from tests.benchmarks.figures import Figures, Result
from tests.benchmarks.rows import LIMIT, LONGEST, PATIENCE, SHORTEST, Row
from tests.benchmarks.subjects import KINDS

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
for them in one event loop, as Airflow's triggerer runs them, and look every 5 s unless it says otherwise. The services
are one process on the same machine, over TLS. In brackets: how many times what `AgentRunTrigger` needs in the same
place. CPU time and latency are of one machine; ratios are what counts.

- *CPU s*: of the process that waits, until the last event. Imports, and what Airflow adds to any wait, are left out.
- *KiB per wait*: by how much that process grew, divided by the waits: while all wait / at the worst moment.
- *latency s*: from a run's end to the trigger's event, median / 95th percentile.
- *fails*: waits that ended in an error, although every run succeeded. Who has not ended {PATIENCE:g} s after the last
  run counts as never ended.
- *busiest second*: the most requests within one second, those that were answered 429 included.
- *longest tick s*: the longest that the event loop took for 0.1 s. Airflow warns above 0.2 s.

An event loop that is busy all the time, as the peers' are at 5,000 waits, looks less often: its events come late, and
it sends fewer requests and holds fewer connections than it would.
"""


@dataclass(frozen=True, slots=True)
class Section:
    """A table with a title."""

    title: str
    lines: list[list[str]]

    def as_table(self) -> Table:
        """Return it for the terminal."""
        table = Table(title=self.title, title_justify="left")
        for column in COLUMNS:
            first = column == COLUMNS[0]
            table.add_column(column, justify="left" if first else "right", min_width=30 if first else None)
        for line in self.lines:
            table.add_row(*line)
        return table

    def as_markdown(self) -> str:
        """Return it as Markdown."""
        head = ["| " + " | ".join(COLUMNS) + " |", "|---" + "|--:" * (len(COLUMNS) - 1) + "|"]
        lines = ["| " + " | ".join(line) + " |" for line in self.lines]
        return "\n".join([f"## {self.title}", "", *head, *lines, ""])


def sections(rows: Sequence[Row], results: Mapping[str, Result]) -> list[Section]:
    """Return the tables that have something in them."""
    groups = {
        "No limit": [row for row in rows if row.usual and not row.limited],
        f"The service allows {LIMIT} requests a second": [row for row in rows if row.usual and row.limited],
        "AgentRunTrigger in other places": [row for row in rows if not row.usual],
    }
    return [
        Section(title, [_line(row, results) for row in sorted(group, key=lambda row: row.waits)])
        for title, group in groups.items()
        if group
    ]


def markdown(rows: Sequence[Row], results: Mapping[str, Result], tables: Sequence[Section]) -> str:
    """Return all that there is to say, as Markdown."""
    parts = [
        _INTRO,
        *ratios(rows, results),
        *(table.as_markdown() for table in tables),
        _versions(),
        _noise(rows, results),
    ]
    return "\n".join(parts)


def ratios(rows: Sequence[Row], results: Mapping[str, Result]) -> list[str]:
    """Return what the peers need, as multiples of what our trigger needs."""
    said = []
    for row in rows:
        found, ours = results[row.name], _ours(row, results)
        if row.subject in ("dbt", "databricks") and not row.limited and isinstance(found, Figures) and ours:
            more = [
                f"{_times(found.requests, ours.requests)} the requests",
                f"{_times(found.cpu, ours.cpu)} the CPU time",
                f"{_times(found.memory, ours.memory)} the memory",
                f"a median latency of {_latency(found)[0]} s and not {_latency(ours)[0]} s",
            ]
            said.append(f"- {row.waits:,} waits, {KINDS[row.subject].title}: {', '.join(more)}")
    return ["Without a limit, compared with `AgentRunTrigger`:\n", *said, ""] if said else []


def one_line(row: Row, result: Result) -> str:
    """Return a row and its figures for the progress on the terminal."""
    if isinstance(result, str):
        return f"{row.name}: not measured: {result}"
    line = ", ".join(
        [
            f"{row.name}: {result.requests:,} requests",
            f"{result.cpu:.2f} CPU s",
            f"{result.memory:.1f} KiB per wait",
            f"latency {' / '.join(_latency(result))} s",
            f"fails {_fails(result)}",
            f"{result.seconds:.0f} s in all, of which the service worked {result.server_cpu:.1f} s",
        ]
    )
    return f"{line}; first failure: {result.why}" if result.why else line


def _line(row: Row, results: Mapping[str, Result]) -> list[str]:
    title = KINDS[row.subject].title
    name = f"{title}, {row.particulars}" if row.particulars else title
    if not row.usual:
        name += f", {LIMIT} requests/s" if row.limited else ", no limit"
    found, ours = results[row.name], _ours(row, results)
    if isinstance(found, str):
        return [name, f"{row.waits:,}", f"not measured: {found}", *[""] * (len(COLUMNS) - 3)]
    return [
        name,
        f"{row.waits:,}",
        f"{found.requests:,}" + (f" ({_times(found.requests, ours.requests)})" if ours else ""),
        f"{found.cpu:.2f}" + (f" ({_times(found.cpu, ours.cpu)})" if ours else ""),
        f"{found.memory:.1f} / {found.most_memory:.1f}",
        " / ".join(_latency(found)),
        _fails(found),
        f"{found.refused:,}",
        f"{found.busiest_second:,}",
        f"{found.longest_tick:.2f}",
    ]


def _ours(row: Row, results: Mapping[str, Result]) -> Figures | None:
    """Return the figures of our trigger in the same place, unless the row is ours."""
    ours = results.get(Row(subject="ours", waits=row.waits, limited=row.limited).name)
    return ours if row.usual and row.subject != "ours" and isinstance(ours, Figures) else None


def _times(value: float, ours: float) -> str:
    ratio = value / ours
    return f"{ratio:,.0f}x" if ratio >= 10 else f"{ratio:.1f}x"


def _latency(found: Figures) -> list[str]:
    """Return the median and the 95th percentile."""
    if found.latencies is None:
        return ["-"]
    return [f"{seconds:.1f}" if seconds >= 1 else f"{seconds:.2f}" for seconds in found.latencies]


def _fails(found: Figures) -> str:
    return f"{found.fails:,}" + (f", {found.unended:,} never ended" if found.unended else "")


def _versions() -> str:
    names = ("apache-airflow", "apache-airflow-providers-dbt-cloud", "apache-airflow-providers-databricks")
    said = [f"Python {platform.python_version()}", f"{os.cpu_count()} cores"]
    for name in names:
        try:
            said.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return f"Measured with {', '.join(said)}.\n"


def _noise(rows: Sequence[Row], results: Mapping[str, Result]) -> str:
    """Say whether the machine had other things to do, which no row by itself can bring about."""
    measured = [found for row in rows if isinstance(found := results[row.name], Figures)]
    noisy = sum(found.busy > (os.cpu_count() or 1) + 1 for found in measured)
    if not noisy:
        return ""
    return f"The machine was busy with other things, too, during {noisy} of {len(measured)} rows: they are noisy.\n"
