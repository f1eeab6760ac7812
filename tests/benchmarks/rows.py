# SPDX-License-Identifier: Apache-2.0
"""The rows of the table: what waits, how often, and how the service behaves; and what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Literal

#: Requests per second that the service allows where it has a limit.
LIMIT = 20

#: The shortest and the longest remote run, in seconds from when the batch begins.
SHORTEST, LONGEST = 5.0, 25.0

#: A row is cut off this many seconds after the end of the last run.
PATIENCE = 120.0

#: What the tables call each subject.
TITLES = {
    "ours": "AgentRunTrigger",
    "dbt": "dbt Cloud trigger",
    "databricks": "Databricks trigger",
    "pages": "reference: one shared poller over list pages of 100",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    One row.

    :param subject: What waits: a key of :data:`TITLES`.
    :param waits: The number of waits.
    :param limited: Whether the service enforces :data:`LIMIT`.
    :param poll_interval: Seconds between two polls.
    :param older: The number of finished runs in the listing.
    :param oldest_first: Whether the listing begins with the oldest run.
    :param outputs: Whether the listing includes outputs.
    """

    subject: str
    waits: int
    limited: bool = False
    poll_interval: float = 5.0
    older: int = 0
    oldest_first: bool = False
    outputs: bool = True
    watch: Literal["poll", "stream"] = "poll"

    @property
    def name(self) -> str:
        """The name by which to choose it, such as ``ours-1000-limited``."""
        marks = [mark for mark, _ in self._particulars()]
        return "-".join([self.subject, str(self.waits), *marks, *(["limited"] if self.limited else [])])

    @property
    def short(self) -> bool:
        """Whether the short benchmark includes it. With 5,000 waits, a peer takes minutes, or fails at the limit."""
        return (self.subject == "ours" or self.waits < 5000) and not (self.limited and self.waits == 100)

    @property
    def particulars(self) -> str:
        """What distinguishes it from other rows with as many waits and the same limit, in words."""
        return ", ".join(words for _, words in self._particulars())

    def _particulars(self) -> list[tuple[str, str]]:
        every = f"{self.poll_interval:g}"
        known = [
            (self.poll_interval != 5, f"every{every}s", f"every {every} s"),
            (self.older > 0, f"older{self.older}", f"{self.older:,} older runs"),
            (self.oldest_first, "oldestfirst", "listing is oldest first"),
            (not self.outputs, "nooutputs", "listing without outputs"),
            (self.watch == "stream", "stream", 'watch="stream"'),
        ]
        return [(mark, words) for applies, mark, words in known if applies]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """
    What a row has cost.

    :param cpu: Seconds of processor time of the process that waits.
    :param memory: KiB for each wait, while all wait.
    :param most_memory: KiB for each wait, at the worst moment.
    :param latencies: Seconds from a run's end to its event: the median and the 95th percentile.
    :param fails: Waits that ended in an error, or too early, although every run succeeded.
    :param unended: Waits that had not ended when the row was cut off.
    :param refused: How often the service returned 429.
    :param busiest_second: The most requests within one second.
    :param longest_tick: The longest that the loop took for 0.1 s; Airflow warns above 0.2.
    :param failure: The first failure of a wait.
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
    failure: str | None = None


_ROWS = [
    *(
        Row(subject=subject, waits=waits, limited=limited)
        for limited, waits, subject in product((False, True), (100, 1000, 5000), ("ours", "dbt", "databricks"))
    ),
    Row(subject="pages", waits=1000),
    Row(subject="pages", waits=1000, limited=True),
    Row(subject="ours", waits=1000, limited=True, poll_interval=1.0),
    Row(subject="ours", waits=1000, limited=True, outputs=False),
    Row(subject="ours", waits=1000, limited=True, older=20_000),
    Row(subject="ours", waits=1000, limited=True, older=20_000, oldest_first=True),
    Row(subject="ours", waits=200, watch="stream"),
]

#: All rows, in the order in which they are measured, and the rows that a word on the command line stands for.
ROWS = {row.name: row for row in _ROWS}
GROUPS = {
    "short": [row for row in ROWS.values() if row.short],
    "full": list(ROWS.values()),
    **{name: [row] for name, row in ROWS.items()},
}
