# SPDX-License-Identifier: Apache-2.0
"""The table as a file: rows of faults in their groups, columns of components."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_agentruns.emulator.faults.describing import GROUPS, in_groups
from tests.faults.parts import PARTS

TABLE = Path(__file__).parent / "results" / "table.md"

_HEAD = """\
# What each fault does to each component

Written by `make fault-table`, which runs all of it over HTTP against the offline service, tasks through `dag.test()`.
The tests check that it is still so. What each fault is: `python -m airflow_provider_agentruns.emulator --list-faults`.

A fault meets one request (of a wait: one after it has begun to wait; of a start or an answer: the POST), and the
service is well again. What can be read in answers, an outdated listing and an unknown run last, and *refused* lasts
for all but the triggers. Requests are sent again once (`max_retries=1`), tasks are tried 3 times (`retries=2`), pauses
are a small part of real ones: a start in doubt looks for its run for 0.4 s instead of 8, so the listing lags by 0.15 s.

| in a cell | |
|---|---|
| `✓ 3` | it ended well, and 3 requests reached the service; `3+`: at least 3, the rest is a matter of time |
| `✗ Server 3` | it ended with `AgentRunsServerError`: names are without `AgentRun(s)` and `Error` |
| `✗ Server? 1` | the same, and the error says that the request may have been carried out |
| `r1`, `a1` | how many runs the service has started, and answers it has taken, all in all |
| `t2` | the task took 2 tries; `✗` without that used up no retry |
| `unmet` | it had no request that the fault could meet |
| `get`, `start`, `list`, `stream` | the hook's methods; `lasting`: `get`, while each request meets the fault |

At `401 until rotated` the token is rotated, and changed in the connection, while the triggers and the watcher run:
they go on. So do several at once in `tests/faults/test_rotated_token.py`.

The review begins where Airflow wakes it with a person's answer; with a whole Airflow around it, see
`tests/standalone/test_review_faults.py`. Workers are killed there, and in `tests/standalone/test_exactly_once.py`.

After each row, all logs, errors, reprs, events and trigger arguments, and all files that Airflow wrote, such as its
database and the tasks' logs, are searched for the token, also URL-encoded, in base64 and in hex.
"""


def write(rows: dict[str, dict[str, str]]) -> None:
    """Write the table: fault to component to what stands in the cell."""
    lines = [_HEAD]
    for title, kinds in in_groups():
        faults = [kind.name for kind in kinds]
        heads = [title, *(part.title for part in PARTS.values())]
        lines += [_line(heads), _line(["---"] * len(heads))]
        lines += [_line([fault, *(rows[fault][name] for name in PARTS)]) for fault in faults]
        lines.append("")
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text("\n".join(lines))


def read() -> dict[str, dict[str, str]]:
    """Read the table that is there, as :func:`write` took it."""
    rows: dict[str, dict[str, str]] = {}
    titles = [part.title for part in PARTS.values()]
    names = dict(zip(titles, PARTS, strict=True))
    heads: list[str] = []
    for line in TABLE.read_text().splitlines():
        fields = [field.strip() for field in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if len(fields) != len(PARTS) + 1 or set(fields) == {"---"}:
            continue
        if fields[0] in GROUPS.values():
            heads = fields[1:]
            assert all(head in names for head in heads), heads
            continue
        rows[fields[0]] = {names[head]: field for head, field in zip(heads, fields[1:], strict=True)}
    return rows


def _line(fields: list[str]) -> str:
    return f"| {' | '.join(fields)} |"
