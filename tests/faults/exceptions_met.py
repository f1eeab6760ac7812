# SPDX-License-Identifier: Apache-2.0
"""The exceptions that Airflow met in tasks: the callbacks of the table's DAGs put them here."""

from __future__ import annotations

from typing import Any

#: Task id to its exceptions, in order.
MET: dict[str, list[BaseException]] = {}


def note(context: Any) -> None:
    """Airflow calls this where a try of a task has failed."""
    MET.setdefault(context["ti"].task_id, []).append(context["exception"])
