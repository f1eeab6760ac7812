# SPDX-License-Identifier: Apache-2.0
"""What Airflow's logs say of many waits: who waited for what, what woke it, and whether a triggerer was held up."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from tests.support.standalone import Standalone

#: A triggerer reads a trigger's code when it meets the first one of its kind, and stands still meanwhile: for
#: Airflow's own triggers as for any other.
_LOADING = timedelta(seconds=10)

_FIRED = "Trigger fired event"
_BLOCKED = re.compile(r"(\S+) \[info *\] Triggerer's async thread was blocked for ([\d.]+) seconds")


@dataclass(frozen=True)
class Wait:
    """
    One task instance, as its logs have it.

    :param deferrals: How often it was deferred.
    :param seen: The statuses that the workers saw, in order.
    :param watched_by: The ids of the triggerers that had its trigger, with the moment they began.
    :param events: How often a trigger fired for it.
    """

    deferrals: int
    seen: Sequence[str]
    watched_by: dict[int, datetime]
    events: int


@dataclass(frozen=True)
class Waits:
    """
    Many of them.

    :param by_number: Each by the map index of its task instance.
    :param blocks: For how long a triggerer stood still, in seconds, with the moment when its watchdog said so.
    """

    by_number: dict[int, Wait]
    blocks: Sequence[tuple[datetime, float]]


def waits(airflow: Standalone, dag_id: str, dag_run: str) -> Waits:
    """Return what the logs say of the instances of a DAG's mapped task ``wait``."""
    log = airflow.log_file.read_text(errors="replace")
    # A triggerer that hears of a trigger's end before it reads the trigger's last lines has no file for them any more.
    late = re.compile(rf"{_FIRED} .*{re.escape(f'{dag_id}/{dag_run}/wait/')}(\d+)/")
    elsewhere = Counter(map(int, late.findall(log)))
    found = {}
    for folder in _logs(airflow, dag_id, dag_run).glob("map_index=*"):
        number = int(folder.name.partition("=")[2])
        found[number] = _wait(folder, elsewhere[number])
    return Waits(found, [(datetime.fromisoformat(moment), float(seconds)) for moment, seconds in _BLOCKED.findall(log)])


def watched(airflow: Standalone, dag_id: str, dag_run: str) -> int:
    """Return how many instances of the task ``wait`` have been in a triggerer so far."""
    files = _logs(airflow, dag_id, dag_run).glob("map_index=*/attempt=*.log.trigger.*.log")
    return len({path.parent for path in files})


def workers_gone(airflow: Standalone, state: str) -> int:
    """Return how many workers have ended so far whose task was then in a state."""
    log = airflow.log_file.read_text(errors="replace")
    return sum("Workload finished" in line and f"final_state={state}" in line for line in log.splitlines())


def blocked(found: Waits) -> list[float]:
    """
    Return for how long, in seconds, the triggerers stood still, each time that Airflow's watchdog said so.

    What it said while a triggerer loaded its first trigger is left out.
    """
    began: dict[int, datetime] = {}
    for wait in found.by_number.values():
        for triggerer, moment in wait.watched_by.items():
            began[triggerer] = min(moment, began.get(triggerer, moment))
    return [
        seconds
        for moment, seconds in found.blocks
        if not any(abs(moment - first) < _LOADING for first in began.values())
    ]


def _logs(airflow: Standalone, dag_id: str, dag_run: str) -> Path:
    return airflow.home / "logs" / f"dag_id={dag_id}" / f"run_id={dag_run}" / "task_id=wait"


def _wait(folder: Path, events: int) -> Wait:
    watched_by: dict[int, datetime] = {}
    for path in folder.glob("attempt=*.log.trigger.*.log"):
        triggerer = int(path.name.split(".")[-2])
        lines = _lines(path)
        watched_by[triggerer] = datetime.fromisoformat(lines[0]["timestamp"])
        events += sum(line["event"] == _FIRED for line in lines)
    said = [line["event"] for path in sorted(folder.glob("attempt=?.log")) for line in _lines(path)]
    return Wait(
        deferrals=sum(event.startswith("Pausing task as DEFERRED") for event in said),
        seen=[found[1] for event in said if (found := re.fullmatch(r"Agent run \S+ is (\w+)", event))],
        watched_by=watched_by,
        events=events,
    )


def _lines(path: Path) -> list[dict[str, str]]:
    # A process that is killed may leave half a line.
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
