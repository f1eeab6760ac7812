# SPDX-License-Identifier: Apache-2.0
"""The table as a file: one row per fault, one column per component."""

from __future__ import annotations

import itertools
from pathlib import Path

from tests.faults.components import COMPONENTS
from tests.faults.placement import GROUPS

TABLE = Path(__file__).parent / "results" / "table.md"

_HEAD = """\
# What each fault does to each component

`make fault-table` writes this table. It runs each component over HTTP against the offline service, and tasks with
`dag.test()`. `make test-all` checks that the table is correct. For a description of each fault, run
`python -m airflow_provider_agentruns.emulator --list-faults`.

Most faults apply to one request: the POST of a start or an answer, or one read of a wait. Faults that change the
content of responses, and unknown runs, apply to all requests. So does `refused`, except for the triggers.
The client repeats each request at most once (`max_retries=1`), or for a second after a 429. Each task has `retries=2`.

| in a cell | meaning |
|---|---|
| `✓` | success |
| `✗ Server` | failed with `AgentRunsServerError`: names are without `AgentRun(s)` and `Error` |
| `✗ Server?` | the same, and the error says that the service may have carried out the request |
| `r1`, `a1` | the number of runs that the service has started, and of answers that it has accepted |
| `t2` | the task took 2 tries |
| `get`, `start`, `list`, `stream` | methods of the hook; `lasting`: `get` while the fault applies to each request |

The review operator begins with a person's answer. `tests/standalone` tests reviews, and workers that are killed, in a
complete Airflow.

After each row, the tests search all logs, errors, events, trigger arguments, and all files that Airflow wrote for the
token: in plain text, URL-encoded, in base64, and in hex.
"""


def write(rows: dict[str, dict[str, str]]) -> None:
    """Write the table. ``rows`` contains the text of each cell by fault and component."""
    lines = [_HEAD]
    by_group = sorted(GROUPS, key=lambda fault: [*dict.fromkeys(GROUPS.values())].index(GROUPS[fault]))
    for title, faults in itertools.groupby(by_group, lambda fault: GROUPS[fault]):
        heads = [title, *(component.title for component in COMPONENTS.values())]
        lines += [_line(heads), _line(["---"] * len(heads))]
        lines += [_line([fault, *(rows[fault][name] for name in COMPONENTS)]) for fault in faults]
        lines.append("")
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text("\n".join(lines))


def read() -> dict[str, dict[str, str]]:
    lines = [line for line in TABLE.read_text().splitlines() if line.count("|") == len(COMPONENTS) + 2]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {fault: dict(zip(COMPONENTS, cells, strict=True)) for fault, *cells in rows if fault in GROUPS}


def _line(fields: list[str]) -> str:
    return f"| {' | '.join(fields)} |"
