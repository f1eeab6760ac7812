# SPDX-License-Identifier: Apache-2.0
"""What was measured of a row, and how it is kept in a file between two runs of the bench."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.rows import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """
    What a row has cost.

    :param cpu: Seconds of processor time, of the process that waits.
    :param memory: KiB for each wait, while all wait.
    :param most_memory: KiB for each wait, at the worst moment.
    :param latencies: Seconds from a run's end to its event: the median and the 95th percentile.
    :param fails: Waits that ended in an error, or too early, although every run succeeded.
    :param unended: Waits that had not ended when the row was cut.
    :param refused: How often the service answered 429.
    :param busiest_second: The most requests within one second.
    :param longest_tick: The longest that the loop took for 0.1 s; Airflow warns above 0.2.
    :param seconds: From the beginning to the last event, or to the cut.
    :param server_cpu: Seconds of processor time of the service. Where they are as many, it was the bottleneck.
    :param busy: How many processes wanted to run in the minute before, as the system's load tells.
    :param why: What the first wait that failed had to say.
    """

    requests: int
    cpu: float
    memory: float
    most_memory: float
    latencies: tuple[float, float] | None
    fails: int
    unended: int
    refused: int
    busiest_second: int
    longest_tick: float
    seconds: float
    server_cpu: float
    busy: float
    why: str | None = None


#: What there is of a row: its figures, or why there are none.
Result = Figures | str


def read(file: Path) -> dict[str, Result]:
    """Read what was kept, by the rows' names."""
    if not file.exists():
        return {}
    return {name: from_dict(told) for name, told in map(json.loads, file.read_text().splitlines())}


def keep(file: Path, row: Row, figures: Figures) -> None:
    """Add a row's figures to a file."""
    with file.open("a") as lines:
        lines.write(json.dumps([row.name, asdict(figures)]) + "\n")


def from_dict(told: dict[str, Any]) -> Result:
    """Make a result of what the process of a row has told."""
    if "skipped" in told:
        return str(told["skipped"])
    return Figures(**{**told, "latencies": tuple(told["latencies"]) if told["latencies"] else None})
