# SPDX-License-Identifier: Apache-2.0
"""The rows of the table: what waits, how often, and how the service behaves."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Self

#: Requests per second that the service allows where it has a limit.
LIMIT = 20

#: The shortest and the longest remote run, in seconds from when the batch begins.
SHORTEST, LONGEST = 5.0, 25.0

#: A row is cut off this many seconds after the end of the last run.
PATIENCE = 120.0

#: The number of older runs in the rows that have some.
MANY_OLDER = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    One row.

    :param subject: What waits: a key of :data:`tests.benchmarks.subjects.SUBJECTS`.
    :param waits: The number of waits.
    :param limited: Whether the service enforces :data:`LIMIT`.
    :param poll_interval: Seconds between two polls.
    :param older: The number of finished runs in the listing.
    :param oldest_first: Whether the listing begins with the oldest run.
    :param outputs: Whether the listing includes outputs.
    :param watch: The trigger's argument ``watch``; None omits it.
    :param short: Whether the short benchmark includes this row.
    """

    subject: str
    waits: int
    limited: bool = False
    poll_interval: float = 5.0
    older: int = 0
    oldest_first: bool = False
    outputs: bool = True
    watch: str | None = None
    short: bool = False

    @property
    def name(self) -> str:
        """The name by which to choose it, such as ``ours-1000-limited``."""
        parts = [self.subject, str(self.waits), *self._marks]
        if self.limited:
            parts.append("limited")
        return "-".join(parts)

    @property
    def usual(self) -> bool:
        """Whether only the waits and the limit distinguish it, so that other rows compare with it."""
        return not self._marks

    @property
    def particulars(self) -> str:
        """What distinguishes it, in words."""
        said = [
            f"every {self.poll_interval:g} s" if self.poll_interval != 5 else "",
            f"{self.older:,} older runs" if self.older else "",
            "listing is oldest first" if self.oldest_first else "",
            "listing without outputs" if not self.outputs else "",
            f'watch="{self.watch}"' if self.watch else "",
        ]
        return ", ".join(filter(None, said))

    @property
    def _marks(self) -> list[str]:
        marks = [
            f"every{self.poll_interval:g}s" if self.poll_interval != 5 else "",
            f"older{self.older}" if self.older else "",
            "oldestfirst" if self.oldest_first else "",
            "nooutputs" if not self.outputs else "",
            self.watch or "",
        ]
        return list(filter(None, marks))

    def to_json(self) -> str:
        """Serialize it for another process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Restore it from :meth:`to_json`."""
        return cls(**json.loads(text))


def _all_rows() -> tuple[Row, ...]:
    rows = []
    for limited in (False, True):
        for waits in (100, 1000, 5000):
            # With 5,000 waits a peer takes minutes, or fails at the limit. The full benchmark includes that.
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
        Row(subject="ours", waits=1000, limited=True, outputs=False, short=True),
        Row(subject="ours", waits=1000, limited=True, older=MANY_OLDER, short=True),
        Row(subject="ours", waits=1000, limited=True, older=MANY_OLDER, oldest_first=True, short=True),
        Row(subject="ours", waits=200, watch="stream", short=True),
        Row(subject="ours", waits=200, limited=True, watch="stream"),
    ]
    return tuple(row for row in rows if row)


#: All rows, in the order in which they are measured.
ROWS = _all_rows()


def choose(words: list[str]) -> list[Row]:
    """
    Return the rows for some words: ``short``, ``full``, the name of a row, or the beginning of names.

    :raises ValueError: If there is no row for a word.
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
            raise ValueError(f"no row's name is or begins with {word!r}; --list shows all names")
        chosen += [row for row in found if row not in chosen]
    return chosen
