# SPDX-License-Identifier: Apache-2.0
"""The payload of asset events, which is the same for polling and for webhooks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def event_payload(runs: Iterable[tuple[str, str, str | None]]) -> dict[str, Any]:
    """
    Return ``{"runs": [{"run_id", "status", "agent"}, ...]}``. For one run, its fields are also at the top level.

    :param runs: The ID, status, and agent of each run.
    """
    entries = [{"run_id": run_id, "status": status, "agent": agent} for run_id, status, agent in runs]
    return {"runs": entries, **(entries[0] if len(entries) == 1 else {})}
