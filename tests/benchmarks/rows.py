# SPDX-License-Identifier: Apache-2.0
"""The rows of the table: who waits, how many times, and what the service is like meanwhile."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Self

#: Requests per second that the service allows where it has a limit.
LIMIT = 20

#: The shortest and the longest remote run, in seconds from when the batch begins.
SHORTEST, LONGEST = 5.0, 25.0

#: How long after the end of the last run a row is cut, in seconds.
PATIENCE = 120.0

#: How many finished runs there are besides, in the rows that have older ones.
MANY_OLDER = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    One row.

    :param subject: Who waits: a key of :data:`tests.benchmarks.subjects.SUBJECTS`.
    :param waits: How many wait at once.
    :param limited: Whether the service enforces :data:`LIMIT`.
    :param poll_interval: Seconds between two looks.
    :param older: How many finished runs lie in the listing besides.
    :param oldest_first: Whether the listing begins with the oldest run.
    :param watch: What our trigger is told to watch by; None leaves it out.
    :param short: Whether the short bench has this row, and not only the full one.
    """

    subject: str
    waits: int
    limited: bool = False
    poll_interval: float = 5.0
    older: int = 0
    oldest_first: bool = False
    watch: str | None = None
    short: bool = False

    @property
    def name(self) -> str:
        """What to choose it by, such as ``ours-1000-limited``."""
        parts = [self.subject, str(self.waits), *self._marks]
        if self.limited:
            parts.append("limited")
        return "-".join(parts)

    @property
    def usual(self) -> bool:
        """Whether nothing sets it apart but the waits and the limit, so that others compare with it."""
        return not self._marks

    @property
    def particulars(self) -> str:
        """What sets it apart, for people."""
        said = [
            f"every {self.poll_interval:g} s" if self.poll_interval != 5 else "",
            f"{self.older:,} older runs" if self.older else "",
            "listing is oldest first" if self.oldest_first else "",
            f'watch="{self.watch}"' if self.watch else "",
        ]
        return ", ".join(filter(None, said))

    @property
    def _marks(self) -> list[str]:
        marks = [
            f"every{self.poll_interval:g}s" if self.poll_interval != 5 else "",
            f"older{self.older}" if self.older else "",
            "oldestfirst" if self.oldest_first else "",
            self.watch or "",
        ]
        return list(filter(None, marks))

    def to_json(self) -> str:
        """Write it for another process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what :meth:`to_json` wrote."""
        return cls(**json.loads(text))


def _all_rows() -> tuple[Row, ...]:
    rows = []
    for limited in (False, True):
        for waits in (100, 1000, 5000):
            # At 5,000 a peer takes minutes, and with the limit it mostly fails; the full bench has that too.
            peers_short = waits == 1000 or (waits == 100 and not limited)
            rows += [
                Row(subject="ours", waits=waits, limited=limited, short=waits > 100 or not limited),
                Row(subject="dbt", waits=waits, limited=limited, short=peers_short),
                Row(subject="databricks", waits=waits, limited=limited, short=peers_short),
            ]
        rows += [
            Row(subject="single", waits=1000, limited=limited, short=not limited),
            Row(subject="pages", waits=1000, limited=limited, short=not limited),
            Row(subject="idle", waits=1000, limited=limited) if not limited else None,
        ]
    rows += [
        Row(subject="ours", waits=1000, limited=True, poll_interval=1.0, short=True),
        Row(subject="ours", waits=1000, limited=True, older=MANY_OLDER, short=True),
        Row(subject="ours", waits=1000, limited=True, older=MANY_OLDER, oldest_first=True, short=True),
        Row(subject="ours", waits=200, watch="stream", short=True),
        Row(subject="ours", waits=200, limited=True, watch="stream"),
    ]
    return tuple(row for row in rows if row)


#: Every row that there is, in the order in which they are measured.
ROWS = _all_rows()


def choose(words: list[str]) -> list[Row]:
    """
    Return the rows that some words stand for: ``short``, ``full``, a row's name, or how some names begin.

    :raises ValueError: If a word stands for none.
    """
    chosen: list[Row] = []
    for word in words:
        if word == "full":
            found = list(ROWS)
        elif word == "short":
            found = [row for row in ROWS if row.short]
        else:
            found = [row for row in ROWS if row.name == word] or [row for row in ROWS if row.name.startswith(word)]
        if not found:
            raise ValueError(f"no row is called {word!r}, or so in the beginning; --list tells all")
        chosen += [row for row in found if row not in chosen]
    return chosen
